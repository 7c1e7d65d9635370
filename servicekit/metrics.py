"""Metrics for Prometheus at /metrics, with labels of bounded cardinality."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_flask_exporter import PrometheusMetrics  # type: ignore[import-untyped]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
View = Callable[..., Any]


def path(request: Request) -> str:
    """Return the `path` label of `request`: its URL rule, so that ids do not make a series each."""
    return request.url_rule.rule if request.url_rule else "unmatched"


def _known_methods_only(wsgi: Wsgi) -> Wsgi:
    """Wrap `wsgi` so that a made-up method, which is a label too, counts as one: UNKNOWN."""

    def bounded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in _METHODS:
            environ["REQUEST_METHOD"] = "UNKNOWN"
        return wsgi(environ, start_response)

    return bounded


def install(app: Flask, version: str) -> Callable[[View], View]:
    """Give `app` /metrics with a registry of its own; return the decorator of views that are not tracked."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    metrics = PrometheusMetrics(app, group_by=path, registry=registry)
    metrics.info("app_info", "The service and its version", service=app.name, version=version)
    app.wsgi_app = _known_methods_only(app.wsgi_app)  # type: ignore[assignment, method-assign]
    untracked: Callable[[View], View] = metrics.do_not_track()
    return untracked
