"""Bad input at s1 and s2: the right status in JSON, nothing stored, and no request to the datastore."""

import json
from io import BytesIO
from typing import Any

import pytest
from gunicorn.http.errors import InvalidChunkSize, NoMoreData

from servicekit.bodies import MAX_BODY, MAX_TEXT
from tests.unit.world import User, World, anybody, music, ok, refused, users

PROFILE = {"fname": "A", "lname": "B", "email": "c@example.org"}
SONG = {"Artist": "A", "SongTitle": "B"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def user(world: World) -> User:
    return world.user()


@pytest.fixture(params=["create user", "update user", "login", "logoff", "create song"])
def call(request: pytest.FixtureRequest, world: World, user: User) -> tuple[str, str, str, dict[str, Any]]:
    """Service, method, path and a good body of each call that takes a body."""
    calls: dict[str, tuple[str, str, str, dict[str, Any]]] = {
        "create user": ("s1", "POST", "/api/v1/user/", PROFILE),
        "update user": ("s1", "PUT", f"/api/v1/user/{user.uid}", PROFILE),
        "login": ("s1", "PUT", "/api/v1/user/login", {"uid": user.uid}),
        "logoff": ("s1", "PUT", "/api/v1/user/logoff", {"jwt": user.jwt}),
        "create song": ("s2", "POST", "/api/v1/music/", SONG),
    }
    return calls[request.param]


def test_bad_bodies(world: World, user: User, call: tuple[str, str, str, dict[str, Any]]) -> None:
    service, method, path, good = call
    field = next(iter(good))
    text = json.dumps(good)
    cases: list[tuple[bytes, dict[str, str], int]] = [
        (b"", {}, 400),
        (b"", JSON, 400),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (text.encode(), {"Content-Type": "text/plain"}, 415),
        (text.encode(), {}, 415),
        (b"{", JSON, 400),
        (b"not JSON", JSON, 400),
        (text.encode() + b"x", JSON, 400),
        (text.encode("utf-16"), JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b"\xef\xbb\xbf" + text.encode(), JSON, 400),
        (b"[]", JSON, 400),
        (b"null", JSON, 400),
        (b'"text"', JSON, 400),
        (b"7", JSON, 400),
        (b"{}", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (json.dumps(good | {"unknown": "x"}).encode(), JSON, 400),
        (json.dumps(good | {"": "x"}).encode(), JSON, 400),
        *(
            (json.dumps(good | {field: value}).encode(), JSON, 400)
            for value in (
                1,
                1.5,
                True,
                None,
                [],
                {},
                [good[field]],
                "",
                "  ",
                "x\0y",
                "\ud800",
                "x" * (MAX_TEXT + 1),
            )
        ),
        (f'{{"{field}": NaN}}'.encode(), JSON, 400),
        *((json.dumps({k: v for k, v in good.items() if k != name}).encode(), JSON, 400) for name in good),
        (b"x" * 2_000_000, JSON, 413),
        (b"x" * 2_000_000, {"Content-Type": "text/plain"}, 413),
        (json.dumps(good | {field: "x" * 2_000_000}).encode(), JSON, 413),
    ]
    before, sent = world.stored(), len(world.bridge.sent)
    client = getattr(world, service).test_client()
    for body, headers, status in cases:
        answer = client.open(path, method=method, data=body, headers=headers | user.headers)
        assert answer.status_code == status, (body[:60], headers, answer.text)
        refused(answer, status)
    assert (world.stored(), len(world.bridge.sent)) == (before, sent)


def test_the_field_at_fault_is_named(world: World) -> None:
    for change, name in (({"age": "7"}, "age"), ({"fname": 7}, "fname"), ({"email": ""}, "email")):
        assert name in refused(users(world).post("/api/v1/user/", json=PROFILE | change), 400)
    assert "'lname'" in refused(users(world).post("/api/v1/user/", json={"fname": "A", "email": "b"}), 400)


def test_limits_of_a_body(world: World, user: User) -> None:
    padding = MAX_BODY - len(json.dumps(SONG))
    for extra, status in ((0, 200), (1, 413)):
        body = json.dumps(SONG).encode() + b" " * (padding + extra)
        for chunked in (False, True):
            environ: dict[str, Any] = {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
            if chunked:
                environ["HTTP_TRANSFER_ENCODING"] = "chunked"
            else:
                environ["CONTENT_LENGTH"] = str(len(body))
            answer = music(world).post(
                "/api/v1/music/", headers=JSON | user.headers, environ_overrides=environ
            )
            assert answer.status_code == status, (extra, chunked, answer.text)


class Source(BytesIO):
    """A connection's input, of which it is known how much was read."""


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/api/v1/music/", {}, 401), ("/nowhere", {}, 404), ("/health", {}, 405), ("/api/v1/music/", JSON, 401)],
)
def test_a_body_that_nobody_wants_is_read_before_the_answer(
    world: World, path: str, headers: dict[str, str], status: int
) -> None:
    for length, header in (
        (2_000_000, {"CONTENT_LENGTH": "2000000"}),
        (2_000_000, {"HTTP_TRANSFER_ENCODING": "chunked"}),
    ):
        source = Source(b"x" * length)
        environ = {"wsgi.input": source, "wsgi.input_terminated": True} | header
        answer = music(world).post(path, headers=headers, environ_overrides=environ)
        assert answer.status_code == status
        assert source.tell() == length


def test_reading_an_unwanted_body_is_bounded(world: World) -> None:
    source = Source(bytes(20 * MAX_BODY))
    environ = {"wsgi.input": source, "wsgi.input_terminated": True, "CONTENT_LENGTH": str(20 * MAX_BODY)}
    refused(music(world).post("/api/v1/music/", environ_overrides=environ), 401)
    assert source.tell() == 8 * MAX_BODY


class Broken(BytesIO):
    """A connection that breaks, or brings malformed chunks, while a body is read."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure

    def read(self, *_: object) -> bytes:
        raise self.failure

    readinto = read  # type: ignore[assignment]


@pytest.mark.parametrize("failure", [ConnectionResetError(), InvalidChunkSize(b"ZZ"), NoMoreData()])
def test_a_client_that_goes_away_is_no_error_of_ours(world: World, user: User, failure: Exception) -> None:
    for headers, status in ((JSON | user.headers, 400), (JSON, 401)):
        environ = {
            "wsgi.input": Broken(failure),
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
        }
        refused(music(world).post("/api/v1/music/", headers=headers, environ_overrides=environ), status)


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "0",
        "..%2f..%2fuser",
        "%2e%2e%2f",
        "..",
        "%00",
        "00000000-0000-0000-0000-00000000000%00",
        "{uid}%00",
        "{uid}%0a",
        "{uid}x",
        "urn:uuid:{uid}",
        "%7B{uid}%7D",
        "%FF%FE",
        "x" * 3000,
        "%F0%9F%8E%B5",
        "%D9%A1" * 8 + "-0000-0000-0000-000000000000",
    ],
)
def test_what_is_no_id_is_404(world: World, user: User, bad: str) -> None:
    sent = len(world.bridge.sent)
    name = bad.format(uid=user.uid)
    for client, path, methods in (
        (users(world), "/api/v1/user/", ("GET", "PUT", "DELETE")),
        (music(world), "/api/v1/music/", ("GET", "DELETE")),
    ):
        for method in methods:
            answer = client.open(
                path + name, method=method, json=PROFILE if method == "PUT" else None, headers=user.headers
            )
            refused(answer, 404)
    assert len(world.bridge.sent) == sent


def test_a_read_of_no_id_looks_like_a_read_of_nothing(world: World, user: User) -> None:
    for client, path in ((users(world), "/api/v1/user/"), (music(world), "/api/v1/music/")):
        for name in ("not-an-id", anybody()):
            answer = client.get(path + name, headers=user.headers)
            refused(answer, 404)
            assert (answer.json["Items"], answer.json["Count"]) == ([], 0)


@pytest.mark.parametrize("uid", ["x", "../x", "a\0b", "{" + anybody() + "}"])
def test_login_with_what_is_no_id(world: World, uid: str) -> None:
    sent = len(world.bridge.sent)
    refused(users(world).put("/api/v1/user/login", json={"uid": uid}), 400)
    assert len(world.bridge.sent) == sent


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=",
        "limit=ten",
        "limit=1.5",
        "limit=1e1",
        "limit=%2010",
        "limit=10%0a",
        "limit=999999999999",
        "limit=%D9%A1",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        "cursor=../x",
        "limit=1&cursor=%7B%7D",
    ],
)
def test_bad_pages(world: World, user: User, query: str) -> None:
    sent = len(world.bridge.sent)
    refused(users(world).get(f"/api/v1/user/?{query}", headers=user.headers), 400)
    refused(music(world).get(f"/api/v1/music/?{query}", headers=user.headers), 400)
    assert len(world.bridge.sent) == sent


@pytest.mark.parametrize("limit", [1, 100, "007"])
def test_good_limits(world: World, user: User, limit: object) -> None:
    ok(music(world).get(f"/api/v1/music/?limit={limit}", headers=user.headers))


@pytest.mark.parametrize(
    ("service", "path", "method", "allowed"),
    [
        ("s1", "/api/v1/user/", "DELETE", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("s1", "/api/v1/user/", "PUT", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("s1", f"/api/v1/user/{anybody()}", "POST", {"DELETE", "GET", "HEAD", "OPTIONS", "PUT"}),
        ("s2", "/api/v1/music/", "PUT", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("s2", f"/api/v1/music/{anybody()}", "PUT", {"DELETE", "GET", "HEAD", "OPTIONS"}),
        ("s2", f"/api/v1/music/{anybody()}", "PATCH", {"DELETE", "GET", "HEAD", "OPTIONS"}),
        ("s2", "/health", "POST", {"GET", "HEAD", "OPTIONS"}),
        ("db", "/api/v1/datastore/write", "GET", {"OPTIONS", "POST"}),
    ],
)
def test_other_methods_are_405(world: World, service: str, path: str, method: str, allowed: set[str]) -> None:
    answer = getattr(world, service).test_client().open(path, method=method)
    refused(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1/music2", "/api/v1/music/a/b", "//api/v1/music/", "/../etc"]
)
def test_other_paths_are_404(world: World, path: str) -> None:
    refused(music(world).get(path), 404)
