"""The mesh as Envoy's configuration needs it, read from the store once for all proxies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from local.istiod.hosts import covers, full_name, service_host
from local.istiod.values import Json
from local.istiod.workloads import PROXY_CONTAINER, Workload, containers, has_proxy, workload_of
from local.kinds import Object
from local.store import Store, matches, namespace_of

ROOT_NAMESPACE = "istio-system"
MESH = "mesh"

HTTP, HTTP2, TCP, TLS = "http", "http2", "tcp", "tls"
_PROTOCOLS = {
    "http": HTTP,
    "kubernetes.io/ws": HTTP,
    "http2": HTTP2,
    "kubernetes.io/h2c": HTTP2,
    "grpc": HTTP2,
    "grpc-web": HTTP2,
    "https": TLS,
    "tls": TLS,
    "kubernetes.io/wss": TLS,
}
_TCP_PROTOCOLS = {"tcp", "mongo", "mysql", "redis"}


def protocol_of(name: str, app_protocol: str | None = None) -> str:
    """Return http, http2, tls or tcp by a port's appProtocol or its name's prefix.

    http where they say nothing; Istio finds out by the first bytes then
    (https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/).
    """
    for word in (app_protocol or "", name.partition("-")[0]):
        if word.lower() in _PROTOCOLS:
            return _PROTOCOLS[word.lower()]
        if word.lower() in _TCP_PROTOCOLS:
            return TCP
    return HTTP


@dataclass(frozen=True)
class Port:
    """A port of a service."""

    number: int
    name: str
    protocol: str

    @property
    def is_http(self) -> bool:
        """Whether requests are told apart."""
        return self.protocol in (HTTP, HTTP2)


@dataclass(frozen=True)
class Endpoint:
    """One place that answers for a service's port."""

    address: str
    port: int
    labels: Mapping[str, str] = field(default_factory=dict)
    workload: Workload = field(default_factory=Workload)
    weight: int = 1


@dataclass(frozen=True)
class Service:
    """A Service of Kubernetes, or one host of a ServiceEntry; `endpoints` by port number, ready ones only."""

    host: str
    name: str
    namespace: str
    ports: tuple[Port, ...]
    endpoints: Mapping[int, tuple[Endpoint, ...]]
    discovery: str
    addresses: tuple[str, ...] = ()
    export_to: tuple[str, ...] = ("*",)

    @property
    def default_port(self) -> Port | None:
        """The port that a name without a port means: 80, else the first."""
        return next((port for port in self.ports if port.number == 80), next(iter(self.ports), None))

    def port(self, number: int) -> Port | None:
        """Return the port `number`."""
        return next((port for port in self.ports if port.number == number), None)


STATIC, DNS = "STATIC", "STRICT_DNS"


@dataclass(frozen=True)
class Proxy:
    """One Envoy: a sidecar, or a gateway, whose pod has no other container."""

    name: str
    namespace: str
    address: str
    labels: Mapping[str, str]
    workload: Workload
    is_gateway: bool
    container_ports: tuple[tuple[int, str], ...]
    """Number and name of each TCP port of the application."""

    @classmethod
    def of(cls, pod: Object) -> "Proxy":
        """Return the proxy of a pod that has an address (status.podIP)."""
        applications = [c for c in containers(pod) if c["name"] != PROXY_CONTAINER]
        ports = [p for c in applications for p in c.get("ports") or [] if p.get("protocol", "TCP") == "TCP"]
        return cls(
            name=pod["metadata"]["name"],
            namespace=namespace_of(pod),
            address=pod["status"]["podIP"],
            labels=pod["metadata"].get("labels") or {},
            workload=workload_of(pod),
            is_gateway=not applications,
            container_ports=tuple(sorted({p["containerPort"]: p.get("name", "") for p in ports}.items())),
        )


def visible(export_to: tuple[str, ...], namespace: str, client: str) -> bool:
    """Tell whether an object of `namespace` is for clients in the namespace `client`."""
    return any(to in ("*", client) or (to == "." and namespace == client) for to in export_to)


def _export_to(obj: Object) -> tuple[str, ...]:
    return tuple(obj["spec"].get("exportTo") or ("*",))


