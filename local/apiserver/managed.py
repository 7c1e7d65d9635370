"""Who owns which field: metadata.managedFields and server-side apply.

Semantics: sigs.k8s.io/structured-merge-diff/v6 (merge/update.go) and Kubernetes' documentation of server-side
apply. A path is a tuple of steps in the form of FieldsV1: `f:NAME` a field, `k:{…}` a list's item by its
keys, `v:VALUE` a set's item.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from local.apiserver.errors import ApiError
from local.apiserver.schema import Node
from local.kinds import Object
from local.store import now

Path = tuple[str, ...]
Paths = frozenset[Path]

_ABSENT: Any = object()
_SERVER_SET = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
"""Fields of metadata that nobody owns."""
_KEY_DEFAULTS = {"protocol": "TCP"}
"""The keys of lists that have a default: a port's protocol (core/v1 types.go)."""


def server_side_apply(
    live: Object, applied: Object, node: Node, *, manager: str, force: bool, subresource: str = ""
) -> Object:
    """Return `live` after `manager` applied `applied`; raises ApiError (409) for conflicts without `force`.

    What the manager applied the last time and not now, and nobody else owns, is removed.
    """
    entries = _entries(live)
    own_key = (manager, "Apply", subresource)
    before = entries.get(own_key, _Entry()).paths
    wanted = owned_paths(applied, node)
    merged: Object = _merge(live, applied, node)
    clashes: dict[tuple[str, str, str], Paths] = {}
    for key, entry in entries.items():
        if key != own_key:
            found = frozenset(p for p in entry.paths & wanted if _differs(live, merged, p))
            if found:
                clashes[key] = found
    if clashes and not force:
        raise _conflict(clashes)
    others = frozenset().union(*(entry.paths for key, entry in entries.items() if key != own_key))
    # An item of a list goes before its fields: without its keys it could not be found any more.
    for path in sorted(before - wanted, key=len):
        if not _is_key(path) and not _owned(path, others) and not _owned(path, wanted):
            remove(merged, _abandoned(path, others | wanted))
    for key, found in clashes.items():
        entries[key].paths -= found
    entry = entries.setdefault(own_key, _Entry())
    entry.set_paths(wanted, applied.get("apiVersion", ""))
    _store(merged, entries)
    return merged


def record_update(
    old: Object | None, new: Object, node: Node, *, manager: str, subresource: str = ""
) -> None:
    """Note in `new` (in place) that `manager` changed what differs from `old`, by PUT, PATCH or POST."""
    if old is not None and new["metadata"].get("managedFields") != old["metadata"].get("managedFields"):
        return  # the client edited the owners themselves, as kubectl does when it moves to server-side apply
    entries = _entries(new)
    after = owned_paths(new, node)
    prior = frozenset() if old is None else owned_paths(old, node)
    changed = frozenset(p for p in after if old is None or p not in prior or _differs(old, new, p))
    gone = prior - after
    if not changed and not gone:
        return
    own_key = (manager, "Update", subresource)
    for key, entry in entries.items():
        entry.paths -= gone if key == own_key else gone | changed
    if changed:
        entry = entries.setdefault(own_key, _Entry())
        entry.set_paths(entry.paths | changed, new.get("apiVersion", ""))
    _store(new, entries)


class _Entry:
    """One manager's record."""

    def __init__(self, paths: Paths = frozenset(), api_version: str = "", time: str = "") -> None:
        self.paths = paths
        self.api_version = api_version
        self.time = time

    def set_paths(self, paths: Paths, api_version: str) -> None:
        """Replace the paths; the time stays where nothing changed, so that an apply can be without effect."""
        if paths != self.paths or not self.time:
            self.paths, self.time = paths, now()
        self.api_version = api_version


def _entries(obj: Object) -> dict[tuple[str, str, str], _Entry]:
    return {
        (item.get("manager", ""), item.get("operation", ""), item.get("subresource", "")): _Entry(
            frozenset(_parse(item.get("fieldsV1") or {}, ())),
            item.get("apiVersion", ""),
            item.get("time", ""),
        )
        for item in obj["metadata"].get("managedFields") or []
    }


def _store(obj: Object, entries: Mapping[tuple[str, str, str], _Entry]) -> None:
    items = []
    for (manager, operation, subresource), entry in entries.items():
        if not entry.paths:
            continue
        item = {
            "manager": manager,
            "operation": operation,
            "apiVersion": entry.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": _fields_v1(entry.paths),
        }
        items.append({**item, "subresource": subresource} if subresource else item)
    if items:
        obj["metadata"]["managedFields"] = items
    else:
        obj["metadata"].pop("managedFields", None)


def _parse(fields: Object, prefix: Path) -> Iterator[Path]:
    for step, below in fields.items():
        if step == ".":
            yield prefix
        elif below:
            yield from _parse(below, (*prefix, step))
        else:
            yield (*prefix, step)


def _fields_v1(paths: Paths) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        at = tree
        for step in path:
            at = at.setdefault(step, {})
        at["."] = {}
    return _leaves(tree)


def _leaves(tree: Object) -> Object:
    return {
        step: {} if below == {".": {}} else below if step == "." else _leaves(below)
        for step, below in tree.items()
    }


def owned_paths(obj: Object, node: Node) -> Paths:
    """Return the paths of all that an object sets, without what the server sets and its status."""
    trimmed = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "status")}
    meta = {k: v for k, v in (obj.get("metadata") or {}).items() if k not in _SERVER_SET}
    trimmed["metadata"] = meta
    if not meta:
        del trimmed["metadata"]
    return frozenset(_walk(trimmed, node, ()))


