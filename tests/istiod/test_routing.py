"""What a VirtualService or DestinationRule asks for is what clients get, through real Envoys."""

import asyncio
import json
import time

import pytest
from aiohttp import web
from yarl import URL

from tests.istiod.mesh import NAMESPACE, App, Mesh, named, service_yaml, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

GATEWAY_RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: music}}
spec: {{hosts: ["*"], gateways: [gw], http: {http}}}
"""
STORE_RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: store}}
spec: {{hosts: [store], http: {http}}}
"""


async def at_gateway(mesh: Mesh, *http: dict) -> None:
    mesh.apply(GATEWAY_RULE.format(http=json.dumps(http)))
    await mesh.settle()


async def at_sidecars(mesh: Mesh, *http: dict) -> None:
    mesh.apply(STORE_RULE.format(http=json.dumps(http)))
    await mesh.settle()


def to(host: str, subset: str | None = None, **more: object) -> dict:
    return {"destination": {"host": host, **({"subset": subset} if subset else {})}, **more}


STORE = {"route": [{"destination": {"host": "store", "port": {"number": 8001}}}]}


@pytest.mark.parametrize(
    ("weights", "low", "high"), [((90, 10), 0.07, 0.13), ((3, 1), 0.2, 0.3), ((1, 0), 0, 0)]
)
async def test_weights_are_proportions(mesh, weights, low, high):
    routes = [to("music", v, weight=w) for v, w in zip(("v1", "v2"), weights, strict=True)]
    await at_gateway(mesh, {"route": routes})
    found = await mesh.share(f"{mesh.gateway}/music", 2000)
    assert found["v1"] + found["v2"] == 2000, found
    assert low <= found["v2"] / 2000 <= high, found


async def test_no_rule_for_the_path_is_404(mesh):
    assert (await mesh.get(f"{mesh.gateway}/elsewhere"))[0] == 404


@pytest.mark.parametrize(
    "host",
    [
        *(
            "music:8000",
            "music",
            "music.shop:8000",
            "music.shop.svc:8000",
            "music.shop.svc.cluster.local:8000",
        ),
        *(
            "music.shop.svc.cluster.local",
            "MUSIC:8000",
            "127.102.0.1:8000",
            "store",
            "store:80",
            "store:8001",
        ),
    ],
)
async def test_every_spelling_of_a_service_is_found(mesh, host):
    status, text, _ = await mesh.get(f"http://{host}/x", mesh.pods["client"])
    assert status == 200
    assert json.loads(text)["name"] in (("v1", "v2") if "store" not in host else ("store",))


async def test_short_name_is_of_the_clients_namespace(mesh):
    mesh.apply("{apiVersion: v1, kind: Namespace, metadata: {name: third, namespace: ''}}", "")
    labels = {"app": "outsider", "sidecar.istio.io/inject": "true"}
    outsider = await mesh.pod("outsider", labels=labels, namespace="third")
    try:
        assert (await mesh.get("http://music.shop:8000/", outsider))[0] == 200
        assert (await mesh.get("http://music:8000/", outsider))[0] == 503
    finally:
        await mesh.stop(outsider)


MATCHES = {
    "prefix": ({"uri": {"prefix": "/a"}}, ("GET", "/abc", {}), ("GET", "/b", {})),
    "exact": ({"uri": {"exact": "/a"}}, ("GET", "/a?q=1", {}), ("GET", "/a/", {})),
    "regex": ({"uri": {"regex": "/a[0-9]+"}}, ("GET", "/a12", {}), ("GET", "/a12x", {})),
    "ignore case": ({"uri": {"exact": "/a"}, "ignoreUriCase": True}, ("GET", "/A", {}), ("GET", "/b", {})),
    "method": ({"method": {"exact": "PUT"}}, ("PUT", "/", {}), ("GET", "/", {})),
    "header": ({"headers": {"x-k": {"exact": "1"}}}, ("GET", "/", {"X-K": "1"}), ("GET", "/", {"X-K": "2"})),
    "header is there": ({"headers": {"x-k": {}}}, ("GET", "/", {"X-K": "7"}), ("GET", "/", {})),
    "without header": (
        {"withoutHeaders": {"x-k": {"exact": "1"}}},
        ("GET", "/", {}),
        ("GET", "/", {"X-K": "1"}),
    ),
    "query": ({"queryParams": {"q": {"exact": "1"}}}, ("GET", "/?q=1", {}), ("GET", "/?q=2", {})),
    "authority": (
        {"authority": {"prefix": "store:"}},
        ("GET", "/", {}),
        ("GET", "/", {"Host": "store.shop:8001"}),
    ),
    "port": ({"port": 8001}, ("GET", "/", {}), ("GET", "/", {"Host": "store:80"})),
    "labels": ({"sourceLabels": {"app": "client"}}, ("GET", "/", {}), None),
    "other labels": ({"sourceLabels": {"app": "nobody"}}, None, ("GET", "/", {})),
    "gateways": ({"gateways": ["gw"]}, None, ("GET", "/", {})),
    "two conditions": (
        {"method": {"exact": "GET"}, "uri": {"prefix": "/a"}},
        ("GET", "/a", {}),
        ("PUT", "/a", {}),
    ),
}


