"""Kubernetes' own OpenAPI schemas: which lists are maps, by which keys; what a field's type is.

Source: the definitions that the package kubernetes-validate carries, made from Kubernetes' published
OpenAPI document, with its x-kubernetes-* extensions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

KUBERNETES = "1.37.0"
"""The release whose schemas are used, and which the server says it is."""

_REF = "#/$defs/"


@cache
def definitions() -> Mapping[str, dict[str, Any]]:
    """Return every definition by name, as `io.k8s.api.apps.v1.Deployment`."""
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{KUBERNETES}-local" / "_definitions.json").read_text()
    found: dict[str, dict[str, Any]] = json.loads(text)["$defs"]
    return found


@cache
def _by_kind() -> Mapping[tuple[str, str, str], str]:
    return {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, definition in definitions().items()
        for gvk in definition.get("x-kubernetes-group-version-kind", [])
    }


def definition_name(group: str, version: str, kind: str) -> str | None:
    """Return the name of a kind's definition, None for kinds that are not Kubernetes' own."""
    return _by_kind().get((group, version, kind))


@dataclass(frozen=True)
class Node:
    """The schema of one value; an unknown one (`raw` empty) has free maps and atomic lists."""

    raw: Mapping[str, Any]
    """The place's own keywords: a list's type and merge key stand here."""
    target: Mapping[str, Any]
    """The definition that `raw` refers to, or `raw` itself."""

    @classmethod
    def of(cls, raw: Mapping[str, Any] | None) -> "Node":
        """Return the node of a piece of schema, with its $ref followed."""
        raw = raw or {}
        ref = raw.get("$ref", "")
        return cls(raw, definitions()[ref.removeprefix(_REF)] if ref.startswith(_REF) else raw)

    def field(self, name: str) -> "Node":
        """Return the schema of one field of an object (or of one value of a map)."""
        found = self.target.get("properties", {}).get(name)
        if found is None:
            rest = self.target.get("additionalProperties")
            found = rest if isinstance(rest, Mapping) else None
        return Node.of(found)

    @property
    def items(self) -> "Node":
        """The schema of a list's items."""
        return Node.of(self.target.get("items"))

    @property
    def list_type(self) -> str:
        """How server-side apply sees a list: atomic, set or map."""
        return str(self._extension("x-kubernetes-list-type") or "atomic")

    @property
    def list_map_keys(self) -> tuple[str, ...]:
        """The fields that tell a list's items apart, for the list type map."""
        return tuple(self._extension("x-kubernetes-list-map-keys") or ())

    @property
    def is_atomic_map(self) -> bool:
        """Whether server-side apply replaces this object as a whole."""
        return bool(self._extension("x-kubernetes-map-type") == "atomic")

    @property
    def patch_strategies(self) -> frozenset[str]:
        """Strategic merge patch: of merge, replace and retainKeys."""
        return frozenset(str(self._extension("x-kubernetes-patch-strategy") or "").split(",")) - {""}

    @property
    def patch_merge_key(self) -> str | None:
        """Strategic merge patch: the field that tells a list's items apart; None for a list of scalars."""
        key = self._extension("x-kubernetes-patch-merge-key")
        return None if key is None else str(key)

    def _extension(self, name: str) -> Any:  # noqa: ANN401 - the value of an extension is free
        return self.raw.get(name, self.target.get(name))


UNKNOWN = Node({}, {})
"""The schema of kinds without one here (custom resources): their lists are atomic, as Kubernetes' default."""


@cache
def of_kind(group: str, version: str, kind: str) -> Node:
    """Return the schema of a kind; custom resources know their metadata only."""
    name = definition_name(group, version, kind)
    if name is not None:
        return Node.of({"$ref": _REF + name})
    meta = {"$ref": _REF + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    return Node.of({"type": "object", "properties": {"metadata": meta}})


def is_builtin(group: str, version: str, kind: str) -> bool:
    """Tell whether Kubernetes itself defines the kind (custom resources take no strategic merge patch)."""
    return definition_name(group, version, kind) is not None
