"""Who a pod is: the names that metrics carry.

Labels: https://istio.io/latest/docs/reference/config/metrics/#labels; canonical service and revision:
https://istio.io/latest/docs/ops/configuration/traffic-management/canonical-service/ is their origin.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from local.kinds import Object

UNKNOWN = "unknown"
PROXY_CONTAINER = "istio-proxy"
CLUSTER_ID = "Kubernetes"
"""The name that Istio gives a single cluster."""


@dataclass(frozen=True)
class Workload:
    """The workload of a pod as Istio's labels tell it, each `unknown` where the pod does not say."""

    workload: str = UNKNOWN
    workload_namespace: str = UNKNOWN
    app: str = UNKNOWN
    version: str = UNKNOWN
    canonical_service: str = UNKNOWN
    canonical_revision: str = UNKNOWN
    cluster: str = UNKNOWN

    def fields(self) -> dict[str, str]:
        """Return the labels' values by the labels' names without `source_` or `destination_`."""
        return dict(vars(self))


def _first(labels: Mapping[str, str], *names: str) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)


def workload_name(pod: Object) -> str:
    """Return the Deployment or Job that `pod` belongs to, else the pod's own name."""
    meta = pod["metadata"]
    for owner in meta.get("ownerReferences", []):
        if owner.get("kind") == "ReplicaSet":
            pod_hash = (meta.get("labels") or {}).get("pod-template-hash")
            return str(owner["name"]).removesuffix(f"-{pod_hash}")
        if owner.get("controller", True):
            return str(owner["name"])
    return str(meta["name"])


def workload_of(pod: Object) -> Workload:
    """Return the workload that `pod` is a part of."""
    labels = pod["metadata"].get("labels") or {}
    name = workload_name(pod)
    return Workload(
        workload=name,
        workload_namespace=pod["metadata"]["namespace"],
        app=_first(labels, "app", "app.kubernetes.io/name") or UNKNOWN,
        version=_first(labels, "version", "app.kubernetes.io/version") or UNKNOWN,
        canonical_service=_first(labels, "service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
        or name,
        canonical_revision=_first(
            labels, "service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"
        )
        or "latest",
        cluster=CLUSTER_ID,
    )


def containers(pod: Object) -> list[Object]:
    """Return the containers of a pod's spec, its init containers (native sidecars among them) first."""
    spec = pod["spec"]
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def has_proxy(pod: Object) -> bool:
    """Tell whether a pod has a sidecar, or is a gateway."""
    return any(container["name"] == PROXY_CONTAINER for container in containers(pod))
