"""Errors as JSON: `{"error": …}` with the right status, and never a stack trace."""

import logging
from typing import Any

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

_log = logging.getLogger(__name__)


def _as_json(error: HTTPException) -> Response:
    # Werkzeug's stock texts speak of URLs and browsers: the status's name says more to a program's author.
    text = error.name if error.description == type(error).description else error.description
    response = jsonify({"error": text})
    response.status_code = error.code or 500
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers.add(name, value)
    return response


def _internal(error: Exception) -> tuple[dict[str, str], int]:
    _log.error("unhandled exception", exc_info=error)
    return {"error": "internal error"}, 500


def not_found(kind: str) -> tuple[dict[str, Any], int]:
    """Return the 404 of one item of `kind` that does not exist."""
    return {"Items": [], "Count": 0, "error": f"no such {kind}"}, 404


def install(app: Flask) -> None:
    """Make `app` answer every HTTP error, and every exception that nobody caught, as JSON."""
    app.register_error_handler(HTTPException, _as_json)
    app.register_error_handler(Exception, _internal)
