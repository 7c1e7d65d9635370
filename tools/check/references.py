"""References between objects: services, subsets, gateways, ServiceAccounts, and names that stand twice.

A cluster accepts objects whose references lead nowhere, and answers 503 or starts no pods.
The mesh's part of it, as istioctl analyze reports it: https://istio.io/latest/docs/reference/config/analysis/.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tools.check import problem
from tools.check.kubernetes import without_nulls
from tools.check.problem import Problem

Obj = dict[str, Any]
Found = Iterator[tuple[list[str | int], str]]

# Namespace of the objects that name none.
NAMESPACE = "c756ns"

_ISTIO = ("networking.istio.io", "security.istio.io")


@dataclass
class _Inventory:
    """What there is, by namespace and name, or by fully qualified host."""

    ports: dict[str, set[int]] = field(default_factory=dict)
    subsets: dict[str, dict[str, str]] = field(default_factory=dict)
    gateways: dict[str, list[str]] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)


def problems(
    objs: Iterable[Obj], context_objs: Iterable[Obj] = (), namespace: str = NAMESPACE
) -> list[Problem]:
    """References of ``objs`` that lead nowhere, and what stands twice.

    Args:
        objs: objects to check; each passed ``schema.errors``.
        context_objs: what else there is or will be; ``objs`` take the place of those with their names.
        namespace: namespace of the objects that name none.
    """
    objs = [without_nulls(obj) for obj in objs]
    own = {_identity(obj, namespace) for obj in objs}
    context = [without_nulls(obj) for obj in context_objs if _identity(obj, namespace) not in own]
    inventory = _take([*context, *objs], namespace)
    found: dict[Problem, None] = {}
    seen: set[tuple[str, ...]] = set()
    for obj in objs:
        identity = _identity(obj, namespace)
        if identity in seen:
            reason = f"{obj['kind']}/{_name(obj)} stands twice in namespace {identity[2]}"
            found[problem.of(obj, ["metadata", "name"], reason)] = None
        seen.add(identity)
        for path, reason in _references(obj, inventory, namespace):
            found[problem.of(obj, path, reason)] = None
    for obj, path, reason in _conflicts(objs, [*context, *objs], namespace):
        found[problem.of(obj, path, reason)] = None
    return list(found)


def _name(obj: Obj) -> str:
    return str((obj.get("metadata") or {}).get("name", ""))


def _namespace(obj: Obj, default: str) -> str:
    return str((obj.get("metadata") or {}).get("namespace") or default)


def _group(obj: Obj) -> str:
    group, slash, _ = str(obj.get("apiVersion", "")).partition("/")
    return group if slash else ""


def _identity(obj: Obj, default: str) -> tuple[str, str, str, str]:
    return _group(obj), str(obj.get("kind")), _namespace(obj, default), _name(obj)


def _is(obj: Obj, group: str, kind: str) -> bool:
    return obj.get("kind") == kind and _group(obj) == group


def _full_host(host: str, namespace: str) -> str:
    """Fully qualified name of a host; a name without a dot is a Service's in the namespace of the object."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.svc.cluster.local"


def _take(objs: list[Obj], default: str) -> _Inventory:
    inventory = _Inventory()
    for obj in objs:
        namespace, name, spec = _namespace(obj, default), _name(obj), obj.get("spec") or {}
        if _is(obj, "", "Service"):
            host = f"{name}.{namespace}.svc.cluster.local"
            inventory.ports[host] = {port["port"] for port in spec.get("ports") or []}
        elif _is(obj, "", "ServiceAccount"):
            inventory.accounts.add(f"{namespace}/{name}")
        elif _is(obj, _ISTIO[0], "ServiceEntry"):
            for host in spec.get("hosts", []):
                inventory.ports[host] = {port["number"] for port in spec.get("ports", [])}
        elif _is(obj, _ISTIO[0], "DestinationRule"):
            subsets = inventory.subsets.setdefault(_full_host(spec.get("host", ""), namespace), {})
            subsets.update({subset["name"]: name for subset in spec.get("subsets", [])})
        elif _is(obj, _ISTIO[0], "Gateway"):
            hosts = [host for server in spec.get("servers", []) for host in server["hosts"]]
            inventory.gateways[f"{namespace}/{name}"] = hosts
    return inventory


