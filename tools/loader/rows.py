"""The rows of the sample data's CSV files, each checked before anything is sent."""

import csv
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BOM = b"\xef\xbb\xbf"


class UnusableFileError(Exception):
    """A file of which no row can be loaded: it is missing, empty or has other columns."""


class RowError(Exception):
    """One line that cannot be loaded; the text says why."""


@dataclass(frozen=True, slots=True)
class Table:
    """Which file becomes which objects: `key` is the column with the id, `attributes` are the others."""

    objtype: str
    file: str
    key: str
    attributes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the file must have, in any order."""
        return (self.key, *self.attributes)


TABLES = (
    Table("user", "users.csv", "user_id", ("fname", "lname", "email")),
    Table("music", "music.csv", "music_id", ("Artist", "SongTitle")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One object to load; `where` is FILE:LINE."""

    where: str
    objtype: str
    uuid: str
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class BadRow:
    """One line that cannot be loaded, and why."""

    where: str
    reason: str


def read(folder: Path, table: Table) -> Iterator[Row | BadRow]:
    """Return the rows of the table's file in `folder`; lines start at 1, which is the header.

    A row is one line (RFC 4180 without newlines inside of quotes), so a bad one spoils no other.
    Raises UnusableFileError at once, not at the first row.
    """
    path = folder / table.file
    try:
        lines = path.read_bytes().removeprefix(BOM).splitlines()
    except OSError as error:
        raise UnusableFileError(f"{path}: {error.strerror}") from error
    try:
        header = _fields(lines[0]) if lines else []
    except RowError as error:
        raise UnusableFileError(f"{path}:1: the header {error}") from error
    if sorted(header) != sorted(table.columns):
        raise UnusableFileError(
            f"{path}:1: the columns are '{','.join(header)}'; they must be '{','.join(table.columns)}'"
        )
    return _rows(path, table, header, lines[1:])


def _rows(path: Path, table: Table, header: list[str], lines: list[bytes]) -> Iterator[Row | BadRow]:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            key, attributes = _checked(line, table, header)
            first = seen.setdefault(key, number)
            row: Row | BadRow = Row(where, table.objtype, key, attributes)
        except RowError as error:
            row = BadRow(where, str(error))
        else:
            if first != number:
                row = BadRow(where, f"{table.key} {key} stands in line {first} already")
        yield row


def _checked(line: bytes, table: Table, header: list[str]) -> tuple[str, dict[str, str]]:
    """Return the id and the attributes of a line; raises RowError."""
    fields = _fields(line)
    if len(fields) != len(header):
        raise RowError(f"has {len(fields)} fields, not {len(header)} ({','.join(header)})")
    values = dict(zip(header, fields, strict=True))
    key = _key(table.key, values.pop(table.key))
    if empty := [name for name, value in values.items() if not value.strip()]:
        raise RowError(f"{' and '.join(empty)} must not be empty")
    return key, values


def _fields(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode()], strict=True))
    except UnicodeDecodeError as error:
        raise RowError(f"is not UTF-8 (byte {error.start + 1} of the line)") from error
    except csv.Error as error:
        raise RowError(f"is not CSV: {error}") from error


def _key(name: str, value: str) -> str:
    try:
        key = str(uuid.UUID(value))
    except ValueError:
        key = ""
    # uuid.UUID takes more than the canonical form: braces, urn:, no hyphens.
    if key != value.lower():
        raise RowError(f"{name} is '{value}', which is no UUID")
    return key
