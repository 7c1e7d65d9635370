"""The console's pages and their data, as a blueprint."""

import contextlib
import gzip
import importlib.util
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Request, Response, current_app, redirect, render_template, request, url_for
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as BaseResponse

from console import dashboards
from console.config import Config
from console.graph import queries, view
from console.graph.build import GRAPH_TYPES, VERSIONED_APP, Options
from console.graph.expressions import ExpressionError
from console.graph.model import ElementError
from console.graph.panel import panel
from console.kubernetes import Kubernetes, KubernetesError, hosts_of, virtual_services
from console.prometheus import Prometheus, PrometheusError
from console.status import status
from console.weights import WeightsCollector

Answer = dict[str, Any]

_BADGES_SECONDS = 5.0
_BADGES_WAIT = 0.2
_LONGEST = 7 * 24 * 3600
_FRESH = {"Cache-Control": "no-store"}

pages = Blueprint("console", __name__, template_folder="templates", static_folder="static")


@dataclass
class Badges:
    """VirtualServices by host and namespace, read beside the graph so that a slow API does not hold it up."""

    kubernetes: Kubernetes
    _known: dict[str, dict[str, str]] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "badges"))

    def of(self, namespace: str) -> dict[str, str]:
        """Return the VirtualServices' names by host, as last read; {} where they cannot be read."""
        with self._lock:
            due = time.monotonic() - self._asked.get(namespace, -_BADGES_SECONDS) >= _BADGES_SECONDS
            if due:
                self._asked[namespace] = time.monotonic()
        if due:
            reading = self._pool.submit(self._read, namespace)
            with contextlib.suppress(TimeoutError):
                reading.result(_BADGES_WAIT)
        return self._known.get(namespace, {})

    def _read(self, namespace: str) -> None:
        try:
            found = virtual_services(self.kubernetes, namespace)
        except KubernetesError:
            found = []
        self._known[namespace] = {host: v["metadata"]["name"] for v in found for host in hosts_of(v)}


@dataclass
class Sources:
    """What the pages read, and the settings."""

    config: Config
    prometheus: Prometheus
    kubernetes: Kubernetes
    boards: dict[str, dashboards.Json]
    badges: Badges
    weights: CollectorRegistry

    @classmethod
    def of(cls, config: Config) -> "Sources":
        """Return the sources for these settings. Raises DashboardError."""
        kubernetes = Kubernetes()
        weights = CollectorRegistry()
        weights.register(WeightsCollector(kubernetes, config.namespace))
        boards = dashboards.load(config.dashboards)
        return cls(config, Prometheus(config.prometheus_url), kubernetes, boards, Badges(kubernetes), weights)


def _sources() -> Sources:
    found: Sources = current_app.extensions["sources"]
    return found


# --- Pages ------------------------------------------------------------------------------------------------


@pages.get("/")
def index() -> BaseResponse:
    """Lead to the graph."""
    return redirect(
        f"{url_for('console.graph')}?{request.query_string.decode('ascii', 'replace')}".rstrip("?")
    )


def _page(template: str, title: str) -> Response:
    config = _sources().config
    return Response(
        render_template(
            template, title=title, namespace=config.namespace, prometheus_link=config.prometheus_link
        ),
        headers=_FRESH,
    )


@pages.get("/graph")
def graph() -> Response:
    """Show the traffic graph."""
    return _page("graph.html", "Graph")


@pages.get("/dashboards")
def boards() -> Response:
    """Show the dashboards."""
    return _page("dashboards.html", "Dashboards")


@pages.get("/status")
def state() -> Response:
    """Show what runs."""
    return _page("status.html", "Status")


@cache
def _plotly() -> bytes:
    """Return plotly.js, compressed, from the Python package that carries it."""
    package = importlib.util.find_spec("plotly")
    if package is None or not package.submodule_search_locations:
        raise NotFound("plotly.js is missing: install the console's requirements")
    script = Path(package.submodule_search_locations[0]) / "package_data/plotly.min.js"
    return gzip.compress(script.read_bytes(), 6)


@pages.get("/plotly.js")
def plotly() -> Response:
    """Give the library that draws the plots."""
    headers = {"Content-Encoding": "gzip", "Cache-Control": "max-age=86400", "Vary": "Accept-Encoding"}
    return Response(_plotly(), mimetype="text/javascript", headers=headers)


# --- Data ---------------------------------------------------------------------------------------------------


