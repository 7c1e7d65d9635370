"""What both versions answered over the same time, from the mesh's metrics.

A mirrored request is seen by its receiver only, so the versions are compared by what their own sidecars report
(`reporter="destination"`); what users got is what the callers' sidecars report (`reporter="source"`).
https://istio.io/latest/docs/reference/config/metrics/

The sidecars are scraped one after the other. The stable version's window therefore always encloses the
candidate's: trouble of both, such as a failing database, is never seen on the candidate's side first.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tools.release.counters import Counters, Increment, pod
from tools.release.pairs import Answers
from tools.release.plan import Plan
from tools.release.prometheus import Prometheus, Series

_UNKNOWN = ("", "-", "unknown")
_STALE_SCRAPES = 3  # a sidecar without a sample for so many intervals is gone
_LONGEST_BLOCK = 6  # scrapes of the stable version that still are "the same time" as the candidate's


@dataclass(frozen=True)
class Block:
    """Answers of both versions over the same time."""

    stable: Answers
    candidate: Answers


@dataclass
class News:
    """What one look brought: blocks to compare, all answers, and users' answers as (version, is a success)."""

    failures: Block | None = None
    latencies: Block | None = None
    stable: int = 0
    candidate: int = 0
    users: dict[tuple[str, bool], int] = field(default_factory=dict)


def _from_the_mesh(series: Series) -> bool:
    """Whether a series counts requests of workloads in the mesh, not those of Prometheus or of probes."""
    labels = series.labels
    return labels.get("source_workload") != "unknown" or labels.get("source_principal", "") not in _UNKNOWN


def _newest(found: Iterable[Series], version: str, interval: float) -> float | None:
    """Return the time up to which all sidecars of a version that are still there have been scraped."""
    last: dict[str, float] = {}
    for series in found:
        if series.labels.get("destination_version") == version and series.samples:
            key = pod(series.labels)
            last[key] = max(last.get(key, 0), series.samples[-1][0])
    if not last:
        return None
    return min(at for at in last.values() if at > max(last.values()) - _STALE_SCRAPES * interval)


class _Stream:
    """One metric of both versions: collects answers until both have news, then makes a block of them."""

    def __init__(self, plan: Plan, lag: float, answers: Callable[[Increment], Answers]) -> None:
        self._plan = plan
        self._lag = lag
        self._answers = answers
        self._counters = Counters()
        self._pending = {plan.stable: Answers(), plan.candidate: Answers()}
        self._scrapes: set[float] = set()  # of the stable version since the last block

    def _limits(self, found: list[Series]) -> dict[str, float]:
        """Return the times up to which each version's samples are taken."""
        stable = _newest(found, self._plan.stable, self._plan.interval)
        return {
            self._plan.stable: 0.0 if stable is None else stable,
            self._plan.candidate: 0.0 if stable is None else stable - self._lag,
        }

    def begin(self, found: list[Series]) -> None:
        """Take what is there as the state before the release."""
        newest = _newest(found, self._plan.candidate, self._plan.interval)
        if newest is None:
            newest = _newest(found, self._plan.stable, self._plan.interval) or float("-inf")
        until = {self._plan.candidate: newest, self._plan.stable: newest - self._lag}
        self._counters.take(found, until, count=False)

    def take(self, found: list[Series]) -> tuple[Block | None, dict[str, int]]:
        """Return a block if both versions have news, and the number of new answers by version."""
        new = dict.fromkeys(self._pending, 0)
        for increment in self._counters.take(found, self._limits(found)):
            version = increment.labels["destination_version"]
            answers = self._answers(increment)
            self._pending[version] += answers
            new[version] += answers.total
            if version == self._plan.stable:
                self._scrapes.add(increment.at)
        stable, candidate = self._pending[self._plan.stable], self._pending[self._plan.candidate]
        block = Block(stable, candidate) if stable.total and candidate.total else None
        if block or len(self._scrapes) > _LONGEST_BLOCK:
            # What found no partner in its time is not compared with another time.
            self._pending = dict.fromkeys(self._pending, Answers())
            self._scrapes.clear()
        return block, new


