"""The runner of pods: what the kubelet, the scheduler and a container runtime are to a cluster."""

from local.kubelet.kubelet import Kubelet
from local.kubelet.runtime import BackOff

__all__ = ["BackOff", "Kubelet"]
