"""Label and field selectors, in the text form of the API's query parameters.

Grammar: k8s.io/apimachinery/pkg/labels (equality and set based) and pkg/fields (equality only).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from local.apiserver.errors import bad_request
from local.kinds import Object

Predicate = Callable[[Object], bool]

_SPLIT = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|!=|=)\s*(?P<value>[^\s!=,()]*)$")
_NUMBER = re.compile(r"^(?P<key>[^\s!=,()<>]+)\s*(?P<op>[<>])\s*(?P<value>-?\d+)$")
_EXISTS = re.compile(r"^(?P<op>!?)\s*(?P<key>[^\s!=,()]+)$")


def everything(_: Object) -> bool:
    """The selector that is not there."""
    return True


def labels(text: str) -> Predicate:
    """Return the predicate of a labelSelector; raises ApiError (400) where it cannot be read."""
    if not text.strip():
        return everything
    tests = [_label_term(term.strip()) for term in _SPLIT.split(text)]

    def matches(obj: Object) -> bool:
        found = obj["metadata"].get("labels") or {}
        return all(test(found) for test in tests)

    return matches


def _label_term(term: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(term):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda found: found.get(key) in values
        return lambda found: found.get(key) not in values
    if match := _EQUAL.match(term):
        key, value = match["key"], match["value"]
        if match["op"] == "!=":
            return lambda found: found.get(key) != value
        return lambda found: found.get(key) == value
    if match := _NUMBER.match(term):
        key, limit, above = match["key"], int(match["value"]), match["op"] == ">"
        return lambda found: _compares(found.get(key), limit, above=above)
    if match := _EXISTS.match(term):
        key = match["key"]
        return (lambda found: key not in found) if match["op"] else (lambda found: key in found)
    raise bad_request(f"unable to parse requirement: {term!r}")


def _compares(value: str | None, limit: int, *, above: bool) -> bool:
    if value is None or not re.fullmatch(r"-?\d+", value):
        return False
    return int(value) > limit if above else int(value) < limit


_FIELDS: Mapping[str, tuple[str, ...]] = {
    "": ("metadata.name", "metadata.namespace"),
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "Secret": ("type",),
    "Namespace": ("status.phase",),
    "Node": ("spec.unschedulable",),
    "Job": ("status.successful",),
    "ReplicaSet": ("status.replicas",),
    "Service": ("spec.clusterIP", "spec.type"),
}
"""The fields that Kubernetes lets a client select by, for each kind."""


def fields(text: str, kind: str) -> Predicate:
    """Return the predicate of a fieldSelector; raises ApiError (400) for a field that `kind` has not."""
    if not text.strip():
        return everything
    tests = [_field_term(term.strip(), kind) for term in text.split(",") if term.strip()]
    return lambda obj: all(test(obj) for test in tests)


def _field_term(term: str, kind: str) -> Predicate:
    match = re.match(r"^(?P<path>[\w.]+)\s*(?P<op>==|!=|=)\s*(?P<value>.*)$", term)
    if match is None:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    path, value, equal = match["path"], match["value"], match["op"] != "!="
    if path not in _FIELDS[""] + _FIELDS.get(kind, ()):
        raise bad_request(f"field label not supported: {path}")
    return lambda obj: (_text(obj, path) == value) is equal


def _text(obj: Object, path: str) -> str:
    if path == "status.successful":
        path = "status.succeeded"
    value: Any = obj
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if path == "source" and isinstance(value, Mapping):
        value = value.get("component")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
