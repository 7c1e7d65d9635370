"""The API server: HTTPS, the token, and which request goes where."""

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import yaml
from aiohttp import web

from local.apiserver import discovery, errors, openapi, protobuf, rbac, reviews, selectors, tables, tls, watch
from local.apiserver.admission import Admission
from local.apiserver.errors import ApiError
from local.apiserver.execs import exec_command
from local.apiserver.kubeconfig import write_kubeconfig
from local.apiserver.logs import send_log
from local.apiserver.requests import Accepted, Target, accepted, dry_run, flag, number, parse, split
from local.apiserver.resources import DeleteOptions, Resources, WriteOptions
from local.apiserver.runner import Runner
from local.kinds import Object
from local.serviceaccounts import ServiceAccount, identify
from local.settings import Settings
from local.store import ExpiredError, Store, StoreError

_LOG = logging.getLogger(__name__)

_BODY_BYTES = 3 * 1024 * 1024
"""kube-apiserver's limit for a request's body."""
_WATCH_SECONDS = 1800
_HEALTH = ("/healthz", "/readyz", "/livez")
_NAMESPACES = ("default", "kube-system")


class ApiServer:
    """A Kubernetes REST API over a store: what kubectl, Helm and every other client speak to."""

    def __init__(self, store: Store, settings: Settings, runner: Runner) -> None:
        self._store = store
        self._settings = settings
        self._runner = runner
        admission = Admission(store, settings)
        admission.adopt()
        store.before_create(admission.mutate)
        self._resources = Resources(store, admission)
        self._token = secrets.token_urlsafe(32)
        self._streams: set[asyncio.Task[Any]] = set()
        self._web: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on the settings' address, write the kubeconfig; raises OSError where the port is taken."""
        certificates = await asyncio.to_thread(tls.make, self._settings.api_host)
        for name in _NAMESPACES:
            if self._store.find("Namespace", "", name) is None:
                self._store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._web = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._web.setup()
        site = web.TCPSite(
            self._web,
            self._settings.api_host,
            self._settings.api_port,
            ssl_context=tls.server_context(certificates),
        )
        await site.start()
        write_kubeconfig(self._settings, self._token, certificates.ca)

    async def stop(self) -> None:
        """End every watch, log and command, stop listening and take the kubeconfig away."""
        for task in list(self._streams):
            task.cancel()
        if self._web is not None:
            await self._web.cleanup()
            self._web = None
        self._settings.kubeconfig.unlink(missing_ok=True)

    # One request

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            account = self._authenticate(request)
            if account is not None:
                self._authorize(request, account)
            return await self._route(request)
        except ApiError as error:
            return _json(error.status, error.code)
        except StoreError as error:
            return _json(ApiError(error.code, error.reason, str(error)).status, error.code)
        except web.HTTPRequestEntityTooLarge:
            text = f"the request's body is larger than {_BODY_BYTES} bytes"
            return _json(ApiError(413, "RequestEntityTooLarge", text).status, 413)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the client gets a Status, the log the trace
            _LOG.exception("%s %s", request.method, request.path_qs)
            return _json(errors.internal(f"{type(error).__name__}: {error}").status, 500)

    def _authenticate(self, request: web.Request) -> ServiceAccount | None:
        """Return the ServiceAccount that asks, None for the one user who may do everything."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        account = identify(token) if scheme.lower() == "bearer" else None
        if account is None or self._store.find("ServiceAccount", account.namespace, account.name) is None:
            raise errors.unauthorized()
        return account

    def _authorize(self, request: web.Request, account: ServiceAccount) -> None:
        """Let a ServiceAccount do what its Roles say, and read which kinds there are."""
        steps = split(request.rel_url.raw_path)
        target = parse(steps)
        if target is None:
            if request.method == "GET":
                return
            raise errors.method_not_allowed()
        verb = rbac.verb_of(request.method, target, watching=flag(request.query, "watch"))
        if not rbac.allowed(self._store, account, verb, target):
            where = f' in the namespace "{target.space}"' if target.space else " at the cluster scope"
            text = f'User "{account.user}" cannot {verb} resource "{target.resource.plural}"{where}'
            raise errors.forbidden(target.resource, target.name or "", text)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path, steps = request.path, split(request.rel_url.raw_path)
        if path.startswith(_HEALTH):
            return web.Response(text="ok")
        if request.method == "GET":
            found = _documents(path.rstrip("/") or "/", steps, request)
            if found is not None:
                return found
        if review := _review(steps):
            if request.method != "POST":
                raise errors.method_not_allowed()
            return _json(reviews.answer(review, await _body(request)), 201)
        target = parse(steps)
        if target is None:
            raise errors.no_such_path()
        if target.subresource:
            self._check_subresource(target)
            special = {"log": self._log, "exec": self._exec}.get(target.subresource)
            if special is not None:
                return await special(request, target)
        return await self._verb(request, target)

    @staticmethod
    def _check_subresource(target: Target) -> None:
        if target.subresource in target.resource.subresources:
            return
        if target.resource.kind == "Pod" and target.subresource in _NOT_HERE:
            raise errors.not_here(_NOT_HERE[target.subresource])
        raise errors.no_such_path()

    async def _verb(self, request: web.Request, target: Target) -> web.StreamResponse:
        verbs: dict[tuple[str, bool], Callable[[web.Request, Target], Awaitable[web.StreamResponse]]] = {
            ("GET", True): self._get,
            ("GET", False): self._list,
            ("POST", False): self._create,
            ("PUT", True): self._update,
            ("PATCH", True): self._patch,
            ("DELETE", True): self._delete,
            ("DELETE", False): self._delete_collection,
        }
        verb = verbs.get((request.method, target.name is not None))
        if verb is None or (target.subresource and request.method == "DELETE"):
            raise errors.method_not_allowed()
        return await verb(request, target)

    async def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        if flag(request.query, "watch"):
            return await self._watch(request, target)
        view = _View(request, target)
        return _json(view.one(self._resources.get(target)))

    async def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        if flag(request.query, "watch"):
            return await self._watch(request, target)
        page = self._resources.list(
            target,
            _selection(request, target),
            number(request.query, "limit"),
            request.query.get("continue", ""),
        )
        metadata: Object = {"resourceVersion": str(page.version)}
        if page.token:
            metadata.update({"continue": page.token, "remainingItemCount": page.remaining})
        return _json(_View(request, target).many(page.items, metadata))

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        view = _View(request, target)
        seconds = number(request.query, "timeoutSeconds") or _WATCH_SECONDS
        initial = flag(request.query, "sendInitialEvents")
        stream = watch.Stream(
            self._store,
            target,
            _selection(request, target),
            view.event,
            bookmarks=flag(request.query, "allowWatchBookmarks"),
            seconds=seconds,
        )
        version = request.query.get("resourceVersion", "")
        if version and not version.isdecimal():
            raise errors.bad_request(f"Invalid value: {version!r}: resourceVersion must be a number")
        try:
            opened = stream.open(version, initial=initial)
        except ExpiredError as error:
            raise errors.expired(str(error)) from None
        response = web.StreamResponse(headers={"Cache-Control": "no-cache, private"})
        response.content_type = "application/json"
        # A client that has seen enough just goes.
        with self._streaming(), contextlib.suppress(ConnectionResetError):
            await response.prepare(request)
            await stream.run(response, opened, initial=initial)
        return response

    async def _create(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await _body(request)
        created = self._resources.create(target, body, _write_options(request))
        return _json(_View(request, target).one(created), 201)

    async def _update(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await _body(request)
        return _json(
            _View(request, target).one(self._resources.update(target, body, _write_options(request)))
        )

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await _body(request)
        media = request.content_type
        obj, created = self._resources.patch(target, media, body, _write_options(request))
        return _json(_View(request, target).one(obj), 201 if created else 200)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        obj, gone = self._resources.delete(target, await _delete_options(request))
        if not gone:
            return _json(_View(request, target).one(obj))
        resource = target.resource
        details = {"name": target.name, "kind": resource.plural, "uid": obj["metadata"]["uid"]}
        if resource.group:
            details["group"] = resource.group
        return _json(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    async def _delete_collection(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = await _delete_options(request)
        found = self._resources.list(target, _selection(request, target), None, "")
        for obj in found.items:
            space = obj["metadata"].get("namespace")
            one = Target(target.resource, target.version, space, obj["metadata"]["name"], "")
            with contextlib.suppress(KeyError):
                self._resources.delete(one, options)
        return _json(_View(request, target).many(found.items, {"resourceVersion": str(self._store.version)}))

    # What runs in pods

    async def _log(self, request: web.Request, target: Target) -> web.StreamResponse:
        if request.method != "GET":
            raise errors.method_not_allowed()
        pod = self._resources.get(Target(target.resource, target.version, target.namespace, target.name, ""))
        with self._streaming():
            return await send_log(request, self._store, self._runner, pod)

    async def _exec(self, request: web.Request, target: Target) -> web.StreamResponse:
        pod = self._resources.get(Target(target.resource, target.version, target.namespace, target.name, ""))
        with self._streaming():
            return await exec_command(request, self._runner, pod)

    @contextlib.contextmanager
    def _streaming(self) -> Any:  # noqa: ANN401 - a context manager
        """Let `stop` end the present request."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - every handler runs in a task
        self._streams.add(task)
        try:
            yield
        finally:
            self._streams.discard(task)


