"""Request ids and tracing headers: Envoy starts a trace, the services only hand it on."""

import re
import uuid

from flask import g, request

REQUEST_ID = "x-request-id"

# https://istio.io/latest/docs/tasks/observability/distributed-tracing/overview/ lists what must be handed on.
_PASSED_ON = (
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
)
_WSGI_NAMES = tuple((name, "HTTP_" + name.upper().replace("-", "_")) for name in _PASSED_ON)
_USABLE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def adopt_request_id() -> None:
    """Keep the current request's id that Envoy gave; make one where it is absent or not fit for a log."""
    given = request.environ.get("HTTP_X_REQUEST_ID", "")
    g.request_id = given if _USABLE_ID.fullmatch(given) else str(uuid.uuid4())


def headers_to_pass_on() -> dict[str, str]:
    """Return the request id and tracing headers that a call made for the current request carries."""
    headers = {REQUEST_ID: g.request_id}
    environ = request.environ
    for name, wsgi_name in _WSGI_NAMES:
        value = environ.get(wsgi_name)
        if value:
            headers[name] = value
    return headers
