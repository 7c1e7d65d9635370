import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.release.plan import DEFAULT, PlanError, load, parse, seconds


@pytest.fixture
def data() -> dict[str, Any]:
    return yaml.safe_load(DEFAULT.read_text())


def change(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(data)
    part = data
    *folders, name = path.split(".")
    for folder in folders:
        part = part[folder]
    part[name] = value
    return data


def test_the_plan_of_the_project() -> None:
    plan = load(DEFAULT)
    assert [step.weight for step in plan.steps] == [0, 1, 5, 10, 25, 50, 100]
    assert plan.false_alarms == pytest.approx(0.01)
    assert plan.slower == pytest.approx(0.025)
    assert plan.steps[0].name == "dark launch"


@pytest.mark.parametrize(("text", "wanted"), [("30s", 30), ("1.5m", 90), ("25ms", 0.025), ("2h", 7200)])
def test_durations(text: str, wanted: float) -> None:
    assert seconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("candidate", "v1", "plan.yaml: candidate: is the stable version itself"),
        ("namespace", "C756", "plan.yaml: namespace: 'C756' does not match"),
        ("steps", [], "plan.yaml: steps: "),
        (
            "steps",
            [{"weight": 50, "minimum": "1s"}, {"weight": 20, "minimum": "1s"}],
            "the weights must grow",
        ),
        ("steps", [{"weight": 50, "minimum": "1s"}], "the last weight must be 100"),
        ("steps", [{"weight": 0, "minimum": "1s"}], "plan.yaml: steps.0.weight"),
        ("darkLaunch.minimum", "2 minutes", "plan.yaml: darkLaunch.minimum: '2 minutes' does not match"),
        ("darkLaunch.methods", ["GET", "POST"], "plan.yaml: darkLaunch.methods.1: 'POST' is not one of"),
        ("darkLaunch.mirrorPercent", 0, "plan.yaml: darkLaunch.mirrorPercent"),
        ("limits.patience", "2m", "limits.patience: must be above each step's minimum"),
        ("limits.silence", "9s", "limits.silence: must be two intervals"),
        ("limits.metricsLost", "9s", "limits.metricsLost: must be two intervals"),
        ("judgement.falseAlarms", 0, "judgement.falseAlarms"),
        ("judgement.failures.margin", 0.5, "judgement.failures.margin: must be above the tolerance"),
        ("judgement.failures.success", "[12", "is not a 'regex'"),
        ("judgement.latency.colour", "red", "plan.yaml: judgement.latency: .*'colour' was unexpected"),
        ("metrics.interval", "0s", "metrics.interval: must be above 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    data: dict[str, Any], path: str, value: object, reason: str
) -> None:
    with pytest.raises(PlanError, match=reason):
        parse(change(data, path, value), "plan.yaml")


def test_a_missing_field_is_named(data: dict[str, Any]) -> None:
    del data["limits"]
    with pytest.raises(PlanError, match=r"plan\.yaml: the plan: 'limits' is a required property"):
        parse(data, "plan.yaml")


@pytest.mark.parametrize("text", ["a: [", "just text", "", "\x00"])
def test_a_file_that_is_no_plan(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=str(path)):
        load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"none\.yaml"):
        load(tmp_path / "none.yaml")