_NOT_HERE = {
    "portforward": "port-forward: a pod's ports are open on its address (kubectl get pods -o wide)",
    "attach": "attach: use kubectl logs -f, or kubectl exec",
    "proxy": "proxy to pods: a pod's ports are open on its address (kubectl get pods -o wide)",
    "eviction": "eviction: delete the pod",
    "ephemeralcontainers": "ephemeral containers: use kubectl exec",
    "resize": "resize: resource limits are without effect",
}


class _View:
    """How one client wants to see objects, by its Accept header."""

    def __init__(self, request: web.Request, target: Target) -> None:
        self._target = target
        self._include = request.query.get("includeObject", "Metadata")
        self._accepted = _transformation(accepted(request.headers.get("Accept", "")))
        self._definitions = True

    def one(self, obj: Object) -> Object:
        """Return one object."""
        seen = {**obj, "apiVersion": self._target.api_version} if obj.get("kind") != "Scale" else obj
        match self._accepted.transform:
            case "Table":
                version = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
                return self._table([seen], version)
            case "PartialObjectMetadata":
                return tables.partial(seen)
        return seen

    def many(self, items: list[Object], metadata: Object) -> Object:
        """Return a list."""
        seen = [{**obj, "apiVersion": self._target.api_version} for obj in items]
        match self._accepted.transform:
            case "Table":
                return self._table(seen, metadata)
            case "PartialObjectMetadataList":
                partials = [tables.partial(obj) for obj in seen]
                kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
                return {"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": partials}
        kind = f"{self._target.resource.kind}List"
        return {"kind": kind, "apiVersion": self._target.api_version, "metadata": metadata, "items": seen}

    def event(self, obj: Object) -> Object:
        """Return one object of a watch; a bookmark, which has a version only, stays as it is."""
        if "uid" not in obj["metadata"]:
            return obj
        if self._accepted.transform in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return tables.partial({**obj, "apiVersion": self._target.api_version})
        return self.one(obj)

    def _table(self, objects: list[Object], metadata: Object) -> Object:
        definitions, self._definitions = self._definitions, False
        return tables.table(
            self._target.resource.kind,
            objects,
            include=self._include,
            version=self._accepted.parameters.get("v", "v1"),
            definitions=definitions,
            metadata=metadata,
        )


