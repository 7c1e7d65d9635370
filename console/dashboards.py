"""Grafana's dashboard files: what their panels ask of Prometheus, for the panel types that this project uses.

Format: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.prometheus import Prometheus, PrometheusError, Sample, Series

Json = dict[str, Any]

PANEL_TYPES = ("timeseries", "stat", "table")
_POINTS = 240
_VARIABLE = re.compile(r"\$\{(?P<braced>\w+)(?::\w+)?\}|\$(?P<plain>\w+)")
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_INTERVALS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)
_SCRAPE = 30
"""The longest time between two scrapes of what the dashboards show, in seconds."""


class DashboardError(ValueError):
    """A file that is no dashboard, or a dashboard that is not there."""


@dataclass(frozen=True)
class Window:
    """The time that is shown, in seconds since the epoch."""

    start: float
    end: float

    @property
    def step(self) -> int:
        """Return the seconds between two points: round, and few enough to draw."""
        wanted = (self.end - self.start) / _POINTS
        return next((step for step in _INTERVALS if step >= wanted), _INTERVALS[-1])

    @property
    def aligned(self) -> tuple[float, float]:
        """Return start and end as multiples of the step, so that points stay where they are at a refresh."""
        return self.start // self.step * self.step, self.end // self.step * self.step


def load(folder: Path) -> dict[str, Json]:
    """Return the dashboards of a folder by their uid, sorted by file name. Raises DashboardError."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            board = json.loads(path.read_text(encoding="utf-8"))
            found[str(board["uid"])] = board
        except (ValueError, KeyError, TypeError) as error:
            raise DashboardError(f"{path.name} is no Grafana dashboard: {error!r}") from error
    return found


def panels(board: Json) -> list[Json]:
    """Return the panels of a dashboard that show data."""
    return [panel for panel in board["panels"] if panel["type"] in PANEL_TYPES]


def variables(board: Json) -> dict[str, str]:
    """Return the present values of a dashboard's own variables, datasources apart."""
    listed = board.get("templating", {}).get("list", [])
    return {
        variable["name"]: str(variable.get("current", {}).get("value") or variable.get("query", ""))
        for variable in listed
        if variable["type"] != "datasource"
    }


def expand(text: str, values: dict[str, str]) -> str:
    """Return a query with the variables replaced; a name that is not known stays as it is."""

    def value(match: re.Match[str]) -> str:
        return values.get(match["braced"] or match["plain"], match[0])

    return _VARIABLE.sub(value, text)


def built_in(window: Window) -> dict[str, str]:
    """Return Grafana's own variables for a time window."""
    seconds = round(window.end - window.start)
    # Grafana's rule: four scrapes at least, so that a rate has always enough samples.
    rate = max(window.step + _SCRAPE, 4 * _SCRAPE)
    return {
        "__interval": f"{window.step}s",
        "__rate_interval": f"{rate}s",
        "__range": f"{seconds}s",
        "__range_s": str(seconds),
    }


def queries(board: Json, window: Window, chosen: dict[str, str]) -> dict[str, str]:
    """Return the PromQL of every target by `panel id/refId`; `chosen`: values of the dashboard's variables."""
    values = {**variables(board), **chosen, **built_in(window)}
    return {
        f"{panel['id']}/{target['refId']}": expand(target["expr"], values)
        for panel in panels(board)
        for target in panel["targets"]
    }


def legend(target: Json, labels: dict[str, str], panel: Json) -> str:
    """Return the name of a series, by Grafana's legendFormat or else its labels."""
    pattern = target.get("legendFormat", "")
    if pattern and pattern != "__auto":
        return _LEGEND.sub(lambda match: labels.get(match[1], ""), pattern).strip()
    named = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__")
    return f"{{{named}}}" if named else str(panel["title"])


