"""A problem of an object: where it is and what is wrong there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Path = Sequence[str | int]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one object.

    Attributes:
        path: field, as ``spec.http[0].route[1].weight``; empty for the object as a whole.
        reason: what is wrong with it.
        kind: kind of the object, empty where it has none.
        name: ``metadata.name``, empty where it has none.
        file: file that holds the object, empty where it comes from elsewhere.
        line: line in that file, counted from 1; 0 where it is not known.
        index: number of the document in that file, counted from 0.
    """

    path: str
    reason: str
    kind: str = ""
    name: str = ""
    file: str = ""
    line: int = 0
    index: int = 0

    def __str__(self) -> str:
        """``FILE: Kind/name: path: reason``, without the parts that are not known."""
        where = f"{self.file}:{self.line}" if self.file and self.line else self.file
        what = f"{self.kind}/{self.name}" if self.kind else ""
        return ": ".join(part for part in (where, what, self.path, self.reason) if part)


def of(obj: dict[str, Any], path: Path, reason: str) -> Problem:
    """Problem of a field of an object."""
    metadata = obj.get("metadata")
    name = metadata.get("name") or metadata.get("generateName") if isinstance(metadata, dict) else ""
    return Problem(path=dotted(path), reason=reason, kind=str(obj.get("kind") or "?"), name=str(name or "?"))


def dotted(path: Path) -> str:
    """Field path in Kubernetes' notation: ``("spec", "http", 0)`` is ``spec.http[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text