@pytest.mark.parametrize("name", MATCHES)
async def test_match(mesh, name):
    match, hit, miss = MATCHES[name]
    teapot = {"match": [match], "directResponse": {"status": 418, "body": {"string": "matched"}}}
    await at_sidecars(mesh, teapot, STORE)
    proxy = mesh.pods["client"].proxy
    for request, expected in ((hit, 418), (miss, 200)):
        if request:
            method, path, headers = request
            url = f"http://{headers.pop('Host', 'store:8001')}{path}"
            async with mesh.client.request(method, url, headers=headers, proxy=proxy) as answer:
                assert answer.status == expected, await answer.text()


async def test_redirect(mesh):
    await at_gateway(mesh, {"redirect": {"uri": "/new", "authority": "example.org", "redirectCode": 308}})
    status, _, headers = await mesh.get(f"{mesh.gateway}/music", allow_redirects=False)
    assert (status, headers["Location"]) == (308, "http://example.org/new")


async def test_rewrite_and_headers(mesh):
    rule = {
        "match": [{"uri": {"prefix": "/music/"}}],
        "rewrite": {"uri": "/", "authority": "other.example"},
        "headers": {"request": {"set": {"x-set": "1"}, "add": {"x-given": "2"}, "remove": ["x-gone"]}},
        "route": [to("music", "v1", headers={"response": {"set": {"x-answer": "3"}, "remove": ["x-app"]}})],
    }
    await at_gateway(mesh, rule)
    sent = {"x-set": "0", "x-given": "0", "x-gone": "0"}
    status, text, headers = await mesh.get(f"{mesh.gateway}/music/a?b=c", headers=sent)
    seen = {name.lower(): value for name, value in json.loads(text)["headers"].items()}
    assert (status, json.loads(text)["path"]) == (200, "/a?b=c")
    assert seen["host"] == "other.example"
    assert seen["x-set"] == "1"
    assert "x-gone" not in seen
    assert headers["x-answer"] == "3"
    assert "x-app" not in headers


async def test_uri_regex_rewrite(mesh):
    rewrite = {"uriRegexRewrite": {"match": "^/music/([^/]+)/.*$", "rewrite": r"/by/\1"}}
    await at_gateway(mesh, {"rewrite": rewrite, "route": [to("music", "v1")]})
    _, text, _ = await mesh.get(f"{mesh.gateway}/music/x/y")
    assert json.loads(text)["path"] == "/by/x"


async def test_cors(mesh):
    policy = {"allowOrigins": [{"exact": "https://ok.example"}], "allowMethods": ["GET"], "maxAge": "1h"}
    await at_gateway(mesh, {"corsPolicy": policy, "route": [to("music", "v1")]})
    ask = {"Access-Control-Request-Method": "GET"}
    async with mesh.client.options(
        f"{mesh.gateway}/music", headers=ask | {"Origin": "https://ok.example"}
    ) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://ok.example"
        assert answer.headers["Access-Control-Max-Age"] == "3600"
    _, _, headers = await mesh.get(f"{mesh.gateway}/music", headers={"Origin": "https://bad.example"})
    assert "Access-Control-Allow-Origin" not in headers


