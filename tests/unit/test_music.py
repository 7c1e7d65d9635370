"""s2: the wire format of songs, and the two versions."""

import inspect
import random
import uuid

import pytest
from flask.testing import FlaskClient

import s2.music
from tests.unit.world import DB, Bridge, User, World, anybody, music, ok, refused

SONG = {"Artist": "The Testers", "SongTitle": "Green"}


@pytest.fixture(scope="module")
def user(world: World) -> User:
    return world.user()


def test_create_read_delete(world: World, user: User) -> None:
    created = ok(music(world).post("/api/v1/music/", json=SONG, headers=user.headers))
    assert list(created) == ["music_id"]
    assert str(uuid.UUID(created["music_id"])) == created["music_id"]
    path = f"/api/v1/music/{created['music_id']}"
    assert ok(music(world).get(path, headers=user.headers)) == {"Items": [SONG | created], "Count": 1}
    assert ok(music(world).delete(path, headers=user.headers)).keys() == {"Attributes"}
    refused(music(world).delete(path, headers=user.headers), 404)
    answer = music(world).get(path, headers=user.headers)
    refused(answer, 404)
    assert answer.json["Items"] == []
    assert answer.json["Count"] == 0


def test_list_over_more_than_a_page(new_world: World) -> None:
    user = new_world.user()
    made = {anybody() for _ in range(130)}
    for key in made:
        new_world.dynamodb.put_item(TableName=f"Music-{new_world.regid}", Item={"music_id": {"S": key}})
    first = ok(music(new_world).get("/api/v1/music/", headers=user.headers))
    assert first["Count"] == len(first["Items"]) == 100
    query = {"cursor": first["cursor"], "limit": 100}
    second = ok(music(new_world).get("/api/v1/music/", query_string=query, headers=user.headers))
    assert second["Count"] == 30
    assert "cursor" not in second
    assert {item["music_id"] for item in first["Items"] + second["Items"]} == made


def test_no_list_returns_more_than_it_was_asked_for(new_world: World) -> None:
    user = new_world.user()
    for _ in range(3):
        new_world.song(user)
    answer = ok(music(new_world).get("/api/v1/music/?limit=2", headers=user.headers))
    assert answer["Count"] == 2


def test_unicode_survives(world: World, user: User) -> None:
    song = {"Artist": "Sigur Rós 雪 🎵", "SongTitle": 'quote " and \\ backslash'}
    key = ok(music(world).post("/api/v1/music/", json=song, headers=user.headers))["music_id"]
    assert ok(music(world).get(f"/api/v1/music/{key}", headers=user.headers))["Items"] == [
        song | {"music_id": key}
    ]


@pytest.fixture(scope="module")
def song(world: World, user: User) -> str:
    return world.song(user)


def version2(world: World, percent_error: int) -> FlaskClient:
    """A client of version 2 with PERCENT_ERROR set as an operator sets it."""
    module = world.load("s2/v2/app.py")
    assert module.PERCENT_ERROR == 50
    module.PERCENT_ERROR = percent_error
    module.app.extensions["datastore"].session.mount(DB, world.bridge)
    return module.app.test_client()


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, (0.35, 0.65)), (10, (0.02, 0.2)), (0, (0, 0)), (100, (1, 1))]
)
def test_share_of_version_2s_reads_that_fail(
    world: World, user: User, song: str, percent: int, expected: tuple[float, float]
) -> None:
    random.seed(756)
    client = version2(world, percent)
    sent = len(world.bridge.sent)
    statuses = [client.get(f"/api/v1/music/{song}", headers=user.headers).status_code for _ in range(100)]
    assert set(statuses) <= {200, 500}
    assert expected[0] <= statuses.count(500) / 100 <= expected[1]
    assert len(world.bridge.sent) - sent == statuses.count(200), "a failed read reached the datastore"


def test_only_reads_of_one_song_fail(world: World, user: User) -> None:
    client = version2(world, 100)
    path = f"/api/v1/music/{world.song(user)}"
    refused(client.get(path, headers=user.headers), 500)
    refused(client.get(path), 401)
    ok(client.get("/api/v1/music/?limit=1", headers=user.headers))
    ok(client.post("/api/v1/music/", json=SONG, headers=user.headers))
    ok(client.delete(path, headers=user.headers))
    ok(client.get("/health"))


def test_versions_share_all_but_the_change(world: World) -> None:
    v1, v2 = world.load("s2/v1/app.py").app, world.load("s2/v2/app.py").app
    for name, view in v1.view_functions.items():
        if name.startswith("music."):
            assert v2.view_functions[name] is view
            assert inspect.getsourcefile(inspect.unwrap(view)) == s2.music.__file__
    rules = [
        {(rule.rule, frozenset(rule.methods or ())) for rule in app.url_map.iter_rules()} for app in (v1, v2)
    ]
    assert rules[0] == rules[1]


def test_the_version_is_a_metric(world: World) -> None:
    for version in ("v1", "v2"):
        text = world.load(f"s2/{version}/app.py").app.test_client().get("/metrics").text
        assert f'app_info{{service="cmpt756s2",version="{version}"}} 1.0' in text


def test_one_request_to_the_datastore_each(world: World, user: User) -> None:
    song = world.song(user)
    calls = [
        ("POST", "/api/v1/music/", SONG),
        ("GET", "/api/v1/music/", None),
        ("GET", f"/api/v1/music/{song}", None),
        ("GET", f"/api/v1/music/{anybody()}", None),
        ("DELETE", f"/api/v1/music/{song}", None),
    ]
    for method, path, body in calls:
        sent = len(world.bridge.sent)
        music(world).open(path, method=method, json=body, headers=user.headers)
        assert len(world.bridge.sent) == sent + 1, path


def test_a_second_replica_is_an_application_of_its_own(world: World, user: User) -> None:
    bridge = Bridge(world.db)
    replica = world.serve("s2/v1/app.py", bridge)
    ok(replica.test_client().get("/api/v1/music/?limit=1", headers=user.headers))
    assert len(bridge.sent) == 1