def _transformation(choices: list[Accepted]) -> Accepted:
    known = ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList")
    return next((choice for choice in choices if choice.transform in known), choices[0])


def _documents(path: str, steps: list[str], request: web.Request) -> web.Response | None:
    """Answer what describes the API: versions, discovery, OpenAPI; None for all other paths."""
    wanted = next(
        (
            choice.parameters["v"]
            for choice in accepted(request.headers.get("Accept", ""))
            if choice.transform == "APIGroupDiscoveryList" and choice.parameters.get("v") in ("v2", "v2beta1")
        ),
        None,
    )
    groups = discovery.group_versions()
    if path in ("/api", "/apis") and wanted is not None:
        body = discovery.aggregated(wanted, [""] if path == "/api" else [group for group in groups if group])
        media = f"application/json;g=apidiscovery.k8s.io;v={wanted};as=APIGroupDiscoveryList"
        return web.Response(body=json.dumps(body).encode(), headers={"Content-Type": media})
    found: Object | None = None
    match steps:
        case []:
            found = {"paths": ["/api", "/apis", *_HEALTH, "/openapi/v3", "/version"]}
        case ["version"]:
            found = discovery.version()
        case ["api"]:
            found = discovery.api_versions()
        case ["apis"]:
            found = discovery.api_group_list()
        case ["apis", group]:
            found = discovery.api_group(group)
        case ["api", version]:
            found = discovery.api_resource_list("", version)
        case ["apis", group, version]:
            found = discovery.api_resource_list(group, version)
        case ["openapi", "v3"]:
            found = openapi.index()
        case ["openapi", "v3", "api", version] if version in groups[""]:
            return _openapi("", version, request)
        case ["openapi", "v3", "apis", group, version] if group and version in groups.get(group, ()):
            return _openapi(group, version, request)
    return None if found is None else _json(found)