@dataclass(frozen=True)
class Snapshot:
    """All that the translation reads; Istio's objects oldest first, as Istio ranks them."""

    services: Mapping[str, Service]
    kubernetes_services: tuple[Object, ...]
    virtual_services: tuple[Object, ...]
    destination_rules: tuple[Object, ...]
    gateways: tuple[Object, ...]

    @classmethod
    def read(cls, store: Store) -> "Snapshot":
        """Return the present state of `store`."""
        pods = {(namespace_of(p), p["metadata"]["name"]): p for p in store.select("Pod")}
        kubernetes = store.select("Service")
        services: dict[str, Service] = {}
        slices: dict[tuple[str, str], list[Object]] = {}
        for piece in store.select("EndpointSlice"):
            owner = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
            slices.setdefault((namespace_of(piece), owner), []).append(piece)
        for obj in kubernetes:
            service = _kubernetes_service(obj, slices, pods)
            services[service.host] = service
        for obj in _oldest_first(store.select("ServiceEntry")):
            for service in _service_entry(obj):
                services.setdefault(service.host, service)
        return cls(
            services=services,
            kubernetes_services=tuple(kubernetes),
            virtual_services=tuple(_oldest_first(store.select("VirtualService"))),
            destination_rules=tuple(_oldest_first(store.select("DestinationRule"))),
            gateways=tuple(_oldest_first(store.select("Gateway"))),
        )

    def visible_services(self, namespace: str) -> list[Service]:
        """Return the services that clients in `namespace` may know, sorted by name."""
        found = [s for s in self.services.values() if visible(s.export_to, s.namespace, namespace)]
        return sorted(found, key=lambda service: service.host)

    def mesh_virtual_service(self, host: str, namespace: str) -> Object | None:
        """Return the VirtualService that sidecars in `namespace` follow for `host`.

        The most specific name wins, then the oldest object; sidecars never merge two.
        """
        best: tuple[int, Object] | None = None
        for obj in self.virtual_services:
            own = namespace_of(obj)
            if MESH not in gateways_of(obj) or not visible(_export_to(obj), own, namespace):
                continue
            for pattern in obj["spec"].get("hosts", []):
                name = full_name(pattern, own)
                if covers(name, host) and (best is None or len(name) > best[0]):
                    best = (len(name), obj)
        return best[1] if best else None

    def destination_rule(self, host: str, service_namespace: str, namespace: str) -> Json:
        """Return the spec of the DestinationRule for `host` that clients in `namespace` follow, or {}.

        Looked for in the client's namespace, the service's, then the root namespace; two for one host in one
        namespace are merged: all subsets, and the oldest trafficPolicy
        (https://istio.io/latest/docs/ops/best-practices/traffic-management/#cross-namespace-configuration).
        """
        for where in dict.fromkeys((namespace, service_namespace, ROOT_NAMESPACE)):
            found = [
                (full_name(obj["spec"]["host"], where), obj["spec"])
                for obj in self.destination_rules
                if namespace_of(obj) == where
                and visible(_export_to(obj), where, namespace)
                and covers(full_name(obj["spec"]["host"], where), host)
            ]
            if found:
                longest = max(len(name) for name, _ in found)
                return _merged([spec for name, spec in found if len(name) == longest])
        return {}

    def service_for(self, proxy: Proxy, container_port: int, name: str) -> tuple[Service, Port] | None:
        """Return the first Service, and its port, that sends to `container_port` of the proxy's pod."""
        for obj in self.kubernetes_services:
            selector = obj["spec"].get("selector")
            if namespace_of(obj) != proxy.namespace or not matches(proxy.labels, selector):
                continue
            for piece in obj["spec"].get("ports") or []:
                target = piece.get("targetPort", piece["port"])
                if target in (container_port, str(container_port)) or (name and target == name):
                    service = self.services[service_host(obj["metadata"]["name"], namespace_of(obj))]
                    port = service.port(piece["port"])
                    if port is not None:
                        return service, port
        return None


def gateways_of(virtual_service: Object) -> list[str]:
    """Return the gateways of a VirtualService: `mesh`, or `namespace/name`."""
    own = namespace_of(virtual_service)
    return qualified_gateways(virtual_service["spec"].get("gateways") or [MESH], own)


