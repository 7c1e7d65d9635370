"""A client of Prometheus' HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/."""

import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_PARALLEL = 8


class PrometheusError(Exception):
    """Prometheus does not answer, or refuses a query; the text says which."""


@dataclass(frozen=True)
class Sample:
    """One series of an instant vector; NaN stands for no value."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Series:
    """One series of a range query: seconds since the epoch and values; None where there is no value."""

    labels: Mapping[str, str]
    points: list[tuple[float, float | None]]


class Prometheus:
    """One Prometheus server. `asked` counts the requests made of it, for the benchmark."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        """Take the server's address, http://HOST:PORT[/PREFIX], and the time limit of a request in seconds."""
        self.url = url.rstrip("/")
        self.asked = 0
        self._timeout = timeout
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False
        adapter = HTTPAdapter(pool_maxsize=2 * _PARALLEL)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="prometheus")

    def query(self, promql: str, time: float | None = None) -> list[Sample]:
        """Return the instant vector of `promql`, now or at `time` (a scalar as one sample without labels).

        Raises PrometheusError.
        """
        parameters: dict[str, Any] = {"query": promql} | ({} if time is None else {"time": time})
        data = self._call("query", parameters)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(row["metric"], float(row["value"][1])) for row in data["result"]]

    def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """Return the series of `promql` from `start` to `end`, a point each `step` seconds.

        Raises PrometheusError.
        """
        parameters = {"query": promql, "start": start, "end": end, "step": step}
        result = self._call("query_range", parameters)["result"]
        return [Series(row["metric"], [(t, _finite(v)) for t, v in row["values"]]) for row in result]

    def label_values(self, label: str, selector: str) -> list[str]:
        """Return the values that `label` has on the series of `selector`. Raises PrometheusError."""
        values: list[str] = self._call(f"label/{label}/values", {"match[]": selector}, method="GET")
        return values

    def gather(self, queries: Mapping[str, str], time: float) -> dict[str, list[Sample]]:
        """Return the answers to several instant queries, asked at once, by their names.

        Raises PrometheusError of the first that fails.
        """
        futures = {name: self._pool.submit(self.query, text, time) for name, text in queries.items()}
        return {name: future.result() for name, future in futures.items()}

    def map_ranges(
        self, queries: Mapping[str, str], start: float, end: float, step: float
    ) -> dict[str, list[Series] | PrometheusError]:
        """Return the answers to several range queries, asked at once; an error in place of its answer."""
        futures = {
            name: self._pool.submit(self.query_range, text, start, end, step)
            for name, text in queries.items()
        }
        found: dict[str, list[Series] | PrometheusError] = {}
        for name, future in futures.items():
            try:
                found[name] = future.result()
            except PrometheusError as error:
                found[name] = error
        return found

    def _call(self, path: str, parameters: Mapping[str, Any], method: str = "POST") -> Any:  # noqa: ANN401
        with self._lock:
            self.asked += 1
        query, form = (None, parameters) if method == "POST" else (parameters, None)
        try:
            answer = self._session.request(
                method, f"{self.url}/api/v1/{path}", params=query, data=form, timeout=self._timeout
            )
            body = answer.json()
        except requests.JSONDecodeError as error:
            raise PrometheusError(
                f"{self.url} does not answer as a Prometheus (HTTP {answer.status_code})"
            ) from error
        except requests.Timeout as error:
            raise PrometheusError(
                f"Prometheus at {self.url} has not answered in {self._timeout:g} s"
            ) from error
        except requests.RequestException as error:
            raise PrometheusError(f"Prometheus at {self.url} cannot be reached") from error
        if not isinstance(body, dict) or body.get("status") != "success":
            text = body.get("error") if isinstance(body, dict) else None
            raise PrometheusError(f"Prometheus refuses the query: {text or answer.reason}")
        return body["data"]


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def quote(text: str) -> str:
    """Return `text` as a string literal of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
