"""What istiod is to a cluster: Kubernetes and Istio objects become configuration of each pod's Envoy."""

from local.istiod.server import Istiod

__all__ = ["Istiod"]
