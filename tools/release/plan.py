"""The plan of a release: `plan.yaml` beside this file, checked against `plan.schema.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

FOLDER = Path(__file__).parent
DEFAULT = FOLDER / "plan.yaml"
_SCHEMA = FOLDER / "plan.schema.json"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class PlanError(ValueError):
    """A plan cannot be used; the text names file, field and reason."""


@dataclass(frozen=True)
class Step:
    """A share of the users' requests for the candidate: `weight` in percent, `minimum` in seconds."""

    weight: int
    minimum: float

    @property
    def name(self) -> str:
        """What people read: the dark launch has no users."""
        return f"{self.weight} %" if self.weight else "dark launch"


@dataclass(frozen=True)
class Comparison:
    """What one comparison of two versions takes as harm: net shares of the requests, 0 to 1."""

    tolerance: float
    margin: float


@dataclass(frozen=True)
class Plan:
    """All of a plan. Times are in seconds, shares from 0 to 1, weights and `mirror_percent` in percent."""

    namespace: str
    service: str
    stable: str
    candidate: str
    methods: tuple[str, ...]
    mirror_percent: float
    warm_up: float
    steps: tuple[Step, ...]
    pairs: int
    patience: float
    silence: float
    metrics_lost: float
    false_alarms: float
    wrong_promotions: float
    success: str
    slower: float
    failures: Comparison
    latency: Comparison
    interval: float
    flush: float


def seconds(text: str) -> float:
    """Return the length of `text`, a number with ms, s, m or h."""
    unit = "ms" if text.endswith("ms") else text[-1]
    return float(text.removesuffix(unit)) * _SECONDS[unit]


def _comparison(part: dict[str, Any]) -> Comparison:
    return Comparison(part["tolerance"] / 100, part["margin"] / 100)


def _contradictions(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return path and reason of what no schema can say."""
    weights = [step["weight"] for step in data["steps"]]
    found = []
    if data["stable"] == data["candidate"]:
        found.append(("candidate", "is the stable version itself"))
    if weights != sorted(set(weights)):
        found.append(("steps", "the weights must grow from step to step"))
    if weights[-1] != 100:
        found.append(("steps", "the last weight must be 100"))
    found += [
        (f"judgement.{name}.margin", "must be above the tolerance")
        for name in ("failures", "latency")
        if data["judgement"][name]["margin"] <= data["judgement"][name]["tolerance"]
    ]
    longest = max(seconds(step["minimum"]) for step in [data["darkLaunch"], *data["steps"]])
    if seconds(data["limits"]["patience"]) <= longest:
        found.append(("limits.patience", "must be above each step's minimum"))
    found += [
        (f"metrics.{name}", "must be above 0")
        for name in ("interval", "flush")
        if seconds(data["metrics"][name]) == 0
    ]
    found += [
        (
            f"limits.{name}",
            "must be two intervals of the metrics at least, or one late scrape ends the release",
        )
        for name in ("silence", "metricsLost")
        if seconds(data["limits"][name]) < 2 * seconds(data["metrics"]["interval"])
    ]
    return found


def parse(data: dict[str, Any], source: str) -> Plan:
    """Return the plan in `data`; `source` is named in a PlanError, with each field that is wrong."""
    validator = Draft202012Validator(json.loads(_SCHEMA.read_text()), format_checker=FormatChecker())
    problems = [
        (".".join(str(part) for part in error.absolute_path) or "the plan", error.message)
        for error in sorted(
            validator.iter_errors(data), key=lambda error: list(map(str, error.absolute_path))
        )
    ] or _contradictions(data)
    if problems:
        raise PlanError("\n".join(f"{source}: {path}: {reason}" for path, reason in problems))
    dark, limits, judgement = data["darkLaunch"], data["limits"], data["judgement"]
    steps = [Step(0, seconds(dark["minimum"]))]
    steps += [Step(step["weight"], seconds(step["minimum"])) for step in data["steps"]]
    return Plan(
        namespace=data["namespace"],
        service=data["service"],
        stable=data["stable"],
        candidate=data["candidate"],
        methods=tuple(dark["methods"]),
        mirror_percent=dark["mirrorPercent"],
        warm_up=seconds(dark["warmUp"]),
        steps=tuple(steps),
        pairs=limits["pairs"],
        patience=seconds(limits["patience"]),
        silence=seconds(limits["silence"]),
        metrics_lost=seconds(limits["metricsLost"]),
        false_alarms=judgement["falseAlarms"] / 100,
        wrong_promotions=judgement["wrongPromotions"] / 100,
        success=judgement["failures"]["success"],
        slower=seconds(judgement["latency"]["slower"]),
        failures=_comparison(judgement["failures"]),
        latency=_comparison(judgement["latency"]),
        interval=seconds(data["metrics"]["interval"]),
        flush=seconds(data["metrics"]["flush"]),
    )


def load(path: Path) -> Plan:
    """Read and check a plan; raises PlanError."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PlanError(f"{path}: {' '.join(str(error).split())}") from error
    return parse(data, str(path))
