"""Istio's rules about a DestinationRule.

Source: https://istio.io/latest/docs/reference/config/networking/destination-rule/.
"""

from tools.check import rules
from tools.check.spec import Found, Spec, at, durations

_DURATIONS = (
    ("connectionPool", "tcp", "connectTimeout"),
    ("connectionPool", "tcp", "idleTimeout"),
    ("connectionPool", "tcp", "maxConnectionDuration"),
    ("connectionPool", "tcp", "tcpKeepalive", "interval"),
    ("connectionPool", "tcp", "tcpKeepalive", "time"),
    ("connectionPool", "http", "idleTimeout"),
    ("outlierDetection", "interval"),
    ("outlierDetection", "baseEjectionTime"),
    ("loadBalancer", "warmupDurationSecs"),
    ("loadBalancer", "warmup", "duration"),
)
_COUNTS = (
    ("tcp", "maxConnections"),
    ("http", "http1MaxPendingRequests"),
    ("http", "http2MaxRequests"),
    ("http", "maxRequestsPerConnection"),
)


def validate(spec: Spec) -> Found:
    """What istiod refuses about the spec of a DestinationRule."""
    if reason := rules.host(spec.get("host", "")):
        yield ["host"], reason if spec.get("host") else "is required"
    yield from at(["trafficPolicy"], _traffic_policy(spec.get("trafficPolicy", {})))
    names: set[str] = set()
    for n, subset in enumerate(spec.get("subsets", [])):
        if reason := rules.dns_label(subset["name"]):
            yield ["subsets", n, "name"], reason
        if subset["name"] in names:
            yield ["subsets", n, "name"], f'subset "{subset["name"]}" is defined twice'
        names.add(subset["name"])
        for key, value in subset.get("labels", {}).items():
            if bad := rules.label_key(key) or rules.label_value(value):
                yield ["subsets", n, "labels", key], bad
        yield from at(["subsets", n, "trafficPolicy"], _traffic_policy(subset.get("trafficPolicy", {})))


def _traffic_policy(policy: Spec) -> Found:
    for n, level in enumerate(policy.get("portLevelSettings", [])):
        if reason := rules.port(level.get("port", {}).get("number", 0)):
            yield ["portLevelSettings", n, "port", "number"], reason
        yield from at(["portLevelSettings", n], _traffic_policy(level))
    yield from durations(policy, *_DURATIONS)
    pool = policy.get("connectionPool", {})
    for part, field in _COUNTS:
        if pool.get(part, {}).get(field, 0) < 0:
            yield ["connectionPool", part, field], f"must not be negative, not {pool[part][field]}"
    outlier = policy.get("outlierDetection", {})
    for field in ("maxEjectionPercent", "minHealthPercent"):
        if not 0 <= outlier.get(field, 0) <= 100:
            yield ["outlierDetection", field], f"must be between 0 and 100, not {outlier[field]}"
    tls = policy.get("tls", {})
    for field in ("clientCertificate", "privateKey"):
        if tls.get("mode") == "MUTUAL" and not tls.get("credentialName") and not tls.get(field):
            yield ["tls", field], "is required by mode MUTUAL (or credentialName)"
