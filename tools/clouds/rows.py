"""The rows of the table, and the table."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True, slots=True)
class Row:
    """Something that runs, or a place that could not be looked at; each field is as it is printed."""

    kind: str
    name: str
    where: str
    size: str
    status: str


CLUSTER, TABLE, LOAD, MESH, UNSEEN = "cluster", "table", "load", "mesh", "not seen"
_ORDER = {kind: number for number, kind in enumerate((MESH, CLUSTER, TABLE, LOAD, UNSEEN))}


def counted(number: int, thing: str) -> str:
    """Return for example "1 node" or "1,000 items"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def table(rows: Iterable[Row]) -> str:
    """Return the rows in columns under their headings, without spaces at the lines' ends."""
    ordered = sorted(rows, key=lambda row: (_ORDER[row.kind], row.where, row.name))
    heading = tuple(field.name.upper() for field in fields(Row))
    lines = [heading, *map(astuple, ordered)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
