"""Bearer tokens: JWT (RFC 7519, HS256) that s1 issues and s1 and s2 verify, and the 401 that refuses one."""

import functools
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import jwt
from flask import current_app, g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from servicekit.config import Environ, number, required
from servicekit.ids import parse_id

MAX_JTI = 128
"""Characters of a token's own id at most."""

REALM = "c756 services"  # with the space Werkzeug quotes it, as RFC 9110, section 11.5, demands

_ALGORITHM = "HS256"
_MIN_KEY_BYTES = 32  # RFC 7518, section 3.2: a key at least as long as the hash's output
_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def unauthorized(reason: str, *, token_given: bool = True) -> Unauthorized:
    """Return the 401 that refuses a bearer token; the challenge has the form of RFC 6750, section 3."""
    values: dict[str, str | None] = {"realm": REALM}
    if token_given:
        values |= {"error": "invalid_token", "error_description": reason}
    return Unauthorized(reason, www_authenticate=WWWAuthenticate("bearer", values))


def bearer_token() -> str | None:
    """Return the current request's bearer token, or None where it carries none."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: whose it is, its own id, and when it ends (seconds since 1970)."""

    user_id: str
    jti: str
    expires: int


def _claims(payload: dict[str, Any]) -> Claims:
    user_id, jti, expires = parse_id(payload.get("sub")), payload.get("jti"), payload.get("exp")
    if (
        user_id is None
        or not isinstance(expires, int)
        or not isinstance(jti, str)
        or not 0 < len(jti) <= MAX_JTI
    ):
        raise unauthorized("the token lacks a usable sub, jti or exp")
    return Claims(user_id, jti, expires)


def claims_unverified(token: str) -> Claims:
    """Return the claims of a token whose signature s1 or s2 has verified; raises Unauthorized (401).

    For the datastore, which has no key: it learns from the token only which one it is.
    """
    try:
        return _claims(jwt.decode(token, options={"verify_signature": False}))
    except jwt.InvalidTokenError as error:
        raise unauthorized("the token is malformed") from error


class Tokens:
    """Issues and verifies tokens with one symmetric key."""

    def __init__(self, key: str, lifetime: int) -> None:
        """Take the `key` shared by s1 and s2, and the `lifetime` of new tokens in seconds."""
        self._key = key.encode()
        self.lifetime = lifetime
        if len(self._key) < _MIN_KEY_BYTES:
            _log.warning("JWT_SECRET has %d bytes: use at least %d", len(self._key), _MIN_KEY_BYTES)

    @classmethod
    def from_environ(cls, environ: Environ) -> "Tokens":
        """Read JWT_SECRET and JWT_LIFETIME (seconds, default 3600, at most a day); raises ConfigError."""
        return cls(required(environ, "JWT_SECRET"), number(environ, "JWT_LIFETIME", 3600, 1, 86400))

    def issue(self, user_id: str) -> str:
        """Return a new token for `user_id`."""
        now = int(time.time())
        payload = {"sub": user_id, "iat": now, "exp": now + self.lifetime, "jti": str(uuid.uuid4())}
        return jwt.encode(payload, self._key, algorithm=_ALGORITHM)

    def verify(self, token: str) -> Claims:
        """Return the claims of `token`; raises Unauthorized where it is malformed, forged or expired."""
        try:
            payload = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                # iat says nothing about validity, and another node's clock may be a little ahead
                options={"require": ["sub", "iat", "exp", "jti"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise unauthorized("the token has expired") from error
        except jwt.InvalidTokenError as error:
            raise unauthorized("the token is malformed or its signature is wrong") from error
        return _claims(payload)


def tokens() -> Tokens:
    """Return the current application's `Tokens`, kept in its extensions."""
    found: Tokens = current_app.extensions["tokens"]
    return found


def token_required(view: Callable[P, R]) -> Callable[P, R]:
    """Answer 401 unless the request carries a valid token; the view finds `g.token` and `g.user_id`."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        token = bearer_token()
        if token is None:
            raise unauthorized(
                "a bearer token is required: PUT /api/v1/user/login gives one", token_given=False
            )
        g.user_id = tokens().verify(token).user_id
        g.token = token
        return view(*args, **kwargs)

    return guarded
