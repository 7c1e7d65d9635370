"""The datastore service's API."""

import hmac
from typing import Any

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, NotFound, Unauthorized

from db.store import Store
from db.tables import OBJECTS
from db.tokens import EndedTokens
from servicekit.app import create_service
from servicekit.auth import MAX_JTI, REALM, bearer_token, claims_unverified, unauthorized
from servicekit.bodies import json_object, page
from servicekit.config import Environ, required
from servicekit.errors import not_found
from servicekit.ids import parse_id

LOADER_USER = "svc-loader"

_MAX_EXPIRES = 2**53

api = Blueprint("datastore", __name__, url_prefix="/api/v1/datastore")


def _store() -> Store:
    found: Store = current_app.extensions["store"]
    return found


def _ended_tokens() -> EndedTokens:
    found: EndedTokens = current_app.extensions["ended_tokens"]
    return found


@api.before_request
def refuse_ended_token() -> None:
    """Answer 401 where the user's token, passed on by s1 or s2, was ended; they verified its signature."""
    token = bearer_token()
    if token is not None and _ended_tokens().is_ended(claims_unverified(token)):
        raise unauthorized("the token was ended by a logoff")


def _objtype(value: object) -> str:
    if not isinstance(value, str) or value not in OBJECTS:
        raise BadRequest(f"objtype must be one of {', '.join(OBJECTS)}")
    return value


def _target() -> tuple[str, str]:
    """Return objtype and key that the query parameters name."""
    objtype = _objtype(request.args.get("objtype"))
    key = parse_id(request.args.get("objkey"))
    if key is None:
        raise BadRequest("objkey must be a UUID")
    return objtype, key


def _attributes(body: dict[str, Any]) -> dict[str, Any]:
    if not body:
        raise BadRequest("the body has no attributes")
    return body


@api.get("/read")
def read() -> ResponseReturnValue:
    """Return one object."""
    objtype, key = _target()
    item = _store().get(objtype, key)
    return {"Items": [item], "Count": 1} if item is not None else not_found(objtype)


@api.get("/list")
def list_objects() -> ResponseReturnValue:
    """Return a page of objects; `cursor` leads to the next one where there may be more."""
    objtype, wanted = _objtype(request.args.get("objtype")), page()
    items, cursor = _store().page(objtype, int(wanted["limit"]), wanted.get("cursor"))
    return {"Items": items, "Count": len(items)} | ({"cursor": cursor} if cursor else {})


@api.post("/write")
def write() -> ResponseReturnValue:
    """Store a new object; every field but objtype is an attribute."""
    body = json_object()
    objtype = _objtype(body.pop("objtype", None))
    return {OBJECTS[objtype].key: _store().put(objtype, _attributes(body))}


@api.post("/load")
def load() -> ResponseReturnValue:
    """Store an object under a given UUID, for the loader only."""
    _loader_only()
    body = json_object()
    objtype = _objtype(body.pop("objtype", None))
    key = parse_id(body.pop("uuid", None))
    if key is None:
        raise BadRequest("uuid must be a UUID")
    return {OBJECTS[objtype].key: _store().put(objtype, _attributes(body), key)}


@api.put("/update")
def update() -> ResponseReturnValue:
    """Set attributes of an object that exists."""
    objtype, key = _target()
    changed = _store().update(objtype, key, _attributes(json_object()))
    if changed is None:
        raise NotFound(f"no such {objtype}")
    return {"Attributes": changed}


@api.delete("/delete")
def delete() -> ResponseReturnValue:
    """Delete an object and return it as it was."""
    objtype, key = _target()
    deleted = _store().delete(objtype, key)
    if deleted is None:
        raise NotFound(f"no such {objtype}")
    return {"Attributes": deleted}


@api.post("/revoke")
def revoke() -> ResponseReturnValue:
    """End a token: `jti` is its id, `expires` the time (seconds since 1970) at which it ends by itself."""
    body = json_object()
    jti, expires = body.get("jti"), body.get("expires")
    if body.keys() != {"jti", "expires"} or not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise BadRequest(f"the body must hold jti (text of 1 to {MAX_JTI} characters) and expires, no more")
    if type(expires) is not int or not 0 <= expires <= _MAX_EXPIRES:
        raise BadRequest("expires must be a whole number of seconds since 1970")
    _ended_tokens().end(jti, expires)
    return {}


def _loader_only() -> None:
    """Answer 401 unless the request carries the loader's name and token (HTTP Basic)."""
    given = request.authorization
    user, password = (
        (given.username or "", given.password or "") if given and given.type == "basic" else ("", "")
    )
    expected: str = current_app.extensions["loader_token"]
    # Both are compared, and in constant time, so that the answer's time tells nothing about either.
    right_user = hmac.compare_digest(user.encode(), LOADER_USER.encode())
    right_token = hmac.compare_digest(password.encode(), expected.encode())
    if not (right_user and right_token):
        raise Unauthorized(
            "only the loader may load", www_authenticate=WWWAuthenticate("basic", {"realm": REALM})
        )


def create_app(environ: Environ) -> Flask:
    """Return the datastore, set up from `environ`; raises ConfigError where a setting is missing or wrong."""
    loader_token, store = required(environ, "LOADER_TOKEN"), Store.from_environ(environ)
    app = create_service("cmpt756db", api, version="v1")
    app.extensions |= {"store": store, "ended_tokens": EndedTokens(store), "loader_token": loader_token}
    return app
