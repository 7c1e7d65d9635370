"""What clients other than kubectl rely on: status codes, media types, watches, paging, options."""

import json
import ssl
import threading
import urllib.request

import pytest

from .conftest import SECONDS, deployment, running_pod

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def path(ns, plural="configmaps", name="", api="api/v1"):
    return f"/{api}/namespaces/{ns}/{plural}" + (f"/{name}" if name else "")


def config(name="c", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def create(api, ns, *names):
    for name in names:
        assert api.http("POST", path(ns), config(name)).code == 201


def test_no_token_or_a_wrong_one_is_refused(api):
    for token in (False, "wrong", "x" * 5000):
        answer = api.http("GET", "/api/v1/pods", token=token)
        assert (answer.code, answer.json["reason"]) == (401, "Unauthorized")


def test_only_tls_with_the_own_authority_is_spoken(api):
    url = f"https://{api.settings.api_host}:{api.settings.api_port}/version"
    with pytest.raises(OSError, match="certificate verify failed"):
        urllib.request.urlopen(url, timeout=SECONDS, context=ssl.create_default_context())
    assert api.settings.kubeconfig.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("method", "where", "code", "reason"),
    [
        ("GET", "/nope", 404, "NotFound"),
        ("GET", "/apis/apps/v9/deployments", 404, "NotFound"),
        ("GET", "/api/v1/pods/x", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/nodes", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/%2e%2e%2fx", 404, "NotFound"),
        ("PUT", "/api/v1/namespaces/default/configmaps", 405, "MethodNotAllowed"),
        ("PATCH", "/api/v1/namespaces", 405, "MethodNotAllowed"),
        ("POST", "/api/v1/namespaces/default/pods/x", 405, "MethodNotAllowed"),
        ("GET", "/api/v1/namespaces/default/configmaps?labelSelector=a%20b", 400, "BadRequest"),
        ("GET", "/api/v1/namespaces/default/configmaps?limit=x", 400, "BadRequest"),
        ("GET", "/api/v1/namespaces/default/configmaps?watch=maybe", 400, "BadRequest"),
        ("GET", "/api/v1/namespaces/default/configmaps?continue=zzz", 400, "BadRequest"),
        ("DELETE", "/api/v1/namespaces/default/configmaps/x", 404, "NotFound"),
        ("DELETE", "/api/v1/namespaces/default/configmaps/x?dryRun=Some", 400, "BadRequest"),
        ("DELETE", "/api/v1/namespaces/default/configmaps/x?propagationPolicy=No", 400, "BadRequest"),
    ],
)
def test_refusals_are_statuses(api, method, where, code, reason):
    answer = api.http(method, where, {} if method in ("PUT", "POST", "PATCH") else None)
    assert (answer.code, answer.json["reason"], answer.json["kind"]) == (code, reason, "Status")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        ({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}}, 400),
        ({"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "x"}}, 400),
        ({"metadata": "x"}, 400),
        ({"metadata": {}}, 422),
        ({"metadata": {"name": "Upper_Case"}}, 422),
        ({"metadata": {"name": "x", "namespace": "other"}}, 400),
        ({"metadata": {"name": "x", "labels": {"a": 1}}}, 422),
        ({"metadata": {"name": "x", "labels": {"a": "not valid!"}}}, 422),
        ({"metadata": {"name": "x"}, "data": {"a/b": "1"}}, 422),
        ({"metadata": {"name": "x"}, "data": {"a": 1}}, 422),
        ({"metadata": {"name": "x"}, "dta": {}}, 422),
        ({"metadata": {"name": "x"}, "data": {"a": "y" * 1_500_000}}, 422),
        ({"metadata": {"name": "x"}, "data": {"a": "y" * 4_000_000}}, 413),
    ],
)
def test_bad_objects_are_refused_and_not_stored(api, ns, body, code):
    assert api.http("POST", path(ns), body).code == code
    assert api.do(lambda s: s.select("ConfigMap", ns)) == []


def test_unknown_media_types(api, ns):
    assert api.http("POST", path(ns), b"<x/>", Content_Type="text/xml").code == 415
    assert api.http("GET", path(ns), Accept="application/cbor").code == 406
    assert (
        api.http(
            "POST", path(ns), b"k8s\x00\xff\xff", Content_Type="application/vnd.kubernetes.protobuf"
        ).code
        == 400
    )
    assert api.http("POST", path(ns), b"zzz", Content_Type="application/vnd.kubernetes.protobuf").code == 400
    yaml = b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: from-yaml}\n"
    assert api.http("POST", path(ns), yaml, Content_Type="application/yaml").code == 201


