"""Settings from the environment: read once at start, with one clear line where one is missing or wrong."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask

Environ = Mapping[str, str]

_STOP_SERVER = 4  # gunicorn's APP_LOAD_ERROR: its master stops instead of starting the worker over and over


class ConfigError(ValueError):
    """A setting is missing or cannot be used; the text names the variable and what it must be."""


def required(environ: Environ, name: str) -> str:
    """Return variable `name`; raises ConfigError where it is absent or empty."""
    value = environ.get(name, "")
    if not value:
        raise ConfigError(f"environment variable {name} is not set")
    return value


def matching(environ: Environ, name: str, pattern: str, meaning: str, default: str | None = None) -> str:
    """Return variable `name` where the whole of it matches `pattern`; raises ConfigError with `meaning`."""
    value = environ.get(name) or default or required(environ, name)
    if not re.fullmatch(pattern, value):
        raise ConfigError(f"environment variable {name}={value!r} must be {meaning}")
    return value


def number(environ: Environ, name: str, default: int, low: int, high: int) -> int:
    """Return variable `name` as a whole number from `low` to `high`; raises ConfigError otherwise."""
    text = matching(environ, name, "[0-9]{1,9}", f"a whole number from {low} to {high}", str(default))
    if not low <= int(text) <= high:
        raise ConfigError(f"environment variable {name}={text} must be a whole number from {low} to {high}")
    return int(text)


def exit_with(error: ConfigError) -> None:
    """Print `error` as the one line that the operator reads, and end this process and gunicorn's master."""
    print(f"cannot start: {error}", file=sys.stderr, flush=True)
    sys.exit(_STOP_SERVER)


def start(factory: Callable[..., Flask], **options: Any) -> Flask:  # noqa: ANN401
    """Return `factory(os.environ, **options)`, or end the process where a setting is missing or wrong."""
    try:
        return factory(os.environ, **options)
    except ConfigError as error:
        exit_with(error)
        raise
