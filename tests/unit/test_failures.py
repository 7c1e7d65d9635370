"""What is behind fails: the status that a user gets, in time, and service again at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from flask import Flask
from requests.adapters import BaseAdapter
from urllib3.exceptions import MaxRetryError, ProtocolError

import db.store
import servicekit.datastore
from tests.unit.world import DB, User, World, anybody, music, ok, refused, response, store, users

PROFILE = {"fname": "A", "lname": "B", "email": "c@example.org"}
Answer = Callable[[requests.PreparedRequest], requests.Response]


@pytest.fixture(scope="module")
def user(world: World) -> User:
    return world.user()


class Failing(BaseAdapter):
    """A datastore that answers as it is told, the last answer again and again."""

    def __init__(self, *answers: Exception | Answer) -> None:
        super().__init__()
        self.answers = list(answers)
        self.sent: list[requests.PreparedRequest] = []
        self.timeouts: list[Any] = []

    def send(self, request: requests.PreparedRequest, timeout: Any = None, **_: Any) -> requests.Response:
        self.sent.append(request)
        self.timeouts.append(timeout)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request)

    def close(self) -> None:
        pass


def answering(status: int, body: bytes = b'{"error": "behind"}', kind: str = "application/json") -> Answer:
    return lambda request: response(status, body, {"Content-Type": kind}, request)


@contextmanager
def behind(world: World, adapter: Failing) -> Iterator[Failing]:
    """Put `adapter` between s1 and s2 and their datastore."""
    sessions = [app.extensions["datastore"].session for app in (world.s1, world.s2)]
    for session in sessions:
        session.mount(DB, adapter)
    yield adapter
    for session in sessions:
        session.mount(DB, world.bridge)


DROPPED = requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError()))
REFUSED = requests.ConnectionError(MaxRetryError(None, "/", None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (answering(500), 502),
        (answering(502), 502),
        (answering(503), 503),
        (answering(503, b"no healthy upstream", "text/plain"), 503),
        (answering(504), 504),
        (answering(400), 502),
        (answering(413), 502),
        (answering(302), 502),
        (answering(418, b"fault filter abort", "text/plain"), 502),
        (answering(404, b"", "text/plain"), 502),
        (answering(200, b"<html>", "text/html"), 502),
        (answering(401), 401),
        (requests.ConnectTimeout(), 503),
        (requests.ReadTimeout(), 504),
        (REFUSED, 503),
        (DROPPED, 503),
        (requests.exceptions.ProxyError(), 503),
        (requests.exceptions.ChunkedEncodingError(), 503),
    ],
)
def test_status_that_a_user_gets(world: World, user: User, answer: Exception | Answer, status: int) -> None:
    song = world.song(user)
    with behind(world, Failing(answer)):
        for client, method, path, body in (
            (users(world), "GET", f"/api/v1/user/{user.uid}", None),
            (users(world), "POST", "/api/v1/user/", PROFILE),
            (users(world), "PUT", "/api/v1/user/login", {"uid": user.uid}),
            (users(world), "PUT", "/api/v1/user/logoff", {"jwt": user.jwt}),
            (users(world), "PUT", f"/api/v1/user/{user.uid}", PROFILE),
            (users(world), "DELETE", f"/api/v1/user/{user.uid}", None),
            (music(world), "GET", f"/api/v1/music/{song}", None),
            (music(world), "GET", "/api/v1/music/", None),
            (music(world), "DELETE", f"/api/v1/music/{song}", None),
        ):
            text = refused(client.open(path, method=method, json=body, headers=user.headers), status)
            assert "behind" not in text
            assert "upstream" not in text
    ok(music(world).get(f"/api/v1/music/{song}", headers=user.headers))


def test_a_read_over_a_connection_that_just_closed_is_repeated_once(world: World, user: User) -> None:
    with behind(world, Failing(DROPPED, answering(200, b'{"Items": [], "Count": 0}'))) as adapter:
        ok(users(world).get("/api/v1/user/", headers=user.headers))
        assert len(adapter.sent) == 2
    with behind(world, Failing(DROPPED)) as adapter:
        refused(users(world).get("/api/v1/user/", headers=user.headers), 503)
        assert len(adapter.sent) == 2


@pytest.mark.parametrize("failure", [DROPPED, REFUSED, requests.ReadTimeout(), requests.ConnectTimeout()])
def test_a_write_is_never_repeated(world: World, failure: Exception) -> None:
    with behind(world, Failing(failure)) as adapter:
        answer = users(world).post("/api/v1/user/", json=PROFILE)
        assert answer.status_code in (503, 504)
        assert len(adapter.sent) == 1


@pytest.mark.parametrize(
    "failure", [REFUSED, requests.ReadTimeout(), requests.ConnectTimeout(), answering(503)]
)
def test_reads_are_repeated_in_no_other_case(world: World, user: User, failure: Exception | Answer) -> None:
    with behind(world, Failing(failure)) as adapter:
        assert users(world).get("/api/v1/user/", headers=user.headers).status_code in (503, 504)
        assert len(adapter.sent) == 1


def test_a_user_waits_less_than_3_seconds(world: World, user: User) -> None:
    with behind(world, Failing(requests.ReadTimeout())) as adapter:
        users(world).get("/api/v1/user/", headers=user.headers)
    (connect, read) = adapter.timeouts[0]
    retry = servicekit.datastore._RETRY_WITHIN
    assert retry + connect + read < 3
    config = world.db.extensions["store"]._client.meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) <= 3
    assert attempts * config.read_timeout < read, "the datastore must answer 503 before its clients give up"


class DynamoDB:
    """Makes db's client fail as it is told, before anything is sent."""

    def __init__(self, app: Flask) -> None:
        self.events = app.extensions["store"]._client.meta.events
        self.attempts = 0

    @contextmanager
    def fails(self, failure: Exception | dict[str, Any]) -> Iterator[None]:
        def handler(request: Any, **_: Any) -> Any:
            self.attempts += 1
            if isinstance(failure, Exception):
                raise failure
            body = failure["body"].encode()
            raw = type("Raw", (), {"stream": lambda *_a, **_k: iter([body]), "read": lambda *_: body})()
            return AWSResponse(request.url, failure["status"], {}, raw)

        self.events.register_first("before-send.dynamodb", handler)
        try:
            yield
        finally:
            self.events.unregister("before-send.dynamodb", handler)


