"""Between JSON and DynamoDB's types; what DynamoDB cannot hold is refused, not rounded."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from typing import Any

from boto3.dynamodb.types import TypeSerializer  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest

_MAX_DEPTH = 32  # DynamoDB developer guide, "Constraints": nested attributes go down 32 levels
_serialize = TypeSerializer().serialize

Item = dict[str, Any]
"""Attributes in DynamoDB's own form: `{"Artist": {"S": "…"}}`."""


def _check(value: object, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise BadRequest(f"attributes nest more than {_MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        for name, member in value.items():
            if not name:
                raise BadRequest("an attribute has an empty name")
            _check(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth + 1)


def to_item(attributes: Mapping[str, Any]) -> Item:
    """Return JSON `attributes` in DynamoDB's form.

    Raises BadRequest (400): an empty name, too deep, a number with more than 38 digits or beyond 1E+126.
    """
    _check(attributes, 0)
    try:
        return {name: _serialize(value) for name, value in attributes.items()}
    except DecimalException as error:
        raise BadRequest("a number has more than 38 digits or is out of range") from error


def _number(text: str) -> int | float:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def from_item(item: Item) -> dict[str, Any]:
    """Return `item` as JSON has it: sets, which others may have stored, as lists, and bytes in base 64.

    boto3's own reading fails at numbers that DynamoDB spells out with more than 38 digits, mostly zeros.
    """
    return {name: _plain(value) for name, value in item.items()}


_READERS: dict[str, Callable[[Any], object]] = {
    "N": _number,
    "B": _base64,
    "NULL": lambda _: None,
    "M": from_item,
    "L": lambda members: [_plain(member) for member in members],
    "NS": lambda members: [_number(member) for member in members],
    "BS": lambda members: [_base64(member) for member in members],
}


def _plain(value: Mapping[str, Any]) -> object:
    ((kind, content),) = value.items()
    return _READERS[kind](content) if kind in _READERS else content
