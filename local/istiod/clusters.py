"""Envoy clusters with their endpoints (CDS) from services and DestinationRules.

The endpoints stand in the clusters, not in EDS: Envoy takes an inotify instance for each file it watches, and
a user has 128 by default. A changed cluster replaces the old one, in which running requests end.

Where Istio's defaults differ from Envoy's, they are Istio's: no limits on connections and requests,
LEAST_REQUEST, 10 s to connect (https://istio.io/latest/docs/reference/config/networking/destination-rule/).
"""

from collections.abc import Iterator

from local.istiod import telemetry
from local.istiod.model import DNS, HTTP2, Endpoint, Port, Proxy, Service, Snapshot
from local.istiod.values import Json, duration, seconds, socket_address, typed
from local.istiod.workloads import Workload

PASSTHROUGH = "PassthroughCluster"
DNS_CACHE = {"name": "passthrough", "dns_lookup_family": "V4_PREFERRED"}
"""Shared by name between the passthrough cluster and its HTTP filter, so it has to be the same in both."""

UPSTREAM_IDLE_TIMEOUT = "30s"
"""Shorter than the keep-alive of the services (75 s): a request never goes into a connection being closed."""

_UNLIMITED = 4_294_967_295
LB_POLICIES = {
    "UNSPECIFIED": "LEAST_REQUEST",
    "LEAST_CONN": "LEAST_REQUEST",
    "LEAST_REQUEST": "LEAST_REQUEST",
    "RANDOM": "RANDOM",
    "ROUND_ROBIN": "ROUND_ROBIN",
}


def outbound_name(host: str, port: int, subset: str = "") -> str:
    """Return Istio's name of the cluster for a service's port, or for a subset of it."""
    return f"outbound|{port}|{subset}|{host}"


def inbound_name(port: int) -> str:
    """Return Istio's name of the cluster for the application's own port."""
    return f"inbound|{port}||"


def policy_for(rule: Json, port: int, subset: str = "") -> Json:
    """Return the trafficPolicy for one port: the subset's over the rule's, a port's own instead of both."""
    chosen: Json = next((s for s in rule.get("subsets") or [] if s["name"] == subset), {})
    policy: Json = {}
    for level in (rule.get("trafficPolicy") or {}, chosen.get("trafficPolicy") or {}):
        policy |= {name: value for name, value in level.items() if name != "portLevelSettings"}
        for settings in level.get("portLevelSettings") or []:
            if settings.get("port", {}).get("number") == port:
                # Documented: a port's settings replace, they do not inherit.
                policy = {name: value for name, value in settings.items() if name != "port"}
    return policy


def load_assignment(cluster: str, endpoints: tuple[Endpoint, ...]) -> Json:
    """Return the ClusterLoadAssignment of a cluster, with what metrics say of each endpoint."""
    entries = [
        {
            "endpoint": {"address": socket_address(endpoint.address, endpoint.port)},
            "metadata": telemetry.endpoint_metadata(endpoint.workload),
            "load_balancing_weight": endpoint.weight,
        }
        for endpoint in endpoints
    ]
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": entries}] if entries else []}


def _limits(pool: Json) -> Json:
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    return {
        "thresholds": [
            {
                "max_connections": tcp.get("maxConnections") or _UNLIMITED,
                "max_pending_requests": http.get("http1MaxPendingRequests") or _UNLIMITED,
                "max_requests": http.get("http2MaxRequests") or _UNLIMITED,
                "max_retries": http.get("maxRetries") or _UNLIMITED,
            }
        ]
    }


def _http_options(port: Port, http: Json) -> Json:
    common: Json = {"idle_timeout": duration(http.get("idleTimeout") or UPSTREAM_IDLE_TIMEOUT)}
    if http.get("maxRequestsPerConnection"):
        common["max_requests_per_connection"] = http["maxRequestsPerConnection"]
    protocol = "http2_protocol_options" if port.protocol == HTTP2 else "http_protocol_options"
    options = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options=common,
        explicit_http_config={protocol: {}},
    )
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}


def outlier_detection(settings: Json) -> Json:
    """Return Envoy's outlier detection: only what is asked for ejects, as in Istio."""
    result: Json = {
        "enforcing_success_rate": 0,
        "interval": duration(settings.get("interval") or "10s"),
        "base_ejection_time": duration(settings.get("baseEjectionTime") or "30s"),
        "max_ejection_percent": settings.get("maxEjectionPercent") or 10,
    }
    server_errors = settings.get("consecutive5xxErrors", 5)
    result["consecutive_5xx"] = server_errors or 5
    result["enforcing_consecutive_5xx"] = 100 if server_errors else 0
    if settings.get("consecutiveGatewayErrors"):
        result["consecutive_gateway_failure"] = settings["consecutiveGatewayErrors"]
        result["enforcing_consecutive_gateway_failure"] = 100
    if settings.get("splitExternalLocalOriginErrors"):
        result["split_external_local_origin_errors"] = True
        result["enforcing_local_origin_success_rate"] = 0
        if settings.get("consecutiveLocalOriginFailures"):
            result["consecutive_local_origin_failure"] = settings["consecutiveLocalOriginFailures"]
    return result


