"""What the side panel says of an arc or node: its own PromQL, asked when it is selected."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from console.graph import health, queries
from console.graph.model import ElementError, Node, is_unknown, parse_edge
from console.graph.view import describe, node_label
from console.prometheus import Prometheus, PrometheusError, Sample, Series

STEP = 60
"""Seconds between two points of the plot."""

_CLASSES = ("2xx", "3xx", "4xx", "5xx", "0")
_DIMENSIONS = ("destination_service", *queries.ANSWER)


@dataclass(frozen=True)
class _Direction:
    name: str
    matchers: list[str]


def panel(prometheus: Prometheus, element: str, interval: str, now: float) -> dict[str, Any]:
    """Return the panel of the arc or node with this id over `interval` (5m) before `now`.

    Raises ElementError, PrometheusError.
    """
    if ">" in element:
        source, target = parse_edge(element)
        directions = [_Direction("", queries.of_edge(source, target))]
        title = f"{title_of(source)} → {title_of(target)}"
        about = f"From {describe(source)} to {describe(target)}"
    else:
        node = Node.parse(element)
        sides = (("Inbound", True), ("Outbound", False))
        directions = [_Direction(name, queries.of_node(node, inbound=inbound)) for name, inbound in sides]
        directions = [direction for direction in directions if direction.matchers]
        title, about = title_of(node), describe(node)
    if not directions:
        raise ElementError(f"{element!r} neither gets nor sends anything")
    parts = [_direction(prometheus, direction, interval, now) for direction in directions]
    return {"id": element, "title": title, "about": about, "interval": interval, "directions": parts}


def title_of(node: Node) -> str:
    """Return a node's name with its version."""
    label = node_label(node)
    return node.name if label == node.name else f"{node.name} {label}"


def _direction(prometheus: Prometheus, direction: _Direction, interval: str, now: float) -> dict[str, Any]:
    matchers = direction.matchers
    instant = {
        "rate": queries.summed(queries.REQUESTS, matchers, interval, _DIMENSIONS),
        "sent": queries.summed("istio_tcp_sent_bytes_total", matchers, interval),
        "received": queries.summed("istio_tcp_received_bytes_total", matchers, interval),
    }
    plots = {
        "Average": queries.average(matchers, "1m"),
        "P50": queries.quantile(0.5, matchers, "1m"),
        "P95": queries.quantile(0.95, matchers, "1m"),
        "P99": queries.quantile(0.99, matchers, "1m"),
    }
    answers = prometheus.gather(instant, now)
    seconds = interval_seconds(interval)
    ranges = prometheus.map_ranges(plots, now - seconds, now, STEP)
    sent, received = (sum(s.value for s in answers[name]) for name in ("sent", "received"))
    has_tcp = bool(sent or received)
    return {
        "name": direction.name,
        "http": _http(answers["rate"]),
        "tcp": {"sent": sent, "received": received} if has_tcp else None,
        "plot": [_trace(name, found) for name, found in ranges.items()],
        "promql": _shown(instant, plots, has_tcp=has_tcp),
    }


def interval_seconds(interval: str) -> int:
    """Return the seconds of a duration as 5m or 1h."""
    return int(interval[:-1]) * {"s": 1, "m": 60, "h": 3600}[interval[-1]]


def _shown(instant: dict[str, str], plots: dict[str, str], *, has_tcp: bool) -> list[dict[str, str]]:
    """Return the queries to copy: requests with their durations, and bytes where there are any."""
    found = [("Requests a second, by host and answer", instant["rate"])]
    found += [(f"{name}, in milliseconds", text) for name, text in plots.items()]
    if has_tcp:
        found = [("Bytes sent a second", instant["sent"]), ("Bytes received a second", instant["received"])]
    return [{"name": name, "query": text} for name, text in found]


def _http(samples: list[Sample]) -> dict[str, Any] | None:
    """Return rates and shares; None where no request was counted in the interval."""
    rows = [s for s in samples if s.labels.get("response_code")]
    if not rows:
        return None
    total = sum(s.value for s in rows)
    errors = sum(s.value for s in rows if _is_error(s))
    classes: dict[str, float] = defaultdict(float)
    flags: dict[tuple[str, str], float] = defaultdict(float)
    hosts: dict[str, dict[str, float]] = {}
    for sample in rows:
        code = sample.labels["response_code"]
        classes[_class(code)] += sample.value
        flag = sample.labels.get("response_flags") or "-"
        if sample.value:
            flags[code, flag] += sample.value
        host = hosts.setdefault(sample.labels.get("destination_service", ""), {"rate": 0.0, "errors": 0.0})
        host["rate"] += sample.value
        host["errors"] += sample.value if _is_error(sample) else 0
    return {
        "rate": total,
        "success": 100 * (total - errors) / total if total else None,
        "error": 100 * errors / total if total else None,
        "classes": [
            {"name": name, "share": 100 * classes[name] / total if total else 0} for name in _CLASSES
        ],
        "flags": [
            {"code": code, "flags": flag, "share": 100 * rate / total}
            for (code, flag), rate in sorted(flags.items())
        ],
        "hosts": [
            {
                "host": "unknown" if is_unknown(host) else host,
                "rate": sums["rate"],
                "error": 100 * sums["errors"] / sums["rate"] if sums["rate"] else None,
            }
            for host, sums in sorted(hosts.items())
        ],
    }


def _is_error(sample: Sample) -> bool:
    return health.is_error(sample.labels["response_code"], sample.labels.get("request_protocol", "http"))


def _class(code: str) -> str:
    return f"{code[0]}xx" if code[:1] in {"2", "3", "4", "5"} and len(code) == 3 else "0"


def _trace(name: str, found: list[Series] | PrometheusError) -> dict[str, Any]:
    if isinstance(found, PrometheusError):
        raise found
    points = found[0].points if found else []
    return {"name": name, "points": points}