def test_lists_come_in_pages(api, ns):
    create(api, ns, "a", "b", "c", "d", "e")
    names, token = [], ""
    for _ in range(3):
        answer = api.http("GET", path(ns) + f"?limit=2&continue={token}").json
        names.append([item["metadata"]["name"] for item in answer["items"]])
        token = answer["metadata"].get("continue", "")
    assert names == [["a", "b"], ["c", "d"], ["e"]]
    assert token == ""
    assert api.http("GET", path(ns) + "?limit=2").json["metadata"]["remainingItemCount"] == 3


def test_tables_and_partial_objects(api, ns):
    running_pod(api, ns)
    table = api.http("GET", path(ns, "pods"), Accept=TABLE).json
    assert table["kind"] == "Table"
    assert [c["name"] for c in table["columnDefinitions"] if not c["priority"]] == [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
    ]
    assert table["rows"][0]["cells"][:4] == ["web-1", "1/1", "Running", "0"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = api.http("GET", path(ns, "pods") + "?includeObject=Object", Accept=TABLE).json
    assert whole["rows"][0]["object"]["kind"] == "Pod"
    wanted = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    partial = api.http("GET", path(ns, "pods"), Accept=wanted).json
    assert partial["kind"] == "PartialObjectMetadataList"
    assert set(partial["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_discovery_in_both_forms(api):
    wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    for where, group in (("/api", ""), ("/apis", "apps")):
        answer = api.http("GET", where, Accept=wanted)
        assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
        items = {item["metadata"].get("name", ""): item for item in answer.json["items"]}
        found = {r["resource"]: r for r in items[group]["versions"][0]["resources"]}
        assert ("pods" if not group else "deployments") in found
    assert found["deployments"]["subresources"][1]["responseKind"]["kind"] == "Scale"
    assert api.http("GET", "/api").json["versions"] == ["v1"]
    names = [r["name"] for r in api.http("GET", "/apis/apps/v1").json["resources"]]
    assert {"deployments", "deployments/scale", "deployments/status"} <= set(names)
    groups = {group["name"] for group in api.http("GET", "/apis").json["groups"]}
    assert {"apps", "batch", "networking.istio.io"} <= groups
    for where in ("/healthz", "/readyz", "/livez"):
        assert api.http("GET", where).body == b"ok"


def test_openapi_documents_are_whole_and_cached(api):
    index = api.http("GET", "/openapi/v3").json["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/networking.istio.io/v1"} <= set(index)
    for entry in index.values():
        answer = api.http("GET", entry["serverRelativeURL"])
        schemas = answer.json["components"]["schemas"]
        for ref in set(references(answer.json)):
            assert ref.removeprefix("#/components/schemas/") in schemas
        again = api.http("GET", entry["serverRelativeURL"], If_None_Match=answer.headers["ETag"])
        assert (again.code, again.body) == (304, b"")


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_a_stale_update_is_a_conflict(api, ns):
    created = api.http("POST", path(ns), config(a="1")).json
    created["data"] = {"a": "2"}
    assert api.http("PUT", path(ns, name="c"), created).code == 200
    answer = api.http("PUT", path(ns, name="c"), created)
    assert (answer.code, answer.json["reason"]) == (409, "Conflict")
    assert "the object has been modified" in answer.json["message"]
    foreign = {**created, "metadata": {**created["metadata"], "resourceVersion": "", "uid": "other"}}
    assert api.http("PUT", path(ns, name="c"), foreign).code == 409
    assert api.http("POST", path(ns), config()).json["reason"] == "AlreadyExists"


def test_an_update_without_a_change_keeps_the_version(api, ns):
    created = api.http("POST", path(ns), config(a="1")).json
    answer = api.http("PUT", path(ns, name="c"), created).json
    assert answer["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


def test_delete_options(api, ns):
    create(api, ns, "c", "d", "e")
    where = path(ns, name="c")
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}}
    assert api.http("DELETE", where, options).code == 409
    assert api.http("DELETE", where + "?dryRun=All").code == 200
    assert api.http("GET", where).code == 200
    answer = api.http("DELETE", where).json
    assert (answer["status"], answer["details"]["name"]) == ("Success", "c")
    assert api.http("DELETE", path(ns) + "?fieldSelector=metadata.name!=d").code == 200
    assert [c["metadata"]["name"] for c in api.do(lambda s: s.select("ConfigMap", ns))] == ["d"]


def test_finalizers_hold_an_object_until_they_are_gone(api, ns):
    body = config()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    api.http("POST", path(ns), body)
    where = path(ns, name="c")
    assert "deletionTimestamp" in api.http("DELETE", where).json["metadata"]
    assert api.http("GET", where).code == 200
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    assert api.http("PATCH", where, patch, Content_Type="application/json-patch+json").code == 200
    assert api.http("GET", where).code == 404


def test_generated_names_and_dry_runs(api, ns):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}}
    names = {api.http("POST", path(ns), body).json["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("run-") for name in names)
    answer = api.http("POST", path(ns) + "?dryRun=All", config("dry"))
    assert answer.code == 201
    assert answer.json["metadata"]["uid"]
    assert api.http("GET", path(ns, name="dry")).code == 404


def test_scale_subresource(api, ns):
    where = path(ns, "deployments", "web", "apis/apps/v1") + "/scale"
    api.http("POST", path(ns, "deployments", api="apis/apps/v1"), deployment())
    scale = api.http("GET", where).json
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == (
        "Scale",
        {"replicas": 1},
        "app=web",
    )
    scale["spec"]["replicas"] = 3
    assert api.http("PUT", where, scale).json["spec"]["replicas"] == 3
    assert api.http("PUT", where, scale).code == 409
    assert api.http("PUT", where, {"spec": {"replicas": -1}}).code == 422
    assert api.do(lambda s: s.get("Deployment", ns, "web"))["spec"]["replicas"] == 3


def test_status_is_changed_by_its_subresource_only(api, ns):
    where = path(ns, "deployments", "web", "apis/apps/v1")
    body = {**deployment(), "status": {"replicas": 9}}
    created = api.http("POST", path(ns, "deployments", api="apis/apps/v1"), body).json
    assert "status" not in created
    changed = {**created, "status": {"replicas": 2}, "spec": {**created["spec"], "replicas": 5}}
    assert api.http("PUT", where + "/status", changed).code == 200
    stored = api.http("GET", where).json
    assert (stored["status"], stored["spec"]["replicas"]) == ({"replicas": 2}, 1)
    assert stored["metadata"]["generation"] == 1


class Watch:
    """A watch over plain HTTPS: its events, one a line."""

    def __init__(self, api, where):
        url = f"https://{api.settings.api_host}:{api.settings.api_port}{where}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {api.token}"})
        self.response = urllib.request.urlopen(request, timeout=SECONDS, context=api.context)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.response.close()

    def next(self):
        line = self.response.readline()
        return json.loads(line) if line else None


