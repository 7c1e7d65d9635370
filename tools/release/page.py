"""The page of a release: self-contained HTML, for people who were not there."""

from collections.abc import Callable
from pathlib import Path

import jinja2

from tools.release.display import milliseconds, share
from tools.release.plot import Limit, Line, plot
from tools.release.progress import Moment, Progress, Side

_TEMPLATE = Path(__file__).with_suffix(".html")

_NAMES = {"failures": "more failures", "latency": "slower answers"}
_LN10 = 2.302585092994046


def _line(progress: Progress, side: str, value: Callable[[Moment], float | None]) -> Line:
    name = getattr(progress.plan, side)
    return Line(name, side, [(moment.at, value(moment)) for moment in progress.moments])


def _failed(side: Side) -> float | None:
    return 100 * side.failures / side.answers if side.answers else None


def _plots(progress: Progress) -> str:
    weights = [(moment.at, float(moment.weight)) for moment in progress.moments]
    failed = [
        _line(progress, "stable", lambda moment: _failed(moment.stable)),
        _line(progress, "candidate", lambda moment: _failed(moment.candidate)),
    ]
    slow = [
        _line(progress, "stable", lambda moment: moment.stable.p95),
        _line(progress, "candidate", lambda moment: moment.candidate.p95),
    ]
    return (
        plot(
            "Share of the users",
            "%",
            [Line(progress.plan.candidate, "candidate", weights, is_stepped=True)],
            least=100,
        )
        + plot("Failed answers since the beginning", "%", failed)
        + plot("Latency, 95th percentile", "ms", slow)
    )


def _evidence(progress: Progress) -> str:
    found = []
    for number, last in enumerate(progress.moments[-1].findings):
        name = _NAMES[last.metric]
        history = [(moment.at, moment.findings[number]) for moment in progress.moments]
        for title, limit, points in (
            (
                f"Evidence of {name}",
                Limit("harm", last.harm_limit / _LN10),
                [(at, f.harm) for at, f in history],
            ),
            (
                f"Evidence against {name}",
                Limit("harm excluded", last.unharmed_limit / _LN10),
                [(at, f.unharmed) for at, f in history],
            ),
        ):
            line = Line(progress.plan.candidate, "candidate", [(at, log / _LN10) for at, log in points])
            found.append(plot(title, "log10", [line], [limit]))
    return "".join(found)


def render(progress: Progress) -> str:
    """Return the page."""
    last = progress.moments[-1] if progress.moments else None
    plan = progress.plan
    environment = jinja2.Environment(autoescape=True)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        progress=progress,
        plan=plan,
        last=last,
        sides=[(f"{plan.stable} (stable)", last.stable), (f"{plan.candidate} (candidate)", last.candidate)]
        if last
        else [],
        share=share,
        ms=milliseconds,
        plots=_plots(progress) if last else "",
        evidence=_evidence(progress) if last else "",
    )