@pytest.fixture
def dynamodb(world: World) -> DynamoDB:
    return DynamoDB(world.db)


def aws_error(status: int, code: str, message: str = "details of the inside") -> dict[str, Any]:
    body = f'{{"__type": "com.amazonaws.dynamodb.v20120810#{code}", "message": "{message}"}}'
    return {"status": status, "body": body}


URL = "http://dynamodb.example"


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (EndpointConnectionError(endpoint_url=URL), 503),
        (ConnectTimeoutError(endpoint_url=URL), 503),
        (ReadTimeoutError(endpoint_url=URL), 503),
        (ConnectionClosedError(endpoint_url=URL), 503),
        (NoCredentialsError(), 502),
        (aws_error(500, "InternalServerError"), 503),
        (aws_error(503, "ServiceUnavailable"), 503),
        (aws_error(500, "SomethingNew"), 503),
        (aws_error(400, "ResourceNotFoundException"), 503),
        (aws_error(400, "AccessDeniedException"), 502),
        (aws_error(400, "UnrecognizedClientException"), 502),
        (aws_error(400, "ExpiredTokenException"), 502),
        (aws_error(400, "ValidationException", "a name is wrong"), 400),
        (aws_error(400, "ValidationException", "Item size has exceeded the maximum allowed size"), 413),
        (
            aws_error(
                400, "ValidationException", "Item size to update has exceeded the maximum allowed size"
            ),
            413,
        ),
        (aws_error(400, "ValidationException", "Expression size has exceeded the maximum allowed size"), 400),
    ],
)
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_dynamodb_fails(
    world: World, dynamodb: DynamoDB, failure: Exception | dict[str, Any], status: int
) -> None:
    base, target = "/api/v1/datastore", f"objtype=user&objkey={anybody()}"
    with dynamodb.fails(failure):
        for method, path, body in (
            ("GET", f"read?{target}", None),
            ("GET", "list?objtype=user", None),
            ("POST", "write", {"objtype": "user", "a": "b"}),
            ("PUT", f"update?{target}", {"a": "b"}),
            ("DELETE", f"delete?{target}", None),
            ("POST", "revoke", {"jti": "x", "expires": 1}),
        ):
            text = refused(store(world).open(f"{base}/{path}", method=method, json=body), status)
            assert "inside" not in text
            assert URL not in text
    ok(store(world).get(f"{base}/list?objtype=user"))


@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_throttling_is_503(
    world: World, dynamodb: DynamoDB, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with dynamodb.fails(aws_error(400, code)):
        refused(store(world).get("/api/v1/datastore/list?objtype=user"), 503)


def test_dynamodb_is_tried_twice(world: World) -> None:
    app = world.serve("db/app.py")  # botocore stops trying again where too much failed: a client of its own
    dynamodb = DynamoDB(app)
    with dynamodb.fails(EndpointConnectionError(endpoint_url=URL)):
        refused(app.test_client().get("/api/v1/datastore/list?objtype=user"), 503)
    assert dynamodb.attempts == db.store._ATTEMPTS == 2


def test_users_get_503_and_then_service_again(world: World, user: User, dynamodb: DynamoDB) -> None:
    song = world.song(user)
    with dynamodb.fails(EndpointConnectionError(endpoint_url=URL)):
        refused(users(world).get(f"/api/v1/user/{user.uid}", headers=user.headers), 503)
        refused(music(world).get(f"/api/v1/music/{song}", headers=user.headers), 503)
        refused(users(world).post("/api/v1/user/", json=PROFILE), 503)
        for app in (world.s1, world.s2, world.db):
            ok(app.test_client().get("/readiness"))
    ok(users(world).get(f"/api/v1/user/{user.uid}", headers=user.headers))
    ok(music(world).get(f"/api/v1/music/{song}", headers=user.headers))


def test_a_token_that_cannot_be_looked_up_does_not_get_in(world: World, dynamodb: DynamoDB) -> None:
    fresh = world.user()
    with dynamodb.fails(EndpointConnectionError(endpoint_url=URL)):
        refused(
            music(world).post(
                "/api/v1/music/", json={"Artist": "A", "SongTitle": "B"}, headers=fresh.headers
            ),
            503,
        )


def test_a_defect_shows_no_stack_trace(world: World, caplog: pytest.LogCaptureFixture) -> None:
    class Defect:
        def get(self, *_: object) -> None:
            raise ZeroDivisionError("secret detail")

    app = world.serve("db/app.py")
    app.extensions["store"] = Defect()
    path = "/api/v1/datastore/read?objtype=user&objkey=00000000-0000-0000-0000-000000000000"
    assert refused(app.test_client().get(path), 500) == "internal error"
    assert "secret detail" in caplog.text
