"""The PromQL behind the graph: a fixed number of queries, whatever the number of arcs.

Which series count is Kiali's rule: what the sender's side reports, and what the receiver's side reports only
where the sender has no proxy (source_workload="unknown"). Services' namespaces are read off their hosts, because not
every mesh has the label destination_service_namespace.
"""

import re
from collections.abc import Iterable

from console.graph.model import UNKNOWN, Node
from console.prometheus import quote

ENDS = (
    "source_workload_namespace",
    "source_workload",
    "source_app",
    "source_version",
    "destination_service",
    "destination_workload_namespace",
    "destination_workload",
    "destination_app",
    "destination_version",
    "request_operation",
)
"""Labels that say between which nodes a request went."""

ANSWER = ("request_protocol", "response_code", "response_flags")

REQUESTS = "istio_requests_total"
DURATION = "istio_request_duration_milliseconds"
_SENDER = 'reporter="source"'
_RECEIVER = f'reporter="destination",source_workload="{UNKNOWN}"'


def of_namespace(namespace: str) -> list[str]:
    """Return label matchers that select the traffic from, to and within a namespace."""
    name, host = quote(namespace), quote(rf".+\.{re.escape(namespace)}\.svc\..+")
    return [
        f"{_RECEIVER},destination_workload_namespace={name}",
        f"{_SENDER},destination_service=~{host}",
        f"{_SENDER},source_workload_namespace={name}",
    ]


def of_edge(source: Node, target: Node) -> list[str]:
    """Return label matchers that select the traffic of one arc."""
    ends = [*_source(source), *_target(target)]
    if source.kind in ("service", "operation"):
        # A service stands for all who call it.
        ends = [f"destination_service={quote(source.host)}", *ends]
        if source.kind == "operation":
            ends.append(f"request_operation={quote(source.parts[1])}")
        return [",".join((side, *ends)) for side in (_SENDER, _RECEIVER)]
    return [",".join((_RECEIVER if source.kind == UNKNOWN else _SENDER, *ends))]


def of_node(node: Node, *, inbound: bool) -> list[str]:
    """Return label matchers that select what a node receives, or what it sends; [] where it does neither."""
    if inbound:
        if node.kind == UNKNOWN:
            return []
        return [",".join((side, *_target(node))) for side in (_SENDER, _RECEIVER)]
    if node.kind == UNKNOWN:
        return [_RECEIVER]
    if node.kind in ("app", "workload"):
        return [",".join((_SENDER, *_source(node)))]
    return []


def _workload(node: Node, side: str) -> list[str]:
    names = ("app", "version") if node.kind == "app" else ("workload",)
    labels = [f"{side}_workload_namespace", *(f"{side}_{name}" for name in names)]
    return [f"{label}={quote(value)}" for label, value in zip(labels, node.parts, strict=True)]


def _source(node: Node) -> list[str]:
    return _workload(node, "source") if node.kind in ("app", "workload") else []


def _target(node: Node) -> list[str]:
    if node.kind in ("service", "external"):
        return [f"destination_service={quote(node.host)}"]
    if node.kind == "operation":
        return [f"destination_service={quote(node.host)}", f"request_operation={quote(node.parts[1])}"]
    return _workload(node, "destination") if node.kind in ("app", "workload") else []


def rate(metric: str, matchers: Iterable[str], interval: str) -> str:
    """Return the rates a second of a counter's series; one that several matchers select counts once."""
    return " or ".join(f"rate({metric}{{{matcher}}}[{interval}])" for matcher in matchers)


def summed(metric: str, matchers: Iterable[str], interval: str, by: Iterable[str] = ()) -> str:
    """Return the sum of those rates, by some labels."""
    labels = ", ".join(by)
    return f"sum{f' by ({labels})' if labels else ''} ({rate(metric, matchers, interval)})"


def average(matchers: list[str], interval: str) -> str:
    """Return the average duration in milliseconds."""
    top, bottom = (summed(f"{DURATION}_{part}", matchers, interval) for part in ("sum", "count"))
    return f"{top} / {bottom}"


def quantile(share: float, matchers: list[str], interval: str) -> str:
    """Return a quantile (0 to 1) of the durations in milliseconds."""
    return f"histogram_quantile({share:g}, {summed(f'{DURATION}_bucket', matchers, interval, ['le'])})"


def tcp(direction: str, matchers: list[str], interval: str) -> str:
    """Return bytes a second by ends; `direction`: sent or received. Connections that never carried any are out."""
    metric = f"istio_tcp_{direction}_bytes_total"
    parts = [f"(rate({metric}{{{m}}}[{interval}]) and {metric}{{{m}}} > 0)" for m in matchers]
    return f"sum by ({', '.join(ENDS)}) ({' or '.join(parts)})"


def of_graph(namespace: str, interval: str, label: str) -> dict[str, str]:
    """Return the queries of one refresh by name; `label`: what the arcs show, which may need one more."""
    matchers = of_namespace(namespace)
    found = {
        "requests": summed(REQUESTS, matchers, interval, (*ENDS, *ANSWER)),
        "tcp_sent": tcp("sent", matchers, interval),
        "tcp_received": tcp("received", matchers, interval),
        "duration_sum": summed(f"{DURATION}_sum", matchers, interval, ENDS),
        "duration_count": summed(f"{DURATION}_count", matchers, interval, ENDS),
        "pods": f'group by (app, version, pod) (up{{namespace={quote(namespace)},app!=""}})',
    }
    if label in ("p50", "p95", "p99"):
        found["buckets"] = summed(f"{DURATION}_bucket", matchers, interval, ("le", *ENDS))
    if label == "throughput":
        for side in ("request", "response"):
            found[f"{side}_bytes"] = summed(f"istio_{side}_bytes_sum", matchers, interval, ENDS)
    return found