def _cluster(name: str, port: Port, policy: Json) -> Json:
    pool = policy.get("connectionPool") or {}
    tcp = pool.get("tcp") or {}
    simple = (policy.get("loadBalancer") or {}).get("simple", "UNSPECIFIED")
    cluster: Json = {
        "name": name,
        "connect_timeout": duration(tcp.get("connectTimeout") or "10s"),
        "lb_policy": LB_POLICIES[simple],
        "circuit_breakers": _limits(pool),
    }
    if tcp.get("tcpKeepalive") is not None:
        cluster["upstream_connection_options"] = {"tcp_keepalive": _keepalive(tcp["tcpKeepalive"])}
    if port.is_http:
        cluster["typed_extension_protocol_options"] = _http_options(port, pool.get("http") or {})
    if "outlierDetection" in policy:
        cluster["outlier_detection"] = outlier_detection(policy["outlierDetection"])
        minimum = policy["outlierDetection"].get("minHealthPercent") or 0
        cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": minimum}}
    return cluster


def _keepalive(settings: Json) -> Json:
    result: Json = {}
    if settings.get("probes"):
        result["keepalive_probes"] = settings["probes"]
    for field, name in (("time", "keepalive_time"), ("interval", "keepalive_interval")):
        if settings.get(field):
            result[name] = round(seconds(settings[field]))
    return result


def outbound(snapshot: Snapshot, proxy: Proxy) -> Iterator[Json]:
    """Yield each cluster that a proxy may send to."""
    for service in snapshot.visible_services(proxy.namespace):
        rule = snapshot.destination_rule(service.host, service.namespace, proxy.namespace)
        subsets: list[Json] = [{"name": ""}, *(rule.get("subsets") or [])]
        # A gateway here routes requests only.
        for port in [p for p in service.ports if p.is_http or not proxy.is_gateway]:
            for subset in subsets:
                labels = (subset.get("labels") or {}).items()
                endpoints = tuple(
                    e for e in service.endpoints.get(port.number, ()) if labels <= e.labels.items()
                )
                policy = policy_for(rule, port.number, subset["name"])
                cluster = _cluster(outbound_name(service.host, port.number, subset["name"]), port, policy)
                yield _discovered(cluster, proxy, service, port, endpoints)


def _discovered(
    cluster: Json, proxy: Proxy, service: Service, port: Port, endpoints: tuple[Endpoint, ...]
) -> Json:
    names = (service.host, service.name, service.namespace)
    cluster |= {
        "type": service.discovery,
        "metadata": telemetry.service_metadata(*names),
        "load_assignment": load_assignment(cluster["name"], endpoints),
    }
    if not port.is_http:
        cluster["alt_stat_name"] = telemetry.tcp_stat_name("source", proxy.workload, Workload(), names)
    if service.discovery == DNS:
        # A name that does not resolve yet must not hold the others up.
        cluster |= {"dns_lookup_family": "V4_PREFERRED", "wait_for_warm_on_init": False}
    return cluster


def passthrough() -> Json:
    """Return the cluster for hosts that no service names: they are looked up in DNS (Istio's ALLOW_ANY)."""
    cluster = _cluster(PASSTHROUGH, Port(0, "", "http"), {})
    cluster |= {
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": typed(
                "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                dns_cache_config=DNS_CACHE,
                # No TLS of its own here, so no certificate whose name could be checked.
                allow_insecure_cluster_options=True,
            ),
        },
        "metadata": telemetry.service_metadata(PASSTHROUGH, PASSTHROUGH, "unknown"),
    }
    return cluster


def inbound(proxy: Proxy, application: str, port: Port, service: tuple[str, str, str]) -> Json:
    """Return the cluster of the application itself, at the address `application`."""
    name = inbound_name(port.number)
    cluster = _cluster(name, port, {})
    cluster |= {"type": "STATIC", "metadata": telemetry.service_metadata(*service)}
    if not port.is_http:
        cluster["alt_stat_name"] = telemetry.tcp_stat_name("destination", Workload(), proxy.workload, service)
    endpoint = Endpoint(application, port.number, workload=proxy.workload)
    return {**cluster, "load_assignment": load_assignment(name, (endpoint,))}
