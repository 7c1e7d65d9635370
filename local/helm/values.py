"""The values of an installation: files and --set options, merged as Helm merges them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import helm_python

Values = dict[str, Any]

_PARSERS: dict[str, Callable[[str], Values]] = {
    "--set-json": helm_python.parse_set_json,
    "--set": helm_python.parse_set_string,
    "--set-string": helm_python.parse_set_string_values,
    "--set-file": helm_python.parse_set_file,
    "--set-literal": helm_python.parse_set_literal,
}
"""Options in the order in which Helm applies them (pkg/cli/values/options.go)."""


class ValuesError(ValueError):
    """A values file or a --set option cannot be used; the text says which."""


def collect(files: Sequence[Path], options: dict[str, Sequence[str]]) -> Values:
    """Return the values of `files`, then of the --set options by name; raises ValuesError."""
    merged: Values = {}
    for file in files:
        try:
            merged = merge(merged, helm_python.values_from_yaml(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise ValuesError(f"{file}: {error.strerror}") from None
        except (helm_python.HelmError, UnicodeDecodeError) as error:
            raise ValuesError(f"{file}: {error}") from None
    for option, parse in _PARSERS.items():
        for text in options.get(option, ()):
            try:
                given = parse(text)
            except helm_python.HelmError as error:
                raise ValuesError(f"failed parsing {option} data: {error}") from None
            if "[" in text.partition("=")[0]:
                _refuse_item(option, text, merged, given)
            merged = merge(merged, given)
    return merged


def merge(base: Values, over: Values) -> Values:
    """Return `base` with `over` on top: maps merge, all else replaces."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _refuse_item(option: str, text: str, base: Values, given: Values) -> None:
    """Raise where an option sets an item of a list that is given already: the engine parses it alone."""
    for key, value in given.items():
        old = base.get(key)
        if isinstance(old, list) and isinstance(value, list):
            raise ValuesError(
                f"{option} {text}: sets an item of the list {key}, which is given already: edit that"
            )
        if isinstance(old, dict) and isinstance(value, dict):
            _refuse_item(option, text, old, value)
