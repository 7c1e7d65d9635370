"""Istio's rules about a Gateway.

Source: https://istio.io/latest/docs/reference/config/networking/gateway/.
"""

from tools.check import rules
from tools.check.spec import Found, Spec, at, protocol


def validate(spec: Spec) -> Found:
    """What istiod refuses about the spec of a Gateway."""
    servers = spec.get("servers", [])
    if not servers:
        yield ["servers"], "needs at least one server"
    for n, server in enumerate(servers):
        name = server["port"]["name"]
        if any(other["port"]["name"] == name for other in servers[:n]):
            yield ["servers", n, "port", "name"], f'"{name}" stands twice'
        yield from at(["servers", n], _server(server))


def _server(server: Spec) -> Found:
    port = server["port"]
    if reason := rules.port(port["number"]):
        yield ["port", "number"], reason
    if not port["name"]:
        yield ["port", "name"], "is required"
    yield from at(["port", "protocol"], protocol(port["protocol"]))
    if not server["hosts"]:
        yield ["hosts"], "must name at least one host"
    for n, host in enumerate(server["hosts"]):
        if reason := rules.host(host.split("/", 1)[-1]):
            yield ["hosts", n], reason
    secure = port["protocol"].upper() in {"HTTPS", "TLS"}
    if secure and "tls" not in server:
        yield ["tls"], f"is required by protocol {port['protocol']}"
    if not secure and not server.get("tls", {}).keys() <= {"httpsRedirect"}:
        yield ["tls"], f"protocol {port['protocol']} is not encrypted"