def _walk(value: Any, node: Node, path: Path) -> Iterator[Path]:  # noqa: ANN401 - JSON
    if isinstance(value, dict) and value and not node.is_atomic_map:
        for key, below in value.items():
            yield from _walk(below, node.field(key), (*path, f"f:{key}"))
    elif isinstance(value, list) and node.list_type in ("map", "set"):
        for step, item in _items(value, node):
            here = (*path, step)
            yield here
            if node.list_type == "map":
                yield from _walk(item, node.items, here)
    elif path:
        yield path


def _items(items: list[Any], node: Node) -> Iterator[tuple[str, Any]]:
    for item in items:
        if node.list_type == "map":
            yield "k:" + _json(_identity(item, node)), item
        else:
            yield "v:" + _json(item), item


def _identity(item: Any, node: Node) -> Object:  # noqa: ANN401 - JSON
    """Return the keys of a list's item, with the default of one that is absent."""
    found: Object = {}
    for key in node.list_map_keys:
        value = item.get(key) if isinstance(item, dict) else None
        if value is None:
            value = _KEY_DEFAULTS.get(key)
        if value is not None:
            found[key] = value
    return found


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def read(obj: Any, path: Iterable[str]) -> Any:  # noqa: ANN401 - JSON
    """Return the value under a path; a value of its own (equal to itself only) where there is none."""
    for step in path:
        obj = _child(obj, step)
        if obj is _ABSENT:
            break
    return obj


def _child(obj: Any, step: str) -> Any:  # noqa: ANN401 - JSON
    if step.startswith("f:"):
        return obj.get(step[2:], _ABSENT) if isinstance(obj, dict) else _ABSENT
    place = _place(obj, step)
    return _ABSENT if place is None else obj[place]


def _place(items: Any, step: str) -> int | None:  # noqa: ANN401 - JSON
    if not isinstance(items, list):
        return None
    wanted = json.loads(step[2:])
    for i, item in enumerate(items):
        if step.startswith("v:"):
            if item == wanted:
                return i
        elif isinstance(item, dict) and all(
            item.get(key, _KEY_DEFAULTS.get(key)) == value for key, value in wanted.items()
        ):
            return i
    return None


def remove(obj: Any, path: Path) -> None:  # noqa: ANN401 - JSON
    """Take what stands under a path out of `obj`, and objects and lists that this leaves empty."""
    parents = [obj]
    for step in path[:-1]:
        below = _child(parents[-1], step)
        if below is _ABSENT:
            return
        parents.append(below)
    for parent, step in reversed(list(zip(parents, path, strict=True))):
        if step.startswith("f:"):
            if not isinstance(parent, dict):
                return
            parent.pop(step[2:], None)
        else:
            place = _place(parent, step)
            if place is None:
                return
            del parent[place]
        if parent:
            return


def _is_key(path: Path) -> bool:
    """Tell whether a path is a key of a list's item, which goes with the item only."""
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in json.loads(path[-2][2:])


def _differs(one: Object, other: Object, path: Path) -> bool:
    """Tell whether the values of a path differ; of an item of a list, which both have, the fields count."""
    return not path[-1].startswith("k:") and bool(read(one, path) != read(other, path))


def _owned(path: Path, paths: Paths) -> bool:
    """Tell whether `paths` hold this path or something below it."""
    return any(other[: len(path)] == path for other in paths)


def _abandoned(path: Path, owned: Paths) -> Path:
    """Return the highest parent of a path under which nobody owns anything: its defaults go with it.

    As structured-merge-diff does, for which the fields on the way to a field belong to its owner
    (EnsureNamedFieldsAreMembers). Metadata stays: the server's own part of it is nobody's.
    """
    lengths = range(2 if path[0] == "f:metadata" else 1, len(path))
    return next((path[:n] for n in lengths if not _owned(path[:n], owned)), path)


def _merge(live: Any, applied: Any, node: Node) -> Any:  # noqa: ANN401 - JSON
    if isinstance(applied, dict) and isinstance(live, dict) and not node.is_atomic_map:
        result = copy.deepcopy(live)
        for key, value in applied.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = _merge(live.get(key), value, node.field(key))
        return result
    if isinstance(applied, list) and isinstance(live, list) and node.list_type in ("map", "set"):
        return _merge_items(live, applied, node)
    return copy.deepcopy(applied)


def _merge_items(live: list[Any], applied: list[Any], node: Node) -> list[Any]:
    """Return the applied items in their order, merged with the live ones; the other live ones follow."""
    present = dict(_items(live, node))
    wanted = dict(_items(applied, node))
    merged = [_merge(present.get(step), item, node.items) for step, item in wanted.items()]
    return merged + [copy.deepcopy(item) for step, item in present.items() if step not in wanted]


def _dotted(path: Path) -> str:
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("k:"):
            text += "[" + ",".join(f"{k}={_json(v)}" for k, v in json.loads(step[2:]).items()) + "]"
        else:
            text += f"[={step[2:]}]"
    return text


def _conflict(clashes: Mapping[tuple[str, str, str], Paths]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}"'
            + (f" with subresource {json.dumps(subresource)}" if subresource else "")
            + (" using update" if operation == "Update" else ""),
            "field": _dotted(path),
        }
        for (manager, operation, subresource), paths in clashes.items()
        for path in sorted(paths)
    ]
    plural = "conflict" if len(causes) == 1 else "conflicts"
    listed = (
        f"{causes[0]['message']}: {causes[0]['field']}"
        if len(causes) == 1
        else ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    )
    text = f"Apply failed with {len(causes)} {plural}: {listed}"
    return ApiError(409, "Conflict", text, {"causes": causes})
