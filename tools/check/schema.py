"""Strict schemas: unknown fields, wrong types, values that an enum does not have.

Kubernetes' own kinds have the JSON schemas of the package kubernetes-validate, Istio's and the Prometheus
operator's those that models.py derives.
"""

import difflib
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tools.check import models, problem
from tools.check.constraints import CONSTRAINTS
from tools.check.problem import Problem

# Version of Kubernetes that the schemas of its own kinds are of.
KUBERNETES = "1.34"

_DEFINITIONS = "/api/_definitions.json"
_OBJECT_META = f"{_DEFINITIONS}#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def errors(obj: dict[str, Any]) -> list[Problem]:
    """What an object's schema refuses.

    What the API server writes (``status``, ``metadata.uid``, ``managedFields`` …) is part of the schemas, so
    an object that was read from a server passes as well.

    Args:
        obj: a Kubernetes, Istio or Prometheus operator object, as parsed from YAML.

    Returns:
        One problem a field, in the order of the fields; empty if there are none.
    """
    for field in ("apiVersion", "kind"):
        if not isinstance(obj.get(field), str) or not obj[field]:
            return [problem.of(obj, [field], "is required" if obj.get(field) is None else "must be a string")]
    validator = _validator(obj["apiVersion"], obj["kind"])
    if validator is None:
        return [problem.of(obj, ["kind"], _unknown_kind(obj["apiVersion"], obj["kind"]))]
    explained = [*_explained(validator.iter_errors(obj)), *_null_items(obj, [])]
    found = dict.fromkeys(problem.of(obj, path, reason) for path, reason in explained)
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        found.setdefault(problem.of(obj, ["metadata"], "is required"))
    elif not metadata.get("name") and not metadata.get("generateName"):
        found.setdefault(problem.of(obj, ["metadata", "name"], "is required"))
    return list(found)


def _at_most_one(
    _validator: Validator, names: list[str], instance: object, _schema: object
) -> Iterator[ValidationError]:
    """Keyword of the derived schemas: protobuf's oneof."""
    if isinstance(instance, dict):
        present = [name for name in names if name in instance]
        if len(present) > 1:
            yield ValidationError(f"only one of {', '.join(names)} may be set, not {' and '.join(present)}")


_StrictValidator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"x-at-most-one": _at_most_one}
)


@cache
def _validator(api_version: str, kind: str) -> Validator | None:
    schema = _kubernetes_schema(api_version, kind)
    if schema is None:
        spec = models.load(api_version, kind)
        if spec is None:
            return None
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"$ref": _OBJECT_META},
                "spec": {key: value for key, value in spec.items() if key != "$defs"},
                "status": {"type": "object"},
            },
            "$defs": spec["$defs"],
        }
    validator: Validator = _StrictValidator(schema, registry=_registry())
    return validator


def _kubernetes_schema(api_version: str, kind: str) -> dict[str, Any] | None:
    if not re.fullmatch(r"[A-Za-z]+", kind):
        return None
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version).replace("/", "-")
    file = _folder().joinpath(f"{kind.lower()}-{group}.json")
    if not file.is_file():
        return None
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    properties = schema.get("properties", {})
    # The file name has the first part of the group only, and some files are parts of objects.
    if api_version not in properties.get("apiVersion", {}).get("enum", ()):
        return None
    if kind not in properties.get("kind", {}).get("enum", ()):
        return None
    return schema


@cache
def _folder() -> Path:
    # Found, not imported: the package's code is not needed and takes 0.1 s.
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package kubernetes-validate is not installed")
    package = Path(spec.submodule_search_locations[0])
    return package / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict"


@cache
def _registry() -> Registry[Any]:
    contents = json.loads(_folder().joinpath("_definitions.json").read_text(encoding="utf-8"))
    for name, properties in CONSTRAINTS.items():
        for field, keywords in properties.items():
            contents["$defs"][name]["properties"][field].update(keywords)
    resource = DRAFT202012.create_resource(contents)
    # Crawled once here, or every validator would do it again.
    registry: Registry[Any] = Registry().with_resource(_DEFINITIONS, resource).crawl()
    return registry


def _unknown_kind(api_version: str, kind: str) -> str:
    if known := models.kinds(api_version):
        return f"{api_version} has no kind {kind} that is known here: {', '.join(known)}"
    return f"Kubernetes {KUBERNETES}, Istio and the Prometheus operator have no kind {kind} in {api_version}"


def _explained(found: Iterable[Any]) -> Iterator[tuple[list[str | int], str]]:
    """Path and reason, in words, of each ValidationError (whose attributes may be unset, say their types)."""
    for error in found:
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            yield from (([*path, name], reason) for name, reason in _unknown_fields(error))
        elif error.validator == "required":
            yield from (
                ([*path, name], "is required") for name in error.validator_value if name not in error.instance
            )
        else:
            yield path, _reason(error)


def _unknown_fields(error: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - see _explained
    known = list(error.schema.get("properties", ()))
    for name in error.instance:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            yield name, f"unknown field; did you mean {near[0]}?" if near else "unknown field"


def _reason(error: Any) -> str:  # noqa: ANN401 - see _explained
    wanted, instance = error.validator_value, error.instance
    match error.validator:
        case "type":
            return f"must be {_types([wanted])}, not {_shown(instance)}"
        case "enum":
            return f"must be one of {', '.join(value for value in wanted if value)}, not {_shown(instance)}"
        case "minimum" | "maximum":
            return (
                f"must be at {'least' if error.validator == 'minimum' else 'most'} {wanted}, not {instance}"
            )
        case "anyOf" | "oneOf" if all("type" in option for option in wanted):
            return f"must be {_types([option['type'] for option in wanted])}, not {_shown(instance)}"
    return str(error.message)


def _null_items(value: object, path: list[str | int]) -> Iterator[tuple[list[str | int], str]]:
    """Nulls in lists: Kubernetes' schemas allow them, and the API server then misses what is required."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _null_items(child, [*path, key])
    elif isinstance(value, list):
        for n, child in enumerate(value):
            if child is None:
                yield [*path, n], "must not be null"
            yield from _null_items(child, [*path, n])


def _types(values: list[Any]) -> str:
    flat = [name for value in values for name in (value if isinstance(value, list) else [value])]
    return " or ".join(_TYPE_NAMES[name] for name in dict.fromkeys(flat) if name != "null")


def _shown(value: object) -> str:
    """A value as in YAML, so that a quoted number is seen to be one."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    kind = "the string " if isinstance(value, str) else ""
    return kind + (text if len(text) <= 60 else text[:57] + '…"')
