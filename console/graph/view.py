"""One view of the graph as the page draws it: filtered, placed, with its texts."""

from dataclasses import dataclass, field
from typing import Any

from console.graph import build as builder
from console.graph import expressions
from console.graph.build import Answers, Options, build
from console.graph.layout import Layout, layout
from console.graph.model import Edge, Graph, Node, Traffic, total
from console.graph.quantiles import quantile

LABELS = ("rate", "share", "p50", "p95", "p99", "throughput", "none")
INTERVALS = ("1m", "5m", "10m", "30m", "1h")


@dataclass(frozen=True)
class View:
    """What the controls of the page say."""

    namespace: str
    interval: str = "5m"
    label: str = "rate"
    options: Options = field(default_factory=Options)
    find: str = ""
    hide: str = ""
    compressed: bool = True
    focus: str = ""


def picture(answers: Answers, view: View, badges: dict[str, str]) -> dict[str, Any]:
    """Return nodes, arcs and boxes with places, texts and colours; `badges`: VirtualServices by host.

    Raises ExpressionError.
    """
    graph = build(answers, view.namespace, view.options)
    if view.focus:
        graph = _around(graph, view.focus)
    hidden = expressions.matching(graph, view.hide)
    shown = _without(graph, hidden)
    places = layout(shown if view.compressed else graph, view.focus)
    found = expressions.matching(shown, view.find)
    return {
        "nodes": [_node(shown, node, places, found, badges) for node in shown.nodes.values()],
        "edges": [_edge(edge, shown, view.label, places, found) for edge in shown.edges.values()],
        "boxes": [
            {
                "id": box,
                "name": box.rpartition("/")[2],
                "x": place.x,
                "y": place.y,
                "width": place.width,
                "height": place.height,
            }
            for box, place in places.boxes.items()
            if shown.members(box)
        ],
        "width": places.width,
        "height": places.height,
        "found": len(found),
        "hidden": len(hidden),
        "summary": _summary(shown, view.focus),
    }


def _around(graph: Graph, focus: str) -> Graph:
    """Return a box (or node) with the nodes that it gets from and sends to, and the arcs that touch it."""
    inside = set(graph.members(focus)) or ({focus} & set(graph.nodes))
    edges = [e for e in graph.edges.values() if e.source.id in inside or e.target.id in inside]
    nodes = inside | {end.id for edge in edges for end in (edge.source, edge.target)}
    return graph.only(nodes, [edge.id for edge in edges])


def _without(graph: Graph, hidden: set[str]) -> Graph:
    """Return the graph without some nodes and arcs, and without nodes that only hidden arcs led to."""
    rest = graph.only(
        (n for n in graph.nodes if n not in hidden), (e for e in graph.edges if e not in hidden)
    )
    lost = {
        end.id for name, edge in graph.edges.items() if name in hidden for end in (edge.source, edge.target)
    }
    lonely = {node for node in lost if not any(rest.into(node)) and not any(rest.out_of(node))}
    return rest.only(node for node in rest.nodes if node not in lonely)


def number(value: float) -> str:
    """Return a number with as many digits as a label needs: 3 significant ones, 2 after the point at most."""
    if value and abs(value) < 0.01:
        return f"{value:.2g}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def rate_text(traffic: Traffic) -> str:
    """Return req/s, or KB/s of what TCP answers; "" where nothing flows."""
    if traffic.is_idle:
        return ""
    if traffic.rate:
        return f"{number(traffic.rate)} req/s"
    return f"{number(traffic.tcp_sent / 1000)} KB/s"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{number(value / 1000)} s" if value >= 1000 else f"{number(value)} ms"


