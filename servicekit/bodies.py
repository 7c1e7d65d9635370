"""What a client sends: JSON bodies and query parameters, checked strictly before anything else happens."""

import json
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NoReturn

from flask import request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from servicekit.ids import parse_id

MAX_BODY = 1024 * 1024
"""Bytes of a body; a longer one is answered 413."""

MAX_TEXT = 1000
"""Characters of a text field."""

MAX_PAGE = 100
"""Items that one call of a list returns at most, and by default."""

_DRAIN_BYTES = 8 * MAX_BODY
_DRAIN_SECONDS = 5.0
_LIMIT = re.compile(r"[0-9]{1,3}")


def drain() -> None:
    """Read what is left of the current request's body, up to a bound.

    A proxy still sending when the answer comes and the connection closes tells its client 503 instead of
    that answer. Beyond the bound the server closes the connection.
    """
    environ = request.environ
    has_body = environ.get("CONTENT_LENGTH") not in {None, "", "0"} or "HTTP_TRANSFER_ENCODING" in environ
    if not has_body or not environ.get("wsgi.input_terminated"):
        return
    stream, left, deadline = environ["wsgi.input"], _DRAIN_BYTES, time.monotonic() + _DRAIN_SECONDS
    try:
        while left > 0 and time.monotonic() < deadline:
            chunk = stream.read(min(left, 64 * 1024))
            if not chunk:
                return
            left -= len(chunk)
    except (OSError, ParseException):
        return  # the client went away or its chunks are malformed: there is nothing left to spare


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _raw_body() -> bytes:
    with suppress(RequestEntityTooLarge):
        try:
            raw = request.get_data(cache=False)
        except ParseException as error:
            raise BadRequest("the body's chunks are malformed") from error
        if len(raw) <= MAX_BODY:  # Werkzeug cuts a chunked body off at its limit, and says nothing
            return raw
    raise RequestEntityTooLarge(f"the body may have at most {MAX_BODY} bytes")


def json_object() -> dict[str, Any]:
    """Return the current request's body, a JSON object (RFC 8259, fractions as Decimal).

    Raises BadRequest (400), RequestEntityTooLarge (413, over MAX_BODY) or UnsupportedMediaType (415).
    """
    raw = _raw_body()
    if not raw:
        raise BadRequest("the request has no body: send a JSON object")
    if not request.is_json:
        raise UnsupportedMediaType("Content-Type must be application/json")
    try:
        body = json.loads(raw.decode(), parse_float=Decimal, parse_constant=_refuse_constant)
        if b"\\u" in raw:  # only an escape can bring half of a surrogate pair, which is no character
            json.dumps(body, ensure_ascii=False, default=str).encode()
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BadRequest("the body is not valid JSON in UTF-8") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def text_fields(
    body: Mapping[str, Any], required: Collection[str], optional: Collection[str] = ()
) -> dict[str, str]:
    """Return `body` where it has all `required` fields, no others than `optional`, and text in each.

    Text has 1 to MAX_TEXT characters, not only white space, no NUL. Raises BadRequest (400) naming the field.
    """
    for name in body:
        if name not in required and name not in optional:
            raise BadRequest(
                f"unknown field {name[:80]!r}: the fields are {', '.join([*required, *optional])}"
            )
    for name in required:
        if name not in body:
            raise BadRequest(f"field {name!r} is missing")
    for name, value in body.items():
        if not isinstance(value, str):
            raise BadRequest(f"field {name!r} must be text")
        if not value.strip() or len(value) > MAX_TEXT or "\0" in value:
            raise BadRequest(f"field {name!r} must have 1 to {MAX_TEXT} characters and no NUL")
    return dict(body)


def page() -> dict[str, str]:
    """Return the query parameters of a list: `limit` (1 to MAX_PAGE) and, where given, `cursor`.

    A cursor is the key of the page's last item. Raises BadRequest (400).
    """
    limit = request.args.get("limit", str(MAX_PAGE))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_PAGE:
        raise BadRequest(f"limit must be a whole number from 1 to {MAX_PAGE}")
    parameters = {"limit": limit}
    cursor = request.args.get("cursor")
    if cursor is not None:
        key = parse_id(cursor)
        if key is None:
            raise BadRequest("cursor must be one that this list returned")
        parameters["cursor"] = key
    return parameters
