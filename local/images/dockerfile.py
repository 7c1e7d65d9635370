"""Dockerfiles: instructions with their lines, and the expansion of variables.

Reference: https://docs.docker.com/reference/dockerfile/
"""

import io
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]

_VARIABLE = re.compile(
    r"\\(?P<escaped>\$)|\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::(?P<operator>[-+])(?P<word>[^}]*))?\})"
)


class DockerfileError(Exception):
    """A line that cannot be read or executed here; the text begins with FILE:LINE."""


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    name: str
    value: str
    file: Path
    line: int
    flags: Mapping[str, str] = field(default_factory=dict)

    def error(self, text: str) -> DockerfileError:
        """Return an error that names this line."""
        return DockerfileError(f"{self.file}:{self.line}: {self.name}: {text}")

    def words(self) -> list[str]:
        """Return the value's words: a JSON array's, or those of the shell form. Raises DockerfileError."""
        array = self.json()
        if array is not None:
            return array
        try:
            return shlex.split(self.value)
        except ValueError as error:
            raise self.error(str(error)) from error

    def json(self) -> list[str] | None:
        """Return the words of the exec form (a JSON array of texts), None for the shell form."""
        if not self.value.startswith("["):
            return None
        try:
            words = json.loads(self.value)
        except json.JSONDecodeError:
            return None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise self.error("the exec form is a JSON array of texts")
        return words

    def command(self) -> list[str]:
        """Return the command of CMD or ENTRYPOINT; the shell form goes through /bin/sh -c."""
        array = self.json()
        return array if array is not None else ["/bin/sh", "-c", self.value]


def read(path: Path, shown: Path) -> list[Instruction]:
    """Return the instructions of the Dockerfile at `path`, named `shown` in errors.

    Raises DockerfileError, OSError.
    """
    source = io.BytesIO(path.read_bytes())
    instructions = []
    for entry in DockerfileParser(fileobj=source, cache_content=True).structure:
        if entry["instruction"] == "COMMENT":
            continue
        value = entry["value"].strip()
        line = entry["startline"] + 1
        flags: dict[str, str] = {}
        while match := re.match(r"--([a-z]+)(?:=(\S+))?\s+", value):
            flags[match[1]] = match[2] or "true"
            value = value[match.end() :]
        instruction = Instruction(entry["instruction"], value, shown, line, flags)
        if entry["instruction"] in ("RUN", "COPY", "ADD") and "<<" in value:
            raise instruction.error("here-documents are not supported here")
        instructions.append(instruction)
    if not any(instruction.name == "FROM" for instruction in instructions):
        raise DockerfileError(f"{shown}: no FROM instruction")
    return instructions


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with $NAME, ${NAME}, ${NAME:-default} and ${NAME:+other} replaced; unknown: empty."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        known = variables.get(match["plain"] or match["braced"], "")
        if match["operator"] == "-":
            return known or match["word"]
        if match["operator"] == "+":
            return match["word"] if known else ""
        return known

    return _VARIABLE.sub(value, text)


def pairs(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs of an ENV or ARG line (`A=1 B=2`; ENV's old form `A 1`; ARG's `A` without a value).

    Raises DockerfileError.
    """
    words = instruction.words()
    if not words:
        raise instruction.error("a name is required")
    if "=" not in words[0] and instruction.name == "ENV":
        name, _, value = instruction.value.partition(" ")
        if not value:
            raise instruction.error(f"{name!r}: not of the form NAME=value")
        return {name: expand(value.strip(), variables)}
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not re.fullmatch(r"\w+", name):
            raise instruction.error(f"{word!r}: not of the form NAME=value")
        if equals:
            found[name] = expand(value, variables)
        elif instruction.name == "ENV":
            raise instruction.error(f"{word!r}: not of the form NAME=value")
    return found
