"""Small HTTP servers on a free loopback port that stand in for the API and for the db service."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One request as the server saw it; `at` is in seconds of time.monotonic()."""

    at: float
    method: str
    path: str
    status: int
    uid: str | None = None
    connection: tuple[str, int] = ("", 0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "JsonServer"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = self.server.serve(self, body)
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_PUT = do_POST = _serve  # noqa: N815 - the names that http.server looks for

    def log_message(self, *args: object) -> None:
        """Keep the tests' output free of access logs."""


class JsonServer(ThreadingHTTPServer):
    """A threaded server on 127.0.0.1 with `serve` to be written by its subclass."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.port = self.server_address[1]
        self.lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def serve(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join(5)
        self.server_close()


class FakeApi(JsonServer):
    """Login and reads as the services answer them; every token lives `expires_in` seconds."""

    def __init__(self, expires_in: int = 3600, fails: Callable[[int], bool] = lambda n: False) -> None:
        """`fails(n)` says whether read number n (from 1) is answered with 500."""
        super().__init__()
        self.expires_in = expires_in
        self.fails = fails
        self.calls: list[Call] = []
        self.tokens: dict[str, tuple[str, float]] = {}

    def serve(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        at = time.monotonic()
        with self.lock:
            login = (request.command, request.path) == ("PUT", "/api/v1/user/login")
            uid, answer = self._login(at, body) if login else self._read(at, request)
            call = Call(at, request.command, request.path, answer[0], uid, request.client_address)
            self.calls.append(call)
        return answer

    def _login(self, at: float, body: bytes) -> tuple[str, Answer]:
        uid = json.loads(body)["uid"]
        token = uuid.uuid4().hex
        self.tokens[token] = (uid, at + self.expires_in)
        return uid, (200, {"jwt": token, "token_type": "Bearer", "expires_in": self.expires_in})

    def _read(self, at: float, request: BaseHTTPRequestHandler) -> tuple[str | None, Answer]:
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        uid, until = self.tokens.get(token, (None, 0.0))
        if scheme != "Bearer" or at >= until:
            return uid, (401, {"error": "no valid token"})
        if self.fails(1 + sum(call.method == "GET" for call in self.calls)):
            return uid, (500, {"error": "failed on purpose"})
        return uid, (200, {"Items": [{"id": request.path.rsplit("/", 1)[1]}], "Count": 1})

    @property
    def logins(self) -> list[Call]:
        with self.lock:
            return [call for call in self.calls if call.method == "PUT"]

    @property
    def reads(self) -> list[Call]:
        with self.lock:
            return [call for call in self.calls if call.method == "GET"]


class FakeDb(JsonServer):
    """The datastore's load call; `script` answers the first requests instead of it, one answer each."""

    def __init__(
        self, token: str, port: int = 0, script: list[Answer] | None = None, delay: float = 0.0
    ) -> None:
        """`delay` is in seconds, for each request."""
        super().__init__(port)
        self.expected = "Basic " + base64.b64encode(f"svc-loader:{token}".encode()).decode()
        self.script = script or []
        self.delay = delay
        self.paths: list[str] = []
        self.items: dict[tuple[str, str], dict[str, str]] = {}
        self.refuses: Callable[[dict[str, str]], Answer | None] = lambda body: None

    def serve(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        time.sleep(self.delay)
        with self.lock:
            self.paths.append(request.path)
            if self.script:
                return self.script.pop(0)
            if request.headers.get("Authorization") != self.expected:
                return 401, {"error": "wrong user or password"}
            item = json.loads(body)
            if answer := self.refuses(item):
                return answer
            key = item.pop("objtype"), item.pop("uuid")
            self.items[key] = item
        return 200, {f"{key[0]}_id": key[1]}
