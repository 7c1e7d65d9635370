"""Envoy routes from the http rules of VirtualServices.

Fields and defaults: https://istio.io/latest/docs/reference/config/networking/virtual-service/.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from local.istiod import telemetry
from local.istiod.clusters import outbound_name
from local.istiod.hosts import full_name
from local.istiod.model import MESH, Proxy, Snapshot, qualified_gateways
from local.istiod.values import Json, duration, fractional_percent, typed
from local.kinds import Object
from local.store import matches, namespace_of

NO_TIMEOUT = "0s"

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,reset-before-request"
"""Istio's (pilot/pkg/networking/core/route/retry, without 503 as since 1.24) and resets before the request
was sent, which are safe for every method: an answer of a service, a 5xx above all, is never hidden."""

_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


@dataclass(frozen=True)
class RouteContext:
    """For whom routes are made: the proxy, the gateway they stand behind (`mesh`, ns/name), and its port."""

    snapshot: Snapshot
    proxy: Proxy
    gateway: str
    port: int


def string_match(value: Json, *, ignore_case: bool = False) -> Json:
    """Return Envoy's StringMatcher of Istio's StringMatch."""
    kind, text = next(iter(value.items()))
    if kind == "regex":
        return {"safe_regex": {"regex": text}}
    return {kind: text, "ignore_case": True} if ignore_case else {kind: text}


def _header_matchers(match: Json) -> Iterator[Json]:
    for name, value in (match.get("headers") or {}).items():
        yield {"name": name, **({"string_match": string_match(value)} if value else {"present_match": True})}
    for name, value in (match.get("withoutHeaders") or {}).items():
        # An absent header is one without that value.
        matcher = (
            {"string_match": string_match(value), "treat_missing_header_as_empty": True}
            if value
            else {"present_match": True}
        )
        yield {"name": name, **matcher, "invert_match": True}
    for field in ("method", "authority", "scheme"):
        if match.get(field):
            yield {"name": f":{field}", "string_match": string_match(match[field])}


def route_match(match: Json) -> Json:
    """Return Envoy's RouteMatch of Istio's HTTPMatchRequest."""
    result: Json = {"prefix": "/"}
    if match.get("uri"):
        kind, text = next(iter(match["uri"].items()))
        result = {"safe_regex": {"regex": text}} if kind == "regex" else {_PATH_FIELDS[kind]: text}
    if match.get("ignoreUriCase"):
        result["case_sensitive"] = False
    headers = list(_header_matchers(match))
    if headers:
        result["headers"] = headers
    if match.get("queryParams"):
        result["query_parameters"] = [
            {"name": name, **({"string_match": string_match(value)} if value else {"present_match": True})}
            for name, value in match["queryParams"].items()
        ]
    return result


_PATH_FIELDS = {"prefix": "prefix", "exact": "path"}


def _applies(match: Json, owner: Object, context: RouteContext) -> bool:
    """Tell whether a match is for this proxy, gateway and port at all."""
    gateways = qualified_gateways(match.get("gateways") or [], namespace_of(owner))
    if gateways and context.gateway not in gateways:
        return False
    if match.get("port") not in (None, context.port):
        return False
    if context.gateway != MESH:
        return True
    if match.get("sourceNamespace") not in (None, "", context.proxy.namespace):
        return False
    wanted = match.get("sourceLabels")
    return not wanted or matches(context.proxy.labels, wanted)


def _header_operations(operations: Json, direction: str) -> Json:
    """Return Envoy's header fields of Istio's HeaderOperations; `direction` is request or response."""
    spec = operations.get(direction) or {}
    options = [
        {"header": {"key": key, "value": value}, "append_action": action}
        for field, action in (("set", "OVERWRITE_IF_EXISTS_OR_ADD"), ("add", "APPEND_IF_EXISTS_OR_ADD"))
        for key, value in (spec.get(field) or {}).items()
        if key.lower() not in _AUTHORITY
    ]
    result: Json = {f"{direction}_headers_to_add": options} if options else {}
    if spec.get("remove"):
        result[f"{direction}_headers_to_remove"] = spec["remove"]
    return result


_AUTHORITY = (":authority", "host")


def _host_rewrite(operations: Json) -> str | None:
    wanted = (operations.get("request") or {}).get("set") or {}
    return next((value for key, value in wanted.items() if key.lower() in _AUTHORITY), None)


def _headers(operations: Json | None) -> Json:
    return {
        **_header_operations(operations or {}, "request"),
        **_header_operations(operations or {}, "response"),
    }


def _cluster(destination: Json, owner: Object, context: RouteContext) -> str:
    """Return the name of the cluster of a destination; one that is not there answers 503 (flag NC)."""
    host = full_name(destination["host"], namespace_of(owner))
    service = context.snapshot.services.get(host)
    port = (destination.get("port") or {}).get("number")
    if port is None:
        port = service.ports[0].number if service and len(service.ports) == 1 else context.port
    return outbound_name(host, port, destination.get("subset") or "")


def retry_policy(retries: Json | None) -> Json | None:
    """Return Envoy's RetryPolicy of Istio's HTTPRetry: two attempts by default, None where there are none."""
    settings = retries or {}
    if retries and (settings.get("attempts") or 0) <= 0:
        return None
    policy: Json = {
        "num_retries": settings.get("attempts") or 2,
        "retry_on": DEFAULT_RETRY_ON,
        # With Istio's 5 a dead endpoint, which has the least requests, is often drawn again.
        "host_selection_retry_max_attempts": 50,
    }
    if settings.get("retryIgnorePreviousHosts", True):
        name = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        policy["retry_host_predicate"] = [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": typed(name)}
        ]
    if settings.get("retryOn"):
        words = [word.strip() for word in settings["retryOn"].split(",") if word.strip()]
        codes = [int(word) for word in words if word.isdecimal()]
        conditions = [word for word in words if not word.isdecimal()]
        if codes:
            conditions += ["retriable-status-codes"] * ("retriable-status-codes" not in conditions)
            policy["retriable_status_codes"] = codes
        policy["retry_on"] = ",".join(conditions)
    if settings.get("perTryTimeout"):
        policy["per_try_timeout"] = duration(settings["perTryTimeout"])
    if settings.get("backoff"):
        policy["retry_back_off"] = {"base_interval": duration(settings["backoff"])}
    return policy


def _fault(fault: Json) -> Json | None:
    """Return the fault filter's configuration; without a percentage nothing is injected, as in Istio."""
    config: Json = {}
    delay, abort = fault.get("delay") or {}, fault.get("abort") or {}
    if (delay.get("percentage") or {}).get("value"):
        config["delay"] = {
            "fixed_delay": duration(delay["fixedDelay"]),
            "percentage": fractional_percent(delay["percentage"]["value"]),
        }
    if (abort.get("percentage") or {}).get("value"):
        config["abort"] = {
            "http_status": abort["httpStatus"],
            "percentage": fractional_percent(abort["percentage"]["value"]),
        }
    return typed("envoy.extensions.filters.http.fault.v3.HTTPFault", **config) if config else None


