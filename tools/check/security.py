"""Istio's rules about PeerAuthentications and AuthorizationPolicies.

Source: https://istio.io/latest/docs/reference/config/security/.
"""

from tools.check import rules
from tools.check.spec import Found, Spec, at

_IP_BLOCKS = ("ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks")


def authorization_policy(spec: Spec) -> Found:
    """What the API server and istiod refuse about the spec of an AuthorizationPolicy."""
    yield from _workloads(spec)
    action = spec.get("action", "ALLOW")
    if action != "ALLOW" and not spec.get("rules"):
        yield ["rules"], f"action {action} needs at least one rule"
    if action == "CUSTOM" and not spec.get("provider", {}).get("name"):
        yield ["provider", "name"], "is required by action CUSTOM"
    for n, rule in enumerate(spec.get("rules", [])):
        yield from at(["rules", n], _rule(rule))


def peer_authentication(spec: Spec) -> Found:
    """What the API server and istiod refuse about the spec of a PeerAuthentication."""
    yield from _workloads(spec)
    ports = spec.get("portLevelMtls", {})
    if ports and not spec.get("selector", {}).get("matchLabels"):
        yield ["portLevelMtls"], "needs a selector with matchLabels"
    for port in ports:
        yield from at(["portLevelMtls", port], _port(port))


def _workloads(spec: Spec) -> Found:
    chosen = [field for field in ("selector", "targetRef", "targetRefs") if field in spec]
    if len(chosen) > 1:
        yield [], f"only one of {' and '.join(chosen)} may be set"
    for key, value in spec.get("selector", {}).get("matchLabels", {}).items():
        if reason := rules.label_key(key) or rules.label_value(value):
            yield ["selector", "matchLabels", key], reason


def _rule(rule: Spec) -> Found:
    for field, inner in (("from", "source"), ("to", "operation")):
        if field in rule and not rule[field]:
            yield [field], "must not be empty: leave it out to match all"
        for n, item in enumerate(rule.get(field, [])):
            if not item.get(inner):
                yield [field, n, inner], "must not be empty: leave it out to match all"
    for n, item in enumerate(rule.get("from", [])):
        yield from at(["from", n, "source"], _source(item.get("source", {})))
    for n, item in enumerate(rule.get("to", [])):
        yield from at(["to", n, "operation"], _operation(item.get("operation", {})))
    for n, condition in enumerate(rule.get("when", [])):
        if not condition.get("values") and not condition.get("notValues"):
            yield ["when", n, "values"], "is required (or notValues)"


def _source(source: Spec) -> Found:
    for field in _IP_BLOCKS:
        for n, block in enumerate(source.get(field, [])):
            if reason := rules.ip_network(block):
                yield [field, n], reason


def _operation(operation: Spec) -> Found:
    for field in ("ports", "notPorts"):
        for n, port in enumerate(operation.get(field, [])):
            yield from at([field, n], _port(port))


def _port(text: str) -> Found:
    if not text.isdecimal() or rules.port(int(text)):
        yield [], f'"{text}" is not a port between 1 and 65535'
