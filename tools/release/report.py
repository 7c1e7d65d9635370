"""The reports of a release: a summary for the terminal, JSON for programs, and a page with plots."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.release import page
from tools.release.display import milliseconds, share
from tools.release.judge import Finding
from tools.release.progress import EXIT_CODES, Moment, Progress


def summary(progress: Progress) -> str:
    """Return the result in a few lines."""
    plan = progress.plan
    lines = [f"{progress.ending.upper()} after {progress.seconds:.0f} s: {progress.reason}"]
    if progress.moments:
        last = progress.moments[-1]
        for name, side in ((plan.stable, last.stable), (plan.candidate, last.candidate)):
            lines.append(
                f"  {name}: {side.answers} answers, {share(side.failures, side.answers)} failed, "
                f"p95 {milliseconds(side.p95)}; to users {side.user_answers}, of which {side.user_failures} failed"
            )
    return "\n".join(lines)


def _finding(finding: Finding) -> dict[str, Any]:
    """Return the evidence with e-values as they are usually given, not as logarithms."""
    return {
        "metric": finding.metric,
        **asdict(finding.tally),
        "harm": _exp(finding.harm),
        "harmLimit": _exp(finding.harm_limit),
        "noHarm": _exp(finding.unharmed),
        "noHarmLimit": _exp(finding.unharmed_limit),
    }


def _exp(log: float) -> float:
    return float(f"{math.exp(min(log, 700)):.4g}")


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "at": round(moment.at, 1),
        "step": moment.step,
        "weight": moment.weight,
        "state": moment.state,
        "stable": asdict(moment.stable),
        "candidate": asdict(moment.candidate),
        "evidence": [_finding(finding) for finding in moment.findings],
    }


def as_json(progress: Progress) -> dict[str, Any]:
    """Return all of a release."""
    return {
        "release": progress.release,
        "started": progress.started,
        "seconds": round(progress.seconds, 1),
        "ending": progress.ending,
        "exitCode": EXIT_CODES[progress.ending],
        "reason": progress.reason,
        "usersUnanswered": progress.unanswered,
        "plan": asdict(progress.plan),
        "events": [{"at": round(event.at, 1), "text": event.text} for event in progress.events],
        "moments": [_moment(moment) for moment in progress.moments],
        "latencies": [
            {
                side: {str(bound): count for bound, count in getattr(block, side).latencies.items()}
                for side in ("stable", "candidate")
            }
            for block in progress.blocks
        ],
    }


def write(progress: Progress, folder: Path) -> list[Path]:
    """Write both reports into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, html = folder / f"release-{progress.release}.json", folder / f"release-{progress.release}.html"
    data.write_text(json.dumps(as_json(progress), indent=1) + "\n", encoding="utf-8")
    html.write_text(page.render(progress), encoding="utf-8")
    return [data, html]