def names(watch, count):
    events = [watch.next() for _ in range(count)]
    return [(event["type"], event["object"]["metadata"].get("name")) for event in events]


def test_a_watch_from_a_version_repeats_what_came_since(api, ns):
    create(api, ns, "a")
    version = api.http("GET", path(ns)).json["metadata"]["resourceVersion"]
    create(api, ns, "b")
    api.http("DELETE", path(ns, name="a"))
    with Watch(api, path(ns) + f"?watch=1&resourceVersion={version}") as watch:
        assert names(watch, 2) == [("ADDED", "b"), ("DELETED", "a")]
        create(api, ns, "c")
        assert names(watch, 1) == [("ADDED", "c")]


def test_a_watch_list_ends_its_beginning_with_a_bookmark(api, ns):
    create(api, ns, "a", "b")
    query = "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    with Watch(api, path(ns) + query) as watch:
        assert names(watch, 2) == [("ADDED", "a"), ("ADDED", "b")]
        bookmark = watch.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_without_a_version_begins_with_what_is_there_and_ends_in_time(api, ns):
    create(api, ns, "a")
    with Watch(api, path(ns) + "?watch=1&timeoutSeconds=1") as watch:
        assert names(watch, 1) == [("ADDED", "a")]
        assert watch.next() is None


def test_a_watch_that_asks_for_lost_history_is_expired(api, ns):
    def forget(store):
        kept = list(store._history)
        store._history.clear()
        return kept

    create(api, ns, "a")
    kept = api.do(forget)
    try:
        answer = api.http("GET", path(ns) + "?watch=1&resourceVersion=1")
    finally:
        api.do(lambda s: s._history.extendleft(reversed(kept)))
    assert (answer.code, answer.json["reason"]) == (410, "Expired")


def test_concurrent_changes_lose_nothing(api, ns):
    create(api, ns, "c")
    media = "application/merge-patch+json"

    def add(worker):
        for i in range(10):
            body = {"data": {f"{worker}-{i}": "x"}}
            assert api.http("PATCH", path(ns, name="c"), body, Content_Type=media).code == 200

    workers = [threading.Thread(target=add, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(SECONDS)
    assert len(api.http("GET", path(ns, name="c")).json["data"]) == 40
