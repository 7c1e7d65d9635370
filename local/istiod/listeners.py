"""Envoy listeners (LDS) of sidecars and gateways.

Where Istio differs from plain Envoy, Istio's setting is taken: no idle timeout of streams, paths normalised
as by MeshConfig.pathNormalization BASE (https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/).
"""

from local.istiod import telemetry
from local.istiod.clusters import DNS_CACHE, inbound_name, outbound_name
from local.istiod.model import Port, Proxy
from local.istiod.routes import NO_TIMEOUT
from local.istiod.values import Json, socket_address, typed

EGRESS_PORT = 15001
EGRESS_ROUTES = "http_proxy"

_HTTP_FILTERS = "envoy.extensions.filters.http"


def _filter(name: str, message: str, **fields: object) -> Json:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": typed(f"{_HTTP_FILTERS}.{message}", **fields),
    }


_CLIENT_FILTERS = [_filter("cors", "cors.v3.Cors"), _filter("fault", "fault.v3.HTTPFault")]
_ROUTER = _filter("router", "router.v3.Router")


def _manager(
    name: str, *, routes: Json, filters: list[Json], tags: dict[str, str], **fields: object
) -> list[Json]:
    """Return the filter chain of a listener that speaks HTTP."""
    config = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **{
            "stat_prefix": name,
            **routes,
            "http_filters": [*filters, _ROUTER],
            "access_log": telemetry.access_log(tags),
            "normalize_path": True,
            "stream_idle_timeout": NO_TIMEOUT,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            # Nobody is trusted to steer Envoy by x-envoy-… headers.
            "internal_address_config": {"unix_sockets": False},
            **fields,
        },
    )
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": config}]}
    return [chain]


def _listener(name: str, address: str, port: int, chains: list[Json], direction: str) -> Json:
    return {
        "name": name,
        "address": socket_address(address, port),
        "filter_chains": chains,
        "traffic_direction": direction,
        "metadata": telemetry.listener_metadata(),
        # With it a second Envoy would bind the same address and take half of the connections.
        "enable_reuse_port": False,
    }


def _from_file(name: str, path: str) -> Json:
    source = {"path_config_source": {"path": path}, "resource_api_version": "V3"}
    return {"rds": {"route_config_name": name, "config_source": source}}


def _tcp_chain(stat_prefix: str, cluster: str) -> list[Json]:
    config = typed(
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix=stat_prefix, cluster=cluster
    )
    return [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": config}]}]


def inbound(proxy: Proxy, port: Port, service: tuple[str, str, str]) -> Json:
    """Return the listener before the application's port."""
    name, cluster = f"{proxy.address}_{port.number}", inbound_name(port.number)
    if not port.is_http:
        return _listener(name, proxy.address, port.number, _tcp_chain(name, cluster), "INBOUND")
    action = {
        "cluster": cluster,
        "timeout": NO_TIMEOUT,
        # Istio's inbound policy since 1.24: only what the application never saw.
        "retry_policy": {"retry_on": "reset-before-request", "num_retries": 2},
    }
    host = {"name": cluster, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}
    chains = _manager(
        name,
        routes={"route_config": {"name": cluster, "virtual_hosts": [host], "validate_clusters": False}},
        filters=[telemetry.source_reader()],
        tags=telemetry.destination_tags(proxy.workload, service),
        server_header_transformation="PASS_THROUGH",
        use_remote_address=False,
    )
    return _listener(name, proxy.address, port.number, chains, "INBOUND")


def egress(proxy: Proxy, routes_file: str) -> Json:
    """Return the listener that applications use as their HTTP proxy."""
    forward_proxy = _filter(
        "dynamic_forward_proxy", "dynamic_forward_proxy.v3.FilterConfig", dns_cache_config=DNS_CACHE
    )
    chains = _manager(
        EGRESS_ROUTES,
        routes=_from_file(EGRESS_ROUTES, routes_file),
        filters=[*_CLIENT_FILTERS, forward_proxy],
        tags=telemetry.source_tags(proxy.workload),
        upgrade_configs=[{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
        server_header_transformation="PASS_THROUGH",
        use_remote_address=False,
    )
    return _listener(EGRESS_ROUTES, proxy.address, EGRESS_PORT, chains, "OUTBOUND")


def egress_tcp(proxy: Proxy, listen_port: int, host: str, port: int) -> Json:
    """Return the listener that stands for `host:port` where requests are not told apart."""
    name, cluster = f"{host}_{port}", outbound_name(host, port)
    return _listener(name, proxy.address, listen_port, _tcp_chain(name, cluster), "OUTBOUND")


def gateway(proxy: Proxy, address: str, port: int, routes_name: str, routes_file: str) -> Json:
    """Return the listener of a gateway: the edge, where what clients say of themselves is not believed."""
    chains = _manager(
        routes_name,
        routes=_from_file(routes_name, routes_file),
        filters=_CLIENT_FILTERS,
        tags=telemetry.source_tags(proxy.workload),
        server_name="istio-envoy",
        use_remote_address=True,
    )
    return _listener(f"{address}_{port}", address, port, chains, "OUTBOUND")
