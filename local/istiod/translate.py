"""The whole configuration of one proxy, as Envoy's discovery services name its parts; no input or output."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.istiod import clusters, listeners, virtual_hosts
from local.istiod.model import Port, Proxy, Snapshot, protocol_of
from local.istiod.routes import route_configuration
from local.istiod.values import Json, typed
from local.istiod.workloads import UNKNOWN
from local.settings import Settings

EgressPorts = Mapping[tuple[str, int], int]
"""The port at which every sidecar listens for a TCP host and port."""

CLUSTER = "envoy.config.cluster.v3.Cluster"
LISTENER = "envoy.config.listener.v3.Listener"
ROUTES = "envoy.config.route.v3.RouteConfiguration"


@dataclass(frozen=True)
class Folder:
    """Where the files of one proxy are."""

    path: Path

    @property
    def bootstrap(self) -> Path:
        """What Envoy is started with."""
        return self.path / "bootstrap.json"

    @property
    def clusters(self) -> Path:
        """CDS."""
        return self.path / "cds.json"

    @property
    def listeners(self) -> Path:
        """LDS."""
        return self.path / "lds.json"

    def routes(self, name: str) -> Path:
        """RDS, a file a route configuration."""
        return self.path / "rds" / f"{name}.json"


@dataclass(frozen=True)
class Configuration:
    """Resources by name, each with its @type."""

    clusters: Mapping[str, Json]
    listeners: Mapping[str, Json]
    routes: Mapping[str, Json]


def egress_destinations(snapshot: Snapshot) -> list[tuple[str, int]]:
    """Return host and port of each service port that is TCP (or TLS) to the mesh, sorted."""
    return sorted(
        (service.host, port.number)
        for service in snapshot.services.values()
        for port in service.ports
        if not port.is_http
    )


def configuration(
    snapshot: Snapshot, proxy: Proxy, settings: Settings, folder: Folder, egress_ports: EgressPorts
) -> Configuration:
    """Translate a snapshot for one proxy."""
    part = _gateway if proxy.is_gateway else _sidecar
    own_clusters, found_listeners, routes = part(snapshot, proxy, settings, folder, egress_ports)
    found_clusters = [*clusters.outbound(snapshot, proxy), *own_clusters]
    return Configuration(
        clusters={cluster["name"]: typed(CLUSTER, **cluster) for cluster in found_clusters},
        listeners={listener["name"]: typed(LISTENER, **listener) for listener in found_listeners},
        routes={name: typed(ROUTES, **route_configuration(name, h, proxy)) for name, h in routes.items()},
    )


_Parts = tuple[list[Json], list[Json], dict[str, list[Json]]]


def _gateway(
    snapshot: Snapshot, proxy: Proxy, settings: Settings, folder: Folder, _egress_ports: EgressPorts
) -> _Parts:
    found, routes = [], {}
    for port, here in settings.gateway_ports.items():
        hosts = virtual_hosts.gateway(snapshot, proxy, port)
        if hosts is not None:
            name = f"http.{port}"
            file = str(folder.routes(name))
            found.append(listeners.gateway(proxy, settings.ingress_host, here, name, file))
            routes[name] = hosts
    return [], found, routes


def _sidecar(
    snapshot: Snapshot, proxy: Proxy, settings: Settings, folder: Folder, egress_ports: EgressPorts
) -> _Parts:
    found_clusters = [clusters.passthrough()]
    name = listeners.EGRESS_ROUTES
    found_listeners = [listeners.egress(proxy, str(folder.routes(name)))]
    application = settings.app_ip(proxy.address)
    for number, port_name in proxy.container_ports:
        target = snapshot.service_for(proxy, number, port_name)
        names = (UNKNOWN, UNKNOWN, UNKNOWN)
        port = Port(number, port_name, protocol_of(port_name))
        if target is not None:
            service, service_port = target
            names = (service.host, service.name, service.namespace)
            port = Port(number, port_name, service_port.protocol)
        found_clusters.append(clusters.inbound(proxy, application, port, names))
        found_listeners.append(listeners.inbound(proxy, port, names))
    for found in snapshot.visible_services(proxy.namespace):
        found_listeners += [
            listeners.egress_tcp(proxy, egress_ports[found.host, port.number], found.host, port.number)
            for port in found.ports
            if (found.host, port.number) in egress_ports and not port.is_http
        ]
    return found_clusters, found_listeners, {name: virtual_hosts.egress(snapshot, proxy)}
