"""Tokens: who gets in, and how a logoff ends one on every replica."""

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from db.tokens import FRESH_SECONDS, EndedTokens
from servicekit.auth import Claims, Tokens
from tests.unit.world import SECRET, Bridge, User, World, anybody, music, ok, refused, store, users

PROFILE = {"fname": "A", "lname": "B", "email": "c@example.org"}
SONG = {"Artist": "A", "SongTitle": "B"}
NEED_TOKEN = [
    ("s1", "GET", "/api/v1/user/", None),
    ("s1", "GET", f"/api/v1/user/{anybody()}", None),
    ("s1", "PUT", f"/api/v1/user/{anybody()}", PROFILE),
    ("s1", "DELETE", f"/api/v1/user/{anybody()}", None),
    ("s2", "POST", "/api/v1/music/", SONG),
    ("s2", "GET", "/api/v1/music/", None),
    ("s2", "GET", f"/api/v1/music/{anybody()}", None),
    ("s2", "DELETE", f"/api/v1/music/{anybody()}", None),
]


@pytest.fixture(scope="module")
def user(world: World) -> User:
    return world.user()


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"sub": anybody(), "iat": now, "exp": now + 60, "jti": anybody()} | changes
    return {name: value for name, value in made.items() if value is not None}


def signed(key: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm)


def tampered(token: str) -> str:
    """The token of somebody else, with the signature that it had before."""
    head, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


BAD_TOKENS: dict[str, Callable[[], str]] = {
    "no token": lambda: "",
    "no scheme": signed,
    "scheme alone": lambda: "Bearer ",
    "other scheme": lambda: f"Basic {signed()}",
    "not a token": lambda: "Bearer x",
    "two dots": lambda: "Bearer x.y.z",
    "two tokens": lambda: f"Bearer {signed()} {signed()}",
    "not ASCII": lambda: "Bearer ü.ü.ü",
    "other key": lambda: f"Bearer {signed('another key, 32 bytes long or so')}",
    "changed": lambda: f"Bearer {tampered(signed())}",
    "algorithm none": lambda: f"Bearer {jwt.encode(claims(), None, algorithm='none')}",
    "other algorithm": lambda: f"Bearer {signed(SECRET * 2, 'HS512')}",
    "other algorithm, right key": lambda: f"Bearer {jwt.encode(claims(), SECRET, algorithm='HS384')}",
    "expired": lambda: f"Bearer {signed(iat=1, exp=int(time.time()) - 1)}",
    "no sub": lambda: f"Bearer {signed(sub=None)}",
    "no iat": lambda: f"Bearer {signed(iat=None)}",
    "no exp": lambda: f"Bearer {signed(exp=None)}",
    "no jti": lambda: f"Bearer {signed(jti=None)}",
    "sub is no id": lambda: f"Bearer {signed(sub='../admin')}",
    "long jti": lambda: f"Bearer {signed(jti='x' * 1000)}",
    "empty jti": lambda: f"Bearer {signed(jti='')}",
}


@pytest.mark.parametrize(("service", "method", "path", "body"), NEED_TOKEN)
@pytest.mark.filterwarnings("ignore:The HMAC key")
def test_bad_tokens_are_401_without_a_request_behind(
    world: World, service: str, method: str, path: str, body: object
) -> None:
    client = getattr(world, service).test_client()
    sent = len(world.bridge.sent)
    for name, make in BAD_TOKENS.items():
        value = make()
        headers = {"Authorization": value} if value else {}
        answer = client.open(path, method=method, json=body, headers=headers)
        refused(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="c756 services"'), name
    assert len(world.bridge.sent) == sent


def test_the_challenge_tells_missing_from_invalid(world: World) -> None:
    missing = users(world).get("/api/v1/user/")
    invalid = users(world).get("/api/v1/user/", headers={"Authorization": "Bearer x"})
    assert "error" not in missing.headers["WWW-Authenticate"]
    assert "error=invalid_token" in invalid.headers["WWW-Authenticate"]


def test_a_token_says_no_more_than_it_must(user: User) -> None:
    payload = jwt.decode(user.jwt, SECRET, algorithms=["HS256"])
    assert payload.keys() == {"sub", "iat", "exp", "jti"}
    assert payload["sub"] == user.uid
    assert payload["exp"] - payload["iat"] == 3600
    assert str(uuid.UUID(payload["jti"])) == payload["jti"]


def test_lifetime_is_a_setting(world: World) -> None:
    app = world.load("s1/app.py", JWT_LIFETIME="60").app
    app.extensions["datastore"].session.mount("http://", world.bridge)
    login = ok(app.test_client().put("/api/v1/user/login", json={"uid": world.user().uid}))
    assert login["expires_in"] == 60
    payload = jwt.decode(login["jwt"], SECRET, algorithms=["HS256"])
    assert payload["exp"] - payload["iat"] == 60


def test_a_clock_that_is_a_little_ahead_does_no_harm(world: World, user: User) -> None:
    token = signed(sub=user.uid, iat=int(time.time()) + 30)
    ok(users(world).get("/api/v1/user/", headers={"Authorization": f"Bearer {token}"}))


def test_a_short_key_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    Tokens("short", 60)
    assert "JWT_SECRET has 5 bytes" in caplog.text
    assert "short" not in caplog.text.replace("short,", "")


def test_logoff_ends_the_token_everywhere(world: World) -> None:
    user = world.user()
    other_login = ok(users(world).put("/api/v1/user/login", json={"uid": user.uid}))["jwt"]
    path = f"/api/v1/user/{user.uid}"
    ok(users(world).get(path, headers=user.headers))
    assert ok(users(world).put("/api/v1/user/logoff", json={"jwt": user.jwt})) == {}
    for client, at in ((users(world), path), (music(world), "/api/v1/music/")):
        answer = client.get(at, headers=user.headers)
        refused(answer, 401)
        assert "error=invalid_token" in answer.headers["WWW-Authenticate"]
    refused(users(world).put("/api/v1/user/logoff", json={"jwt": user.jwt}), 401)
    ok(users(world).get(path, headers={"Authorization": f"Bearer {other_login}"}))


def test_every_datastore_call_refuses_an_ended_token(world: World) -> None:
    user = world.user()
    ok(users(world).put("/api/v1/user/logoff", json={"jwt": user.jwt}))
    before = world.stored()
    for method, path in (
        ("GET", f"read?objtype=user&objkey={user.uid}"),
        ("GET", "list?objtype=user"),
        ("POST", "write"),
        ("POST", "load"),
        ("PUT", f"update?objtype=user&objkey={user.uid}"),
        ("DELETE", f"delete?objtype=user&objkey={user.uid}"),
        ("POST", "revoke"),
    ):
        answer = store(world).open(
            f"/api/v1/datastore/{path}",
            method=method,
            json={"objtype": "user", "a": "b"},
            headers=user.headers,
        )
        refused(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert world.stored() == before


@pytest.mark.parametrize("token", ["x", "x.y.z", jwt.encode({"sub": "x"}, SECRET, algorithm="HS256")])
def test_the_datastore_refuses_a_token_that_it_cannot_read(world: World, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    refused(store(world).get("/api/v1/datastore/list?objtype=user", headers=headers), 401)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"jwt": 1}, 400),
        ({"jwt": ""}, 400),
        ({"jwt": "x.y.z"}, 401),
        ({"jwt": jwt.encode(claims(), "k" * 32, algorithm="HS256")}, 401),
        ({"jwt": jwt.encode(claims(exp=1), SECRET, algorithm="HS256")}, 401),
    ],
)
def test_bad_logoffs(world: World, body: object, status: int) -> None:
    before, sent = world.stored(), len(world.bridge.sent)
    refused(users(world).put("/api/v1/user/logoff", json=body), status)
    assert (world.stored(), len(world.bridge.sent)) == (before, sent)


