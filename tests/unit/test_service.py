"""What every service has: probes, metrics, logs, tracing headers, settings."""

import io
import json
import logging
import os
import re
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from flask import Flask

from servicekit import gunicorn_conf
from servicekit.config import ConfigError, number
from servicekit.datastore import Datastore
from servicekit.lifecycle import lifecycle_of
from servicekit.logs import JsonFormatter
from tests.unit.world import User, World, anybody, environ, music, ok, refused, users

BASES = {"s1": "/api/v1/user", "s2": "/api/v1/music", "db": "/api/v1/datastore"}


@pytest.fixture(scope="module")
def user(world: World) -> User:
    return world.user()


@pytest.fixture(params=["s1", "s2", "db"])
def service(request: pytest.FixtureRequest, world: World) -> tuple[Flask, str]:
    """Each service, and its base path."""
    return getattr(world, request.param), BASES[request.param]


class TestProbes:
    def test_at_the_root_and_under_the_base_path(self, service: tuple[Flask, str]) -> None:
        app, base = service
        for prefix in ("", base):
            assert ok(app.test_client().get(f"{prefix}/health")) == {"status": "alive"}
            assert ok(app.test_client().get(f"{prefix}/readiness")) == {"status": "serving"}

    def test_readiness_follows_the_lifecycle_and_health_does_not(self, world: World) -> None:
        app = world.load("s1/app.py").app
        client, lifecycle = app.test_client(), lifecycle_of(app)
        seen = []
        for change in (lambda: None, lifecycle.serve, lifecycle.drain, lifecycle.serve):
            change()
            answer = client.get("/readiness")
            seen.append((answer.json["status"], answer.status_code))
            ok(client.get("/health"))
        assert seen == [("starting", 503), ("serving", 200), ("draining", 503), ("draining", 503)]

    def test_a_draining_service_ends_what_it_is_asked(self, world: World, user: User) -> None:
        app = world.serve("s2/v1/app.py")
        song = world.song(user)
        lifecycle_of(app).drain()
        ok(app.test_client().get(f"/api/v1/music/{song}", headers=user.headers))

    def test_they_ask_no_other_service(self, world: World) -> None:
        sent = len(world.bridge.sent)
        for path in ("/health", "/readiness", "/api/v1/user/readiness", "/metrics"):
            users(world).get(path)
        assert len(world.bridge.sent) == sent

    def test_gunicorn_starts_and_drains(self, world: World) -> None:
        app, stopped = world.load("s1/app.py").app, []
        before = signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
        try:
            gunicorn_conf.post_worker_init(SimpleNamespace(wsgi=app))
            assert app.test_client().get("/readiness").status_code == 200
            os.kill(os.getpid(), signal.SIGTERM)
            assert app.test_client().get("/readiness").status_code == 503
            assert stopped == [signal.SIGTERM]
        finally:
            signal.signal(signal.SIGTERM, before)


