"""Application factory: a Flask service with probes, metrics, logs, JSON errors and bounded bodies."""

import logging
import time
from typing import Any

from flask import Blueprint, Flask, Response, g, request

from servicekit import errors, metrics
from servicekit.bodies import MAX_BODY, drain
from servicekit.lifecycle import Lifecycle, health, readiness
from servicekit.logs import FIELDS
from servicekit.tracing import REQUEST_ID, adopt_request_id

_access = logging.getLogger("servicekit.access")
_UNLOGGED = frozenset({"health", "readiness", "prometheus_metrics"})


def _begin() -> None:
    g.started = time.perf_counter()
    adopt_request_id()


def _end(response: Response) -> Response:
    drain()
    response.headers[REQUEST_ID] = g.request_id
    if request.endpoint not in _UNLOGGED or response.status_code >= 500:
        fields: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "duration_ms": round((time.perf_counter() - g.started) * 1000, 1),
        }
        level = logging.ERROR if response.status_code >= 500 else logging.INFO
        _access.log(level, "request", extra={FIELDS: fields})
    return response


def create_service(name: str, api: Blueprint, *, version: str) -> Flask:
    """Return the service `name` with the views of `api`, whose `url_prefix` is the base path.

    /health and /readiness stand at the root and under the base path, /metrics at the root; none of the three
    is counted or logged. The service says that it is starting until its lifecycle's `serve` is called.
    """
    app = Flask(name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY + 1  # one more, so that a longer body shows
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False  # a redirect would lose a POST's body
    app.url_map.merge_slashes = False
    app.extensions["lifecycle"] = Lifecycle()
    app.before_request(_begin)
    app.after_request(_end)
    errors.install(app)
    untracked = metrics.install(app, version)
    for probe in (health, readiness):
        view = untracked(probe)
        for prefix in ("", api.url_prefix or ""):
            app.add_url_rule(f"{prefix}/{probe.__name__}", probe.__name__, view)
    app.register_blueprint(api)
    return app
