"""db: the wire format, attributes of every kind, and the loader's way in."""

import base64
import uuid
from typing import Any

import pytest

from tests.unit.world import LOADER_TOKEN, World, anybody, ok, refused, store

BASE = "/api/v1/datastore"
KEYS = {"user": "user_id", "music": "music_id"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


LOADER = basic("svc-loader", LOADER_TOKEN)


def write(world: World, **attributes: Any) -> str:
    return str(ok(store(world).post(f"{BASE}/write", json={"objtype": "music"} | attributes))["music_id"])


def read(world: World, key: str, objtype: str = "music") -> dict[str, Any]:
    answer = ok(store(world).get(f"{BASE}/read?objtype={objtype}&objkey={key}"))
    assert answer.keys() == {"Items", "Count"}
    assert answer["Count"] == 1
    return dict(answer["Items"][0])


@pytest.mark.parametrize("objtype", ["user", "music"])
def test_write_read_update_delete(world: World, objtype: str) -> None:
    written = ok(store(world).post(f"{BASE}/write", json={"objtype": objtype, "a": "x", "b": "y"}))
    key = written[KEYS[objtype]]
    assert str(uuid.UUID(key)) == key
    assert read(world, key, objtype) == {"a": "x", "b": "y", KEYS[objtype]: key}
    target = f"objtype={objtype}&objkey={key}"
    assert ok(store(world).put(f"{BASE}/update?{target}", json={"b": "z"})) == {"Attributes": {"b": "z"}}
    item = {"a": "x", "b": "z", KEYS[objtype]: key}
    assert read(world, key, objtype) == item
    assert ok(store(world).delete(f"{BASE}/delete?{target}")) == {"Attributes": item}
    refused(store(world).get(f"{BASE}/read?{target}"), 404)
    refused(store(world).delete(f"{BASE}/delete?{target}"), 404)


def test_reads_by_key_see_what_was_just_written(world: World) -> None:
    """moto is always consistent, DynamoDB only where it is asked to be: of objects and of ended tokens."""
    calls: list[dict[str, Any]] = []
    app = world.serve("db/app.py")
    events = app.extensions["store"]._client.meta.events
    events.register("provide-client-params.dynamodb.GetItem", lambda params, **_: calls.append(dict(params)))
    path = f"{BASE}/read?objtype=music&objkey={write(world, a='b')}"
    ok(app.test_client().get(path, headers=world.user().headers))
    assert [call["TableName"].split("-")[0] for call in calls] == ["Token", "Music"]
    assert all(call["ConsistentRead"] for call in calls)


def test_update_makes_nothing(world: World) -> None:
    before = world.stored()
    refused(store(world).put(f"{BASE}/update?objtype=user&objkey={anybody()}", json={"a": "b"}), 404)
    assert world.stored() == before


def test_list_is_paged(new_world: World) -> None:
    made = {write(new_world, n=n) for n in range(7)}
    found: set[str] = set()
    query = f"{BASE}/list?objtype=music&limit=4"
    page = ok(store(new_world).get(query))
    assert page["Count"] == 4
    found |= {item["music_id"] for item in page["Items"]}
    page = ok(store(new_world).get(f"{query}&cursor={page['cursor']}"))
    assert page["Count"] == 3
    assert "cursor" not in page
    assert found | {item["music_id"] for item in page["Items"]} == made


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "",
        True,
        None,
        0,
        -12345678901234567890,
        0.1,
        1e-100,
        12345.678,
        10**37,
        2.5e-120,
        [],
        [1, "two", None, [3.5]],
        {},
        {"nested": {"deeper": [{"x": 1}]}},
        "\x00 control \x1f",
        "🎵",
    ],
)
def test_every_json_type_survives(world: World, value: object) -> None:
    item = read(world, write(world, value=value))
    assert item["value"] == value
    assert type(item["value"]) is type(value)


def test_what_others_stored_is_readable(world: World) -> None:
    key = anybody()
    item = {
        "music_id": {"S": key},
        "large": {"N": "15" + "0" * 124},
        "small": {"N": "0." + "0" * 99 + "25"},
        "texts": {"SS": ["a"]},
        "numbers": {"NS": ["1.5"]},
        "bytes": {"B": b"\x00\xff"},
        "more": {"L": [{"BS": [b"x"]}, {"M": {"none": {"NULL": True}}}]},
    }
    world.dynamodb.put_item(TableName=f"Music-{world.regid}", Item=item)
    assert read(world, key) == {
        "music_id": key,
        "large": 15 * 10**124,
        "small": 2.5e-100,
        "texts": ["a"],
        "numbers": [1.5],
        "bytes": "AP8=",
        "more": [["eA=="], {"none": None}],
    }


def test_reserved_words_are_attributes(world: World) -> None:
    words = [
        "name",
        "Name",
        "status",
        "size",
        "values",
        "SELECT",
        "a.b",
        "#x",
        ":y",
        "with space",
        "ünï",
        "uuid",
    ]
    key = write(world, **dict.fromkeys(words, "old"))
    target = f"objtype=music&objkey={key}"
    changed = dict.fromkeys(words, "new")
    assert ok(store(world).put(f"{BASE}/update?{target}", json=changed)) == {"Attributes": changed}
    assert read(world, key) == changed | {"music_id": key}


