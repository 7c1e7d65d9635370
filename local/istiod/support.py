"""Which fields of Istio's objects this mesh follows; the others are refused, or listed as without effect.

The trees follow https://istio.io/latest/docs/reference/config/networking/. That types and values are
Istio's own is checked elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.istiod.clusters import LB_POLICIES
from local.kinds import Object
from local.settings import GATEWAY_PORTS

_NOT_IMPLEMENTED = "not implemented by the one-machine mesh"

Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, or None."""


@dataclass(frozen=True)
class _NoEffect:
    """A field that may stand and changes nothing here."""

    reason: str


@dataclass(frozen=True)
class _Each:
    """A list, or with `keyed` a map with keys of the author's choice, of the same thing."""

    item: "_Tree"
    keyed: bool = False


_Tree = Mapping[str, "_Tree"] | _Each | _NoEffect | Check


def _any(_value: object) -> None:
    return None


def _one_of(*values: object) -> Check:
    listed = ", ".join(map(str, values))
    return lambda value: None if value in values else f"{value}: {_NOT_IMPLEMENTED}, only {listed}"


def _plain_value(value: object) -> str | None:
    """Envoy would take a % for the beginning of a command operator."""
    if "%" in str(value).replace("%%", ""):
        return f"{value}: Envoy's command operators are {_NOT_IMPLEMENTED}; a % is written %%"
    return None


def _host_without_port(value: object) -> str | None:
    return f"{value}: a host is named without a port" if ":" in str(value) else None


_STRING_MATCH: _Tree = {"exact": _any, "prefix": _any, "regex": _any}
_STRING_MATCHES = _Each(_STRING_MATCH, keyed=True)
_DESTINATION: _Tree = {"host": _any, "subset": _any, "port": {"number": _any}}
_PERCENT: _Tree = {"value": _any}
_HEADER_CHANGES: _Tree = {
    "set": _Each(_plain_value, keyed=True),
    "add": _Each(_plain_value, keyed=True),
    "remove": _any,
}
_HEADERS: _Tree = {"request": _HEADER_CHANGES, "response": _HEADER_CHANGES}
_METRICS_ONLY = _NoEffect("there are Istio's standard metrics only")

_VIRTUAL_SERVICE: _Tree = {
    "hosts": _Each(_host_without_port),
    "gateways": _any,
    "exportTo": _any,
    "http": _Each(
        {
            "name": _any,
            "match": _Each(
                {
                    "name": _any,
                    "uri": _STRING_MATCH,
                    "ignoreUriCase": _any,
                    "scheme": _STRING_MATCH,
                    "method": _STRING_MATCH,
                    "authority": _STRING_MATCH,
                    "headers": _STRING_MATCHES,
                    "withoutHeaders": _STRING_MATCHES,
                    "queryParams": _STRING_MATCHES,
                    "port": _any,
                    "sourceLabels": _any,
                    "sourceNamespace": _any,
                    "gateways": _any,
                    "statPrefix": _METRICS_ONLY,
                }
            ),
            "route": _Each({"destination": _DESTINATION, "weight": _any, "headers": _HEADERS}),
            "redirect": {
                "uri": _plain_value,
                "authority": _any,
                "port": _any,
                "scheme": _any,
                "redirectCode": _any,
            },
            "directResponse": {"status": _any, "body": {"string": _any, "bytes": _any}},
            "rewrite": {
                "uri": _any,
                "authority": _any,
                "uriRegexRewrite": {"match": _any, "rewrite": _any},
            },
            "timeout": _any,
            "retries": {
                "attempts": _any,
                "perTryTimeout": _any,
                "retryOn": _any,
                "retryIgnorePreviousHosts": _any,
                "backoff": _any,
                "retryRemoteLocalities": _NoEffect("there is one locality"),
            },
            "fault": {
                "delay": {"fixedDelay": _any, "percentage": _PERCENT},
                "abort": {"httpStatus": _any, "percentage": _PERCENT},
            },
            "mirror": _DESTINATION,
            "mirrorPercentage": _PERCENT,
            "mirrors": _Each({"destination": _DESTINATION, "percentage": _PERCENT}),
            "corsPolicy": {
                "allowOrigins": _Each(_STRING_MATCH),
                "allowMethods": _any,
                "allowHeaders": _any,
                "exposeHeaders": _any,
                "maxAge": _any,
                "allowCredentials": _any,
            },
            "headers": _HEADERS,
        }
    ),
}