async def test_fault_abort_share(mesh):
    await at_sidecars(mesh, {"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 30}}}, **STORE})
    found = await mesh.share("http://store:8001/", 1500, mesh.pods["client"])
    assert set(found) == {"503", "store"}
    assert 0.25 <= found["503"] / 1500 <= 0.35, found


async def test_fault_delay(mesh):
    await at_sidecars(
        mesh, {"fault": {"delay": {"fixedDelay": "400ms", "percentage": {"value": 100}}}, **STORE}
    )
    start = time.monotonic()
    assert (await mesh.get("http://store:8001/", mesh.pods["client"]))[0] == 200
    assert 0.39 <= time.monotonic() - start < 2


async def test_mirror(mesh):
    v2 = mesh.pods["music-v2"].app
    v2.seen.clear()
    await at_gateway(mesh, {"route": [to("music", "v1")], "mirror": {"host": "music", "subset": "v2"}})
    assert await mesh.share(f"{mesh.gateway}/music", 50) == {"v1": 50}

    async def all_mirrored() -> bool:
        return len(v2.seen) == 50

    await until(all_mirrored, 3, f"{len(v2.seen)} of 50 requests were mirrored")


async def test_mirror_percentage(mesh):
    v2 = mesh.pods["music-v2"].app
    v2.seen.clear()
    mirror = {"mirror": {"host": "music", "subset": "v2"}, "mirrorPercentage": {"value": 10}}
    await at_gateway(mesh, {"route": [to("music", "v1")], **mirror})
    await mesh.share(f"{mesh.gateway}/music", 1000)
    await at_gateway(mesh, {"route": [to("music", "v1")]})
    assert 60 <= len(v2.seen) <= 140


async def test_rules_of_two_virtual_services_are_joined_at_the_gateway(mesh):
    mesh.apply(GATEWAY_RULE.replace("name: music", "name: all").format(http=json.dumps([STORE])))
    await mesh.settle()
    assert (await mesh.share(f"{mesh.gateway}/music", 5)) == {"v1": 5}
    assert (await mesh.share(f"{mesh.gateway}/else", 5)) == {"store": 5}


async def test_hosts_of_a_gateway(mesh):
    """The narrowest host wins, whatever port the client names."""
    mesh.apply(
        GATEWAY_RULE.replace("name: music", "name: own")
        .replace('"*"', "own.example")
        .format(http=json.dumps([STORE]))
    )
    await mesh.settle()
    for host, name in (
        ("own.example", "store"),
        ("own.example:8080", "store"),
        ("OWN.example:1", "store"),
        ("x.example", "v1"),
    ):
        _, text, _ = await mesh.get(f"{mesh.gateway}/music", headers={"Host": host})
        assert json.loads(text)["name"] == name, host


async def test_a_subset_without_endpoints_is_503(mesh):
    mesh.set_ready(mesh.pods["music-v2"], ready=False)
    try:
        await at_gateway(mesh, {"route": [to("music", "v2")]})
        status, text, _ = await mesh.get(f"{mesh.gateway}/music")
        assert (status, text) == (503, "no healthy upstream")
    finally:
        mesh.set_ready(mesh.pods["music-v2"])


async def test_passthrough_of_unknown_hosts(mesh):
    outside = App(named("outside"), "127.100.0.4", 9100)
    await outside.start()
    try:
        _, text, _ = await mesh.get("http://127.100.0.4:9100/p", mesh.pods["client"])
        assert json.loads(text)["name"] == "outside"
    finally:
        await outside.stop()


async def test_http_service_entry(mesh):
    outside = App(named("api"), "127.100.0.5", 9200)
    await outside.start()
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec:
  hosts: [api.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9200}]
  resolution: STATIC
  endpoints: [{address: 127.100.0.5}]
""")
    await mesh.settle()
    try:
        assert (await mesh.share("http://api.example/", 3, mesh.pods["client"])) == {"api": 3}
    finally:
        await outside.stop()


class Flaky:
    """Answers with `status`, or closes the connection without an answer."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 500
        self.seconds = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        await request.read()
        await asyncio.sleep(self.seconds)
        if not self.status:
            request.transport.abort()
        return web.Response(status=self.status or 200)


@pytest.fixture
def flaky():
    return Flaky()


async def flaky_pod(mesh: Mesh, flaky: Flaky):
    mesh.apply(service_yaml("flaky", "{app: flaky}"))
    pod = await mesh.pod("flaky", handler=flaky.answer)
    await mesh.settle()
    return pod


@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
async def test_default_retries_hide_no_failure_of_the_application(mesh, flaky, status):
    flaky.status = status
    pod = await flaky_pod(mesh, flaky)
    try:
        async with mesh.client.post(
            "http://flaky:8000/", data=b"x", proxy=mesh.pods["client"].proxy
        ) as answer:
            assert answer.status == (status or 503)
        assert flaky.calls == 1
    finally:
        await mesh.stop(pod)


async def test_retries_that_are_asked_for(mesh, flaky):
    pod = await flaky_pod(mesh, flaky)
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: flaky}
spec:
  hosts: [flaky]
  http: [{route: [{destination: {host: flaky}}], retries: {attempts: 3, retryOn: 5xx, backoff: 1ms}}]
