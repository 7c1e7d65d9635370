"""What a step of the exercise is."""

from collections.abc import Callable
from dataclasses import dataclass

from tools.guide.seen import Place


@dataclass(frozen=True)
class Command:
    """What a person types. `lines` are typed into the program that it starts; `shows` are regular expressions
    for what it prints.
    """

    text: str
    shows: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """Where a person looks: a page of the console, as a path after the graph's URL, and the picture's name."""

    name: str
    path: str


@dataclass(frozen=True)
class Step:
    """One step: what it is for, what is typed, what is then seen.

    Attributes:
        text: for the reader, in Markdown.
        seen: sentence about what is seen; `check` asserts it.
        only: the kind of place that the step is for, `local`; empty for all.
    """

    title: str
    text: str
    commands: tuple[Command, ...] = ()
    seen: str = ""
    check: Callable[[Place], str] | None = None
    looks: tuple[Look, ...] = ()
    only: str = ""