@pytest.mark.parametrize(
    "attributes",
    [
        '"x": NaN',
        '"x": Infinity',
        '"x": -Infinity',
        '"x": 1e400',
        '"x": 1e127',
        '"x": 1e-200',
        f'"x": {"9" * 39}',
        f'"x": 0.{"1" * 40}',
        f'"x": {"9" * 5000}',
        '"x": 1e99999999999999999999',
        '"": "empty name"',
        '"x": {"": 1}',
        '"x": [{"": 1}]',
        '"music_id": "mine"',
        '"x": "\\ud800"',
        '"\\udfff": 1',
        f'"x": {"[" * 40}{"]" * 40}',
        f'"x": {"[" * 100000}{"]" * 100000}',
    ],
)
def test_what_dynamodb_cannot_hold_is_refused(world: World, attributes: str) -> None:
    before = world.stored()
    headers = {"Content-Type": "application/json"}
    for method, url, start in (
        ("POST", f"{BASE}/write", '{"objtype": "music", '),
        ("PUT", f"{BASE}/update?objtype=music&objkey={write(world, a='b')}", "{"),
    ):
        refused(store(world).open(url, method=method, data=f"{start}{attributes}}}", headers=headers), 400)
    assert world.stored() == before + 1


def test_item_over_400_kb_is_too_large(world: World) -> None:
    before = world.stored()
    big = {"text": "x" * 420_000}
    refused(store(world).post(f"{BASE}/write", json={"objtype": "music"} | big), 413)
    body = {"objtype": "music", "uuid": anybody()} | big
    refused(store(world).post(f"{BASE}/load", json=body, headers=LOADER), 413)
    assert world.stored() == before


@pytest.mark.parametrize("objtype", ["user", "music"])
def test_load_uses_the_given_uuid_and_repeats_without_harm(world: World, objtype: str) -> None:
    key = anybody()
    body = {"objtype": objtype, "uuid": key.upper(), "a": "first"}
    for value in ("first", "second"):
        answer = store(world).post(f"{BASE}/load", json=body | {"a": value}, headers=LOADER)
        assert ok(answer) == {KEYS[objtype]: key}
    assert read(world, key, objtype) == {"a": "second", KEYS[objtype]: key}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("svc-loader", "wrong"),
        basic("svc-loader", ""),
        basic("somebody", LOADER_TOKEN),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"},
        {"Authorization": f"Digest {LOADER_TOKEN}"},
        {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
        {"Authorization": "Basic " + base64.b64encode("svc-loader:ünï".encode("latin-1")).decode()},
    ],
)
def test_load_is_the_loaders_alone(world: World, headers: dict[str, str]) -> None:
    before = world.stored()
    body = {"objtype": "music", "uuid": anybody(), "a": "b"}
    answer = store(world).post(f"{BASE}/load", json=body, headers=headers)
    refused(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert world.stored() == before


def test_load_takes_no_users_token(world: World) -> None:
    body = {"objtype": "music", "uuid": anybody(), "a": "b"}
    refused(store(world).post(f"{BASE}/load", json=body, headers=world.user().headers), 401)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "read", None),
        ("GET", "read?objtype=user", None),
        ("GET", f"read?objkey={anybody()}", None),
        ("GET", f"read?objtype=token&objkey={anybody()}", None),
        ("GET", f"read?objtype=User&objkey={anybody()}", None),
        ("GET", "read?objtype=user&objkey=..%2f..%2fetc", None),
        ("GET", "read?objtype=user&objkey=%00", None),
        ("GET", f"read?objtype=user&objkey={anybody()}%0a", None),
        ("GET", f"read?objtype=user&objkey={anybody().replace('-', '')}", None),
        ("DELETE", "delete?objtype=user&objkey=x", None),
        ("DELETE", f"delete?objkey={anybody()}", None),
        ("PUT", "update?objtype=user&objkey=x", {"a": "b"}),
        ("PUT", f"update?objtype=user&objkey={anybody()}", {}),
        ("PUT", f"update?objtype=user&objkey={anybody()}", {"user_id": "x"}),
        ("GET", "list", None),
        ("GET", "list?objtype=nothing", None),
        ("GET", "list?objtype=user&limit=0", None),
        ("GET", "list?objtype=user&cursor=x", None),
        ("POST", "write", {}),
        ("POST", "write", {"objtype": "user"}),
        ("POST", "write", {"a": "b"}),
        ("POST", "write", {"objtype": "nothing", "a": "b"}),
        ("POST", "write", {"objtype": ["user"], "a": "b"}),
        ("POST", "write", ["objtype"]),
        ("POST", "load", {"objtype": "music", "a": "b"}),
        ("POST", "load", {"objtype": "music", "uuid": "../x", "a": "b"}),
        ("POST", "load", {"objtype": "music", "uuid": 7, "a": "b"}),
        ("POST", "load", {"objtype": "music", "uuid": anybody()}),
        ("POST", "revoke", {}),
        ("POST", "revoke", {"jti": "x"}),
        ("POST", "revoke", {"jti": "x", "expires": "soon"}),
        ("POST", "revoke", {"jti": "x", "expires": True}),
        ("POST", "revoke", {"jti": "x", "expires": 1.5}),
        ("POST", "revoke", {"jti": "x", "expires": -1}),
        ("POST", "revoke", {"jti": "x", "expires": 10**40}),
        ("POST", "revoke", {"jti": "", "expires": 1}),
        ("POST", "revoke", {"jti": "x" * 129, "expires": 1}),
        ("POST", "revoke", {"jti": 1, "expires": 1}),
        ("POST", "revoke", {"jti": "x", "expires": 1, "more": 1}),
    ],
)
def test_bad_requests(world: World, method: str, path: str, body: object) -> None:
    before = world.stored()
    headers = LOADER if path == "load" else {}
    refused(store(world).open(f"{BASE}/{path}", method=method, json=body, headers=headers), 400)
    assert world.stored() == before


def test_other_methods_are_405(world: World) -> None:
    answer = store(world).post(f"{BASE}/read")
    refused(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
