"""Istio's rules about a ServiceEntry.

Source: https://istio.io/latest/docs/reference/config/networking/service-entry/.
"""

from tools.check import rules
from tools.check.spec import Found, Spec, at, protocol


def validate(spec: Spec) -> Found:
    """What the API server and istiod refuse about the spec of a ServiceEntry."""
    yield from _hosts(spec)
    yield from _addresses(spec)
    yield from _ports(spec.get("ports", []))
    yield from _resolution(spec)
    for n, endpoint in enumerate(spec.get("endpoints", [])):
        yield from at(["endpoints", n], _endpoint(endpoint, spec))


def _hosts(spec: Spec) -> Found:
    if not spec.get("hosts"):
        yield ["hosts"], "must name at least one host"
    looked_up = spec.get("resolution", "NONE").startswith("DNS") and not spec.get("endpoints")
    for n, host in enumerate(spec.get("hosts", [])):
        reason = '"*" is too wide' if host == "*" else rules.host(host)
        if not reason and host.startswith("*") and looked_up:
            reason = f'"{host}" cannot be looked up in DNS: name endpoints'
        if reason:
            yield ["hosts", n], reason


def _addresses(spec: Spec) -> Found:
    resolution = spec.get("resolution", "NONE")
    for n, address in enumerate(spec.get("addresses", [])):
        if reason := rules.ip_network(address):
            yield ["addresses", n], reason
        elif "/" in address and resolution not in {"NONE", "STATIC"}:
            yield ["addresses", n], f"a network needs resolution NONE or STATIC, not {resolution}"


def _ports(ports: list[Spec]) -> Found:
    for n, port in enumerate(ports):
        for field in ("number", "targetPort"):
            if field in port and (reason := rules.port(port[field])):
                yield ["ports", n, field], reason
        for field in ("name", "number"):
            if any(other[field] == port[field] for other in ports[:n]):
                yield ["ports", n, field], f"{port[field]} stands twice"
        yield from at(["ports", n, "protocol"], protocol(port.get("protocol", "TCP")))


def _resolution(spec: Spec) -> Found:
    endpoints = spec.get("endpoints", [])
    if "workloadSelector" in spec and endpoints:
        yield ["endpoints"], "only one of workloadSelector and endpoints may be set"
    match spec.get("resolution", "NONE"):
        case "NONE" if endpoints:
            yield ["endpoints"], "resolution NONE takes none"
        case "STATIC" if not endpoints and "workloadSelector" not in spec:
            yield ["endpoints"], "resolution STATIC needs them (or a workloadSelector)"
        case "DNS_ROUND_ROBIN" if len(endpoints) > 1:
            yield ["endpoints"], "resolution DNS_ROUND_ROBIN takes only one"


def _endpoint(endpoint: Spec, spec: Spec) -> Found:
    address = endpoint.get("address", "")
    if not address and not endpoint.get("network"):
        yield ["address"], "is required"
    is_ip = spec.get("resolution") == "STATIC" and address and not address.startswith("unix://")
    if is_ip and (reason := rules.ip_address(address)):
        yield ["address"], f"{reason}, as resolution STATIC needs it"
    names = sorted(port["name"] for port in spec.get("ports", []))
    for name, number in endpoint.get("ports", {}).items():
        if name not in names:
            yield ["ports", name], f"there is no port of that name: {', '.join(names)}"
        elif reason := rules.port(number):
            yield ["ports", name], reason
