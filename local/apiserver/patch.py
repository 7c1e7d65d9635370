"""The three patch formats that replace parts of an object.

Strategic merge patch is Kubernetes' own; semantics: k8s.io/apimachinery/pkg/util/strategicpatch
and the API conventions; merge keys and strategies come from Kubernetes' OpenAPI schema (see schema.py).
JSON merge patch is RFC 7396, JSON patch RFC 6902 (library jsonpatch).
"""

import copy
import json
from typing import Any

import jsonpatch
import jsonpointer

from local.apiserver.errors import ApiError, bad_request
from local.apiserver.schema import Node
from local.kinds import Object

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_REMOVE = "$deleteFromPrimitiveList/"


def json_patch(original: Object, operations: object) -> Object:
    """Apply RFC 6902 operations; raises ApiError (400 malformed, 422 where one cannot be applied)."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    try:
        patched = jsonpatch.apply_patch(original, operations)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(f"the JSON patch is malformed: {error}") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        text = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(422, "Invalid", text) from None
    if not isinstance(patched, dict):
        raise bad_request("the JSON patch leaves no object")
    result: Object = patched
    return result


def merge_patch(original: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Apply RFC 7396: null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge(original: Object, patch: Object, node: Node) -> Object:
    """Apply a strategic merge patch to an object with the schema `node`; raises ApiError (400)."""
    if not isinstance(patch, dict):
        raise bad_request("a strategic merge patch is an object")
    return _merge_map(original, patch, node)


def _merge_map(original: Object, patch: Object, node: Node) -> Object:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return dict(_plain(patch))
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown {_PATCH} directive: {directive!r}")
    result: Object = copy.deepcopy(original)
    retained = patch.get(_RETAIN)
    if retained is not None:
        result = {k: v for k, v in result.items() if k in retained}
    for key, gone in patch.items():
        if key.startswith(_REMOVE):
            name = key.removeprefix(_REMOVE)
            result[name] = [item for item in result.get(name) or [] if item not in gone]
    for key, value in patch.items():
        if key in (_PATCH, _RETAIN) or key.startswith((_ORDER, _REMOVE)):
            continue
        if value is None:
            result.pop(key, None)
        else:
            order = patch.get(_ORDER + key)
            result[key] = _merge_value(result.get(key), value, node.field(key), order)
    for key, order in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and name not in patch and isinstance(result.get(name), list):
            merge_key = node.field(name).patch_merge_key
            result[name] = _ordered(result[name], result[name], order, merge_key)
    return result


def _merge_value(original: Any, value: Any, node: Node, order: list[Any] | None) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        if "replace" in node.patch_strategies:
            return _plain(value)
        return _merge_map(original if isinstance(original, dict) else {}, value, node)
    if isinstance(value, list) and "merge" in node.patch_strategies:
        before = original if isinstance(original, list) else []
        key = node.patch_merge_key
        merged = _merge_set(before, value) if key is None else _merge_list(before, value, key, node.items)
        return merged if order is None else _ordered(merged, before, order, key)
    return _plain(value)


def _merge_set(original: list[Any], patch: list[Any]) -> list[Any]:
    return [*original, *(item for i, item in enumerate(patch) if item not in original + patch[:i])]


def _merge_list(original: list[Any], patch: list[Any], key: str, node: Node) -> list[Any]:
    if any(isinstance(item, dict) and item.get(_PATCH) == "replace" for item in patch):
        return [_plain(item) for item in patch if item.get(_PATCH) != "replace"]
    result = copy.deepcopy(original)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {json.dumps(item)} does not contain declared merge key: {key}")
        found = [i for i, old in enumerate(result) if isinstance(old, dict) and old.get(key) == item[key]]
        if item.get(_PATCH) == "delete":
            result = [old for i, old in enumerate(result) if i not in found]
        elif found:
            result[found[0]] = _merge_map(result[found[0]], item, node)
        else:
            result.append(_merge_map({}, item, node))
    return result


def _ordered(merged: list[Any], before: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """Put the items that `order` lists into its order; the others keep their place as the server had them."""

    def identity(item: Any) -> Any:  # noqa: ANN401 - JSON
        return item.get(key) if key is not None and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    places = [identity(item) for item in before]
    listed = sorted((i for i in merged if identity(i) in wanted), key=lambda i: wanted.index(identity(i)))
    others = [item for item in merged if identity(item) not in wanted]
    result = []
    for item in listed:
        place = identity(item)
        while others and place in places and _before(identity(others[0]), place, places):
            result.append(others.pop(0))
        result.append(item)
    return result + others


def _before(one: object, other: object, places: list[Any]) -> bool:
    return one in places and places.index(one) < places.index(other)


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a patch adds anew: without directives and nulls."""
    if isinstance(value, dict):
        return {
            k: _plain(v)
            for k, v in value.items()
            if v is not None and k not in (_PATCH, _RETAIN) and not k.startswith((_ORDER, _REMOVE))
        }
    if isinstance(value, list):
        return [
            _plain(item)
            for item in value
            if not (isinstance(item, dict) and item.get(_PATCH) in ("delete", "replace"))
        ]
    return value