def _cors(policy: Json) -> Json:
    config: Json = {}
    if policy.get("allowOrigins"):
        config["allow_origin_string_match"] = [string_match(origin) for origin in policy["allowOrigins"]]
    for field, name in (
        ("allowMethods", "allow_methods"),
        ("allowHeaders", "allow_headers"),
        ("exposeHeaders", "expose_headers"),
    ):
        if policy.get(field):
            config[name] = ",".join(policy[field])
    if policy.get("maxAge"):
        config["max_age"] = duration(policy["maxAge"]).removesuffix("s")
    if policy.get("allowCredentials") is not None:
        config["allow_credentials"] = policy["allowCredentials"]
    return typed("envoy.extensions.filters.http.cors.v3.CorsPolicy", **config)


def _mirrors(rule: Json, owner: Object, context: RouteContext) -> list[Json]:
    mirrors = [(m["destination"], m.get("percentage")) for m in rule.get("mirrors") or []]
    if rule.get("mirror"):
        mirrors.append((rule["mirror"], rule.get("mirrorPercentage")))
    return [
        {
            "cluster": _cluster(destination, owner, context),
            "runtime_fraction": {
                "default_value": fractional_percent(100 if share is None else share.get("value", 0))
            },
            # Istio keeps the Host header as well.
            "disable_shadow_host_suffix_append": True,
        }
        for destination, share in mirrors
        if share is None or share.get("value", 0) > 0
    ]


def _destinations(rule: Json, owner: Object, context: RouteContext) -> Json | None:
    """Return the cluster, or the weighted clusters: weights are proportions of their sum."""
    routes = rule["route"]
    if len(routes) == 1:
        return {"cluster": _cluster(routes[0]["destination"], owner, context)}
    weighted = []
    for piece in routes:
        if not piece.get("weight"):
            continue
        cluster: Json = {
            "name": _cluster(piece["destination"], owner, context),
            "weight": piece["weight"],
            **_headers(piece.get("headers")),
        }
        host = _host_rewrite(piece.get("headers") or {})
        if host:
            cluster["host_rewrite_literal"] = host
        weighted.append(cluster)
    return {"weighted_clusters": {"clusters": weighted}} if weighted else None


