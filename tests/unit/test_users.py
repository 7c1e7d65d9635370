"""s1: the wire format of users, login and logoff."""

import uuid

import pytest

from tests.unit.world import ROOT, User, World, anybody, ok, refused, users

PROFILE = {"fname": "Ada", "lname": "Newcomer", "email": "ada@example.org"}


@pytest.fixture(scope="module")
def user(world: World) -> User:
    return world.user()


def test_create_and_read(world: World, user: User) -> None:
    created = ok(users(world).post("/api/v1/user/", json=PROFILE))
    assert list(created) == ["user_id"]
    assert str(uuid.UUID(created["user_id"])) == created["user_id"]
    answer = ok(users(world).get(f"/api/v1/user/{created['user_id']}", headers=user.headers))
    assert answer == {"Items": [PROFILE | created], "Count": 1}


def test_base_path_without_slash_is_no_redirect(world: World) -> None:
    assert "user_id" in ok(users(world).post("/api/v1/user", json=PROFILE))


def test_ids_are_read_in_any_case(world: World, user: User) -> None:
    answer = ok(users(world).get(f"/api/v1/user/{user.uid.upper()}", headers=user.headers))
    assert answer["Items"][0]["user_id"] == user.uid


def test_unknown_user_is_404(world: World, user: User) -> None:
    answer = users(world).get(f"/api/v1/user/{anybody()}", headers=user.headers)
    refused(answer, 404)
    assert answer.json["Items"] == []
    assert answer.json["Count"] == 0


def test_update_keeps_what_it_does_not_name(world: World) -> None:
    user = world.user(password="correct horse")
    changed = PROFILE | {"lname": "Regular"}
    answer = users(world).put(f"/api/v1/user/{user.uid}", json=changed, headers=user.headers)
    assert ok(answer) == {"Attributes": changed}
    read = ok(users(world).get(f"/api/v1/user/{user.uid}", headers=user.headers))
    assert read["Items"] == [changed | {"user_id": user.uid}]
    login = {"uid": user.uid, "password": "correct horse"}
    ok(users(world).put("/api/v1/user/login", json=login))


def test_delete_and_what_is_left(world: World, user: User) -> None:
    gone = world.user(password="correct horse")
    path = f"/api/v1/user/{gone.uid}"
    deleted = users(world).delete(path, headers=gone.headers)
    assert ok(deleted) == {}
    refused(users(world).delete(path, headers=gone.headers), 404)
    refused(users(world).put(path, json=PROFILE, headers=gone.headers), 404)
    refused(users(world).get(path, headers=user.headers), 404)
    refused(users(world).put("/api/v1/user/login", json={"uid": gone.uid}), 401)
    assert world.item("User", {"user_id": {"S": gone.uid}}) == {}


def test_only_ones_own_record(world: World, user: User) -> None:
    other = world.user()
    path = f"/api/v1/user/{other.uid}"
    sent = len(world.bridge.sent)
    refused(users(world).put(path, json=PROFILE, headers=user.headers), 403)
    refused(users(world).delete(path, headers=user.headers), 403)
    assert len(world.bridge.sent) == sent
    assert ok(users(world).get(path, headers=user.headers))["Items"][0]["fname"] == "Ann"


def test_passwords_are_hashed_and_never_returned(world: World) -> None:
    user = world.user(password="correct horse")
    item = world.item("User", {"user_id": {"S": user.uid}})
    assert item["password_hash"]["S"].startswith("scrypt:1024:8:1$")
    assert "correct horse" not in str(item)
    for path in (f"/api/v1/user/{user.uid}", "/api/v1/user/"):
        answer = users(world).get(path, headers=user.headers)
        assert user.uid in answer.text
        assert "password" not in answer.text
        assert "scrypt" not in answer.text


def test_passwords_are_hashed_as_hard_as_owasp_asks() -> None:
    """OWASP's cheat sheet takes N=2^13, r=8, p=10 and its equals; the tests' own setting is cheaper."""
    text = (ROOT / "s1/passwords.py").read_text()
    assert '_METHOD = "scrypt:8192:8:10"' in text


def test_login_answers_as_the_wire_format_says(world: World, user: User) -> None:
    login = ok(users(world).put("/api/v1/user/login", json={"uid": user.uid}))
    assert login.keys() == {"jwt", "token_type", "expires_in"}
    assert login["token_type"] == "Bearer"
    assert login["expires_in"] == 3600
    ok(users(world).get("/api/v1/user/", headers={"Authorization": f"bearer {login['jwt']}"}))


@pytest.mark.parametrize("given", [{}, {"password": "wrong"}])
def test_a_password_that_is_set_is_needed(world: World, given: dict[str, str]) -> None:
    user = world.user(password="correct horse")
    refused(users(world).put("/api/v1/user/login", json={"uid": user.uid} | given), 401)


def test_unknown_user_and_wrong_password_look_alike(world: World) -> None:
    user = world.user(password="correct horse")
    answers = [
        users(world).put("/api/v1/user/login", json={"uid": uid, "password": "wrong"})
        for uid in (user.uid, anybody())
    ]
    assert len({refused(answer, 401) for answer in answers}) == 1
    assert all(answer.headers["WWW-Authenticate"] == 'Bearer realm="c756 services"' for answer in answers)


def test_a_password_is_not_needed_where_none_is_set(world: World, user: User) -> None:
    ok(users(world).put("/api/v1/user/login", json={"uid": user.uid, "password": "any"}))


def test_list_is_paged(new_world: World) -> None:
    user = new_world.user()
    made = {user.uid} | {
        ok(users(new_world).post("/api/v1/user/", json=PROFILE))["user_id"] for _ in range(6)
    }
    found: list[str] = []
    query: dict[str, str | int] = {"limit": 3}
    for _ in range(4):
        page = ok(users(new_world).get("/api/v1/user/", query_string=query, headers=user.headers))
        assert page["Count"] == len(page["Items"]) <= 3
        found += [item["user_id"] for item in page["Items"]]
        if "cursor" not in page:
            break
        query["cursor"] = page["cursor"]
    assert sorted(found) == sorted(made)
