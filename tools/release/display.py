"""What a person sees in the terminal while a release runs."""

import sys
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tools.release.judge import Finding
from tools.release.plan import Plan
from tools.release.progress import Moment, Side

_EVERY = 10.0  # seconds between two lines where there is no terminal
_NAMES = {"failures": "more failures", "latency": "slower answers"}


class Display(Protocol):
    """Shows events and moments."""

    def event(self, text: str) -> None:
        """Show something that was done."""

    def moment(self, moment: Moment) -> None:
        """Show how it stands."""

    def close(self) -> None:
        """End the live part."""


def share(part: int, whole: int) -> str:
    """Return a share in percent, as people read it."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def milliseconds(value: float | None) -> str:
    """Return a time in ms, `-` where there is none."""
    return "-" if value is None else f"{value:.0f} ms"


def evidence(finding: Finding) -> tuple[str, str]:
    """Return in words how near the evidence is to harm, and to its exclusion."""
    harm = max(0.0, min(1.0, finding.harm / finding.harm_limit))
    none = max(0.0, min(1.0, finding.unharmed / finding.unharmed_limit))
    return f"{100 * harm:.0f} %", f"{100 * none:.0f} %"


class Lines:
    """One line an event, and one every ten seconds: for logs and pipes."""

    def __init__(self) -> None:
        self._shown = float("-inf")

    def event(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)

    def moment(self, moment: Moment) -> None:
        """Print a line if the last one is some time ago."""
        if moment.at - self._shown < _EVERY:
            return
        self._shown = moment.at
        sides = (("stable", moment.stable), ("candidate", moment.candidate))
        numbers = "; ".join(
            f"{name} {side.answers} answers, {share(side.failures, side.answers)} failed, p95 {milliseconds(side.p95)}"
            for name, side in sides
        )
        print(f"  {moment.at:4.0f} s  {moment.step:>11}  {numbers}  ({moment.state})", flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class Screen:
    """A progress bar, a table of live numbers, and the events above them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._live.start()

    def event(self, text: str) -> None:
        """Print it above the live part."""
        self._live.console.print(Text(text))

    def moment(self, moment: Moment) -> None:
        """Draw the live part anew."""
        self._live.update(self._picture(moment))

    def close(self) -> None:
        """Leave the last picture on the screen."""
        self._live.stop()

    def _bar(self, moment: Moment) -> RenderableType:
        steps = self._plan.steps
        whole = sum(step.minimum for step in steps) + self._plan.warm_up
        index = next(n for n, step in enumerate(steps) if step.weight == moment.weight)
        before = sum(step.minimum for step in steps[:index]) + (self._plan.warm_up if index else 0)
        grid = Table.grid(padding=(0, 1))
        done = before + min(moment.elapsed, moment.minimum)
        grid.add_row(
            Text(f"{moment.step:>11}"), ProgressBar(total=whole, completed=done, width=48), Text(moment.state)
        )
        return grid

    def _row(self, table: Table, name: str, side: Side) -> None:
        table.add_row(
            name,
            str(side.answers),
            f"{side.failures} ({share(side.failures, side.answers)})",
            milliseconds(side.p50),
            milliseconds(side.p95),
            f"{side.user_failures} of {side.user_answers}",
        )

    def _picture(self, moment: Moment) -> RenderableType:
        numbers = Table(
            "version", "answers", "failed", "p50", "p95", "users' failures", box=None, pad_edge=False
        )
        self._row(numbers, f"{self._plan.stable} (stable)", moment.stable)
        self._row(numbers, f"{self._plan.candidate} (candidate)", moment.candidate)
        found = Table("evidence", "compared", "net harm", "of harm", "of no harm", box=None, pad_edge=False)
        for finding in moment.findings:
            net = f"{100 * finding.tally.net:+.1f} %"
            found.add_row(_NAMES[finding.metric], str(finding.tally.pairs), net, *evidence(finding))
        return Group(Text(""), self._bar(moment), Text(""), numbers, Text(""), found)


def display(plan: Plan) -> Display:
    """Return the display for where standard output goes."""
    return Screen(plan) if sys.stdout.isatty() else Lines()
