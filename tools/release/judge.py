"""The judgement of a candidate: evidence from pairs of answers, and what follows from it.

Pure: neither clock nor network, so that simulations run the very code that releases.
"""

import math
import random
from dataclasses import dataclass
from typing import Literal

from tools.release.evidence import Harm, Tally, Unharmed
from tools.release.pairs import Answers, compare_failures, compare_latencies
from tools.release.plan import Comparison, Plan

Metric = Literal["failures", "latency"]
METRICS: tuple[Metric, ...] = ("failures", "latency")


@dataclass(frozen=True)
class Finding:
    """The evidence in one metric. `harm` and `unharmed`: natural logarithms of capital, 0 is none."""

    metric: Metric
    tally: Tally
    harm: float
    unharmed: float
    harm_limit: float
    unharmed_limit: float

    @property
    def is_harmful(self) -> bool:
        """Whether the candidate is worse than tolerated."""
        return self.harm >= self.harm_limit

    @property
    def is_unharmed(self) -> bool:
        """Whether harm of the margin's size is excluded."""
        return self.unharmed >= self.unharmed_limit


class _MetricJudge:
    def __init__(self, metric: Metric, comparison: Comparison, plan: Plan) -> None:
        self.metric: Metric = metric
        self.tallies = [Tally()]
        self._harm = Harm(comparison.tolerance, len(plan.steps))
        self._unharmed = Unharmed(comparison.margin)
        # Two metrics may each raise a false alarm: union bound. A promotion needs both: each has all of it.
        self._harm_limit = -math.log(plan.false_alarms / len(METRICS))
        self._unharmed_limit = -math.log(plan.wrong_promotions)

    def finding(self) -> Finding:
        return Finding(
            self.metric,
            sum(self.tallies, Tally()),
            self._harm.log_evidence(self.tallies),
            self._unharmed.log_evidence(self.tallies),
            self._harm_limit,
            self._unharmed_limit,
        )


class Judge:
    """Collects the evidence of one release. A healthy candidate is found harmful with a chance of at most
    `plan.false_alarms`, at all looks, steps and metrics together.
    """

    def __init__(self, plan: Plan, seed: int = 0) -> None:
        self._plan = plan
        self._generator = random.Random(seed)  # noqa: S311 (a draw of pairs, not a secret)
        self._failures = _MetricJudge("failures", plan.failures, plan)
        self._latency = _MetricJudge("latency", plan.latency, plan)

    def next_step(self) -> None:
        """Begin the next step: what comes is weighed both with all that was before and alone."""
        for judge in (self._failures, self._latency):
            judge.tallies.append(Tally())

    def add_failures(self, stable: Answers, candidate: Answers) -> None:
        """Weigh the answers of one time by success and failure."""
        self._failures.tallies[-1] += compare_failures(stable, candidate, self._generator)

    def add_latencies(self, stable: Answers, candidate: Answers, bounds: list[float]) -> None:
        """Weigh the successful answers of one time by latency; `bounds`: the buckets' upper bounds in ms."""
        self._latency.tallies[-1] += compare_latencies(
            stable, candidate, bounds, self._plan.slower * 1000, self._generator
        )

    @property
    def pairs_in_step(self) -> int:
        """Pairs of answers, by success and failure, that this step has brought."""
        return self._failures.tallies[-1].pairs

    def findings(self) -> tuple[Finding, Finding]:
        """Return the evidence in failures and in latency."""
        return self._failures.finding(), self._latency.finding()