_PLAINTEXT = "sidecars speak plaintext on the loopback"
_POLICY_PARTS: dict[str, _Tree] = {
    "loadBalancer": {"simple": _one_of(*LB_POLICIES)},
    "connectionPool": {
        "tcp": {
            "maxConnections": _any,
            "connectTimeout": _any,
            "tcpKeepalive": {"probes": _any, "time": _any, "interval": _any},
        },
        "http": {
            "http1MaxPendingRequests": _any,
            "http2MaxRequests": _any,
            "maxRequestsPerConnection": _any,
            "maxRetries": _any,
            "idleTimeout": _any,
            "h2UpgradePolicy": _one_of("DEFAULT", "DO_NOT_UPGRADE"),
        },
    },
    "outlierDetection": {
        "consecutive5xxErrors": _any,
        "consecutiveGatewayErrors": _any,
        "interval": _any,
        "baseEjectionTime": _any,
        "maxEjectionPercent": _any,
        "minHealthPercent": _any,
        "splitExternalLocalOriginErrors": _any,
        "consecutiveLocalOriginFailures": _any,
    },
    "tls": {
        "mode": _one_of("DISABLE", "ISTIO_MUTUAL"),
        "sni": _NoEffect(_PLAINTEXT),
        "subjectAltNames": _NoEffect(_PLAINTEXT),
    },
}
_TRAFFIC_POLICY: _Tree = {
    **_POLICY_PARTS,
    "portLevelSettings": _Each({**_POLICY_PARTS, "port": {"number": _any}}),
}

_DESTINATION_RULE: _Tree = {
    "host": _any,
    "exportTo": _any,
    "trafficPolicy": _TRAFFIC_POLICY,
    "subsets": _Each({"name": _any, "labels": _any, "trafficPolicy": _TRAFFIC_POLICY}),
}

_GATEWAY: _Tree = {
    "selector": _any,
    "servers": _Each(
        {
            "name": _any,
            "port": {
                "number": _one_of(*GATEWAY_PORTS),
                "name": _any,
                "protocol": _one_of("HTTP", "HTTP2", "GRPC"),
                "targetPort": _NoEffect("INGRESS_PORT and DASHBOARDS_PORT are where 80 and 3000 are here"),
            },
            "hosts": _any,
        }
    ),
}

_SERVICE_ENTRY: _Tree = {
    "hosts": _any,
    "addresses": _any,
    "exportTo": _any,
    "ports": _Each(
        {
            "number": _any,
            "name": _any,
            "protocol": _one_of("HTTP", "HTTP2", "GRPC", "TCP", "TLS", "HTTPS", "MONGO", "MYSQL", "REDIS"),
            "targetPort": _any,
        }
    ),
    "resolution": _one_of("STATIC", "DNS"),
    "endpoints": _Each(
        {
            "address": _any,
            "ports": _any,
            "labels": _any,
            "weight": _any,
            "locality": _NoEffect("there is one locality"),
            "serviceAccount": _NoEffect("sidecars speak plaintext, so there are no identities"),
        }
    ),
    "location": _NoEffect("it tells whether Istio uses mTLS; " + _PLAINTEXT),
    "subjectAltNames": _NoEffect(_PLAINTEXT),
}

_TREES: dict[str, _Tree] = {
    "VirtualService": _VIRTUAL_SERVICE,
    "DestinationRule": _DESTINATION_RULE,
    "Gateway": _GATEWAY,
    "ServiceEntry": _SERVICE_ENTRY,
}


def _without_effect(tree: _Tree, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, _NoEffect):
        yield path, tree.reason
    elif isinstance(tree, _Each):
        yield from _without_effect(tree.item, f"{path}[]")
    elif isinstance(tree, Mapping):
        for name, part in tree.items():
            yield from _without_effect(part, f"{path}.{name}")


WITHOUT_EFFECT: dict[str, str] = {
    path: reason for kind, tree in _TREES.items() for path, reason in _without_effect(tree, f"{kind}.spec")
} | {
    f"DestinationRule.spec.{prefix}trafficPolicy.{level}tls.mode": _PLAINTEXT
    for prefix in ("", "subsets[].")
    for level in ("", "portLevelSettings[].")
}
"""Kind and path of each field that is taken and changes nothing here -> why."""


def _walk(value: object, tree: _Tree, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, _NoEffect):
        return
    if isinstance(tree, _Each):
        yield from _walk_each(value, tree, path)
    elif isinstance(tree, Mapping):
        if isinstance(value, Mapping):
            for name, part in value.items():
                if name in tree:
                    yield from _walk(part, tree[name], f"{path}.{name}")
                else:
                    yield f"{path}.{name}", _NOT_IMPLEMENTED
    else:
        reason = tree(value)
        if reason:
            yield path, reason


def _walk_each(value: object, tree: _Each, path: str) -> Iterator[tuple[str, str]]:
    if tree.keyed and isinstance(value, Mapping):
        for name, part in value.items():
            yield from _walk(part, tree.item, f"{path}[{name!r}]")
    elif not tree.keyed and isinstance(value, list):
        for index, part in enumerate(value):
            yield from _walk(part, tree.item, f"{path}[{index}]")


def problems(obj: Object) -> list[tuple[str, str]]:
    """Return path and reason of each field that this mesh cannot follow; [] for kinds not Istio's."""
    kind = str(obj.get("kind"))
    tree = _TREES.get(kind)
    if tree is None:
        return []
    spec = obj.get("spec") or {}
    found = list(_walk(spec, tree, "spec"))
    if kind == "ServiceEntry" and "resolution" not in spec:
        found.append(("spec.resolution", f"NONE, the default: {_NOT_IMPLEMENTED}, only STATIC, DNS"))
    return found
