"""Istio's rules about a VirtualService.

Source: https://istio.io/latest/docs/reference/config/networking/virtual-service/.
"""

from tools.check import rules
from tools.check.spec import Found, Spec, at, destination, durations, gateway_name

# x-envoy-retry-on and x-envoy-retry-grpc-on of
# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter
_RETRY_ON = {
    *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx"),
    *("refused-stream", "retriable-status-codes", "retriable-headers", "envoy-ratelimited"),
    *("http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted"),
    "unavailable",
}
# https://grpc.io/docs/guides/status-codes/
_GRPC_STATUSES = {
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
}


def validate(spec: Spec) -> Found:
    """What istiod refuses about the spec of a VirtualService."""
    yield from _hosts(spec.get("hosts", []), spec.get("gateways", []))
    for n, gateway in enumerate(spec.get("gateways", [])):
        yield from at(["gateways", n], gateway_name(gateway))
    if not any(spec.get(kind) for kind in ("http", "tls", "tcp")):
        yield ["http"], "needs at least one route (or tls, tcp)"
    for n, route in enumerate(spec.get("http", [])):
        yield from at(["http", n], _http_route(route))
    for kind in ("tls", "tcp"):
        for n, route in enumerate(spec.get(kind, [])):
            if not route.get("route"):
                yield [kind, n, "route"], "is required"
            yield from at([kind, n, "route"], _weighted(route.get("route", [])))


def _hosts(hosts: list[str], gateways: list[str]) -> Found:
    if not hosts:
        yield ["hosts"], "must name at least one host"
    for n, host in enumerate(hosts):
        if reason := rules.host(host):
            yield ["hosts", n], reason
        if host in hosts[:n]:
            yield ["hosts", n], f'"{host}" stands twice'
        if host == "*" and (not gateways or "mesh" in gateways):
            yield ["hosts", n], '"*" is for gateways only: sidecars (gateway "mesh") need a host name'


def _http_route(route: Spec) -> Found:
    yield from _action(route)
    for n, match in enumerate(route.get("match", [])):
        yield from at(["match", n], _match(match))
    yield from at(["route"], _weighted(route.get("route", [])))
    if "fault" in route:
        yield from at(["fault"], _fault(route["fault"]))
    if "retries" in route:
        yield from at(["retries"], _retries(route["retries"]))
    yield from durations(route, ("timeout",), ("corsPolicy", "maxAge"))
    yield from _mirrors(route)


def _action(route: Spec) -> Found:
    actions = [name for name in ("route", "redirect", "directResponse", "delegate") if route.get(name)]
    if not actions:
        yield ["route"], "is required (or redirect, directResponse, delegate)"
    if len(actions) > 1:
        yield [], f"only one of {' and '.join(actions)} may be set"
    for other in ("fault", "rewrite"):
        if "redirect" in route and other in route:
            yield [other], "has no effect on a redirect"
    if {"uri", "uriRegexRewrite"} <= route.get("rewrite", {}).keys():
        yield ["rewrite"], "only one of uri and uriRegexRewrite may be set"
    code = route.get("redirect", {}).get("redirectCode", 301)
    if code not in {301, 302, 303, 307, 308}:
        yield ["redirect", "redirectCode"], f"must be 301, 302, 303, 307 or 308, not {code}"
    if "directResponse" in route:
        yield from at(["directResponse", "status"], _http_status(route["directResponse"]["status"]))


def _match(match: Spec) -> Found:
    for name in ("uri", "scheme", "method", "authority"):
        yield from at([name], _string_match(match.get(name, {})))
    for group in ("headers", "withoutHeaders", "queryParams"):
        for name, value in match.get(group, {}).items():
            yield from at([group, name], _string_match(value))
    if match.get("port") and (reason := rules.port(match["port"])):
        yield ["port"], reason
    for n, gateway in enumerate(match.get("gateways", [])):
        yield from at(["gateways", n], gateway_name(gateway))


def _string_match(match: Spec) -> Found:
    if match.get("prefix") == "":
        yield ["prefix"], "must not be empty"
    if "regex" in match and (reason := rules.regex(match["regex"])):
        yield ["regex"], reason


def _weighted(routes: list[Spec]) -> Found:
    weights = [route.get("weight", 0) for route in routes]
    for n, route in enumerate(routes):
        if weights[n] < 0:
            yield [n, "weight"], f"must not be negative, not {weights[n]}"
        yield from at([n, "destination"], destination(route["destination"]))
    if len(routes) > 1 and not any(weights):
        yield [], "the weights are all 0: at least one destination needs a weight above 0"


def _fault(fault: Spec) -> Found:
    if not fault.get("delay") and not fault.get("abort"):
        yield [], "needs a delay or an abort"
    for name, validate_part in (("delay", _delay), ("abort", _abort)):
        part = fault.get(name)
        if part is None:
            continue
        if reason := rules.percentage(part.get("percentage", {}).get("value", 0)):
            yield [name, "percentage", "value"], reason
        yield from at([name], validate_part(part))


def _delay(delay: Spec) -> Found:
    if not 0 <= delay.get("percent", 0) <= 100:
        yield ["percent"], f"must be between 0 and 100, not {delay['percent']}"
    if "exponentialDelay" in delay:
        yield ["exponentialDelay"], "Istio does not support it; use fixedDelay"
    elif "fixedDelay" not in delay:
        yield ["fixedDelay"], "is required"
    yield from durations(delay, ("fixedDelay",))


def _abort(abort: Spec) -> Found:
    if "http2Error" in abort:
        yield ["http2Error"], "Istio does not support it; use httpStatus"
    elif "httpStatus" in abort:
        yield from at(["httpStatus"], _http_status(abort["httpStatus"]))
    elif "grpcStatus" not in abort:
        yield ["httpStatus"], "is required (or grpcStatus)"
    elif abort["grpcStatus"] not in _GRPC_STATUSES:
        yield ["grpcStatus"], f'"{abort["grpcStatus"]}" is not a gRPC status such as UNAVAILABLE'


def _http_status(status: int) -> Found:
    if not 200 <= status <= 599:
        yield [], f"must be between 200 and 599, not {status}"


def _retries(retries: Spec) -> Found:
    attempts = retries.get("attempts", 0)
    if attempts < 0:
        yield ["attempts"], f"must not be negative, not {attempts}"
    if attempts == 0 and ("perTryTimeout" in retries or retries.get("retryOn")):
        yield ["attempts"], "0 switches retries off, so perTryTimeout and retryOn must not be set"
    yield from durations(retries, ("perTryTimeout",))
    for name in filter(None, retries.get("retryOn", "").split(",")):
        status = int(name) if name.isdecimal() else 0
        if name not in _RETRY_ON and not 100 <= status <= 599:
            yield ["retryOn"], f'"{name}" is neither a condition that Envoy knows nor an HTTP status'


def _mirrors(route: Spec) -> Found:
    if "mirror" in route:
        yield from at(["mirror"], destination(route["mirror"]))
        if "mirrors" in route:
            yield ["mirrors"], "only one of mirror and mirrors may be set"
    for n, mirror in enumerate(route.get("mirrors", [])):
        yield from at(["mirrors", n, "destination"], destination(mirror["destination"]))
        if reason := rules.percentage(mirror.get("percentage", {}).get("value", 0)):
            yield ["mirrors", n, "percentage", "value"], reason
    if reason := rules.percentage(route.get("mirrorPercentage", {}).get("value", 0)):
        yield ["mirrorPercentage", "value"], reason
