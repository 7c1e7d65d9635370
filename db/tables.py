"""The DynamoDB tables: their names and definitions, and the command that creates them.

`REGID=… AWS_REGION=… python -m db.tables` creates what is missing and waits for it;
a second run changes nothing.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from servicekit.config import ConfigError, Environ, matching, required

_WAIT_SECONDS, _WAIT_ATTEMPTS = 1, 60


@dataclass(frozen=True)
class Table:
    """One table: the `prefix` of its name, its partition `key` (a string), its TTL attribute if any."""

    prefix: str
    key: str
    ttl: str | None = None

    def name(self, regid: str) -> str:
        """Return the table's name in the installation `regid`."""
        return f"{self.prefix}-{regid}"


OBJECTS = {"user": Table("User", "user_id"), "music": Table("Music", "music_id")}
"""The table of each `objtype`."""

ENDED_TOKENS = Table("Token", "jti", ttl="expires")
"""Tokens that a logoff ended; DynamoDB deletes them some time after they would have expired."""

TABLES = (*OBJECTS.values(), ENDED_TOKENS)


def regid_of(environ: Environ) -> str:
    """Return REGID, the suffix of the tables' names; raises ConfigError where it does not fit into one."""
    return matching(environ, "REGID", r"[A-Za-z0-9_.-]{1,200}", "letters, digits, '_', '.' and '-'")


def _set_ttl(client: Any, name: str, attribute: str) -> None:  # noqa: ANN401
    status = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"]
    if status not in {"ENABLED", "ENABLING"}:
        client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
        )


def create_tables(client: Any, regid: str) -> list[str]:  # noqa: ANN401
    """Create the tables of `regid` that are missing, wait until all are active, and set TTL.

    Returns the names of those it created. `client` is a boto3 DynamoDB client, whose errors are raised.
    """
    created = []
    for table in TABLES:
        name = table.name(regid)
        try:
            client.create_table(
                TableName=name,
                AttributeDefinitions=[{"AttributeName": table.key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": table.key, "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
            created.append(name)
        except client.exceptions.ResourceInUseException:
            pass  # it is there, or another run creates it just now
    for table in TABLES:
        name = table.name(regid)
        waiting = {"Delay": _WAIT_SECONDS, "MaxAttempts": _WAIT_ATTEMPTS}
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig=waiting)
        if table.ttl:
            _set_ttl(client, name, table.ttl)
    return created


def main(arguments: list[str] | None = None, environ: Environ = os.environ) -> int:
    """Run the command; the exit status is 0, or 1 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m db.tables", description="Create the missing DynamoDB tables."
    )
    parser.add_argument("--regid", help="suffix of the tables' names (default: REGID)")
    parser.add_argument("--region", help="AWS region (default: AWS_REGION)")
    parser.add_argument("--endpoint-url", help="DynamoDB's URL (default: AWS_ENDPOINT_URL_DYNAMODB, or AWS)")
    options = parser.parse_args(arguments)
    try:
        regid = regid_of({"REGID": options.regid} if options.regid else environ)
        region = options.region or required(environ, "AWS_REGION")
        config = Config(
            connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
        )
        client = boto3.client(
            "dynamodb", region_name=region, endpoint_url=options.endpoint_url, config=config
        )
        created = create_tables(client, regid)
    except (ConfigError, BotoCoreError, ClientError) as error:
        print(f"tables: {error}", file=sys.stderr)
        return 1
    for table in TABLES:
        name = table.name(regid)
        print(f"{name}: {'created' if name in created else 'exists already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