def label_text(edge: Edge, graph: Graph, label: str) -> str:
    """Return what an arc shows; "" where nothing flows."""
    traffic = edge.traffic
    if traffic.is_idle or label == "none":
        return ""
    if label == "share":
        # Of what its source sends, as with the weights of a VirtualService.
        everything = total(graph.out_of(edge.source.id))
        if traffic.rate and everything.rate:
            return f"{number(100 * traffic.rate / everything.rate)} %"
        return f"{number(100 * traffic.tcp_sent / everything.tcp_sent)} %" if everything.tcp_sent else ""
    if label == "throughput":
        sizes = [size for size in (traffic.request_bytes, traffic.response_bytes) if size is not None]
        if traffic.is_tcp:
            sizes = [traffic.tcp_sent, traffic.tcp_received]
        return f"{number(sum(sizes) / 1000)} KB/s" if sizes else ""
    if label in ("p50", "p95", "p99"):
        return _milliseconds(quantile(int(label[1:]) / 100, traffic.buckets))
    return rate_text(traffic)


def node_label(node: Node) -> str:
    """Return the text below a node: a version inside its app's box, else the name."""
    return node.version or node.name


_KIND_TEXT = {
    "service": "service",
    "external": "external service",
    "app": "app",
    "workload": "workload",
    "operation": "operation",
    "unknown": "source outside of the mesh",
}


def describe(node: Node) -> str:
    """Return a node in words."""
    if node.kind == "unknown":
        return "unknown, source outside of the mesh"
    version = f" version {node.version}" if node.version else ""
    return f"{_KIND_TEXT[node.kind]} {node.parts[1] if node.kind == 'app' else node.name}{version}"


def _node(
    graph: Graph, node: Node, places: Layout, found: set[str], badges: dict[str, str]
) -> dict[str, Any]:
    x, y = places.nodes[node.id]
    incoming, outgoing = total(graph.into(node.id)), total(graph.out_of(node.id))
    health = graph.health(node.id)
    boxed = node.id in graph.boxes
    badge = badges.get(node.host, "") if node.kind == "service" else ""
    return {
        "id": node.id,
        "kind": node.kind,
        "label": node_label(node) if boxed else node.name,
        "sublabel": node.version if not boxed else "",
        "namespace": node.namespace,
        "box": graph.boxes.get(node.id, ""),
        "x": x,
        "y": y,
        "health": health,
        "badge": badge,
        "found": node.id in found,
        "in": rate_text(incoming),
        "out": rate_text(outgoing),
        "text": (
            f"{describe(node)}; {health}; in {rate_text(incoming) or 'nothing'}, "
            f"out {rate_text(outgoing) or 'nothing'}" + (f"; VirtualService {badge}" if badge else "")
        ),
    }


def _edge(edge: Edge, graph: Graph, label: str, places: Layout, found: set[str]) -> dict[str, Any]:
    traffic = edge.traffic
    errors = f", {number(traffic.error_share)} % errors" if traffic.errors else ""
    x, y = places.middles[edge.id]
    return {
        "id": edge.id,
        "source": edge.source.id,
        "target": edge.target.id,
        "path": places.paths[edge.id],
        "x": x,
        "y": y,
        "health": traffic.health,
        "protocol": "tcp" if traffic.is_tcp and not traffic.rate else "http",
        "rate": traffic.rate,
        "bytes": traffic.tcp_sent,
        "errorShare": traffic.error_share,
        "latency": traffic.average,
        "label": label_text(edge, graph, label),
        "rateText": rate_text(traffic),
        "found": edge.id in found,
        "text": (
            f"{describe(edge.source)} to {describe(edge.target)}: {traffic.health}, "
            f"{rate_text(traffic) or 'no traffic'}{errors}"
        ),
    }


def _summary(graph: Graph, focus: str) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for edge in graph.edges.values():
        counts[edge.traffic.health] = counts.get(edge.traffic.health, 0) + 1
    found: dict[str, Any] = {
        "services": sum(node.kind == "service" for node in graph.nodes.values()),
        "workloads": sum(node.kind in ("app", "workload") for node in graph.nodes.values()),
        "arcs": len(graph.edges),
        "health": counts,
    }
    inside = set(graph.members(focus)) or {focus}
    if focus:
        into = total(e for e in graph.edges.values() if e.target.id in inside and e.source.id not in inside)
        out = total(e for e in graph.edges.values() if e.source.id in inside and e.target.id not in inside)
        found |= {"in": rate_text(into), "out": rate_text(out), "inRate": into.rate, "outRate": out.rate}
    return found


__all__ = ["View", "builder", "picture"]
