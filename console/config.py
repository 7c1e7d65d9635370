"""Settings of the console from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from servicekit.config import matching

_ROOT = Path(__file__).resolve().parent.parent
_URL = r"https?://[^\s/?#]+(/[^\s?#]*)?"


@dataclass(frozen=True)
class Config:
    """Where the console reads, and what it shows first."""

    prometheus_url: str
    namespace: str
    base_path: str
    """Where the console stands behind a gateway; its pages answer at the root as well."""
    prometheus_link: str
    """Prometheus' address for a person's browser; "" where it has none."""
    dashboards: Path
    """The folder of Grafana's JSON files."""


def read(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the settings. Raises ConfigError."""
    link = environ.get("PROMETHEUS_LINK", "")
    return Config(
        matching(environ, "PROMETHEUS_URL", _URL, "http://HOST:PORT of a Prometheus"),
        matching(environ, "NAMESPACE", r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", "a namespace's name", "c756ns"),
        matching(environ, "BASE_PATH", r"(/[-\w.]+)+", "a path such as /kiali", "/kiali").rstrip("/"),
        matching(environ, "PROMETHEUS_LINK", _URL, "Prometheus' URL for a browser") if link else "",
        Path(environ.get("DASHBOARDS") or _ROOT / "charts/c756/dashboards"),
    )
