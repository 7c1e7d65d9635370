"""Renders the project's chart with Helm's engine, as what the files in cluster/ refer to."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tools.check import documents
from tools.check.documents import Document
from tools.check.problem import Problem

CHART = Path(__file__).parents[2] / "charts" / "c756"


def render(
    values_files: Iterable[str] = (), settings: Iterable[str] = (), namespace: str = "c756ns"
) -> tuple[list[Document], list[Problem]]:
    """Objects of the chart, and what Helm or YAML says against it.

    Args:
        values_files: as of ``helm --values``, the later above the earlier.
        settings: as of ``helm --set``, above the files; ``regid`` is ``$REGID`` unless one of both sets it.
        namespace: namespace of the release.
    """
    # Imported here: the library is loaded in 0.1 s, and only a check with the chart needs it.
    from helm_python import Chart, HelmError, parse_set_string  # noqa: PLC0415

    name = os.path.relpath(CHART)
    values: dict[str, Any] = {"regid": os.environ.get("REGID") or "c756"}
    try:
        for file in values_files:
            _merge(values, yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {})
        for setting in settings:
            _merge(values, parse_set_string(setting))
        with Chart.load(CHART) as chart:
            chart.validate_schema(values)
            manifests = chart.render(values, name="c756", namespace=namespace)
    except HelmError as error:
        return [], [Problem("", " ".join(str(error).split()), file=name)]
    found: list[Document] = []
    problems: list[Problem] = []
    for template, text in sorted(manifests.items()):
        if template.endswith(".yaml") and text.strip():
            objects, wrong = documents.read(text, str(Path(name).parent / template))
            found += objects
            problems += (item for item in wrong if item.reason != documents.EMPTY)
    return found, problems


def _merge(base: dict[str, Any], other: dict[str, Any]) -> None:
    """Merges values as Helm does: objects by key, everything else replaced."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