def _rewrite(rewrite: Json) -> Json:
    action: Json = {}
    if rewrite.get("authority"):
        action["host_rewrite_literal"] = rewrite["authority"]
    if rewrite.get("uriRegexRewrite"):
        regex = rewrite["uriRegexRewrite"]
        action["regex_rewrite"] = {
            "pattern": {"regex": regex["match"]},
            "substitution": regex.get("rewrite", ""),
        }
    elif rewrite.get("uri"):
        action["prefix_rewrite"] = rewrite["uri"]
    return action


def _redirect(redirect: Json) -> Json:
    action: Json = {"response_code": _REDIRECT_CODES[redirect.get("redirectCode") or 301]}
    for field, name in (
        ("uri", "path_redirect"),
        ("authority", "host_redirect"),
        ("scheme", "scheme_redirect"),
        ("port", "port_redirect"),
    ):
        if redirect.get(field):
            action[name] = redirect[field]
    return action


def _forward(rule: Json, owner: Object, context: RouteContext) -> Json | None:
    destinations = _destinations(rule, owner, context)
    if destinations is None:
        return None
    action: Json = {
        **destinations,
        "timeout": duration(rule["timeout"]) if rule.get("timeout") else NO_TIMEOUT,
        **_rewrite(rule.get("rewrite") or {}),
    }
    host = _host_rewrite(rule.get("headers") or {})
    if len(rule["route"]) == 1:
        host = _host_rewrite(rule["route"][0].get("headers") or {}) or host
    if host:
        action["host_rewrite_literal"] = host
    retries = retry_policy(rule.get("retries"))
    if retries:
        action["retry_policy"] = retries
    mirrors = _mirrors(rule, owner, context)
    if mirrors:
        action["request_mirror_policies"] = mirrors
    return action


def _action(rule: Json, owner: Object, context: RouteContext) -> Json:
    if rule.get("redirect"):
        return {"redirect": _redirect(rule["redirect"])}
    if rule.get("directResponse"):
        response: Json = {"status": rule["directResponse"]["status"]}
        body = rule["directResponse"].get("body") or {}
        if "string" in body:
            response["body"] = {"inline_string": body["string"]}
        elif "bytes" in body:
            response["body"] = {"inline_bytes": body["bytes"]}
        return {"direct_response": response}
    forward = _forward(rule, owner, context)
    return {"route": forward} if forward else {"direct_response": {"status": 503}}


def _common(rule: Json, owner: Object, context: RouteContext) -> Json:
    """Return what all routes of one rule have alike: the action, headers and filters."""
    common = {**_action(rule, owner, context)}
    operations = [rule.get("headers") or {}]
    if len(rule.get("route") or []) == 1:
        operations.append(rule["route"][0].get("headers") or {})
    for piece in operations:
        for field, value in _headers(piece).items():
            common[field] = [*common.get(field, []), *value]
    filters = {}
    fault = _fault(rule.get("fault") or {})
    if fault:
        filters["envoy.filters.http.fault"] = fault
    if rule.get("corsPolicy"):
        filters["envoy.filters.http.cors"] = _cors(rule["corsPolicy"])
    if filters:
        common["typed_per_filter_config"] = filters
    return common


def virtual_service_routes(virtual_service: Object, context: RouteContext) -> list[Json]:
    """Return the routes of a VirtualService, in its order; each match of a rule is one."""
    routes: list[Json] = []
    for rule in virtual_service["spec"].get("http") or []:
        found = [m for m in rule.get("match") or [{}] if _applies(m, virtual_service, context)]
        if not found:
            continue
        common = _common(rule, virtual_service, context)
        for match in found:
            name = ".".join(part for part in (rule.get("name"), match.get("name")) if part) or "default"
            routes.append({"name": name, "match": route_match(match), **common})
    return routes


def default_route(cluster: str) -> Json:
    """Return the route of a service that no VirtualService tells anything about."""
    action = {"cluster": cluster, "timeout": NO_TIMEOUT, "retry_policy": retry_policy(None)}
    return {"name": "default", "match": {"prefix": "/"}, "route": action}


def is_catch_all(route: Json) -> bool:
    """Tell whether a route takes every request."""
    match = route["match"]
    return match.get("prefix") == "/" and not match.get("headers") and not match.get("query_parameters")


def route_configuration(name: str, virtual_hosts: list[Json], proxy: Proxy) -> Json:
    """Return a RouteConfiguration whose requests carry the proxy's identity."""
    return {
        "name": name,
        "virtual_hosts": virtual_hosts,
        "request_headers_to_add": telemetry.source_headers(proxy.workload),
        # The identity is the last word, over what a rule sets.
        "most_specific_header_mutations_wins": False,
        # A route to a cluster that is not there answers 503, it does not refuse the other routes.
        "validate_clusters": False,
        # A gateway's clients name the port that it is published at, a sidecar's the service's.
        "ignore_port_in_host_matching": proxy.is_gateway,
    }
