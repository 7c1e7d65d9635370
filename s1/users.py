"""The user service: users, login and logoff."""

from typing import Any

from flask import Blueprint, Flask, g
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, Forbidden

from s1.passwords import hash_password, may_log_in
from servicekit.app import create_service
from servicekit.auth import Tokens, token_required, tokens, unauthorized
from servicekit.bodies import json_object, page, text_fields
from servicekit.config import Environ
from servicekit.datastore import Datastore, datastore, relay
from servicekit.errors import not_found
from servicekit.ids import parse_id

_PROFILE = ("fname", "lname", "email")
_PUBLIC = ("user_id", *_PROFILE)

api = Blueprint("users", __name__, url_prefix="/api/v1/user")


def _public(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a datastore's `answer` with only those attributes of users that others may see."""
    items = [{name: item[name] for name in _PUBLIC if name in item} for item in answer["Items"]]
    return answer | {"Items": items}


def _own_key(user_id: str) -> str | None:
    """Return the key of `user_id`, None where it is not one; raises Forbidden (403) where it is another's."""
    key = parse_id(user_id)
    if key is not None and key != g.user_id:
        raise Forbidden("users may change and delete only their own record")
    return key


@api.post("/")
def create_user() -> ResponseReturnValue:
    """Create a user; needs no token."""
    user = text_fields(json_object(), _PROFILE, ("password",))
    password = user.pop("password", None)
    if password is not None:
        user["password_hash"] = hash_password(password)
    return relay(datastore().call("POST", "write", body={"objtype": "user", **user}))


@api.get("/")
@token_required
def list_users() -> ResponseReturnValue:
    """Return a page of users."""
    return _public(
        datastore().call("GET", "list", params={"objtype": "user", **page()}, token=g.token).json()
    )


@api.get("/<user_id>")
@token_required
def get_user(user_id: str) -> ResponseReturnValue:
    """Return one user."""
    key = parse_id(user_id)
    if key is None:
        return not_found("user")
    params = {"objtype": "user", "objkey": key}
    answer = datastore().call("GET", "read", params=params, token=g.token, expect=(200, 404))
    return relay(answer) if answer.status_code == 404 else _public(answer.json())


@api.put("/<user_id>")
@token_required
def update_user(user_id: str) -> ResponseReturnValue:
    """Replace names and e-mail address of the user whose token it is."""
    key = _own_key(user_id)
    user = text_fields(json_object(), _PROFILE)
    if key is None:
        return not_found("user")
    params = {"objtype": "user", "objkey": key}
    return relay(
        datastore().call("PUT", "update", params=params, body=user, token=g.token, expect=(200, 404))
    )


@api.delete("/<user_id>")
@token_required
def delete_user(user_id: str) -> ResponseReturnValue:
    """Delete the user whose token it is."""
    key = _own_key(user_id)
    if key is None:
        return not_found("user")
    params = {"objtype": "user", "objkey": key}
    answer = datastore().call("DELETE", "delete", params=params, token=g.token, expect=(200, 404))
    return relay(answer) if answer.status_code == 404 else {}  # the deleted record holds the password's hash


@api.put("/login")
def login() -> ResponseReturnValue:
    """Give a token to a user; unknown users and wrong passwords get the same 401."""
    fields = text_fields(json_object(), ("uid",), ("password",))
    key = parse_id(fields["uid"])
    if key is None:
        raise BadRequest("field 'uid' must be the user_id (a UUID) that creating a user returned")
    answer = datastore().call("GET", "read", params={"objtype": "user", "objkey": key}, expect=(200, 404))
    user = answer.json()["Items"][0] if answer.status_code == 200 else {}
    if not may_log_in(bool(user), user.get("password_hash"), fields.get("password")):
        raise unauthorized("no such user, or the password is wrong", token_given=False)
    return {"jwt": tokens().issue(key), "token_type": "Bearer", "expires_in": tokens().lifetime}


@api.put("/logoff")
def logoff() -> ResponseReturnValue:
    """End the token in the body: from then on it is worth nothing anywhere."""
    token = text_fields(json_object(), ("jwt",))["jwt"]
    claims = tokens().verify(token)
    datastore().call("POST", "revoke", body={"jti": claims.jti, "expires": claims.expires}, token=token)
    return {}


def create_app(environ: Environ) -> Flask:
    """Return the user service, set up from `environ`; raises ConfigError where a setting is wrong."""
    keys, store = Tokens.from_environ(environ), Datastore.from_environ(environ)
    app = create_service("cmpt756s1", api, version="v1")
    app.extensions |= {"tokens": keys, "datastore": store}
    return app