def qualified_gateways(names: list[str], namespace: str) -> list[str]:
    """Return gateways' names with their namespaces, `namespace` where they tell none."""
    return [name if name == MESH or "/" in name else f"{namespace}/{name}" for name in names]


def _oldest_first(objects: list[Object]) -> list[Object]:
    return sorted(
        objects,
        key=lambda o: (o["metadata"]["creationTimestamp"], o["metadata"]["name"], namespace_of(o)),
    )


def _merged(specs: list[Json]) -> Json:
    subsets: dict[str, Json] = {}
    for spec in specs:
        for subset in spec.get("subsets") or []:
            subsets.setdefault(subset["name"], subset)
    policy: Json = next((spec["trafficPolicy"] for spec in specs if spec.get("trafficPolicy")), {})
    return {"trafficPolicy": policy, "subsets": list(subsets.values())}


def _kubernetes_service(
    obj: Object, slices: Mapping[tuple[str, str], list[Object]], pods: Mapping[tuple[str, str], Object]
) -> Service:
    name, namespace, spec = obj["metadata"]["name"], namespace_of(obj), obj["spec"]
    pieces = [p for p in spec.get("ports") or [] if p.get("protocol", "TCP") == "TCP"]
    ports = tuple(
        Port(p["port"], p.get("name", ""), protocol_of(p.get("name", ""), p.get("appProtocol")))
        for p in pieces
    )
    found: dict[int, list[Endpoint]] = {port.number: [] for port in ports}
    for piece in slices.get((namespace, name), []):
        for port in ports:
            numbers = [p["port"] for p in piece.get("ports") or [] if (p.get("name") or "") == port.name]
            for entry in piece.get("endpoints") or []:
                # An absent condition means ready (EndpointConditions' own rule).
                if (entry.get("conditions") or {}).get("ready") is False:
                    continue
                pod = pods.get((namespace, (entry.get("targetRef") or {}).get("name", "")))
                labels = (pod or {}).get("metadata", {}).get("labels") or {}
                workload = workload_of(pod) if pod else Workload()
                found[port.number] += [
                    Endpoint(address, number, labels, workload)
                    for address in entry["addresses"]
                    for number in numbers
                ]
    addresses = [spec.get("clusterIP"), *(spec.get("clusterIPs") or [])]
    annotation = (obj["metadata"].get("annotations") or {}).get("networking.istio.io/exportTo", "*")
    return Service(
        host=service_host(name, namespace),
        name=name,
        namespace=namespace,
        ports=ports,
        endpoints={n: tuple(sorted(e, key=lambda x: (x.address, x.port))) for n, e in found.items()},
        discovery=STATIC,
        addresses=tuple(dict.fromkeys(a for a in addresses if a and a != "None")),
        export_to=tuple(part.strip() for part in annotation.split(",")),
    )


def _service_entry(obj: Object) -> list[Service]:
    spec, namespace = obj["spec"], namespace_of(obj)
    ports = tuple(
        Port(p["number"], p.get("name", ""), protocol_of(p.get("protocol", "") or p.get("name", "")))
        for p in spec.get("ports") or []
    )
    services = []
    for host in spec.get("hosts", []):
        entries = spec.get("endpoints") or ([{"address": host}] if spec.get("resolution") == "DNS" else [])
        endpoints = {
            port.number: tuple(
                Endpoint(
                    address=entry["address"],
                    port=(entry.get("ports") or {}).get(port.name, piece.get("targetPort", port.number)),
                    labels=entry.get("labels") or {},
                    weight=entry.get("weight") or 1,
                )
                for entry in entries
            )
            for port, piece in zip(ports, spec.get("ports") or [], strict=True)
        }
        services.append(
            Service(
                host=host.lower(),
                name=host.lower(),
                namespace=namespace,
                ports=ports,
                endpoints=endpoints,
                discovery=DNS if spec.get("resolution") == "DNS" else STATIC,
                addresses=tuple(a for a in spec.get("addresses") or [] if "/" not in a),
                export_to=_export_to(obj),
            )
        )
    return services


def proxied_pods(store: Store) -> list[Object]:
    """Return the pods that have an Envoy and an address."""
    return [pod for pod in store.select("Pod") if has_proxy(pod) and pod.get("status", {}).get("podIP")]