def test_the_table_holds_the_token_until_it_expires(world: World) -> None:
    user = world.user()
    ok(users(world).put("/api/v1/user/logoff", json={"jwt": user.jwt}))
    payload = jwt.decode(user.jwt, SECRET, algorithms=["HS256"])
    item = world.item("Token", {"jti": {"S": payload["jti"]}})
    assert item == {"jti": {"S": payload["jti"]}, "expires": {"N": str(payload["exp"])}}
    assert user.jwt not in str(item)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_other_replicas_know_within_the_time_promised(world: World) -> None:
    """Two of each service: the logoff goes through the first ones, the others had the token in memory."""
    user, clock = world.user(), Clock()
    db = world.serve("db/app.py")
    db.extensions["ended_tokens"] = EndedTokens(db.extensions["store"], clock=clock)
    bridge = Bridge(db)
    s1, s2 = world.serve("s1/app.py", bridge), world.serve("s2/v2/app.py", bridge)

    def statuses() -> list[int]:
        return [
            s1.test_client().get("/api/v1/user/?limit=1", headers=user.headers).status_code,
            s2.test_client().get("/api/v1/music/?limit=1", headers=user.headers).status_code,
        ]

    assert statuses() == [200, 200]
    ok(users(world).put("/api/v1/user/logoff", json={"jwt": user.jwt}))
    clock.now += FRESH_SECONDS + 0.001
    assert statuses() == [401, 401]
    assert FRESH_SECONDS < 5


class CountingStore:
    """The table of ended tokens, which counts how often it is asked."""

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.asked = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def token_ended(self, jti: str) -> bool:
        self.asked += 1
        answer = jti in self.ended
        self.meanwhile()
        return answer

    def end_token(self, jti: str, expires: int) -> None:
        self.ended.add(jti)


class TestMemory:
    def setup_method(self) -> None:
        self.store, self.clock = CountingStore(), Clock()
        self.tokens = EndedTokens(self.store, clock=self.clock, max_entries=3)  # type: ignore[arg-type]

    def token(self, jti: str, seconds: int = 100) -> Claims:
        return Claims("user", jti, int(self.clock.now) + seconds)

    def test_a_good_token_is_asked_for_once_in_a_while(self) -> None:
        for _ in range(5):
            assert not self.tokens.is_ended(self.token("a"))
        assert self.store.asked == 1
        self.clock.now += FRESH_SECONDS
        assert not self.tokens.is_ended(self.token("a"))
        assert self.store.asked == 2

    def test_an_ended_token_is_remembered_until_it_expires(self) -> None:
        token = self.token("a")
        self.store.end_token("a", token.expires)
        for _ in range(5):
            assert self.tokens.is_ended(token)
            self.clock.now += FRESH_SECONDS
        assert self.store.asked == 1

    def test_a_logoff_here_shows_at_once(self) -> None:
        token = self.token("a")
        assert not self.tokens.is_ended(token)
        self.tokens.end("a", token.expires)
        assert self.tokens.is_ended(token)
        assert self.store.asked == 1

    def test_a_logoff_during_the_question_is_not_forgotten(self) -> None:
        token = self.token("a")
        self.store.meanwhile = lambda: self.tokens.end("a", token.expires)
        self.tokens.is_ended(token)
        assert self.tokens.is_ended(token)

    def test_memory_is_bounded_and_forgets_the_least_recent(self) -> None:
        for jti in "abcd":
            self.tokens.is_ended(self.token(jti))
        asked = self.store.asked
        for jti in "bcd":
            self.tokens.is_ended(self.token(jti))
        assert self.store.asked == asked
        self.tokens.is_ended(self.token("a"))
        assert self.store.asked == asked + 1
