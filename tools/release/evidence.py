"""Evidence that grows with each pair of answers, valid at every moment at which somebody looks.

A pair is an answer of each version to the same kind of request at the same time. It counts as D = +1 if the
candidate did worse, -1 if it did better, 0 otherwise, so that E[D] is the *net share of requests that the
candidate harms*. Capital is bet on D against a null hypothesis on E[D] (`Harm`, `Unharmed`): while the
hypothesis holds, the expected capital never grows, whatever happened before. By Ville's inequality the chance
that capital of 1 ever reaches 1/a is at most a, so one may look after each pair and stop at will.

Sources:
* Betting on bounded means: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting",
  JRSS B 86(1), 2024, https://arxiv.org/abs/2010.09686. It asks for nothing but the conditional mean: both
  versions may fail more or less often as time goes by, and the answers of a pair may depend on each other.
* The mixture over stakes: Robbins, "Statistical methods related to the law of the iterated logarithm", Annals
  of Mathematical Statistics 41(5), 1970; as the mSPRT of online experiments: Johari, Koomen, Pekelis, Walsh,
  "Always valid inference", Operations Research 70(3), 2022, https://arxiv.org/abs/1512.04922. With tolerance 0
  the ties drop out, and what is left is the mixture SPRT of the sign test on discordant pairs (McNemar's).
* A new start at each step, so that early good times do not hide late harm: Shin, Ramdas, Rinaldo,
  "E-detectors", 2023, https://arxiv.org/abs/2203.03532; the starts share the capital of 1 beforehand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

STAKES = (0.98, 0.9, 0.7, 0.5, 0.3, 0.15, 0.07, 0.03)
"""Shares of the largest possible stake, with an equal part of the capital each: large ones win fast against
clear harm, small ones in the end against little harm."""


@dataclass(frozen=True)
class Tally:
    """Pairs in which the candidate did worse, did the same, did better."""

    worse: int = 0
    same: int = 0
    better: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.worse + other.worse, self.same + other.same, self.better + other.better)

    @property
    def pairs(self) -> int:
        """All of them."""
        return self.worse + self.same + self.better

    @property
    def net(self) -> float:
        """Net share of requests that the candidate harmed, -1 to 1; 0 without pairs."""
        return (self.worse - self.better) / self.pairs if self.pairs else 0.0


def log_mean_exp(logs: Sequence[float], weights: Sequence[float]) -> float:
    """Return log(sum(w * exp(x))) without overflow; the weights are positive."""
    top = max(logs)
    return top + math.log(sum(w * math.exp(x - top) for x, w in zip(logs, weights, strict=True)))


class _Bettor:
    """Capital after bets on `sign` * (D - limit) with each of the stakes."""

    def __init__(self, limit: float, sign: int) -> None:
        if not -1 < limit < 1:
            raise ValueError(f"limit is {limit}: it must be a net share above -1 and below 1")
        # The worst case for the bettor must leave some capital: 1 + stake * (-1 - sign * limit) > 0.
        largest = 1 / (1 + sign * limit)
        self._logs = [
            tuple(math.log1p(share * largest * sign * (d - limit)) for d in (1, 0, -1)) for share in STAKES
        ]
        self._weights = [1 / len(STAKES)] * len(STAKES)

    def log_capital(self, tally: Tally) -> float:
        """Return the natural logarithm of the capital, which began as 1; the pairs' order does not matter."""
        wealth = [w * tally.worse + s * tally.same + b * tally.better for w, s, b in self._logs]
        return log_mean_exp(wealth, self._weights)


class Harm:
    """Evidence against "the net share of harmed requests is at most `tolerance`", over all steps.

    Half of the capital is bet from the first step on, the rest in equal parts from each later step on.
    """

    def __init__(self, tolerance: float, steps: int) -> None:
        self._bettor = _Bettor(tolerance, 1)
        self._steps = steps

    def log_evidence(self, tallies: Sequence[Tally]) -> float:
        """Return the logarithm of the capital. `tallies` has the pairs of each step that has begun, in order.

        Raises ValueError if there are more than there are steps.
        """
        if len(tallies) > self._steps:
            raise ValueError(f"{len(tallies)} tallies, but the plan has {self._steps} steps")
        later = self._steps - 1
        parts = [0.5] + [0.5 / later] * later if later else [1.0]
        logs, since = [0.0] * self._steps, Tally()  # what has not begun keeps its part as it is
        for number in range(len(tallies) - 1, -1, -1):
            since = since + tallies[number]
            logs[number] = self._bettor.log_capital(since)
        return log_mean_exp(logs, parts)


class Unharmed:
    """Evidence against "the net share of harmed requests is `margin` or more" (non-inferiority)."""

    def __init__(self, margin: float) -> None:
        self._bettor = _Bettor(margin, -1)

    def log_evidence(self, tallies: Sequence[Tally]) -> float:
        """Return the logarithm of the capital after the pairs of all steps."""
        return self._bettor.log_capital(sum(tallies, Tally()))