class Observer:
    """Looks at a release through Prometheus."""

    def __init__(
        self, plan: Plan, prometheus: Prometheus, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._prometheus = prometheus
        self._monotonic = monotonic
        self._success = re.compile(plan.success)
        self._window = max(60.0, (_LONGEST_BLOCK + 2) * plan.interval)
        self._failures = _Stream(plan, 0.0, self._counted)
        self._latencies = _Stream(plan, plan.flush, self._timed)
        self._users = Counters()
        self._newest = 0.0
        self._fresh_at = monotonic()
        self._seen_any = False
        self.bounds: list[float] = []
        """Upper bounds of the histogram's buckets in ms, known after the first look."""

    # --- what to ask -----------------------------------------------------------------------------------
    def _selector(self, metric: str, **labels: str) -> str:
        plan = self._plan
        inside = [f'{key}="{value}"' for key, value in labels.items()]
        if labels["reporter"] == "destination":
            versions = f"{re.escape(plan.stable)}|{re.escape(plan.candidate)}".replace("\\", "\\\\")
            inside += [
                f'destination_workload_namespace="{plan.namespace}"',
                f'destination_app="{plan.service}"',
                f'destination_version=~"{versions}"',
            ]
        else:
            inside.append(f'destination_service_name="{plan.service}"')
        return f"{metric}{{{','.join(inside)}}}"

    def _received(self, metric: str) -> list[Series]:
        found = self._prometheus.samples(self._selector(metric, reporter="destination"), self._window)
        return [series for series in found if _from_the_mesh(series)]

    def _look(self) -> tuple[list[Series], list[Series], list[Series]]:
        requests = self._received("istio_requests_total")
        durations = self._received("istio_request_duration_milliseconds_bucket")
        selector = self._selector("istio_requests_total", reporter="source")
        users = self._prometheus.samples(selector, self._window)
        newest = max((series.samples[-1][0] for series in requests if series.samples), default=0.0)
        if newest > self._newest or not self._seen_any:
            self._newest, self._fresh_at = newest, self._monotonic()
            self._seen_any = self._seen_any or bool(requests)
        self.bounds = sorted({float(series.labels["le"]) for series in durations} | set(self.bounds))
        return requests, durations, users

    # --- from counters to answers ------------------------------------------------------------------------
    def _is_success(self, labels: dict[str, str]) -> bool:
        return self._success.fullmatch(labels.get("response_code", "")) is not None

    def _counted(self, increment: Increment) -> Answers:
        count = round(sum(increment.by.values()))
        return Answers(successes=count) if self._is_success(increment.labels) else Answers(failures=count)

    def _timed(self, increment: Increment) -> Answers:
        """Return successes by bucket: Prometheus' buckets hold all that is below their bound."""
        if not self._is_success(increment.labels):
            return Answers()
        latencies, below = {}, 0.0
        for bound, total in sorted((float(le), total) for le, total in increment.by.items()):
            if round(total - below) > 0:
                latencies[bound] = round(total - below)
            below = max(below, total)
        return Answers(successes=sum(latencies.values()), latencies=latencies)

    # --- looks -------------------------------------------------------------------------------------------
    @property
    def age(self) -> float:
        """Seconds since Prometheus last had something new; 0 while there has never been anything."""
        return self._monotonic() - self._fresh_at

    def begin(self) -> None:
        """Take what has been counted so far as the state before the release. Raises PrometheusError."""
        requests, durations, users = self._look()
        self._failures.begin(requests)
        self._latencies.begin(durations)
        self._users.take(users, {}, count=False)

    def take_users(self, users: list[Series]) -> dict[tuple[str, bool], int]:
        """Return users' new answers by version (unknown: none answered) and success."""
        found: dict[tuple[str, bool], int] = {}
        for increment in self._users.take(users, {}):
            key = increment.labels.get("destination_version", "unknown"), self._is_success(increment.labels)
            found[key] = found.get(key, 0) + round(sum(increment.by.values()))
        return found

    def take(self) -> News:
        """Return what is new since the last look. Raises PrometheusError."""
        requests, durations, users = self._look()
        news = News(users=self.take_users(users))
        news.failures, new = self._failures.take(requests)
        news.latencies, _ = self._latencies.take(durations)
        news.stable, news.candidate = new[self._plan.stable], new[self._plan.candidate]
        return news
