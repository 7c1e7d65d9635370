"""Raw samples from Prometheus: https://prometheus.io/docs/prometheus/latest/querying/api/."""

import os
import subprocess
from dataclasses import dataclass
from typing import Any

import requests

from tools.release.cluster import ROOT


class PrometheusError(Exception):
    """Prometheus cannot be asked, or refuses; the text says which address and why."""


@dataclass(frozen=True)
class Series:
    """One time series: labels, and samples as (seconds since 1970, value), oldest first."""

    labels: dict[str, str]
    samples: list[tuple[float, float]]


def address() -> str:
    """Return where Prometheus is for the place in use; PROMETHEUS_URL says it by hand. Raises PrometheusError."""
    url = os.environ.get("PROMETHEUS_URL")
    if not url:
        command = [str(ROOT / "tools/url.sh"), "prometheus"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        url = done.stdout.strip()
        if done.returncode or not url:
            raise PrometheusError(f"where Prometheus is, is not known: {done.stderr.strip()}")
    return url.rstrip("/")


class Prometheus:
    """A Prometheus server.

    Args:
        limit: seconds after which a query is given up.
    """

    def __init__(self, url: str, limit: float = 5) -> None:
        self._url = url
        self._limit = limit
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is for the Internet

    def samples(self, selector: str, seconds: float) -> list[Series]:
        """Return all samples of the series of `selector` in the last `seconds`. Raises PrometheusError."""
        return [
            Series(row["metric"], [(float(when), float(value)) for when, value in row["values"]])
            for row in self._ask(f"{selector}[{seconds:.0f}s]")
        ]

    def values(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series of `query` at this moment. Raises PrometheusError."""
        return [(row["metric"], float(row["value"][1])) for row in self._ask(query)]

    def _ask(self, query: str) -> list[dict[str, Any]]:
        try:
            answer = self._session.post(
                f"{self._url}/api/v1/query", data={"query": query}, timeout=self._limit
            )
            body = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise PrometheusError(f"{self._url} does not answer: {error}") from error
        if body.get("status") != "success":
            raise PrometheusError(f"{self._url} refuses `{query}`: {body.get('error', answer.status_code)}")
        return body["data"]["result"]  # type: ignore[no-any-return]
