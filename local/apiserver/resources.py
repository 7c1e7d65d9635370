"""The verbs on stored objects: get, list, create, update, patch, delete; status and scale.

Nothing here awaits, so that reading, changing and storing an object is one step for everyone else.
"""

import base64
import binascii
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.apiserver import errors, managed, patch, schema
from local.apiserver.admission import Admission
from local.apiserver.errors import ApiError, Cause
from local.apiserver.requests import Target
from local.apiserver.selectors import Predicate
from local.kinds import Object, Resource
from local.store import ConflictError, NotFoundError, Store, StoreError, namespace_of

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_PROTECTED = ("default", "kube-system", "istio-system")
_SERVER_SET = ("uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")


@dataclass(frozen=True)
class WriteOptions:
    """The query parameters of a write (metav1.PatchOptions and the like)."""

    dry_run: bool = False
    manager: str = "unknown"
    force: bool = False


@dataclass(frozen=True)
class DeleteOptions:
    """metav1.DeleteOptions."""

    grace: int | None = None
    propagation: str = "Background"
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Page:
    """Part of a list: the objects, and the token for the next part where there is one."""

    items: list[Object]
    version: int
    token: str
    remaining: int


class Resources:
    """The objects as clients of the API see and change them."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission

    # Reading

    def get(self, target: Target) -> Object:
        """Return one object (or its Scale); raises ApiError (404)."""
        obj = self._find(self._store, target)
        return _scale(obj) if target.subresource == "scale" else obj

    def list(self, target: Target, matches: Predicate, limit: int | None, token: str) -> Page:
        """Return the objects that `matches` selects, at most `limit` after those that `token` stands for."""
        found = [o for o in self._store.select(target.resource.kind, target.namespace) if matches(o)]
        if token:
            start = _read_token(token)
            found = [obj for obj in found if _place(obj) > start]
        if not limit or len(found) <= limit:
            return Page(found, self._store.version, "", 0)
        page = found[:limit]
        return Page(page, self._store.version, _write_token(_place(page[-1])), len(found) - limit)

    # Writing

    def create(self, target: Target, body: object, options: WriteOptions) -> Object:
        """Add an object and return it; raises ApiError."""
        resource = target.resource
        obj = _incoming(target, body)
        for field in _SERVER_SET:
            obj["metadata"].pop(field, None)
        if "status" in resource.subresources:
            obj.pop("status", None)
        self._admission.validate(resource, obj, None)
        managed.record_update(None, obj, _schema(target), manager=options.manager)
        return self._add(target, obj, options)

    def update(self, target: Target, body: object, options: WriteOptions) -> Object:
        """Replace an object (or its status, or its scale) and return it; raises ApiError."""
        store = self._on(options)
        old = self._find(store, target)
        if target.subresource == "scale":
            return self._rescale(store, target, old, body, options)
        return self._replace(store, target, old, _incoming(target, body), options)

    def patch(self, target: Target, media: str, body: object, options: WriteOptions) -> tuple[Object, bool]:
        """Change parts of an object; return it and whether it is new. Raises ApiError."""
        if media == APPLY_PATCH and not target.subresource:
            return self._apply(target, body, options)
        store = self._on(options)
        old = self._find(store, target)
        if target.subresource == "scale":
            change = _patcher(media, schema.of_kind("autoscaling", "v1", "Scale"), builtin=True)
            return self._rescale(store, target, old, change(_scale(old), body), options), False
        builtin = schema.is_builtin(target.resource.group, target.version, target.resource.kind)
        change = _patcher(media, _schema(target), builtin=builtin)
        new = change(_seen(old, target), body)
        return self._replace(store, target, old, _incoming(target, new), options), False

    def delete(self, target: Target, options: DeleteOptions) -> tuple[Object, bool]:
        """Delete an object; return it and whether it is gone already. Raises ApiError (404, 409, 403)."""
        resource, name = target.resource, target.name or ""
        store = self._store.fork() if options.dry_run else self._store
        obj = self._find(store, target)
        if resource.kind == "Namespace" and name in _PROTECTED:
            raise errors.forbidden(resource, name, "this namespace may not be deleted")
        _check_preconditions(resource, obj, options)
        finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(options.propagation)
        finalizers = obj["metadata"].get("finalizers") or []
        if finalizer and finalizer not in finalizers:
            obj["metadata"]["finalizers"] = [*finalizers, finalizer]
            store.update(obj)
        deleted = store.delete(resource.kind, target.space, name, options.grace)
        return deleted, store.find(resource.kind, target.space, name) is None

    # How

    def _on(self, options: WriteOptions) -> Store:
        return self._store.fork() if options.dry_run else self._store

    @staticmethod
    def _find(store: Store, target: Target) -> Object:
        name = target.name or ""
        obj = store.find(target.resource.kind, target.space, name)
        if obj is None:
            raise errors.not_found(target.resource, name)
        return obj

    def _add(self, target: Target, obj: Object, options: WriteOptions) -> Object:
        resource = target.resource
        name = str(obj["metadata"].get("name") or "")
        space = namespace_of(obj)
        if name and self._store.find(resource.kind, space, name) is not None:
            raise errors.already_exists(resource, name)
        try:
            return self._on(options).create(obj)
        except NotFoundError as error:
            details = {"name": space, "kind": "namespaces"}
            raise ApiError(404, "NotFound", str(error), details) from None
        except StoreError as error:
            raise ApiError(error.code, error.reason, str(error)) from None

    def _replace(
        self, store: Store, target: Target, old: Object, new: Object, options: WriteOptions
    ) -> Object:
        resource, name = target.resource, target.name or ""
        uid = new["metadata"].get("uid")
        if uid and uid != old["metadata"]["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {uid}, "
                f"UID in object meta: {old['metadata']['uid']}"
            )
            raise errors.conflict(resource, name, why)
        if target.subresource == "status":
            changed = copy.deepcopy(old)
            changed["status"] = new.get("status") or {}
            changed["metadata"]["resourceVersion"] = new["metadata"].get("resourceVersion")
            self._admission.validate(resource, changed, old)
        else:
            changed = new
            if "status" in resource.subresources:
                # Who reports it answers for it: an unfinished status must not stop a change of labels.
                changed.pop("status", None)
            self._admission.validate(resource, changed, old)
            self._admission.complete(changed, old)
            if changed["metadata"].get("managedFields") is None:
                changed["metadata"]["managedFields"] = old["metadata"].get("managedFields")
            managed.record_update(old, changed, _schema(target), manager=options.manager)
            if not changed["metadata"].get("managedFields"):
                changed["metadata"].pop("managedFields", None)
        try:
            return store.update(changed, status=target.subresource == "status")
        except ConflictError:
            why = (
                "the object has been modified; please apply your changes to the latest version and try again"
            )
            raise errors.conflict(resource, name, why) from None

    def _rescale(
        self, store: Store, target: Target, old: Object, body: object, options: WriteOptions
    ) -> Object:
        if not isinstance(body, dict) or not isinstance(body.get("spec", {}), dict):
            raise errors.bad_request("a Scale is an object with a spec")
        replicas = body.get("spec", {}).get("replicas", 0)
        if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
            text = f"Invalid value: {json.dumps(replicas)}: must be a whole number of 0 or more"
            raise errors.invalid(target.resource, target.name or "", [Cause("spec.replicas", text)])
        new = copy.deepcopy(old)
        new["spec"]["replicas"] = replicas
        new["metadata"]["resourceVersion"] = (body.get("metadata") or {}).get("resourceVersion")
        whole = Target(target.resource, target.version, target.namespace, target.name, "")
        return _scale(self._replace(store, whole, old, new, options))

    def _apply(self, target: Target, body: object, options: WriteOptions) -> tuple[Object, bool]:
        resource, name = target.resource, target.name or ""
        if options.manager == "unknown":
            text = "fieldManager: Required value: is required for apply patch"
            raise ApiError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {text}')
        applied = _incoming(target, body)
        if applied["metadata"].get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        if resource.kind == "Secret":
            _encode(applied)
        for field in _SERVER_SET:
            if field not in ("uid", "resourceVersion"):
                applied["metadata"].pop(field, None)
        if "status" in resource.subresources:
            applied.pop("status", None)
        live = self._store.find(resource.kind, target.space, name)
        if live is None:
            for field in ("uid", "resourceVersion"):
                if applied["metadata"].pop(field, None):
                    raise errors.conflict(
                        resource, name, f"metadata.{field} is set, and there is no such object"
                    )
            self._admission.validate(resource, applied, None)
            base: Object = {**applied, "metadata": {**applied["metadata"]}}
            fresh = managed.server_side_apply(
                base, applied, _schema(target), manager=options.manager, force=options.force
            )
            return self._add(target, fresh, options), True
        merged = managed.server_side_apply(
            _seen(live, target), applied, _schema(target), manager=options.manager, force=options.force
        )
        merged["metadata"]["resourceVersion"] = applied["metadata"].get("resourceVersion")
        return self._replace_applied(self._on(options), target, live, merged), False

    def _replace_applied(self, store: Store, target: Target, live: Object, merged: Object) -> Object:
        resource = target.resource
        if "status" in resource.subresources:
            merged.pop("status", None)
        self._admission.validate(resource, merged, live)
        self._admission.complete(merged, live)
        try:
            return store.update(merged)
        except ConflictError as error:
            raise errors.conflict(resource, target.name or "", str(error)) from None


def _seen(obj: Object, target: Target) -> Object:
    """Return an object in the version that the request names; the versions have the same fields."""
    return {**obj, "apiVersion": target.api_version}


def _schema(target: Target) -> schema.Node:
    return schema.of_kind(target.resource.group, target.version, target.resource.kind)


def _incoming(target: Target, body: object) -> Object:
    """Return a request's object with what the path says filled in; raises ApiError (400)."""
    if not isinstance(body, dict):
        raise errors.bad_request("the body of the request must be an object")
    resource = target.resource
    obj: Object = _without_nulls(body)
    obj.setdefault("kind", resource.kind)
    obj.setdefault("apiVersion", target.api_version)
    if obj["kind"] != resource.kind or obj["apiVersion"] != target.api_version:
        given = f"{obj['apiVersion']}, Kind={obj['kind']}"
        wanted = f"{target.api_version}, Kind={resource.kind}"
        raise errors.bad_request(f"the object provided is unrecognized: {given} (must be {wanted})")
    meta = obj.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise errors.bad_request("metadata: must be an object")
    if target.name is not None and meta.setdefault("name", target.name) != target.name:
        text = f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
        raise errors.bad_request(text)
    if resource.namespaced and target.namespace is not None:
        if meta.setdefault("namespace", target.namespace) != target.namespace:
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(text)
    elif not resource.namespaced:
        meta.pop("namespace", None)
    return obj


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON without fields that are null: to Kubernetes they are absent."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _encode(secret: Object) -> None:
    """Turn stringData into data, so that its fields have an owner."""
    plain = secret.get("stringData")
    if isinstance(plain, dict) and all(isinstance(value, str) for value in plain.values()):
        del secret["stringData"]
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}