def data(prometheus: Prometheus, board: Json, window: Window, chosen: dict[str, str]) -> list[Json]:
    """Return the panels with their series or rows; one whose query fails has an `error` instead."""
    asked = queries(board, window, chosen)
    instant = {f"{p['id']}/{t['refId']}" for p in panels(board) for t in p["targets"] if _is_instant(p, t)}
    start, end = window.aligned
    ranges = prometheus.map_ranges(
        {name: text for name, text in asked.items() if name not in instant}, start, end, window.step
    )
    points: dict[str, list[Sample] | PrometheusError] = {}
    for name in instant:
        try:
            points[name] = prometheus.query(asked[name], window.end)
        except PrometheusError as error:
            points[name] = error
    return [_panel(panel, asked, {**ranges, **points}) for panel in panels(board)]


def _is_instant(panel: Json, target: Json) -> bool:
    return bool(target.get("instant")) or panel["type"] in ("stat", "table")


def _panel(panel: Json, asked: dict[str, str], answers: dict[str, Any]) -> Json:
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    found: Json = {
        "id": panel["id"],
        "type": panel["type"],
        "title": panel["title"],
        "description": panel.get("description", ""),
        "unit": defaults.get("unit", "none"),
        "decimals": defaults.get("decimals"),
        "min": defaults.get("min"),
        "max": defaults.get("max"),
        "steps": defaults.get("thresholds", {}).get("steps", []) if panel["type"] == "stat" else [],
        "place": panel["gridPos"],
        "stacked": defaults.get("custom", {}).get("stacking", {}).get("mode", "none") != "none",
        "queries": [asked[f"{panel['id']}/{target['refId']}"] for target in panel["targets"]],
    }
    parts = [(target, answers[f"{panel['id']}/{target['refId']}"]) for target in panel["targets"]]
    failed = [answer for _, answer in parts if isinstance(answer, PrometheusError)]
    if failed:
        return {**found, "error": str(failed[0])}
    if panel["type"] == "table":
        return {**found, **_table(panel, parts)}
    series = [_series(panel, target, row) for target, rows in parts for row in rows]
    return {**found, "series": series}


def _series(panel: Json, target: Json, row: Series | Sample) -> Json:
    labels = dict(row.labels)
    points = row.points if isinstance(row, Series) else [(None, _number(row.value))]
    return {
        "name": legend(target, labels, panel),
        "labels": labels,
        "points": points,
        "dashes": _dashes(panel, target),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _dashes(panel: Json, target: Json) -> bool:
    """Tell whether a query's lines are dashed, by an override `byFrameRefID`."""
    return any(
        override["matcher"] == {"id": "byFrameRefID", "options": target["refId"]}
        and any(
            p["id"] == "custom.lineStyle" and p["value"].get("fill") == "dash" for p in override["properties"]
        )
        for override in panel.get("fieldConfig", {}).get("overrides", [])
    )


def _table(panel: Json, parts: list[tuple[Json, list[Sample]]]) -> Json:
    """Return columns and rows: labels, and a value column a query, joined by equal labels."""
    rows: dict[tuple[tuple[str, str], ...], Json] = {}
    labels: list[str] = []
    for target, samples in parts:
        for sample in samples:
            own = {k: v for k, v in sample.labels.items() if k != "__name__"}
            labels += [name for name in own if name not in labels]
            row = rows.setdefault(tuple(sorted(own.items())), {**own})
            row[f"Value #{target['refId']}"] = _number(sample.value)
    names = _renamed(panel)
    values = [f"Value #{target['refId']}" for target, _ in parts]
    units = _units(panel)
    columns = [
        {
            "key": key,
            "name": names.get(key, key),
            "number": key in values,
            "unit": units.get(names.get(key, key), ""),
        }
        for key in (*labels, *values)
    ]
    return {"columns": columns, "rows": [rows[key] for key in sorted(rows)]}


def _renamed(panel: Json) -> dict[str, str]:
    """Return new names of columns, by the transformation `organize`."""
    for transformation in panel.get("transformations", []):
        if transformation["id"] == "organize":
            renamed: dict[str, str] = transformation["options"].get("renameByName", {})
            return renamed
    return {}


def _units(panel: Json) -> dict[str, str]:
    return {
        override["matcher"]["options"]: prop["value"]
        for override in panel.get("fieldConfig", {}).get("overrides", [])
        if override["matcher"]["id"] == "byName"
        for prop in override["properties"]
        if prop["id"] == "unit"
    }
