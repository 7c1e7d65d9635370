"""The music service: what its versions have in common."""

from collections.abc import Callable

from flask import Blueprint, Flask, current_app, g
from flask.typing import ResponseReturnValue

from servicekit.app import create_service
from servicekit.auth import Tokens, token_required
from servicekit.bodies import json_object, page, text_fields
from servicekit.config import Environ
from servicekit.datastore import Datastore, datastore, relay
from servicekit.errors import not_found
from servicekit.ids import parse_id

_SONG = ("Artist", "SongTitle")

api = Blueprint("music", __name__, url_prefix="/api/v1/music")


@api.post("/")
@token_required
def create_song() -> ResponseReturnValue:
    """Create a song."""
    song = text_fields(json_object(), _SONG)
    return relay(datastore().call("POST", "write", body={"objtype": "music", **song}, token=g.token))


@api.get("/")
@token_required
def list_songs() -> ResponseReturnValue:
    """Return a page of songs."""
    return relay(datastore().call("GET", "list", params={"objtype": "music", **page()}, token=g.token))


@api.get("/<music_id>")
@token_required
def get_song(music_id: str) -> ResponseReturnValue:
    """Return one song."""
    current_app.extensions["before_read"]()
    return _one_song("GET", "read", music_id)


@api.delete("/<music_id>")
@token_required
def delete_song(music_id: str) -> ResponseReturnValue:
    """Delete one song."""
    return _one_song("DELETE", "delete", music_id)


def _one_song(method: str, operation: str, music_id: str) -> ResponseReturnValue:
    key = parse_id(music_id)
    if key is None:
        return not_found("music")
    params = {"objtype": "music", "objkey": key}
    return relay(datastore().call(method, operation, params=params, token=g.token, expect=(200, 404)))


def _nothing() -> None:
    """Do nothing before a read, as version 1 does."""


def create_app(environ: Environ, *, version: str, before_read: Callable[[], None] = _nothing) -> Flask:
    """Return the music service of `version`, set up from `environ`; raises ConfigError as s1's does.

    `before_read` runs before each read of one song; a version's own change goes there.
    """
    keys, store = Tokens.from_environ(environ), Datastore.from_environ(environ)
    app = create_service("cmpt756s2", api, version=version)
    app.extensions |= {"tokens": keys, "datastore": store, "before_read": before_read}
    return app