def _patcher(media: str, node: schema.Node, *, builtin: bool) -> Callable[[Object, Any], Object]:
    if media == JSON_PATCH:
        return patch.json_patch
    if media == MERGE_PATCH:
        return patch.merge_patch
    if media == STRATEGIC_PATCH and builtin:
        return lambda original, body: patch.strategic_merge(original, body, node)
    known = [JSON_PATCH, MERGE_PATCH, *([STRATEGIC_PATCH] if builtin else []), APPLY_PATCH]
    raise errors.unsupported_media_type(known)


def _scale(obj: Object) -> Object:
    """Return an object's autoscaling/v1 Scale."""
    meta = obj["metadata"]
    labels = obj["spec"].get("selector", {}).get("matchLabels") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: meta[field] for field in kept if field in meta},
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def _check_preconditions(resource: Resource, obj: Object, options: DeleteOptions) -> None:
    meta = obj["metadata"]
    for what, field, wanted in (
        ("UID", "uid", options.uid),
        ("ResourceVersion", "resourceVersion", options.version),
    ):
        if wanted and wanted != meta[field]:
            why = (
                f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {meta[field]}"
            )
            raise errors.conflict(resource, meta["name"], why)


def _place(obj: Object) -> tuple[str, str]:
    return namespace_of(obj), obj["metadata"]["name"]


def _write_token(place: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read_token(token: str) -> tuple[str, str]:
    try:
        space, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error, TypeError):
        raise errors.bad_request("continue key is not valid") from None
    return str(space), str(name)