def _one_of(source: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = source.args.get(name, default)
    if value not in allowed:
        raise BadRequest(f"{name}={value!r}: must be one of {', '.join(allowed)}")
    return value


def _flag(name: str, *, default: bool) -> bool:
    return _one_of(request, name, ("0", "1"), "1" if default else "0") == "1"


def _namespace() -> str:
    return request.args.get("namespace") or _sources().config.namespace


@pages.get("/api/graph")
def graph_data() -> Answer:
    """Return the graph of a namespace, placed and labelled."""
    sources, start = _sources(), time.perf_counter()
    wanted = view.View(
        namespace=_namespace(),
        interval=_one_of(request, "interval", view.INTERVALS, "5m"),
        label=_one_of(request, "label", view.LABELS, "rate"),
        options=Options(
            graph_type=_one_of(request, "type", GRAPH_TYPES, VERSIONED_APP),
            services=_flag("services", default=True),
            operations=_flag("operations", default=False),
            idle_nodes=_flag("idle", default=False),
        ),
        find=request.args.get("find", ""),
        hide=request.args.get("hide", ""),
        compressed=_flag("compressed", default=True),
        focus=request.args.get("focus", ""),
    )
    asked = queries.of_graph(wanted.namespace, wanted.interval, wanted.label)
    answers = sources.prometheus.gather(asked, time.time())
    badges = sources.badges.of(wanted.namespace) if _flag("badges", default=True) else {}
    picture = view.picture(answers, wanted, badges)
    seconds = time.perf_counter() - start
    return {**picture, "namespace": wanted.namespace, "queries": len(asked), "seconds": round(seconds, 4)}


@pages.get("/api/panel")
def panel_data() -> Answer:
    """Return the side panel of an arc or node."""
    interval = _one_of(request, "interval", view.INTERVALS, "5m")
    return panel(_sources().prometheus, request.args.get("id", ""), interval, time.time())


@pages.get("/api/namespaces")
def namespaces() -> Answer:
    """Return the namespaces that traffic goes to or comes from."""
    sources = _sources()
    labels = ("destination_workload_namespace", "source_workload_namespace")
    found = {
        name for label in labels for name in sources.prometheus.label_values(label, "istio_requests_total")
    }
    return {"namespaces": sorted((found | {sources.config.namespace}) - {"", "unknown"})}


@pages.get("/api/dashboards")
def dashboard_list() -> Answer:
    """Return the dashboards' titles and variables."""
    return {
        "dashboards": [
            {
                "uid": uid,
                "title": board["title"],
                "description": board.get("description", ""),
                "variables": [
                    {
                        "name": v["name"],
                        "label": v.get("label") or v["name"],
                        "value": dashboards.variables(board)[v["name"]],
                    }
                    for v in board["templating"]["list"]
                    if v["type"] != "datasource"
                ],
            }
            for uid, board in _sources().boards.items()
        ]
    }


@pages.get("/api/dashboards/<uid>")
def dashboard_data(uid: str) -> Answer:
    """Return the panels of a dashboard between `from` and `to` (seconds since the epoch, or seconds ago)."""
    sources = _sources()
    board = sources.boards.get(uid)
    if board is None:
        raise NotFound(f"there is no dashboard {uid!r}")
    now = time.time()
    start, end = _moment("from", now, -900), _moment("to", now, 0)
    if not 10 <= end - start <= _LONGEST:
        raise BadRequest("from must be 10 seconds to 7 days before to")
    chosen = {name[4:]: value for name, value in request.args.items() if name.startswith("var-")}
    _check_variables(chosen)
    window = dashboards.Window(start, end)
    return {
        "uid": uid,
        "title": board["title"],
        "from": start,
        "to": end,
        "panels": dashboards.data(sources.prometheus, board, window, chosen),
    }


def _check_variables(chosen: dict[str, str]) -> None:
    for name, value in chosen.items():
        if '"' in value or "\\" in value or "\n" in value:
            raise BadRequest(f"var-{name}: quotation marks and backslashes have no place in a name")


def _moment(name: str, now: float, default: float) -> float:
    """Return a time of the request: seconds since the epoch, or 0 and less: relative to now."""
    try:
        value = float(request.args.get(name, default))
    except ValueError as error:
        raise BadRequest(f"{name} must be a number of seconds") from error
    return now + value if value <= 0 else value


@pages.get("/api/status")
def status_data() -> Answer:
    """Return what runs."""
    sources = _sources()
    return status(sources.kubernetes, sources.prometheus, _namespace())


@pages.get("/metrics/weights")
def weights() -> Response:
    """Return the weights wanted, for Prometheus."""
    return Response(generate_latest(_sources().weights), content_type=CONTENT_TYPE_LATEST)


# --- Errors and headers --------------------------------------------------------------------------------------


@pages.errorhandler(PrometheusError)
def _no_prometheus(error: PrometheusError) -> tuple[Answer, int]:
    return {"error": str(error), "source": "prometheus"}, 503


@pages.errorhandler(ElementError)
@pages.errorhandler(ExpressionError)
def _refused(error: ValueError) -> tuple[Answer, int]:
    return {"error": str(error)}, 400


@pages.after_request
def _headers(response: Response) -> Response:
    # Nothing is loaded from elsewhere; plotly.js sets styles by itself.
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.path.startswith("/api/"):
        response.headers.update(_FRESH)
    return response