def _references(obj: Obj, inventory: _Inventory, default: str) -> Found:
    namespace, spec = _namespace(obj, default), obj.get("spec") or {}
    if _is(obj, _ISTIO[0], "VirtualService"):
        yield from _virtual_service(spec, namespace, inventory)
    elif _is(obj, _ISTIO[0], "DestinationRule"):
        yield from _service(["spec", "host"], spec.get("host", ""), namespace, inventory)
    elif obj.get("kind") in {
        "Deployment",
        "Job",
        "StatefulSet",
        "DaemonSet",
        "Pod",
    } and "istio" not in _group(obj):
        pod = spec if obj["kind"] == "Pod" else spec.get("template", {}).get("spec") or {}
        account = pod.get("serviceAccountName") or "default"
        if account != "default" and f"{namespace}/{account}" not in inventory.accounts:
            path: list[str | int] = ["spec"] if obj["kind"] == "Pod" else ["spec", "template", "spec"]
            yield (
                [*path, "serviceAccountName"],
                f'there is no ServiceAccount "{account}" in namespace {namespace}',
            )


def _virtual_service(spec: Obj, namespace: str, inventory: _Inventory) -> Found:
    gateways = spec.get("gateways") or ["mesh"]
    for n, gateway in enumerate(gateways):
        if gateway == "mesh":
            for m, host in enumerate(spec.get("hosts", [])):
                if not host.startswith("*"):
                    yield from _service(["spec", "hosts", m], host, namespace, inventory)
            continue
        served = inventory.gateways.get(gateway if "/" in gateway else f"{namespace}/{gateway}")
        if served is None:
            yield ["spec", "gateways", n], f'there is no Gateway "{gateway}"{_known(inventory.gateways)}'
            continue
        for m, host in enumerate(spec.get("hosts", [])):
            if not any(_overlap(host, other.split("/", 1)[-1]) for other in served):
                yield (
                    ["spec", "hosts", m],
                    f'Gateway "{gateway}" does not serve "{host}", only {", ".join(served)}',
                )
    for kind in ("http", "tls", "tcp"):
        for n, route in enumerate(spec.get(kind, [])):
            for path, destination in _destinations(route):
                full: list[str | int] = ["spec", kind, n, *path]
                yield from _destination(full, destination, namespace, inventory)


def _destinations(route: Obj) -> Iterator[tuple[list[str | int], Obj]]:
    for n, weighted in enumerate(route.get("route", [])):
        yield ["route", n, "destination"], weighted["destination"]
    if "mirror" in route:
        yield ["mirror"], route["mirror"]
    for n, mirror in enumerate(route.get("mirrors", [])):
        yield ["mirrors", n, "destination"], mirror["destination"]


def _destination(path: list[str | int], destination: Obj, namespace: str, inventory: _Inventory) -> Found:
    host = _full_host(destination["host"], namespace)
    unknown = list(_service([*path, "host"], destination["host"], namespace, inventory))
    yield from unknown
    if unknown:
        return
    ports = inventory.ports.get(host, set())
    number = destination.get("port", {}).get("number")
    if number is not None and ports and number not in ports:
        known = ", ".join(map(str, sorted(ports)))
        yield [*path, "port", "number"], f"{destination['host']} has no port {number}, only {known}"
    if number is None and len(ports) > 1:
        yield [*path, "port"], f"is required: {destination['host']} has {len(ports)} ports"
    subset = destination.get("subset")
    subsets = inventory.subsets.get(host, {})
    if subset is not None and subset not in subsets:
        reason = f'no DestinationRule of {destination["host"]} defines subset "{subset}"{_known(subsets)}'
        yield [*path, "subset"], reason