def series(app: Flask) -> dict[str, float]:
    """Each series of requests at /metrics."""
    text = app.test_client().get("/metrics").text
    found = re.findall(r"^(flask_http_request\S*_(?:total|count)\{.*\}) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


class TestMetrics:
    def test_requests_are_counted_by_rule_method_and_status(self, world: World, user: User) -> None:
        app = world.serve("s2/v1/app.py")
        client = app.test_client()
        for _ in range(3):
            client.get(f"/api/v1/music/{anybody()}", headers=user.headers)
        client.get("/api/v1/music/")
        assert series(app) == {
            'flask_http_request_total{method="GET",status="404"}': 3,
            'flask_http_request_total{method="GET",status="401"}': 1,
            "flask_http_request_duration_seconds_count"
            '{method="GET",path="/api/v1/music/<music_id>",status="404"}': 3,
            'flask_http_request_duration_seconds_count{method="GET",path="/api/v1/music/",status="401"}': 1,
        }

    def test_probes_and_metrics_are_not_counted(self, service: tuple[Flask, str]) -> None:
        app, base = service
        before = series(app)
        for path in ("/health", "/readiness", f"{base}/health", f"{base}/readiness", "/metrics"):
            ok_or_text = app.test_client().get(path)
            assert ok_or_text.status_code == 200
        assert series(app) == before

    def test_clients_cannot_make_series(self, world: World, user: User) -> None:
        app = world.serve("s2/v1/app.py")
        client = app.test_client()
        for n in range(50):
            client.get(f"/api/v1/music/{anybody()}", headers=user.headers)
            client.get(f"/api/v1/music/odd-{n}", headers=user.headers)
            client.get(f"/nowhere/{n}?q={n}")
            client.open("/api/v1/music/", method=f"METHOD{n}")
        labels = series(app)
        assert len(labels) <= 8
        assert not any("odd" in name or "nowhere" in name or "METHOD" in name for name in labels)
        refused(client.open("/api/v1/music/", method="BREW"), 405)

    def test_memory_cpu_files_and_the_share_under_100_ms_are_there(self, service: tuple[Flask, str]) -> None:
        client = service[0].test_client()
        client.get("/nowhere")
        text = client.get("/metrics").text
        for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
            assert f"\n{name} " in text
        assert 'duration_seconds_bucket{le="0.1",method="GET",path="unmatched",status="404"}' in text

    def test_failures_are_counted_once(self, world: World, user: User) -> None:
        module = world.load("s2/v2/app.py")
        module.PERCENT_ERROR = 100
        module.app.test_client().get(f"/api/v1/music/{anybody()}", headers=user.headers)
        assert series(module.app) == {
            'flask_http_request_total{method="GET",status="500"}': 1,
            "flask_http_request_duration_seconds_count"
            '{method="GET",path="/api/v1/music/<music_id>",status="500"}': 1,
        }


TRACING = {
    "x-request-id": "4b8a6e0e-7c1d-9f3a-8f1e-2f7f6b1c0d11",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=value",
    "b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
    "x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7",
    "x-b3-spanid": "e457b5a2e4d86bd1",
    "x-b3-parentspanid": "05e3ac9a4f6e3b90",
    "x-b3-sampled": "1",
    "x-b3-flags": "0",
}


class TestTracing:
    def test_headers_are_passed_on(self, world: World, user: User) -> None:
        answer = users(world).get("/api/v1/user/?limit=1", headers=user.headers | TRACING)
        sent = world.bridge.sent[-1].headers
        assert {name: sent[name] for name in TRACING} == TRACING
        assert sent["Authorization"] == user.headers["Authorization"]
        assert answer.headers["x-request-id"] == TRACING["x-request-id"]

    def test_nothing_else_is_passed_on(self, world: World, user: User) -> None:
        headers = {"Cookie": "a=b", "X-Forwarded-For": "192.0.2.1", "X-Other": "x", "Accept-Language": "fr"}
        users(world).get("/api/v1/user/?limit=1", headers=user.headers | headers)
        sent = {name.lower() for name in world.bridge.sent[-1].headers}
        assert sent <= {
            "user-agent",
            "accept-encoding",
            "accept",
            "connection",
            "x-request-id",
            "authorization",
        }

    @pytest.mark.parametrize("given", [None, "", "x" * 129, "two words", "ü", '"}{"'])
    def test_a_missing_or_odd_id_is_replaced(self, world: World, given: str | None) -> None:
        headers = {} if given is None else {"x-request-id": given}
        answer = users(world).post(
            "/api/v1/user/", json={"fname": "A", "lname": "B", "email": "c"}, headers=headers
        )
        made = answer.headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f-]{36}", made)
        assert world.bridge.sent[-1].headers["x-request-id"] == made

    def test_a_token_that_was_not_verified_is_not_passed_on(self, world: World) -> None:
        body = {"fname": "A", "lname": "B", "email": "c"}
        ok(users(world).post("/api/v1/user/", json=body, headers={"Authorization": "Bearer forged"}))
        assert "Authorization" not in world.bridge.sent[-1].headers

    def test_cookies_of_one_answer_do_not_reach_the_next_call(self, world: World) -> None:
        for app in (world.s1, world.s2):
            policy = app.extensions["datastore"].session.cookies._policy
            assert policy.is_not_allowed("cmpt756db")