""")
    await mesh.settle()
    try:
        assert (await mesh.get("http://flaky:8000/", mesh.pods["client"]))[0] == 500
        assert flaky.calls == 4
    finally:
        await mesh.stop(pod)


async def test_no_timeout_by_default_and_504_after_the_routes(mesh, flaky):
    flaky.status, flaky.seconds = 200, 1.0
    pod = await flaky_pod(mesh, flaky)
    try:
        assert (await mesh.get("http://flaky:8000/", mesh.pods["client"]))[0] == 200
        mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: flaky}
spec: {hosts: [flaky], http: [{route: [{destination: {host: flaky}}], timeout: 0.2s}]}
""")
        await mesh.settle()
        start = time.monotonic()
        assert (await mesh.get("http://flaky:8000/", mesh.pods["client"]))[0] == 504
        assert time.monotonic() - start < 0.9
    finally:
        await mesh.stop(pod)


async def test_a_connection_that_fails_is_tried_at_another_endpoint(mesh):
    twin = await mesh.pod("music-twin", labels={"app": "music", "version": "v1"}, handler=named("twin"))
    await mesh.settle()
    # Its Envoy is gone, and the endpoints do not know yet.
    await twin.process.stop(2)
    try:
        assert await mesh.share(f"{mesh.gateway}/music", 100) == {"v1": 100}
    finally:
        await mesh.stop(twin)


async def test_413_reaches_the_client(mesh):
    async def small(request: web.Request) -> web.Response:
        request._client_max_size = 1024 * 64
        await request.read()
        return web.Response()

    mesh.apply(service_yaml("small", "{app: small}"))
    pod = await mesh.pod("small", handler=small)
    await at_gateway(mesh, {"route": [to("small")], "retries": {"attempts": 2, "retryOn": "connect-failure"}})
    try:
        for _ in range(10):
            async with mesh.client.post(f"{mesh.gateway}/", data=bytes(2_000_000)) as answer:
                assert answer.status == 413
    finally:
        await mesh.stop(pod)


async def test_what_the_edge_does_to_headers(mesh):
    await at_gateway(mesh, {"route": [to("music", "v1")]})
    sent = {
        "x-request-id": "mine",
        "x-envoy-retry-on": "5xx",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-forwarded-for": "1.2.3.4",
    }
    _, text, headers = await mesh.get(f"{mesh.gateway}/music/../music//a", headers=sent)
    seen = {name.lower(): value for name, value in json.loads(text)["headers"].items()}
    assert seen["x-request-id"] != "mine"
    assert len(seen["x-request-id"]) == 36
    assert not {"x-envoy-retry-on", "x-envoy-upstream-rq-timeout-ms"} & seen.keys()
    assert seen["x-forwarded-for"].startswith("1.2.3.4,")
    assert headers["Server"] == "istio-envoy"
    _, text, _ = await mesh.get("http://store:8001/", mesh.pods["client"], headers={"x-request-id": "kept"})
    assert json.loads(text)["headers"]["X-Request-ID"] == "kept"


@pytest.mark.parametrize("path", ["/music/%00", "/music/%zz%00"])
async def test_a_nul_in_the_path_reaches_no_application(mesh, path):
    music = mesh.pods["music-v1"].app
    music.seen.clear()
    assert (await mesh.get(URL(f"{mesh.gateway}{path}", encoded=True)))[0] == 400
    assert not music.seen


async def test_rules_of_another_namespace_that_are_not_exported(mesh):
    mesh.apply(
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: foreign}
spec:
  hosts: [store.shop.svc.cluster.local]
  exportTo: ["."]
  http: [{directResponse: {status: 418}}]
""",
        "other",
    )
    await mesh.settle()
    assert (await mesh.get("http://store:8001/", mesh.pods["client"]))[0] == 200
    assert mesh.store.find("VirtualService", NAMESPACE, "foreign") is None
