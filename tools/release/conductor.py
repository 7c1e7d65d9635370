"""What to do next: wait, step, promote, roll back or give up. Pure, as the judgement."""

from dataclasses import dataclass
from enum import Enum

from tools.release.judge import Finding, Judge
from tools.release.plan import Plan, Step


class Action(Enum):
    """What a release does at one moment."""

    WAIT = "wait"
    STEP = "step"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Decision:
    """An action, and why, in words for a person."""

    action: Action
    reason: str


def _harm(finding: Finding) -> str:
    what = "fails" if finding.metric == "failures" else "is slower"
    return (
        f"the candidate {what} where the stable version does not: net {100 * finding.tally.net:.1f} % "
        f"of {finding.tally.pairs} compared answers"
    )


class Conductor:
    """Leads a release through its steps. All times are seconds of one clock."""

    def __init__(self, plan: Plan, judge: Judge, now: float) -> None:
        self._plan = plan
        self._judge = judge
        self._index = 0
        self._started = now
        # Until the candidate has answered once, its silence is a lack of traffic.
        self._heard: float | None = None
        self._stable_since_heard = 0

    @property
    def step(self) -> Step:
        """The step that is being taken."""
        return self._plan.steps[self._index]

    @property
    def index(self) -> int:
        """Number of the step, from 0, the dark launch."""
        return self._index

    def elapsed(self, now: float) -> float:
        """Return the time since the step began."""
        return now - self._started

    def next_step(self, now: float) -> None:
        """Begin the next step."""
        self._index += 1
        self._started = now
        self._judge.next_step()

    def hear(self, stable: int, candidate: int, now: float) -> None:
        """Note the numbers of answers that have come in since the last call."""
        if candidate:
            self._heard, self._stable_since_heard = now, 0
        else:
            self._stable_since_heard += stable

    def _is_silent(self, now: float) -> bool:
        return (
            self._heard is not None
            and now - self._heard >= self._plan.silence
            and self._stable_since_heard >= self._plan.pairs
        )

    def decide(self, now: float) -> Decision:
        """Return what is to be done now."""
        findings = self._judge.findings()
        for finding in findings:
            if finding.is_harmful:
                return Decision(Action.ROLL_BACK, _harm(finding))
        if self._is_silent(now):
            reason = (
                f"the candidate does not answer any more: nothing for {now - (self._heard or 0):.0f} s, "
                f"while the stable version gave {self._stable_since_heard} answers"
            )
            return Decision(Action.ROLL_BACK, reason)
        waiting = self._waiting_for(findings, now)
        if waiting is None:
            last = self._index == len(self._plan.steps) - 1
            return Decision(
                Action.PROMOTE if last else Action.STEP, "no harm seen, and the step's time is over"
            )
        if self.elapsed(now) >= self._plan.patience:
            return Decision(Action.GIVE_UP, f"after {self._plan.patience:.0f} s in this step still {waiting}")
        return Decision(Action.WAIT, waiting)

    def _waiting_for(self, findings: tuple[Finding, ...], now: float) -> str | None:
        """Return what the step still lacks."""
        pairs = self._judge.pairs_in_step
        minimum = self.step.minimum + (self._plan.warm_up if self._index == 0 else 0)
        if self.elapsed(now) < minimum:
            return f"collecting evidence, {minimum - self.elapsed(now):.0f} s at least"
        if pairs < self._plan.pairs:
            return f"too little traffic: {pairs} of {self._plan.pairs} compared answers in this step"
        open_ = [finding for finding in findings if not finding.is_unharmed]
        if open_:
            names = " and ".join(
                "more failures" if f.metric == "failures" else "slower answers" for f in open_
            )
            return (
                f"not enough evidence against {names}: {min(f.tally.pairs for f in open_)} compared answers"
            )
        return None
