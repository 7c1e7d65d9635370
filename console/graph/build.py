"""From the answers to graph.queries to a Graph; no input or output."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from console.graph.model import (
    UNKNOWN,
    Edge,
    Graph,
    Labels,
    Node,
    Traffic,
    is_unknown,
    service_node,
)
from console.prometheus import Sample

Answers = Mapping[str, list[Sample]]

VERSIONED_APP, WORKLOAD = "versionedApp", "workload"
GRAPH_TYPES = (VERSIONED_APP, WORKLOAD)

_POD = re.compile(r"(?P<workload>.+?)(?:-[a-z0-9]{6,10})?-[a-z0-9]{5}")
"""A pod's name: its Deployment's, its ReplicaSet's hash and five letters of its own."""


@dataclass(frozen=True)
class Options:
    """What to show of a namespace's graph."""

    graph_type: str = VERSIONED_APP
    services: bool = True
    operations: bool = False
    idle_nodes: bool = False


def build(answers: Answers, namespace: str, options: Options) -> Graph:
    """Return the graph of a namespace."""
    graph = Graph()
    for sample in answers.get("requests", []):
        for edge in _path(graph, sample.labels, options):
            _add_request(edge, sample)
    for name, add in _ADD.items():
        for sample in answers.get(name, []):
            if not math.isnan(sample.value):
                for edge in _path(graph, sample.labels, options):
                    add(edge.traffic, sample)
    if options.idle_nodes:
        for sample in answers.get("pods", []):
            _add_pod(graph, sample.labels, namespace, options)
    if options.graph_type == VERSIONED_APP:
        _box(graph)
    return graph


def _path(graph: Graph, labels: Labels, options: Options) -> Iterable[Edge]:
    """Return the arcs that a series runs along: source, service, operation, destination; as far as shown."""
    nodes = [_workload_node(labels, "source", options)]
    host = labels.get("destination_service", "")
    destination = _workload_node(labels, "destination", options)
    if not is_unknown(host):
        service = service_node(host)
        if options.services or service.kind == "external" or destination.kind == UNKNOWN:
            nodes.append(service)
        operation = labels.get("request_operation", "")
        if options.operations and not is_unknown(operation):
            nodes.append(Node("operation", (host, operation)))
    if destination.kind != UNKNOWN or len(nodes) == 1:
        nodes.append(destination)
    return [graph.edge(a, b) for a, b in itertools.pairwise(nodes)]


def _workload_node(labels: Labels, side: str, options: Options) -> Node:
    if is_unknown(labels.get(f"{side}_workload", "")):
        return Node(UNKNOWN)
    space = labels.get(f"{side}_workload_namespace", "")
    if options.graph_type == WORKLOAD or is_unknown(labels.get(f"{side}_app", "")):
        return Node("workload", (space, labels[f"{side}_workload"]))
    return Node("app", (space, labels[f"{side}_app"], labels.get(f"{side}_version", "")))


def _add_request(edge: Edge, sample: Sample) -> None:
    labels = sample.labels
    code, flags = labels.get("response_code", ""), labels.get("response_flags", "") or "-"
    protocol = labels.get("request_protocol") or "http"
    edge.traffic.responses[protocol, code, flags] += sample.value
    edge.traffic.hosts[labels.get("destination_service", UNKNOWN), code] += sample.value


def _add_sent(traffic: Traffic, sample: Sample) -> None:
    traffic.is_tcp = True
    traffic.tcp_sent += sample.value


def _add_received(traffic: Traffic, sample: Sample) -> None:
    traffic.is_tcp = True
    traffic.tcp_received += sample.value


def _add_duration_sum(traffic: Traffic, sample: Sample) -> None:
    traffic.duration_sum += sample.value


def _add_duration_count(traffic: Traffic, sample: Sample) -> None:
    traffic.duration_count += sample.value


def _add_bucket(traffic: Traffic, sample: Sample) -> None:
    traffic.buckets[float(sample.labels["le"])] += sample.value


def _add_request_bytes(traffic: Traffic, sample: Sample) -> None:
    traffic.request_bytes = (traffic.request_bytes or 0) + sample.value


def _add_response_bytes(traffic: Traffic, sample: Sample) -> None:
    traffic.response_bytes = (traffic.response_bytes or 0) + sample.value


_ADD: dict[str, Callable[[Traffic, Sample], None]] = {
    "tcp_sent": _add_sent,
    "tcp_received": _add_received,
    "duration_sum": _add_duration_sum,
    "duration_count": _add_duration_count,
    "buckets": _add_bucket,
    "request_bytes": _add_request_bytes,
    "response_bytes": _add_response_bytes,
}


def _add_pod(graph: Graph, labels: Labels, namespace: str, options: Options) -> None:
    """Add the node of a pod that Prometheus knows, though nothing has come or gone there."""
    match = _POD.fullmatch(labels.get("pod", ""))
    if options.graph_type == WORKLOAD:
        if match is None:
            return
        node = Node("workload", (namespace, match["workload"]))
    else:
        node = Node("app", (namespace, labels["app"], labels.get("version", "")))
    graph.nodes.setdefault(node.id, node)


def box_id(namespace: str, app: str) -> str:
    """Return the id of an app's box."""
    return f"box/{namespace}/{app}"


def _box(graph: Graph) -> None:
    """Put a service and the versions that answer for it into their app's box; one alone gets none."""
    groups: dict[str, set[str]] = {}
    for node in graph.nodes.values():
        if node.kind == "app":
            groups.setdefault(box_id(node.parts[0], node.parts[1]), set()).add(node.id)
    for node in graph.nodes.values():
        if node.kind in ("service", "operation"):
            box = _box_of_service(graph, node)
            if box in groups:
                groups[box].add(node.id)
    for box, members in groups.items():
        if len(members) > 1:
            graph.boxes.update(dict.fromkeys(members, box))


def _box_of_service(graph: Graph, node: Node) -> str:
    """Return the box of the one app that answers for a service, else of the app with the service's name."""
    reached, seen = [node], {node.id}
    apps = set()
    while reached:
        for edge in graph.out_of(reached.pop().id):
            if edge.target.kind == "app":
                apps.add(box_id(*edge.target.parts[:2]))
            elif edge.target.id not in seen:
                seen.add(edge.target.id)
                reached.append(edge.target)
    named = box_id(node.namespace, node.host.partition(".")[0])
    return apps.pop() if len(apps) == 1 else named
