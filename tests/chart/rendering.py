"""The chart as Helm renders it, and the files of cluster/, as objects."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tools.check import chart, documents

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"

VARIANTS: dict[str, tuple[list[str], list[str]]] = {
    "default": ([], []),
    "one machine": (["values-one-machine.yaml"], []),
    "production": (["values-production.yaml"], []),
    "loader": ([], ["loader.enabled=true", f"loader.imageDigest=sha256:{'a' * 64}"]),
    "own endpoint by name": ([], ["dynamodb.endpoint=http://dynamodb.example:8000"]),
    "own endpoint by address": (
        [],
        ["dynamodb.endpoint=http://dynamodb.example:8000", "dynamodb.address=10.56.0.1"],
    ),
    "service-account role": (
        [],
        [
            "db.serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn:aws:iam::123456789012:role/db",
            "dynamodb.existingSecret=",
            "dynamodb.additionalHosts={sts.us-west-2.amazonaws.com}",
        ],
    ),
    "no probes, no monitoring, no policies": (
        [],
        [
            "probes.enabled=false",
            "monitoring.enabled=false",
            "meshPolicy.enabled=false",
            "networkPolicy.enabled=false",
            "podDisruptionBudget.enabled=false",
        ],
    ),
    "console": (
        [],
        [
            "console.enabled=true",
            "console.dashboardsPort=3000",
            f"console.imageDigest=sha256:{'d' * 64}",
            "console.prometheusLink=http://prometheus.example/",
        ],
    ),
    "private registry": (
        [],
        ["image.registry=registry.example:5000/team", "image.owner=me", "image.pullSecrets={regcred}"],
    ),
    "everything": (
        ["values-production.yaml"],
        [
            "loader.enabled=true",
            "console.enabled=true",
            "monitoring.labels.release=kube-prometheus-stack",
            "s1.env.GREETING=hello",
            f"s1.imageDigest=sha256:{'b' * 64}",
            f"db.imageDigest=sha256:{'c' * 64}",
        ],
    ),
}


@cache
def rendered(variant: str = "default") -> list[documents.Document]:
    """Objects of the chart with the values of a variant."""
    files, settings = VARIANTS[variant]
    return with_values(settings, files)


def with_values(settings: Iterable[str], files: Iterable[str] = ()) -> list[documents.Document]:
    """Objects of the chart with these values; fails where Helm does."""
    found, problems = chart.render([str(chart.CHART / file) for file in files], ["regid=Octocat", *settings])
    assert not problems, [str(item) for item in problems]
    return found


def refusal(*settings: str) -> str:
    """What Helm says against these values."""
    found, problems = chart.render((), settings)
    assert not found
    return "\n".join(str(item) for item in problems)


@cache
def cluster_files() -> dict[str, list[documents.Document]]:
    """Objects of each file of cluster/."""
    found = {}
    for file in sorted(CLUSTER.glob("*.yaml")):
        found[file.name], problems = documents.read(file.read_text(encoding="utf-8"), file.name)
        assert not problems
    return found


def one(objects: Iterable[documents.Document], kind: str, name: str) -> dict[str, Any]:
    """The only object of that kind and name."""
    matching = [
        item.obj for item in objects if item.obj["kind"] == kind and item.obj["metadata"]["name"] == name
    ]
    assert len(matching) == 1, (kind, name, len(matching))
    return matching[0]


def of_kind(objects: Iterable[documents.Document], kind: str) -> dict[str, dict[str, Any]]:
    """Objects of a kind by name."""
    return {item.obj["metadata"]["name"]: item.obj for item in objects if item.obj["kind"] == kind}


def pods(objects: Iterable[documents.Document]) -> dict[str, dict[str, Any]]:
    """Pod specifications, with their metadata, by Kind/name."""
    found = {}
    for item in objects:
        kind, name = item.obj["kind"], item.obj["metadata"]["name"]
        if kind == "Pod":
            found[f"{kind}/{name}"] = item.obj
        elif kind in {"Deployment", "Job"}:
            found[f"{kind}/{name}"] = item.obj["spec"]["template"]
    return found