class TestLogs:
    @pytest.fixture
    def lines(self) -> Iterator[io.StringIO]:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonFormatter())
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        yield stream
        root.setLevel(level)
        root.removeHandler(handler)

    def test_a_request_is_one_line_of_json(self, world: World, user: User, lines: io.StringIO) -> None:
        song = world.song(user)
        lines.truncate(0)
        lines.seek(0)
        headers = user.headers | {"x-request-id": "the-id"}
        music(world).get(f"/api/v1/music/{song}?q=secret", headers=headers)
        logged = [json.loads(line) for line in lines.getvalue().splitlines()]
        assert [line["path"] for line in logged] == ["/api/v1/datastore/read", f"/api/v1/music/{song}"]
        line = logged[-1]
        assert line.keys() == {
            "time", "level", "logger", "message", "request_id", "method", "path", "status", "duration_ms",
        }  # fmt: skip
        assert (line["level"], line["method"], line["status"]) == ("info", "GET", 200)
        assert 0 < line["duration_ms"] < 5000
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
        assert {entry["request_id"] for entry in logged} == {"the-id"}

    def test_no_secrets(self, world: World, lines: io.StringIO) -> None:
        user = world.user(password="correct horse")
        client = users(world)
        client.get(f"/api/v1/user/?cursor={user.jwt}", headers=user.headers)
        client.get("/api/v1/user/", headers={"Authorization": f"Bearer {user.jwt}x"})
        client.put("/api/v1/user/logoff", json={"jwt": user.jwt})
        world.db.test_client().post(
            "/api/v1/datastore/load", headers={"Authorization": "Basic c2VjcmV0OnNlY3JldA=="}
        )
        text = lines.getvalue()
        assert text.count("\n") >= 6
        for secret in (
            user.jwt,
            user.jwt.split(".")[2],
            "correct horse",
            "scrypt",
            "c2VjcmV0",
            "ann@example.org",
        ):
            assert secret not in text

    def test_nobody_forges_a_line(self, world: World, lines: io.StringIO) -> None:
        users(world).get("/x%0a%7B%22level%22:%22forged%22%7D%0d%1b[31m")
        (line,) = lines.getvalue().splitlines()
        assert json.loads(line)["status"] == 404

    def test_probes_are_not_logged_but_errors_are(self, world: World, lines: io.StringIO) -> None:
        for path in ("/health", "/readiness", "/metrics"):
            users(world).get(path)
        assert lines.getvalue() == ""
        world.load("s1/app.py").app.test_client().get("/readiness")
        assert json.loads(lines.getvalue())["level"] == "error"

    def test_an_exception_is_in_its_line(self, lines: io.StringIO) -> None:
        logging.getLogger("x").error("text", exc_info=ZeroDivisionError("detail"))
        (line,) = lines.getvalue().splitlines()
        assert "ZeroDivisionError: detail" in json.loads(line)["exception"]


class TestSettings:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("s1/app.py", "JWT_SECRET"),
            ("s2/v1/app.py", "JWT_SECRET"),
            ("s2/v2/app.py", "JWT_SECRET"),
            ("db/app.py", "LOADER_TOKEN"),
            ("db/app.py", "REGID"),
            ("db/app.py", "AWS_REGION"),
        ],
    )
    def test_a_missing_variable_ends_the_start_with_one_line(
        self, world: World, path: str, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            world.load(path, **{name: ""})
        assert ended.value.code == 4
        assert capsys.readouterr().err == f"cannot start: environment variable {name} is not set\n"

    @pytest.mark.parametrize(
        ("path", "settings"),
        [
            ("s1/app.py", {"JWT_LIFETIME": "0"}),
            ("s1/app.py", {"JWT_LIFETIME": "86401"}),
            ("s1/app.py", {"JWT_LIFETIME": "an hour"}),
            ("s1/app.py", {"THREADS": "0"}),
            ("s2/v1/app.py", {"DB_URL": "cmpt756db:30002"}),
            ("s2/v1/app.py", {"DB_URL": "ftp://cmpt756db"}),
            ("db/app.py", {"REGID": "with space"}),
            ("db/app.py", {"THREADS": "many"}),
        ],
    )
    def test_a_wrong_value_is_named(
        self, world: World, path: str, settings: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            world.load(path, **settings)
        ((name, value),) = settings.items()
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert name in line
        assert value in line

    def test_missing_credentials_are_named(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("boto3.Session.get_credentials", lambda _: None)
        with pytest.raises(SystemExit):
            world.load("db/app.py")
        assert "AWS_ACCESS_KEY_ID" in capsys.readouterr().err

    def test_numbers(self) -> None:
        assert number({}, "N", 5, 1, 9) == 5
        assert number({"N": "9"}, "N", 5, 1, 9) == 9
        for text in ("10", "-1", "1.0", " 1", "1\n", "٣"):
            with pytest.raises(ConfigError, match="N"):
                number({"N": text}, "N", 5, 1, 9)

    @pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
    def test_the_proxy_is_read_once(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        store = Datastore.from_environ(environ("x") | {name: "http://127.0.0.1:15001"})
        assert store.session.proxies == {"http": "http://127.0.0.1:15001"}
        assert store.session.trust_env is False
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert Datastore.from_environ(environ("x")).session.proxies == {}

    def test_gunicorn(self) -> None:
        assert gunicorn_conf.bind == "0.0.0.0:8000"
        assert (gunicorn_conf.workers, gunicorn_conf.worker_class) == (1, "gthread")
        assert gunicorn_conf.threads == 16
        assert gunicorn_conf.keepalive == 75
        assert gunicorn_conf.control_socket_disable
