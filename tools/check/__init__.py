"""Checks Kubernetes and Istio objects before anything is applied: YAML, schemas, rules, references."""

from tools.check.problem import Problem

__all__ = ["Problem"]
