"""EndpointSlices: the pods behind each Service, and which of them are ready."""

import hashlib
import json
from collections.abc import Iterable
from typing import ClassVar

from local.controllers import pods
from local.controllers.base import Controller, key_of
from local.controllers.owners import is_controlled_by, reference
from local.controllers.queue import Key
from local.kinds import Object
from local.store import Event, Store, matches

SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


def target_port(port: Object, pod: Object) -> int | None:
    """Return the number of a Service's port at `pod`; None where no container has a port of that name."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int) or target.isdecimal():
        return int(target)
    protocol = port.get("protocol", "TCP")
    sidecars = [c for c in pod["spec"].get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in [*pod["spec"]["containers"], *sidecars]:
        for own in container.get("ports") or []:
            if own.get("name") == target and own.get("protocol", "TCP") == protocol:
                return int(own["containerPort"])
    return None


def _ports(service: Object, pod: Object) -> list[Object]:
    found = []
    for port in service["spec"].get("ports") or []:
        number = target_port(port, pod)
        if number is None:
            continue
        entry = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def _endpoint(service: Object, pod: Object) -> Object:
    serving = pods.is_ready(pod)
    terminating = pods.is_terminating(pod)
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": always or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }


def desired(service: Object, candidates: list[Object]) -> dict[str, Object]:
    """Return the slices of a Service by name: one for each set of port numbers that its pods have."""
    meta = service["metadata"]
    groups: dict[str, tuple[list[Object], list[Object]]] = {}
    for pod in candidates:
        if not (pod.get("status") or {}).get("podIP") or pods.phase(pod) in ("Succeeded", "Failed"):
            continue
        ports = _ports(service, pod)
        groups.setdefault(json.dumps(ports), (ports, []))[1].append(_endpoint(service, pod))
    groups = groups or {"": ([], [])}
    slices = {}
    for text, (ports, endpoints) in groups.items():
        suffix = hashlib.sha256(text.encode()).hexdigest()[:5]
        name = f"{meta['name']}-{suffix}"
        slices[name] = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": {
                    **(meta.get("labels") or {}),
                    SERVICE_NAME: meta["name"],
                    _MANAGED_BY: "endpointslice-controller.k8s.io",
                },
                "ownerReferences": [reference(service)],
            },
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": endpoints,
        }
    return slices


class EndpointSliceController(Controller):
    """Keeps the slices of all Services with a selector."""

    watches: ClassVar = ("Service", "Pod", "EndpointSlice")

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._labels: dict[str, dict[str, str]] = {}

    def keys(self, event: Event) -> Iterable[Key]:
        """Return the Service itself, a slice's, or those that select a pod (before or after the change)."""
        obj, kind = event.object, event.resource.kind
        if kind == "Service":
            return [key_of(obj)]
        meta = obj["metadata"]
        labels = meta.get("labels") or {}
        if kind == "EndpointSlice":
            return [(meta["namespace"], labels[SERVICE_NAME])] if SERVICE_NAME in labels else []
        before = self._labels.get(meta["uid"], {})
        if event.type == "DELETED":
            self._labels.pop(meta["uid"], None)
        else:
            self._labels[meta["uid"]] = dict(labels)
        return [
            key_of(service)
            for service in self.store.select("Service", meta["namespace"])
            if any(matches(known, service["spec"].get("selector")) for known in (labels, before))
        ]

    def reconcile(self, key: Key) -> float | None:
        """Write the slices of one Service."""
        service = self.store.find("Service", *key)
        if service is None or pods.is_terminating(service):
            return None
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("type") == "ExternalName":
            return None
        wanted = desired(service, self.store.select("Pod", key[0], selector))
        for old in self.store.select("EndpointSlice", key[0], {SERVICE_NAME: key[1]}):
            name = old["metadata"]["name"]
            if name in wanted:
                new = wanted.pop(name)
                new["metadata"] = {**old["metadata"], "labels": new["metadata"]["labels"]}
                self.store.update(new)
            elif is_controlled_by(old, service):
                self.store.delete("EndpointSlice", *key_of(old))
        for new in wanted.values():
            self.store.create(new)
        return None
