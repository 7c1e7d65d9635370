"""Rules of the Kubernetes API server about one object, beyond its schema.

Source: the field descriptions of the API reference (https://kubernetes.io/docs/reference/kubernetes-api/).
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from tools.check import problem, rules
from tools.check.problem import Problem

Obj = dict[str, Any]
Found = Iterator[tuple[list[str | int], str]]

_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?"
)
_FACTORS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"}


def validate(obj: Obj) -> list[Problem]:
    """What the API server refuses about one object that passed ``schema.errors``."""
    found = (problem.of(obj, path, reason) for path, reason in _validate(without_nulls(obj)))
    return list(dict.fromkeys(found))


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value without the fields that are null, which Kubernetes takes as not set."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [without_nulls(child) for child in value]
    return value


def quantity(text: str | float) -> Decimal:
    """Value of a resource quantity such as ``100m`` or ``64Mi``.

    Raises:
        ValueError: if it is not one.
    """
    match = _QUANTITY.fullmatch(str(text))
    if not match:
        raise ValueError(f'"{text}" is not a quantity such as 100m, 1.5 or 64Mi')
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    if suffix in _FACTORS:
        return number.scaleb(_FACTORS[suffix])
    return number.scaleb(int(suffix[1:])) if suffix else number


def _validate(obj: Obj) -> Found:
    yield from _metadata(["metadata"], obj.get("metadata") or {}, str(obj.get("kind")))
    kind, spec = obj.get("kind"), obj.get("spec") or {}
    if "istio.io" in obj["apiVersion"] or "coreos.com" in obj["apiVersion"]:
        return
    if kind in _WORKLOADS:
        yield from _workload(spec, str(kind))
    elif kind == "Pod":
        yield from _pod(["spec"], spec)
    elif kind == "Service":
        yield from _service(spec)
    elif kind == "HorizontalPodAutoscaler" and (spec.get("minReplicas") or 1) > spec["maxReplicas"]:
        yield (
            ["spec", "minReplicas"],
            f"must not be above maxReplicas ({spec['maxReplicas']}), not {spec['minReplicas']}",
        )
    elif (
        kind == "PodDisruptionBudget"
        and spec.get("minAvailable") is not None
        and spec.get("maxUnavailable") is not None
    ):
        yield ["spec"], "only one of minAvailable and maxUnavailable may be set"


def _metadata(path: list[str | int], metadata: Obj, kind: str) -> Found:
    name = metadata.get("name")
    if name is not None and kind not in {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}:
        reason = rules.dns_label(name) if kind in {"Service", "Namespace"} else rules.dns_subdomain(name)
        if reason:
            yield [*path, "name"], reason
    for key, value in (metadata.get("labels") or {}).items():
        if reason := rules.label_key(key) or rules.label_value(value or ""):
            yield [*path, "labels", key], reason
    for key in metadata.get("annotations") or {}:
        if rules.label_key(key):
            yield [*path, "annotations", key], f'"{key}" is not the key of an annotation'


def _workload(spec: Obj, kind: str) -> Found:
    template = spec.get("template") or {}
    path: list[str | int] = ["spec", "template"]
    yield from _metadata([*path, "metadata"], template.get("metadata") or {}, "PodTemplate")
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    for key, value in selector.items():
        if labels.get(key) != value:
            yield (
                ["spec", "selector", "matchLabels", key],
                f"{key}={value} is not among the labels of the template",
            )
    if kind != "Job" and not spec.get("selector"):
        yield ["spec", "selector"], "must not be empty"
    pod = template.get("spec")
    if not pod:
        yield [*path, "spec"], "is required"
        return
    policy = pod.get("restartPolicy") or "Always"
    if kind == "Job" and policy == "Always":
        yield [*path, "spec", "restartPolicy"], "must be Never or OnFailure in a Job"
    if kind != "Job" and policy != "Always":
        yield [*path, "spec", "restartPolicy"], f"must be Always in a {kind}, not {policy}"
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    if {str(rolling.get(field, 1)).removesuffix("%") for field in ("maxSurge", "maxUnavailable")} == {"0"}:
        yield ["spec", "strategy", "rollingUpdate"], "maxSurge and maxUnavailable must not both be 0"
    yield from _pod([*path, "spec"], pod)


def _pod(path: list[str | int], pod: Obj) -> Found:
    volumes = [volume["name"] for volume in pod.get("volumes") or []]
    yield from _unique([*path, "volumes"], volumes)
    if not pod.get("containers"):
        yield [*path, "containers"], "needs at least one container"
    containers = [
        (field, n, c)
        for field in ("initContainers", "containers")
        for n, c in enumerate(pod.get(field) or [])
    ]
    names = [container["name"] for _, _, container in containers]
    for (field, n, container), name in zip(containers, names, strict=True):
        here: list[str | int] = [*path, field, n]
        reason = rules.dns_label(name) or (f'"{name}" stands twice' if names.count(name) > 1 else None)
        if reason:
            yield [*here, "name"], reason
        if not container.get("image"):
            yield [*here, "image"], "is required"
        yield from _container(here, container, volumes)


def _container(path: list[str | int], container: Obj, volumes: list[str]) -> Found:
    ports = container.get("ports") or []
    yield from _unique([*path, "ports"], [port["name"] for port in ports if port.get("name")])
    named = {port.get("name") for port in ports}
    for n, port in enumerate(ports):
        if port.get("name") and (len(port["name"]) > 15 or rules.dns_label(port["name"])):
            yield (
                [*path, "ports", n, "name"],
                f'"{port["name"]}" must be a DNS label of at most 15 characters',
            )
    for n, mount in enumerate(container.get("volumeMounts") or []):
        if mount["name"] not in volumes:
            yield [*path, "volumeMounts", n, "name"], f'there is no volume "{mount["name"]}"'
    for n, variable in enumerate(container.get("env") or []):
        if not re.fullmatch(r"[!-<>-~]+", variable["name"]):
            yield (
                [*path, "env", n, "name"],
                f'"{variable["name"]}" is not the name of an environment variable',
            )
        if variable.get("value") and variable.get("valueFrom"):
            yield [*path, "env", n], "only one of value and valueFrom may be set"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        for action in ("httpGet", "tcpSocket"):
            port = ((container.get(probe) or {}).get(action) or {}).get("port")
            if isinstance(port, str) and port not in named:
                yield [*path, probe, action, "port"], f'the container has no port "{port}"'
            if isinstance(port, int) and (reason := rules.port(port)):
                yield [*path, probe, action, "port"], reason
    yield from _resources([*path, "resources"], container.get("resources") or {})


def _resources(path: list[str | int], resources: Obj) -> Found:
    values: dict[tuple[str, str], Decimal] = {}
    for part in ("requests", "limits"):
        for name, text in (resources.get(part) or {}).items():
            try:
                values[part, name] = quantity(text)
            except ValueError as error:
                yield [*path, part, name], str(error)
    for (part, name), value in values.items():
        if part == "requests" and value > values.get(("limits", name), value):
            yield [*path, part, name], f"must not be above the limit of {resources['limits'][name]}"


def _service(spec: Obj) -> Found:
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield ["spec", "ports"], "needs at least one port"
    yield from _unique(["spec", "ports"], [port["name"] for port in ports if port.get("name")])
    for n, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield ["spec", "ports", n, "name"], "is required where there is more than one port"
        if port.get("name") and (reason := rules.dns_label(port["name"])):
            yield ["spec", "ports", n, "name"], reason


def _unique(path: list[str | int], names: Iterable[str]) -> Found:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield path, f'"{name}" stands twice'
        seen.add(name)
