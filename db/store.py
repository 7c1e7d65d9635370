"""DynamoDB behind the datastore: one call a method, and its failures as HTTP statuses."""

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from werkzeug.exceptions import (
    BadGateway,
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    ServiceUnavailable,
)

from db.tables import ENDED_TOKENS, OBJECTS, regid_of
from db.values import from_item, to_item
from servicekit.config import ConfigError, Environ, number, required

# Two attempts of at most a second: the services in front give up after 2.3 s, their users get 503 within 3 s.
_CONNECT_TIMEOUT = 0.5
_READ_TIMEOUT = 1.0
_ATTEMPTS = 2

_NOT_NOW = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ResourceNotFoundException",  # not created yet: the log names the table
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
_TOO_BIG = "an item may have at most 400 KB"
_log = logging.getLogger(__name__)


def _refusal(error: ClientError, table: str) -> HTTPException:
    """Return what an error that DynamoDB answered means to the datastore's caller."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code == "ValidationException":
        too_big = message.startswith("Item size")
        return RequestEntityTooLarge(_TOO_BIG) if too_big else BadRequest(f"DynamoDB refuses this: {message}")
    _log.error("DynamoDB: table %s: %s", table, error)
    if code in _NOT_NOW or error.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= 500:
        return ServiceUnavailable("DynamoDB is not available")
    return BadGateway("DynamoDB refuses the datastore")


def _failure(error: BotoCoreError) -> HTTPException:
    """Return what it means to the datastore's caller that there is no answer from DynamoDB."""
    _log.error("DynamoDB: %s", error)
    if isinstance(error, (HTTPClientError, NoConnectionError)):
        return ServiceUnavailable("DynamoDB cannot be reached")
    return BadGateway("the datastore cannot speak to DynamoDB")  # no credentials, for instance


@contextmanager
def _call_on(table: str) -> Iterator[str]:
    """Yield `table`'s name; what botocore raises meanwhile becomes an HTTP error."""
    try:
        yield table
    except ClientError as error:
        raise _refusal(error, table) from error
    except BotoCoreError as error:
        raise _failure(error) from error


class Store:
    """The tables of one installation.

    Where DynamoDB fails or refuses, every method raises BadRequest, RequestEntityTooLarge, BadGateway or
    ServiceUnavailable.
    """

    def __init__(self, client: Any, regid: str) -> None:  # noqa: ANN401
        """Take a boto3 DynamoDB client and the suffix of the tables' names."""
        self._client = client
        self._names = {objtype: table.name(regid) for objtype, table in OBJECTS.items()}
        self._tokens = ENDED_TOKENS.name(regid)

    @classmethod
    def from_environ(cls, environ: Environ) -> "Store":
        """Read REGID, AWS_REGION and THREADS (botocore reads AWS's others itself); raises ConfigError."""
        regid = regid_of(environ)
        session = boto3.Session(region_name=required(environ, "AWS_REGION"))
        if session.get_credentials() is None:
            raise ConfigError(
                "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role"
            )
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=number(environ, "THREADS", 16, 1, 256),
            tcp_keepalive=True,
        )
        return cls(session.client("dynamodb", config=config), regid)

    @staticmethod
    def _key(objtype: str, key: str) -> dict[str, Any]:
        return {OBJECTS[objtype].key: {"S": key}}

    def get(self, objtype: str, key: str) -> dict[str, Any] | None:
        """Return the object with `key`, None where there is none; what was just written is seen."""
        with _call_on(self._names[objtype]) as table:
            answer = self._client.get_item(TableName=table, Key=self._key(objtype, key), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else None

    def page(self, objtype: str, limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return up to `limit` objects after the one with key `cursor`, and the next page's cursor if any."""
        start = {"ExclusiveStartKey": self._key(objtype, cursor)} if cursor else {}
        with _call_on(self._names[objtype]) as table:
            answer = self._client.scan(TableName=table, Limit=limit, **start)
        last = answer.get("LastEvaluatedKey")
        following = last[OBJECTS[objtype].key]["S"] if last else None
        return [from_item(item) for item in answer["Items"]], following

    def put(self, objtype: str, attributes: Mapping[str, Any], key: str | None = None) -> str:
        """Store an object under `key` or a new UUID, and return the key; doing it twice does no harm."""
        name = OBJECTS[objtype].key
        if name in attributes:
            raise BadRequest(f"attribute {name!r} is the datastore's own")
        key = key or str(uuid.uuid4())
        item = to_item(attributes) | self._key(objtype, key)
        with _call_on(self._names[objtype]) as table:
            self._client.put_item(TableName=table, Item=item)
        return key

    def update(self, objtype: str, key: str, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Set `attributes` of the object with `key` and return them; None where there is no such object."""
        own = OBJECTS[objtype].key
        if own in attributes:
            raise BadRequest(f"attribute {own!r} is the datastore's own")
        values = list(to_item(attributes).values())
        # Names and values by reference: an attribute may be called as one of DynamoDB's reserved words.
        names = {f"#n{i}": name for i, name in enumerate(attributes)}
        with _call_on(self._names[objtype]) as table:
            try:
                answer = self._client.update_item(
                    TableName=table,
                    Key=self._key(objtype, key),
                    UpdateExpression="SET " + ", ".join(f"#n{i} = :v{i}" for i in range(len(values))),
                    ConditionExpression="attribute_exists(#key)",
                    ExpressionAttributeNames=names | {"#key": own},
                    ExpressionAttributeValues={f":v{i}": value for i, value in enumerate(values)},
                    ReturnValues="UPDATED_NEW",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        return from_item(answer["Attributes"])

    def delete(self, objtype: str, key: str) -> dict[str, Any] | None:
        """Delete the object with `key` and return it as it was; None where there was none."""
        with _call_on(self._names[objtype]) as table:
            answer = self._client.delete_item(
                TableName=table, Key=self._key(objtype, key), ReturnValues="ALL_OLD"
            )
        return from_item(answer["Attributes"]) if "Attributes" in answer else None

    def end_token(self, jti: str, expires: int) -> None:
        """Remember that token `jti` is ended, until `expires` (seconds since 1970) and somewhat longer."""
        item = {ENDED_TOKENS.key: {"S": jti}, str(ENDED_TOKENS.ttl): {"N": str(expires)}}
        with _call_on(self._tokens) as table:
            self._client.put_item(TableName=table, Item=item)

    def token_ended(self, jti: str) -> bool:
        """Tell whether `end_token` was called for `jti`, by any replica."""
        with _call_on(self._tokens) as table:
            answer = self._client.get_item(
                TableName=table, Key={ENDED_TOKENS.key: {"S": jti}}, ConsistentRead=True
            )
        return "Item" in answer
