"""What the specs of several of Istio's kinds have in common. Paths are relative to the part that is given."""

from collections.abc import Iterable, Iterator
from typing import Any

from tools.check import rules

Spec = dict[str, Any]
Found = Iterator[tuple[list[str | int], str]]

_PROTOCOLS = (
    *("grpc", "grpc-web", "hbone", "http", "http2", "http_proxy", "https"),
    *("mongo", "mysql", "redis", "tcp", "tls", "udp"),
)


def gateway_name(gateway: str) -> Found:
    """Name of a Gateway, perhaps after its namespace and a slash."""
    for part in gateway.split("/", 1):
        if reason := rules.dns_subdomain(part):
            yield [], reason


def destination(spec: Spec) -> Found:
    """Destination of a route: host, subset, port."""
    reason = "must name a service" if spec["host"] == "*" else rules.host(spec["host"])
    if reason:
        yield ["host"], reason
    if "subset" in spec and (reason := rules.dns_label(spec["subset"])):
        yield ["subset"], reason
    if "port" in spec and (reason := rules.port(spec["port"].get("number", 0))):
        yield ["port", "number"], reason


def durations(spec: Spec, *paths: tuple[str, ...]) -> Found:
    """Durations that stand at some of these paths."""
    for path in paths:
        value: Any = spec
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str) and (reason := rules.duration(value)):
            yield list(path), reason


def protocol(name: str) -> Found:
    """Protocol of a port of a Gateway or ServiceEntry; case does not matter."""
    if name.lower() not in _PROTOCOLS:
        yield [], f'"{name}" is not a protocol: {", ".join(_PROTOCOLS).upper()}'


def at(path: Iterable[str | int], found: Found) -> Found:
    """Moves what was found below a path."""
    prefix = list(path)
    return (([*prefix, *rest], reason) for rest, reason in found)
