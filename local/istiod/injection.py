"""Sidecar injection at a pod's admission: https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/."""

import json

from local.istiod.bootstrap import STATS_PORT
from local.istiod.workloads import PROXY_CONTAINER, has_proxy
from local.kinds import Object
from local.store import Store, namespace_of

IMAGE = "docker.io/envoyproxy/envoy:v1.40.0"
_SWITCH = "sidecar.istio.io/inject"
_POLICY = "istio-injection"


def wants_sidecar(pod: Object, namespace: Object | None) -> bool:
    """Tell whether `pod` gets a sidecar: its namespace's label decides, its own label or annotation first."""
    meta, spec = pod["metadata"], pod.get("spec", {})
    if spec.get("hostNetwork") or has_proxy(pod):
        return False
    policy = ((namespace or {}).get("metadata", {}).get("labels") or {}).get(_POLICY)
    if policy == "disabled":
        return False
    switch = (meta.get("labels") or {}).get(_SWITCH) or (meta.get("annotations") or {}).get(_SWITCH)
    return switch == "true" if switch is not None else policy == "enabled"


def inject(pod: Object, store: Store) -> None:
    """Put a sidecar into `pod`, where it gets one.

    The sidecar is a native one (an init container that restarts always), so that Jobs end.
    """
    if not wants_sidecar(pod, store.find("Namespace", "", namespace_of(pod) or "default")):
        return
    spec = pod["spec"]
    sidecar = {
        "name": PROXY_CONTAINER,
        "image": IMAGE,
        "restartPolicy": "Always",
        "ports": [{"name": "http-envoy-prom", "containerPort": STATS_PORT, "protocol": "TCP"}],
    }
    spec["initContainers"] = [sidecar, *(spec.get("initContainers") or [])]
    labels = pod["metadata"].setdefault("labels", {})
    app = labels.get("app.kubernetes.io/name") or labels.get("app")
    if app:
        labels.setdefault("service.istio.io/canonical-name", app)
    labels.setdefault("service.istio.io/canonical-revision", labels.get("version") or "latest")
    annotations = pod["metadata"].setdefault("annotations", {})
    annotations.setdefault("kubectl.kubernetes.io/default-container", spec["containers"][0]["name"])
    status = {"initContainers": [PROXY_CONTAINER], "containers": [], "revision": "default"}
    annotations["sidecar.istio.io/status"] = json.dumps(status, separators=(",", ":"))