def _service(path: list[str | int], host: str, namespace: str, inventory: _Inventory) -> Found:
    full = _full_host(host, namespace)
    if not any(_overlap(full, known) for known in inventory.ports):
        yield path, f'there is no Service or ServiceEntry "{host}"{_known(inventory.ports)}'


def _known(names: Iterable[str]) -> str:
    text = ", ".join(sorted(names))
    return f"; there is {text}" if text else ""


def _overlap(one: str, other: str) -> bool:
    """Whether two hosts, each perhaps with a leading ``*``, can mean the same."""
    if one.startswith("*") and other.startswith("*"):
        return one[1:].endswith(other[1:]) or other[1:].endswith(one[1:])
    if one.startswith("*"):
        return other.endswith(one[1:])
    return one.endswith(other[1:]) if other.startswith("*") else one == other


def _conflicts(
    objs: list[Obj], everything: list[Obj], default: str
) -> Iterator[tuple[Obj, list[str | int], str]]:
    """Objects of different names that claim the same; reported at those of ``objs``."""
    services = [obj for obj in everything if _is(obj, _ISTIO[0], "VirtualService")]
    rules = [obj for obj in everything if _is(obj, _ISTIO[0], "DestinationRule")]
    for obj in objs:
        for other in everything:
            if other is obj or _identity(other, default) == _identity(obj, default):
                continue
            if obj in services and other in services:
                yield from ((obj, *found) for found in _same_traffic(obj, other, default))
            if obj in rules and other in rules and _rule_host(obj, default) == _rule_host(other, default):
                yield from ((obj, *found) for found in _same_rule(obj, other))


def _same_traffic(obj: Obj, other: Obj, default: str) -> Found:
    spec, others = obj["spec"], other["spec"]
    namespace, other_namespace = _namespace(obj, default), _namespace(other, default)
    common = _gateways(spec, namespace) & _gateways(others, other_namespace)
    other_hosts = {_full_host(host, other_namespace) for host in others.get("hosts", [])}
    for n, host in enumerate(spec.get("hosts", [])):
        if _full_host(host, namespace) not in other_hosts:
            continue
        if "mesh" in common:
            # Sidecars take the older of two VirtualServices for one host and ignore the other (IST0109).
            yield (
                ["spec", "hosts", n],
                f'VirtualService/{_name(other)} has host "{host}" already: sidecars do not merge two',
            )
        elif common:
            taken = [match for route in others.get("http", []) for match in route.get("match", [{}])]
            for m, route in enumerate(spec.get("http", [])):
                if any(match in taken for match in route.get("match", [{}])):
                    yield (
                        ["spec", "http", m, "match"],
                        f"VirtualService/{_name(other)} routes the same requests already",
                    )


def _gateways(spec: Obj, namespace: str) -> set[str]:
    names = spec.get("gateways") or ["mesh"]
    return {name if name == "mesh" or "/" in name else f"{namespace}/{name}" for name in names}


def _rule_host(obj: Obj, default: str) -> str:
    return _full_host(obj["spec"]["host"], _namespace(obj, default))


def _same_rule(obj: Obj, other: Obj) -> Found:
    spec, others = obj["spec"], other["spec"]
    if "trafficPolicy" in spec and "trafficPolicy" in others:
        yield (
            ["spec", "trafficPolicy"],
            f"DestinationRule/{_name(other)} has one for host {spec['host']} already",
        )
    taken = {subset["name"] for subset in others.get("subsets", [])}
    for n, subset in enumerate(spec.get("subsets", [])):
        if subset["name"] in taken:
            reason = (
                f'DestinationRule/{_name(other)} defines subset "{subset["name"]}" of {spec["host"]} already'
            )
            yield ["spec", "subsets", n, "name"], reason
