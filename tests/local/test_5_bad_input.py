"""Bad input through the mesh: the right status, JSON, and nothing stored."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import pytest

from tests.local.mesh import Mesh, eventually


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(claims: dict[str, Any], *, algorithm: str = "HS256", key: bytes = b"not the mesh's key") -> str:
    signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}"
    signature = b"" if algorithm == "none" else hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def songs(mesh: Mesh) -> int:
    """Number of songs, counted through the list and its cursor."""
    total, cursor = 0, None
    while True:
        query = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        page = mesh.call("GET", "/music/", params=query).json()
        total += page["Count"]
        cursor = page.get("cursor")
        if not cursor:
            return total


def test_bad_bodies_store_nothing(mesh: Mesh) -> None:
    before = songs(mesh)
    good = {"Artist": "a", "SongTitle": "b"}
    bodies: list[tuple[dict[str, Any], set[int]]] = [
        ({}, {400, 415}),
        ({"data": "{", "headers": {"Content-Type": "application/json"}}, {400}),
        ({"data": "a=b", "headers": {"Content-Type": "text/plain"}}, {415}),
        ({"json": []}, {400}),
        ({"json": {"Artist": 1, "SongTitle": "b"}}, {400}),
        ({"json": {"Artist": "a"}}, {400}),
        ({"json": {**good, "Album": "unknown"}}, {400}),
        ({"json": {**good, "Artist": "x" * 2_000_000}}, {413}),
    ]
    for kwargs, expected in bodies:
        kwargs["headers"] = {**mesh.headers, **kwargs.get("headers", {})}
        for _ in range(5):
            answer = mesh.call("POST", "/music/", **kwargs)
            assert answer.status_code in expected, (str(kwargs)[:80], answer.status_code, answer.text)
            assert answer.json()["error"]
    assert songs(mesh) == before


@pytest.mark.parametrize(
    "path", ["/music/..%2f..%2fuser", "/music/%00", "/user/..%2f", "/user/%00", "/music/not-an-id"]
)
def test_bad_ids(mesh: Mesh, path: str) -> None:
    answer = mesh.call("GET", path)
    assert answer.status_code in (400, 404), answer.text


def test_an_id_that_does_not_exist(mesh: Mesh) -> None:
    for path in (f"/music/{uuid.uuid4()}", f"/user/{uuid.uuid4()}"):
        answer = mesh.call("GET", path)
        assert answer.status_code == 404
        assert answer.json()["Items"] == []
        assert answer.json()["Count"] == 0


def test_wrong_tokens(mesh: Mesh) -> None:
    claims = {
        "sub": str(uuid.uuid4()),
        "iat": int(time.time()),
        "exp": int(time.time()) + 600,
        "jti": str(uuid.uuid4()),
    }
    for value in (
        "",
        "Bearer",
        "Bearer x.y.z",
        f"Bearer {token(claims)}",
        f"Bearer {token(claims, algorithm='none')}",
    ):
        for path in ("/music/", "/user/"):
            answer = mesh.call("GET", path, headers={"Authorization": value} if value else {})
            assert answer.status_code == 401, (value, path, answer.text)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_new_user_from_creation_to_logoff(mesh: Mesh) -> None:
    body = {"fname": "Ada", "lname": "Newcomer", "email": "ada@example.com", "password": "correct horse"}
    uid = mesh.call("POST", "/user/", json=body, headers={}).json()["user_id"]
    assert (
        mesh.call("PUT", "/user/login", json={"uid": uid, "password": "wrong"}, headers={}).status_code == 401
    )
    login = mesh.call("PUT", "/user/login", json={"uid": uid, "password": "correct horse"}, headers={}).json()
    assert login["token_type"] == "Bearer"
    headers = {"Authorization": f"Bearer {login['jwt']}"}
    item = mesh.call("GET", f"/user/{uid}", headers=headers).json()["Items"][0]
    assert item["lname"] == "Newcomer"
    assert "correct horse" not in json.dumps(item)
    assert "password" not in item
    changed = {"fname": "Ada", "lname": "Regular", "email": "ada@example.com"}
    assert mesh.call("PUT", f"/user/{uid}", json=changed, headers=headers).status_code == 200
    assert mesh.call("PUT", f"/user/{uid}", json=changed).status_code == 403
    assert mesh.call("DELETE", f"/user/{uid}").status_code == 403
    assert mesh.call("GET", "/music/?limit=1", headers=headers).status_code == 200

    # The token ends everywhere within 5 s.
    assert mesh.call("PUT", "/user/logoff", json={"jwt": login["jwt"]}, headers=headers).status_code == 200
    for path in (f"/user/{uid}", f"/music/{mesh.sample('music')[0]['music_id']}"):
        eventually(
            lambda path=path: mesh.call("GET", path, headers=headers).status_code == 401,
            5,
            f"the end of the token at {path}",
        )

    login = mesh.call("PUT", "/user/login", json={"uid": uid, "password": "correct horse"}, headers={}).json()
    headers = {"Authorization": f"Bearer {login['jwt']}"}
    assert mesh.call("DELETE", f"/user/{uid}", headers=headers).status_code == 200
    assert mesh.call("GET", f"/user/{uid}").status_code == 404


def test_nobody_forges_a_source(mesh: Mesh) -> None:
    """What a client says about itself does not reach the metrics."""
    s2 = mesh.pod("cmpt756s2")["ip"]
    forged = {
        "x-c756-source-workload": "forged",
        "x-envoy-peer-metadata-id": "forged",
        "x-forwarded-client-cert": "forged",
    }
    mesh.call("GET", "/music/?limit=1", headers={**mesh.headers, **forged})
    text = mesh.session.get(f"http://{s2}:15090/stats/prometheus", timeout=5).text
    assert "forged" not in text


def test_db_is_not_behind_the_gateway(mesh: Mesh) -> None:
    assert mesh.call("GET", "/datastore/read?objtype=user&objkey=x").status_code == 404
