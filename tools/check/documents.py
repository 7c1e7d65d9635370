"""Reads YAML the way kubectl does, and says in which line something is wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tools.check.problem import Problem

# An object in etcd may have 1.5 MiB; aliases can make a small file far larger than that.
MAX_NODES = 100_000
MAX_DEPTH = 100

EMPTY = "holds no object"


@dataclass(frozen=True)
class Document:
    """An object and where it stands.

    Attributes:
        obj: the object.
        file: file that holds it, as in messages.
        line: line in that file at which it begins, counted from 1.
        index: number of the document in that file, counted from 0.
    """

    obj: dict[str, Any]
    file: str = ""
    line: int = 0
    index: int = 0


_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """Safe loader with the scalars of kubectl's YAML library, string keys, and no duplicate keys.

    Scalars as in https://github.com/kubernetes-sigs/yaml: no base 60, no timestamps, exponents without a dot.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            if key.value in seen:
                text = f"key {key.value!r} stands twice, first in line {seen[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
            seen[key.value] = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:merge":
                key.tag = "tag:yaml.org,2002:str"
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _integer(loader: Any, node: yaml.ScalarNode) -> int:  # noqa: ANN401 - PyYAML's constructors are untyped
    text = loader.construct_scalar(node).replace("_", "")
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", text)
    return int(octal[1] + octal[2], 8) if octal else int(text, 0)


def _boolean(loader: Any, node: yaml.ScalarNode) -> bool:  # noqa: ANN401 - PyYAML's constructors are untyped
    return loader.construct_scalar(node).lower() in {"y", "yes", "true", "on"}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (
        "bool",
        r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        list("yYnNtTfFoO"),
    ),
    ("int", r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:bool", _boolean)


def read(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """Objects of a YAML (or JSON) text.

    Args:
        text: any number of documents; a ``kind: List`` counts as its items.
        file: what to call the text in messages.

    Returns:
        The objects, and what is wrong with the text: no YAML, duplicate keys, documents that are no objects,
        nothing at all. After an error in the syntax there are no objects.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            line = node.start_mark.line + 1
            value = loader.construct_document(node)
            if value is None:
                continue
            reason = _no_object(value)
            if reason:
                problems.append(Problem("", reason, file=file, line=line))
                continue
            index = len(documents)
            documents += (Document(item, file, line, index + n) for n, item in enumerate(_items(value)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return [], [_syntax(error, file)]
    finally:
        loader.dispose()
    if not documents and not problems:
        problems.append(Problem("", EMPTY, file=file, line=1))
    return documents, problems


def _items(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    items = value.get("items")
    if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))
    else:
        yield value


def _no_object(value: object) -> str:
    """Reason why a document cannot be an object, or nothing."""
    if not isinstance(value, dict):
        return f"a document must be an object with apiVersion and kind, not {type(value).__name__}"
    nodes = 0
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if nodes > MAX_NODES:
            return f"an object of more than {MAX_NODES} values"
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return ""
    return f"an object of more than {MAX_DEPTH} levels"


def _syntax(error: Exception, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "\\t" in reason or "'\t'" in reason or "tab" in reason:
        reason = "a tab where YAML allows spaces only"
    line = mark.line + 1 if mark else 1
    return Problem(
        "", f"not YAML: {reason}" if "stands twice" not in reason else reason, file=file, line=line
    )
