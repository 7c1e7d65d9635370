"""The console as a WSGI application, at the root and below its base path."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Flask

from console import config
from console.dashboards import DashboardError
from console.web import Sources, pages
from servicekit.app import create_service
from servicekit.config import ConfigError

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _under(prefix: str, wsgi: Wsgi) -> Wsgi:
    """Wrap `wsgi` so that it answers below `prefix` as at the root, and its links keep the prefix."""

    def mounted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(f"{prefix}/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
            environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        return wsgi(environ, start_response)

    return mounted


def create_app(environ: Mapping[str, str]) -> Flask:
    """Return the console. Raises ConfigError."""
    settings = config.read(environ)
    try:
        sources = Sources.of(settings)
    except DashboardError as error:
        raise ConfigError(f"DASHBOARDS: {error}") from error
    app = create_service("c756-console", pages, version="v1")
    app.extensions["sources"] = sources
    app.wsgi_app = _under(settings.base_path, app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app
