"""What a release has seen and done so far: what the terminal shows and the reports hold."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from tools.release.judge import Finding
from tools.release.observer import Block, News
from tools.release.pairs import Answers, quantile
from tools.release.plan import Plan

Ending = Literal["promoted", "rolled back", "undecided", "stuck"]
EXIT_CODES: dict[Ending, int] = {"promoted": 0, "rolled back": 1, "undecided": 2, "stuck": 3}
_WINDOW = 6  # blocks whose latencies make the quantiles: half a minute


@dataclass(frozen=True)
class Side:
    """One version at one moment: answers since the release began, and recent latencies in ms."""

    answers: int
    failures: int
    p50: float | None
    p95: float | None
    user_answers: int
    user_failures: int


@dataclass(frozen=True)
class Moment:
    """One look at a release; `at` in seconds since its beginning."""

    at: float
    step: str
    weight: int
    elapsed: float
    minimum: float
    state: str
    stable: Side
    candidate: Side
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Event:
    """Something that was done; `at` in seconds since the beginning."""

    at: float
    text: str


class _Collector:
    """The answers of one version."""

    def __init__(self) -> None:
        self.total = Answers()
        self.recent: deque[Answers] = deque(maxlen=_WINDOW)
        self.user_answers = 0
        self.user_failures = 0

    def side(self, bounds: list[float]) -> Side:
        latencies = sum(self.recent, Answers()).latencies
        return Side(
            self.total.total,
            self.total.failures,
            quantile(0.5, latencies, bounds),
            quantile(0.95, latencies, bounds),
            self.user_answers,
            self.user_failures,
        )


@dataclass
class Progress:
    """Collects moments and events of one release."""

    plan: Plan
    release: str
    started: str
    moments: list[Moment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    """Compared latencies and answers, for simulations with real ones."""
    ending: Ending = "undecided"
    reason: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._sides = {self.plan.stable: _Collector(), self.plan.candidate: _Collector(), "": _Collector()}

    def add(self, news: News) -> None:
        """Count what one look brought."""
        for version, failures, latencies in (
            (
                self.plan.stable,
                news.failures and news.failures.stable,
                news.latencies and news.latencies.stable,
            ),
            (
                self.plan.candidate,
                news.failures and news.failures.candidate,
                news.latencies and news.latencies.candidate,
            ),
        ):
            side = self._sides[version]
            if failures:
                side.total += Answers(failures.successes, failures.failures)
            if latencies:
                side.recent.append(latencies)
        for (version, success), count in news.users.items():
            side = self._sides.get(version, self._sides[""])
            side.user_answers += count
            side.user_failures += 0 if success else count
        if news.latencies:
            self.blocks.append(news.latencies)

    def sides(self, bounds: list[float]) -> tuple[Side, Side]:
        """Return the stable version and the candidate as they are now."""
        return self._sides[self.plan.stable].side(bounds), self._sides[self.plan.candidate].side(bounds)

    @property
    def unanswered(self) -> int:
        """Users' requests that failed without reaching a version."""
        return self._sides[""].user_failures