def _openapi(group: str, version: str, request: web.Request) -> web.Response:
    tag = f'"{openapi.etag(group, version)}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=31536000" if request.query.get("hash") else "no-cache",
    }
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=openapi.document(group, version), headers={**headers, "Content-Type": "application/json"}
    )


def _review(steps: list[str]) -> str | None:
    for group, plural, kind in discovery.REVIEWS:
        if steps == ["apis", group, "v1", plural]:
            return kind
    return None


def _selection(request: web.Request, target: Target) -> selectors.Predicate:
    by_label = selectors.labels(request.query.get("labelSelector", ""))
    by_field = selectors.fields(request.query.get("fieldSelector", ""), target.resource.kind)
    return lambda obj: by_label(obj) and by_field(obj)


def _write_options(request: web.Request) -> WriteOptions:
    manager = request.query.get("fieldManager", "")
    if not manager and request.content_type != "application/apply-patch+yaml":
        manager = request.headers.get("User-Agent", "").partition("/")[0]
    return WriteOptions(
        dry_run=dry_run(request.query.getall("dryRun", [])),
        manager=manager or "unknown",
        force=flag(request.query, "force"),
    )


async def _delete_options(request: web.Request) -> DeleteOptions:
    body = await _body(request) if request.can_read_body else {}
    given: Mapping[str, Any] = body if isinstance(body, dict) else {}
    conditions = given.get("preconditions") or {}
    grace = given.get("gracePeriodSeconds")
    propagation = given.get("propagationPolicy") or request.query.get("propagationPolicy")
    if given.get("orphanDependents") or flag(request.query, "orphanDependents"):
        propagation = "Orphan"
    if propagation not in (None, "", "Background", "Foreground", "Orphan"):
        text = f'propagationPolicy: Invalid value: "{propagation}": must be Background, Foreground or Orphan'
        raise errors.bad_request(text)
    return DeleteOptions(
        grace=grace if isinstance(grace, int) else number(request.query, "gracePeriodSeconds"),
        propagation=propagation or "Background",
        uid=conditions.get("uid"),
        version=conditions.get("resourceVersion"),
        dry_run=dry_run([*request.query.getall("dryRun", []), *(given.get("dryRun") or [])]),
    )


async def _body(request: web.Request) -> object:
    """Return a request's body, JSON or YAML; raises ApiError (400, 415)."""
    text = await request.read()
    if not text:
        return {}
    media = request.content_type
    if media == protobuf.MEDIA_TYPE:
        return protobuf.decode(text)
    if not (media.endswith(("json", "yaml")) or media == "application/octet-stream"):
        raise errors.unsupported_media_type(["application/json", "application/yaml", protobuf.MEDIA_TYPE])
    try:
        if media.endswith("yaml"):
            return yaml.safe_load(text)
        return json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise errors.bad_request(f"the body of the request cannot be read: {error}") from None


def _json(body: Object, code: int = 200) -> web.Response:
    text = json.dumps(body, separators=(",", ":")).encode() + b"\n"
    headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    return web.Response(body=text, status=code, headers=headers)
