"""What happens to an object between the request and the store: defaults, injection, addresses, checks."""

import copy
from collections.abc import Iterator

from local.apiserver import checks, defaults, validation
from local.apiserver.errors import forbidden, invalid
from local.istiod import injection
from local.kinds import RESOURCES, Object, Resource
from local.settings import Settings
from local.store import Store, namespace_of

_NODE_PORTS = range(30000, 32768)
"""service-node-port-range's default."""


class Admission:
    """The steps of admission; `mutate` is also what the store calls for objects that controllers make."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def adopt(self) -> None:
        """Complete what was in the store before admission was there."""
        for resource in RESOURCES:
            for obj in self._store.select(resource.kind):
                self.mutate(obj)
                self._store.update(obj)

    def mutate(self, obj: Object) -> None:
        """Complete a new object in place."""
        defaults.apply(obj)
        match obj["kind"]:
            case "Pod":
                self._new_pod(obj)
            case "Service":
                self._addresses(obj)
            case "Job":
                _job_labels(obj)
            case "Namespace":
                obj.setdefault("status", {"phase": "Active"})

    def complete(self, obj: Object, old: Object) -> None:
        """Complete an object, in place, that is to replace `old`: what the server gave stays."""
        if obj["kind"] == "Service":
            _keep_addresses(obj, old)
            self._addresses(obj)
        if obj["kind"] in ("Pod", "Job"):
            _keep_generated(obj, old)
        defaults.apply(obj)

    def validate(self, resource: Resource, obj: Object, old: Object | None) -> None:
        """Refuse an object that breaks a rule: raises ApiError (422, 403) with every cause."""
        name = str(obj["metadata"].get("name") or obj["metadata"].get("generateName") or "")
        causes = checks.causes(obj, self._store)
        if not causes:
            # Only an object of the right form can be completed and looked into.
            whole = copy.deepcopy(obj)
            if old is None:
                defaults.apply(whole)
            else:
                self.complete(whole, old)
            causes = list(validation.problems(whole, old))
        if causes:
            raise invalid(resource, name, causes)
        if old is None and resource.namespaced:
            self._open_namespace(resource, obj)

    def _open_namespace(self, resource: Resource, obj: Object) -> None:
        space = self._store.find("Namespace", "", namespace_of(obj))
        if space is not None and space["metadata"].get("deletionTimestamp"):
            why = (
                f"unable to create new content in namespace {namespace_of(obj)} "
                "because it is being terminated"
            )
            raise forbidden(resource, str(obj["metadata"].get("name", "")), why)

    def _new_pod(self, pod: Object) -> None:
        injection.inject(pod, self._store)
        defaults.apply(pod)
        status = pod.setdefault("status", {})
        status.setdefault("phase", "Pending")
        status.setdefault("qosClass", _qos_class(pod))

    def _addresses(self, service: Object) -> None:
        spec = service["spec"]
        others = [s for s in self._store.select("Service") if s["metadata"]["uid"] != _uid(service)]
        if spec["type"] == "ExternalName":
            for field in ("clusterIP", "clusterIPs"):
                spec.pop(field, None)
        else:
            if not spec.get("clusterIP"):
                taken = {s["spec"].get("clusterIP") for s in others}
                spec["clusterIP"] = next(ip for ip in self._cluster_ips() if ip not in taken)
            spec["clusterIPs"] = [spec["clusterIP"]]
        if spec["type"] in ("NodePort", "LoadBalancer"):
            used = {p.get("nodePort") for s in [*others, service] for p in s["spec"].get("ports") or []}
            free = (port for port in _NODE_PORTS if port not in used)
            for port in spec.get("ports") or []:
                if not port.get("nodePort"):
                    port["nodePort"] = next(free)
        if spec["type"] == "LoadBalancer" or "status" not in service:
            service.setdefault("status", {"loadBalancer": {}})

    def _cluster_ips(self) -> Iterator[str]:
        return (self._settings.cluster_ip(number) for number in range(1, 60_000))


def _uid(obj: Object) -> object:
    return obj["metadata"].get("uid")


def _keep_addresses(service: Object, old: Object) -> None:
    """Take over what was allocated, as the API server does for clients that replace a whole Service."""
    spec, before = service.setdefault("spec", {}), old["spec"]
    if spec.get("type", "ClusterIP") == "ExternalName":
        return
    if not spec.get("clusterIP") and before.get("clusterIP"):
        spec["clusterIP"] = before["clusterIP"]
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        known = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in before.get("ports") or []}
        for port in spec.get("ports") or []:
            allocated = known.get((port.get("protocol", "TCP"), port.get("port")))
            if not port.get("nodePort") and allocated:
                port["nodePort"] = allocated


def _keep_generated(obj: Object, old: Object) -> None:
    """Take over a Job's generated selector and labels where a client replaces it by what it wrote."""
    if obj["kind"] != "Job":
        return
    spec, before = obj.setdefault("spec", {}), old["spec"]
    spec.setdefault("selector", copy.deepcopy(before.get("selector")))
    labels = before["template"].get("metadata", {}).get("labels") or {}
    generated = {k: v for k, v in labels.items() if k in _JOB_LABELS}
    metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    metadata["labels"] = {**generated, **(metadata.get("labels") or {})}


_JOB_LABELS = (
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
)


def _job_labels(job: Object) -> None:
    """Give a Job the selector and the labels that tell its pods from others (pkg/registry/batch/job)."""
    spec, meta = job["spec"], job["metadata"]
    if spec.get("manualSelector") or spec.get("selector"):
        return
    values = (meta["uid"], meta["name"], meta["uid"], meta["name"])
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels.update(zip(_JOB_LABELS, values, strict=True))
    spec["selector"] = {"matchLabels": {_JOB_LABELS[0]: meta["uid"]}}


def _qos_class(pod: Object) -> str:
    """Return a pod's class of service (pkg/apis/core/v1/helper/qos): shown, without effect here."""
    found = [container.get("resources") or {} for container in defaults.containers(pod["spec"])]
    if not any(r.get("requests") or r.get("limits") for r in found):
        return "BestEffort"
    for resources in found:
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        if any(
            key not in limits or requests.get(key, limits[key]) != limits[key] for key in ("cpu", "memory")
        ):
            return "Burstable"
    return "Guaranteed"
