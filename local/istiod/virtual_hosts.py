"""Which routes a request meets, by its host: in a sidecar's egress listener, and in a gateway's."""

from local.istiod import telemetry
from local.istiod.clusters import PASSTHROUGH, outbound_name
from local.istiod.hosts import covers, full_name, intersection, short_names
from local.istiod.model import MESH, Port, Proxy, Service, Snapshot, gateways_of, visible
from local.istiod.routes import RouteContext, default_route, is_catch_all, virtual_service_routes
from local.istiod.values import Json
from local.kinds import Object
from local.store import matches, namespace_of

ANY_PORT = ":*"


def _tunnel(cluster: str) -> Json:
    """Return the route for CONNECT: the bytes go to the cluster as they are."""
    return {
        "name": "tunnel",
        "match": {"connect_matcher": {}},
        "route": {
            "cluster": cluster,
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }


def _service_host(snapshot: Snapshot, proxy: Proxy, service: Service, port: Port) -> Json:
    names = [
        *short_names(service.host, proxy.namespace),
        *(f"[{a}]" if ":" in a else a for a in service.addresses),
    ]
    domains = [f"{name}:{port.number}" for name in names]
    if port == service.default_port:
        domains += names
    cluster = outbound_name(service.host, port.number)
    rules = snapshot.mesh_virtual_service(service.host, proxy.namespace)
    context = RouteContext(snapshot, proxy, MESH, port.number)
    # A VirtualService without http rules, or with none for this client, changes nothing.
    routes = (virtual_service_routes(rules, context) if rules else []) or [default_route(cluster)]
    if not port.is_http:
        routes = [_tunnel(cluster), *routes]
    return {
        "name": f"{service.host}:{port.number}",
        "domains": domains,
        "routes": routes,
        "metadata": telemetry.service_metadata(service.host, service.name, service.namespace),
        "include_request_attempt_count": True,
    }


def _rule_only_host(snapshot: Snapshot, proxy: Proxy, rules: Object, host: str) -> Json | None:
    """Return the virtual host of a VirtualService's host that no service has."""
    routes = virtual_service_routes(rules, RouteContext(snapshot, proxy, MESH, 80))
    if not routes:
        return None
    domains = ["*"] if host == "*" else [host] if host.startswith("*") else [host, f"{host}{ANY_PORT}"]
    return {
        "name": f"{host}:80",
        "domains": domains,
        "routes": routes,
        "metadata": telemetry.service_metadata(host, host, namespace_of(rules)),
        "include_request_attempt_count": True,
    }


def egress(snapshot: Snapshot, proxy: Proxy) -> list[Json]:
    """Return the virtual hosts of a sidecar's HTTP proxy; hosts that nobody knows are passed through."""
    services = snapshot.visible_services(proxy.namespace)
    hosts: list[Json] = []
    for service in services:
        hosts += [_service_host(snapshot, proxy, service, port) for port in service.ports]
    for rules in snapshot.virtual_services:
        own = namespace_of(rules)
        export_to = tuple(rules["spec"].get("exportTo") or ("*",))
        if MESH not in gateways_of(rules) or not visible(export_to, own, proxy.namespace):
            continue
        for pattern in rules["spec"].get("hosts", []):
            host = full_name(pattern, own)
            if any(covers(host, service.host) for service in services):
                continue
            found = _rule_only_host(snapshot, proxy, rules, host)
            hosts += [found] if found else []
    rest = {
        "name": PASSTHROUGH,
        "domains": ["*"],
        "routes": [_tunnel(PASSTHROUGH), default_route(PASSTHROUGH)],
        "include_request_attempt_count": True,
    }
    return _unique([*hosts, rest])


def gateway(snapshot: Snapshot, proxy: Proxy, port: int) -> list[Json] | None:
    """Return the virtual hosts of a gateway's port, None where no Gateway opens it.

    Rules of several VirtualServices for one host are joined, oldest first, those for every request last
    (https://istio.io/latest/docs/ops/best-practices/traffic-management/#split-virtual-services).
    """
    by_host: dict[str, list[Json]] = {}
    is_open = False
    for obj in snapshot.gateways:
        if not matches(proxy.labels, obj["spec"].get("selector")):
            continue
        name = f"{namespace_of(obj)}/{obj['metadata']['name']}"
        for server in obj["spec"].get("servers") or []:
            if server["port"]["number"] != port:
                continue
            is_open = True
            context = RouteContext(snapshot, proxy, name, port)
            _add_gateway_routes(by_host, obj, server, context)
    if not is_open:
        return None
    hosts = []
    for host, routes in by_host.items():
        ordered = sorted(routes, key=is_catch_all)
        hosts.append(
            {
                "name": f"{host}:{port}",
                "domains": [host],
                "routes": ordered,
                "include_request_attempt_count": True,
            }
        )
    return _unique(hosts)


def _add_gateway_routes(
    by_host: dict[str, list[Json]], obj: Object, server: Json, context: RouteContext
) -> None:
    for rules in context.snapshot.virtual_services:
        if context.gateway not in gateways_of(rules):
            continue
        routes: list[Json] | None = None
        for pattern in rules["spec"].get("hosts", []):
            for served in server.get("hosts", []):
                where, _, name = served.rpartition("/")
                if where not in ("", "*", namespace_of(rules)) and not (
                    where == "." and namespace_of(obj) == namespace_of(rules)
                ):
                    continue
                host = intersection(full_name(pattern, namespace_of(rules)), name.lower())
                if host is None:
                    continue
                if routes is None:
                    routes = virtual_service_routes(rules, context)
                listed = by_host.setdefault(host, [])
                listed += [route for route in routes if route not in listed]


def _unique(hosts: list[Json]) -> list[Json]:
    """Drop domains that an earlier host has, and hosts without any: Envoy refuses one that stands twice."""
    taken: set[str] = set()
    names: set[str] = set()
    result = []
    for host in hosts:
        domains = [d for d in dict.fromkeys(host["domains"]) if d not in taken]
        if domains and host["routes"] and host["name"] not in names:
            taken.update(domains)
            names.add(host["name"])
            result.append({**host, "domains": domains})
    return result
