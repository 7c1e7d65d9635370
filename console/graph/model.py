"""Nodes, arcs and boxes. Their ids stand in URLs and say by themselves which series they stand for."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from console.graph import health
from console.graph.health import Health

UNKNOWN = "unknown"
_CLUSTER_HOST = ".svc."


class ElementError(ValueError):
    """An id that names no node, arc or box."""


def is_unknown(value: str) -> bool:
    """Tell whether a label's value says nothing: Istio writes `unknown`, others leave the label away."""
    return value in ("", UNKNOWN)


@dataclass(frozen=True)
class Node:
    """One node; `kind`: service, app (a version of an app), workload, external, operation or unknown.

    `parts` are what identifies it: a service's host; namespace, app and version; namespace and workload;
    a service's host and operation.
    """

    kind: str
    parts: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Return the node's id."""
        return "/".join((self.kind, *self.parts))

    @classmethod
    def parse(cls, text: str) -> "Node":
        """Return the node with this id. Raises ElementError."""
        kind, *parts = text.split("/", _PARTS.get(text.partition("/")[0], 0))
        if kind not in _PARTS or len(parts) != _PARTS[kind]:
            raise ElementError(f"{text!r} is no node")
        return cls(kind, tuple(parts))

    @property
    def host(self) -> str:
        """Return the host of a service, else ""."""
        return self.parts[0] if self.kind in ("service", "external", "operation") else ""

    @property
    def namespace(self) -> str:
        """Return the namespace, "" where it has none or it is not known."""
        if self.kind in ("app", "workload"):
            return "" if is_unknown(self.parts[0]) else self.parts[0]
        name, _, rest = self.host.partition(".")
        return rest.partition(".")[0] if name and _CLUSTER_HOST in self.host else ""

    @property
    def name(self) -> str:
        """Return the name of the service, app or workload."""
        if self.kind == UNKNOWN:
            return UNKNOWN
        if self.kind == "service":
            return self.host.partition(".")[0]
        if self.kind == "operation":
            return self.parts[1]
        return self.host or self.parts[1]

    @property
    def version(self) -> str:
        """Return the version of an app, "" where there is none."""
        return self.parts[2] if self.kind == "app" and not is_unknown(self.parts[2]) else ""


_PARTS = {"service": 1, "external": 1, "operation": 2, "app": 3, "workload": 2, UNKNOWN: 0}


def service_node(host: str) -> Node:
    """Return the node of a service's host: inside the mesh, or outside (a ServiceEntry's)."""
    return Node("service" if _CLUSTER_HOST in host else "external", (host,))


@dataclass
class Traffic:
    """What flows over an arc, or into a node, a second; bytes for TCP."""

    responses: defaultdict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))
    """Rate by protocol (http, grpc), response code and response flags."""
    hosts: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """Rate by host and response code."""
    tcp_sent: float = 0.0
    tcp_received: float = 0.0
    is_tcp: bool = False
    duration_sum: float = 0.0
    """Milliseconds spent a second, whose quotient with `duration_count` is the average."""
    duration_count: float = 0.0
    buckets: defaultdict[float, float] = field(default_factory=lambda: defaultdict(float))
    """Rate of requests by the upper limit of their bucket in milliseconds, cumulative."""
    request_bytes: float | None = None
    response_bytes: float | None = None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return sum(self.responses.values())

    @property
    def errors(self) -> float:
        """Failed requests a second."""
        return sum(r for (p, code, _), r in self.responses.items() if health.is_error(code, p))

    @property
    def error_share(self) -> float:
        """Failed requests in percent, 0 where there are none at all."""
        return 100 * self.errors / self.rate if self.rate else 0.0

    @property
    def average(self) -> float | None:
        """Average duration in milliseconds."""
        return self.duration_sum / self.duration_count if self.duration_count > 0 else None

    @property
    def is_idle(self) -> bool:
        """Whether nothing flows."""
        return not (self.rate or self.tcp_sent or self.tcp_received)

    @property
    def health(self) -> Health:
        """Health by the rates of each protocol; bytes alone are healthy."""
        found = [health.of_rates(rates, protocol) for protocol, rates in self.codes().items()]
        if self.tcp_sent or self.tcp_received:
            found.append(Health.HEALTHY)
        return health.worst(*found)

    def codes(self) -> dict[str, dict[str, float]]:
        """Return rate by response code, by protocol."""
        found: dict[str, dict[str, float]] = {}
        for (protocol, code, _), rate in self.responses.items():
            rates = found.setdefault(protocol, {})
            rates[code] = rates.get(code, 0.0) + rate
        return found


@dataclass
class Edge:
    """An arc with its traffic."""

    source: Node
    target: Node
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def id(self) -> str:
        """Return the arc's id."""
        return f"{self.source.id}>{self.target.id}"


def parse_edge(text: str) -> tuple[Node, Node]:
    """Return both ends of the arc with this id. Raises ElementError."""
    source, arrow, target = text.partition(">")
    if not arrow:
        raise ElementError(f"{text!r} is no arc")
    return Node.parse(source), Node.parse(target)


@dataclass
class Graph:
    """Nodes and arcs by id, and which box each node stands in: box id by node id."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[str, Edge] = field(default_factory=dict)
    boxes: dict[str, str] = field(default_factory=dict)

    def edge(self, source: Node, target: Node) -> Edge:
        """Return the arc between two nodes; it and they are added where they are missing."""
        found = Edge(source, target)
        self.nodes.setdefault(source.id, source)
        self.nodes.setdefault(target.id, target)
        return self.edges.setdefault(found.id, found)

    def into(self, node_id: str) -> Iterator[Edge]:
        """Yield the arcs that end at a node."""
        return (edge for edge in self.edges.values() if edge.target.id == node_id)

    def out_of(self, node_id: str) -> Iterator[Edge]:
        """Yield the arcs that begin at a node."""
        return (edge for edge in self.edges.values() if edge.source.id == node_id)

    def members(self, box: str) -> list[str]:
        """Return the ids of the nodes in a box."""
        return [node for node, where in self.boxes.items() if where == box]

    def only(self, nodes: Iterable[str], edges: Iterable[str] | None = None) -> "Graph":
        """Return the part with these nodes, and with these arcs or all between them."""
        kept = set(nodes)
        wanted = None if edges is None else set(edges)
        return Graph(
            {name: node for name, node in self.nodes.items() if name in kept},
            {
                name: edge
                for name, edge in self.edges.items()
                if edge.source.id in kept and edge.target.id in kept and (wanted is None or name in wanted)
            },
            {node: box for node, box in self.boxes.items() if node in kept},
        )

    def health(self, node_id: str) -> Health:
        """Return a node's health: that of all it receives together, or of all it sends, the worse."""
        return health.worst(*(total(side).health for side in (self.into(node_id), self.out_of(node_id))))


def total(edges: Iterable[Edge]) -> Traffic:
    """Return the traffic of several arcs together; latencies are left out."""
    result = Traffic()
    for edge in edges:
        for answer, rate in edge.traffic.responses.items():
            result.responses[answer] += rate
        result.tcp_sent += edge.traffic.tcp_sent
        result.tcp_received += edge.traffic.tcp_received
        result.is_tcp |= edge.traffic.is_tcp
    return result


Labels = Mapping[str, str]
