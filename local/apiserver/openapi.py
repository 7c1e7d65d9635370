"""/openapi/v3: what kubectl reads to validate, to patch and to explain.

Form: OpenAPI 3.0 as kube-apiserver publishes it, one document a group and version.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from local.apiserver import discovery, schema
from local.apiserver.schema import KUBERNETES
from local.kinds import Object, Resource

_OLD, _NEW = "#/$defs/", "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def index() -> Object:
    """Return the list of documents; the hash in an address changes with the document's content."""
    paths = {}
    for group, versions in discovery.group_versions().items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={etag(group, version)}"}
    return {"paths": paths}


@cache
def document(group: str, version: str) -> bytes:
    """Return the JSON text of one group's and version's document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for resource in discovery.resources_of(group, version):
        name = schema.definition_name(group, version, resource.kind)
        if name is None:
            name = f"{'.'.join(reversed(group.split('.')))}.{version}.{resource.kind}"
            schemas[name] = _custom(resource, version)
            _collect(_META, schemas)
        else:
            _collect(name, schemas)
        paths[_path(resource, version)] = _operations(resource, version, name)
    text = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": f"v{KUBERNETES}"},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    return json.dumps(text, separators=(",", ":")).encode()


@cache
def etag(group: str, version: str) -> str:
    """Return the hash of a document."""
    return hashlib.sha256(document(group, version)).hexdigest()[:32].upper()


def _path(resource: Resource, version: str) -> str:
    base = f"/apis/{resource.group}/{version}" if resource.group else f"/api/{version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    return f"{base}{scope}/{resource.plural}/{{name}}"


def _operations(resource: Resource, version: str, name: str) -> Object:
    """Describe GET and PATCH: kubectl looks there for the parameters that the server knows."""
    gvk = {"group": resource.group, "version": version, "kind": resource.kind}
    body = {"content": {"application/json": {"schema": {"$ref": _NEW + name}}}}
    parameters = [
        {"name": parameter, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for parameter in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    answers = {"200": {"description": "OK", **body}}
    return {
        "get": {"responses": answers, "x-kubernetes-action": "get", "x-kubernetes-group-version-kind": gvk},
        "patch": {
            "parameters": parameters,
            "responses": answers,
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": gvk,
        },
    }


def _custom(resource: Resource, version: str) -> Object:
    gvk = {"group": resource.group, "version": version, "kind": resource.kind}
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": _NEW + _META}]},
            "spec": free,
            "status": free,
        },
        "x-kubernetes-group-version-kind": [gvk],
    }


def _collect(name: str, into: dict[str, Any]) -> None:
    """Add a definition and all that it refers to."""
    waiting = [name]
    while waiting:
        present = waiting.pop()
        if present not in into:
            raw = schema.definitions()[present]
            into[present] = _openapi(raw)
            waiting.extend(_references(raw))


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(_OLD)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _openapi(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Rewrite JSON schema as OpenAPI 3.0: one type, no null, a reference with neighbours in allOf."""
    if isinstance(node, list):
        return [_openapi(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    ref = node.get("$ref")
    if isinstance(ref, str):
        target = {"$ref": _NEW + ref.removeprefix(_OLD)}
        rest = {key: _openapi(value) for key, value in node.items() if key != "$ref"}
        return {**rest, "allOf": [target]} if rest else target
    found = {key: _openapi(value) for key, value in node.items() if key != "enum" or None not in value}
    if isinstance(node.get("type"), list):
        found["type"] = next(t for t in node["type"] if t != "null")
    return found
