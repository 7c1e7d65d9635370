"""A Kubernetes REST API on one machine, such that kubectl, Helm and other clients work unchanged."""

from local.apiserver.kubeconfig import write_kubeconfig
from local.apiserver.runner import ExecEnvironment, Runner
from local.apiserver.server import ApiServer

__all__ = ["ApiServer", "ExecEnvironment", "Runner", "write_kubeconfig"]
