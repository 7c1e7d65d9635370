"""What Helm prints: tables, a release's status, manifests."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import yaml

Record = dict[str, Any]

_SOURCE = re.compile(r"^# Source: (\S+)$", re.MULTILINE)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as Helm prints it: columns padded, divided by a tab."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "\t".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def structured(data: object, form: str) -> str:
    """Return data as JSON or YAML."""
    return json.dumps(data) if form == "json" else yaml.safe_dump(data, sort_keys=True).rstrip("\n")


def time(text: str) -> str:
    """Return an RFC 3339 time as Helm's tables have it (time.ANSIC), in this machine's time zone."""
    return datetime.fromisoformat(text).astimezone().strftime("%a %b %e %H:%M:%S %Y") if text else ""


def chart(release: Record) -> str:
    """Return a release's chart with its version."""
    return f"{release.get('chart_name', '')}-{release.get('chart_version', '')}"


def listed(release: Record) -> Record:
    """Return a release as `helm list -o json` has it."""
    return {
        "name": release["name"],
        "namespace": release["namespace"],
        "revision": str(release["revision"]),
        "updated": release.get("deployed_at", ""),
        "status": release["status"],
        "chart": chart(release),
        "app_version": release.get("app_version", ""),
    }


def status(release: Record, description: str = "", hooks: Iterable[Record] = ()) -> str:
    """Return what install, upgrade, status and test print of a release."""
    lines = [
        f"NAME: {release['name']}",
        f"LAST DEPLOYED: {time(release.get('deployed_at', ''))}",
        f"NAMESPACE: {release['namespace']}",
        f"STATUS: {release['status']}",
        f"REVISION: {release['revision']}",
    ]
    if description:
        lines.append(f"DESCRIPTION: {description}")
    tests = [hook for hook in hooks if "test" in hook.get("events", [])]
    if tests:
        for hook in tests:
            last = hook.get("last_run") or {}
            lines.append(f"TEST SUITE:     {hook['name']}")
            for label, field in (("Last Started:  ", "started_at"), ("Last Completed:", "completed_at")):
                lines.append(f"{label} {time(last.get(field, ''))}")
            lines.append(f"Phase:          {last.get('phase') or 'Unknown'}")
    else:
        lines.append("TEST SUITE: None")
    if release.get("notes"):
        lines += ["NOTES:", release["notes"].rstrip("\n")]
    return "\n".join(lines)


def documents(manifest: str) -> list[tuple[str, str]]:
    """Return a manifest's documents with the templates that they come from."""
    found = []
    for text in re.split(r"^---\s*$", manifest, flags=re.MULTILINE):
        source = _SOURCE.search(text)
        if text.strip():
            found.append((source[1] if source else "", text.strip("\n")))
    return found


def is_hook(document: str) -> bool:
    """Tell whether a document is a hook, which Helm keeps apart from a release's manifest."""
    obj = yaml.safe_load(document)
    annotations = (obj.get("metadata") or {}).get("annotations") if isinstance(obj, dict) else None
    return "helm.sh/hook" in (annotations or {})
