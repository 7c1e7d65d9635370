"""Pairs of answers of both versions, from what each sidecar counted over the same time.

Counters do not say which answers belong together, so answers of one time are matched at random. This costs
nothing: for identical versions a pair is as likely to favour the one as the other, however it was drawn.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tools.release.evidence import Tally

LIMIT = 2000
"""Pairs from one scrape, at most: more would make a busy service's judgement slow, not better."""

Buckets = dict[float, int]
"""Answers by the upper bound of their histogram bucket, in ms."""


@dataclass
class Answers:
    """What one version answered within some time. Only successes have latencies."""

    successes: int = 0
    failures: int = 0
    latencies: Buckets = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All answers."""
        return self.successes + self.failures

    def __add__(self, other: "Answers") -> "Answers":
        latencies = dict(self.latencies)
        for bound, count in other.latencies.items():
            latencies[bound] = latencies.get(bound, 0) + count
        return Answers(self.successes + other.successes, self.failures + other.failures, latencies)


def _draw(failures: int, total: int, size: int, generator: random.Random) -> list[bool]:
    """Return `size` of the answers in a random order; true is a failure."""
    return [number < failures for number in generator.sample(range(total), size)]


def compare_failures(stable: Answers, candidate: Answers, generator: random.Random) -> Tally:
    """Match answers: the candidate is worse where it failed and the stable version did not."""
    size = min(stable.total, candidate.total, LIMIT)
    worse = better = 0
    for old, new in zip(
        _draw(stable.failures, stable.total, size, generator),
        _draw(candidate.failures, candidate.total, size, generator),
        strict=True,
    ):
        worse += new and not old
        better += old and not new
    return Tally(worse, size - worse - better, better)


def _times(latencies: Buckets, bounds: Sequence[float], size: int, generator: random.Random) -> list[float]:
    """Return `size` latencies in ms in a random order, each drawn evenly from its bucket.

    histogram_quantile of Prometheus assumes the same. The last bucket has no end: its lower bound stands for it.
    """
    lower = dict(pairwise([0.0, *bounds]))  # of a bucket, by the bound before it
    begin = {upper: low for low, upper in lower.items()}
    chosen = generator.sample(list(latencies), size, counts=list(latencies.values())) if size else []
    return [
        begin[bound] if bound == float("inf") else generator.uniform(begin[bound], bound) for bound in chosen
    ]


def compare_latencies(
    stable: Answers, candidate: Answers, bounds: Sequence[float], slower: float, generator: random.Random
) -> Tally:
    """Match successful answers: the candidate is worse where it took at least `slower` ms more.

    Args:
        bounds: all upper bounds of the buckets, ascending, in ms.
    """
    size = min(sum(stable.latencies.values()), sum(candidate.latencies.values()), LIMIT)
    worse = better = 0
    for old, new in zip(
        _times(stable.latencies, bounds, size, generator),
        _times(candidate.latencies, bounds, size, generator),
        strict=True,
    ):
        worse += new - old >= slower
        better += old - new >= slower
    return Tally(worse, size - worse - better, better)


def quantile(q: float, latencies: Buckets, bounds: Sequence[float]) -> float | None:
    """Return a quantile in ms by linear interpolation within its bucket, None without answers."""
    total = sum(latencies.values())
    if not total:
        return None
    rank, seen, low = q * total, 0, 0.0
    for bound in bounds:
        count = latencies.get(bound, 0)
        if count and seen + count >= rank:
            return low if bound == float("inf") else low + (bound - low) * (rank - seen) / count
        seen, low = seen + count, bound
    return low
