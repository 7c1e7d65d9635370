"""The services in one process: s1 and s2 reach db through an adapter of requests, db reaches moto."""

import importlib.util
import itertools
import json
import uuid
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from requests.adapters import BaseAdapter
from werkzeug.test import TestResponse

from db.tables import create_tables
from servicekit.lifecycle import lifecycle_of

ROOT = Path(__file__).resolve().parents[2]
DB = "http://cmpt756db:30002"
SECRET = "a key of the tests, 32 bytes long"
LOADER_TOKEN = "the loader's token"
REGION = "us-west-2"

_numbers = itertools.count()


class Bridge(BaseAdapter):
    """Carries the requests of s1 and s2 to db's application, and keeps them for the tests to look at."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.app = app
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.sent.append(request)
        answer = self.app.test_client().open(
            request.url, method=request.method, headers=list(request.headers.items()), data=request.body
        )
        return response(answer.status_code, answer.data, dict(answer.headers), request)

    def close(self) -> None:
        pass


def response(
    status: int, body: bytes, headers: dict[str, str], request: requests.PreparedRequest
) -> requests.Response:
    """A response as the HTTP adapter of requests makes it."""
    made = requests.Response()
    made.status_code = status
    made.headers.update(headers)
    made.raw = BytesIO(body)
    made.request = request
    made.url = str(request.url)
    return made


def environ(regid: str) -> dict[str, str]:
    """All that a service is told by its environment."""
    return {
        "JWT_SECRET": SECRET,
        "LOADER_TOKEN": LOADER_TOKEN,
        "REGID": regid,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def load(path: str) -> ModuleType:
    """Run a service's app.py, as gunicorn does in the image, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"app_{next(_numbers)}", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class User:
    """One that has logged in."""

    uid: str
    jwt: str
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"Authorization": f"Bearer {self.jwt}"}


class World:
    """One of each service, around tables of their own."""

    def __init__(self) -> None:
        self.regid = f"test{next(_numbers)}"
        self.dynamodb = boto3.client("dynamodb", region_name=REGION)
        create_tables(self.dynamodb, self.regid)
        self.db: Flask = self.serve("db/app.py")
        self.bridge = Bridge(self.db)
        self.s1: Flask = self.serve("s1/app.py")
        self.s2: Flask = self.serve("s2/v1/app.py")

    def load(self, path: str, **settings: str) -> ModuleType:
        """Run a service's app.py in this world's environment, with some `settings` changed."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (environ(self.regid) | settings).items():
                patch.setenv(name, value)
            return load(path)

    def serve(self, path: str, bridge: Bridge | None = None) -> Flask:
        """One more replica of a service; `bridge` leads to the db that it calls."""
        app: Flask = self.load(path).app
        if "datastore" in app.extensions:
            app.extensions["datastore"].session.mount(DB, bridge or self.bridge)
        lifecycle_of(app).serve()
        return app

    def user(self, **fields: str) -> User:
        """A new user who has just logged in."""
        profile = {"fname": "Ann", "lname": "Other", "email": "ann@example.org"}
        uid = ok(self.s1.test_client().post("/api/v1/user/", json=profile | fields))["user_id"]
        login = {"uid": uid} | {name: fields[name] for name in ("password",) if name in fields}
        return User(uid, ok(self.s1.test_client().put("/api/v1/user/login", json=login))["jwt"])

    def song(self, user: User) -> str:
        """The key of a new song."""
        body = {"Artist": "The Testers", "SongTitle": "Green"}
        return str(ok(music(self).post("/api/v1/music/", json=body, headers=user.headers))["music_id"])

    def stored(self) -> int:
        """How many objects all tables hold."""
        return sum(
            self.dynamodb.scan(TableName=f"{prefix}-{self.regid}", Select="COUNT")["Count"]
            for prefix in ("User", "Music", "Token")
        )

    def item(self, table: str, key: dict[str, Any]) -> dict[str, Any]:
        """An item as DynamoDB has it."""
        return dict(self.dynamodb.get_item(TableName=f"{table}-{self.regid}", Key=key).get("Item", {}))


def users(world: World) -> FlaskClient:
    """A client of s1."""
    return world.s1.test_client()


def music(world: World) -> FlaskClient:
    """A client of s2."""
    return world.s2.test_client()


def store(world: World) -> FlaskClient:
    """A client of db."""
    return world.db.test_client()


def ok(answer: TestResponse) -> Any:
    """The JSON of an answer that must be 200."""
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(answer: TestResponse, status: int) -> str:
    """The text of an answer that must be an error, in JSON and without a stack trace."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body = json.loads(answer.text)
    assert "Traceback" not in answer.text
    assert isinstance(body["error"], str)
    assert body["error"]
    return str(body["error"])


def anybody() -> str:
    """A key that nothing has."""
    return str(uuid.uuid4())
