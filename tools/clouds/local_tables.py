"""The tables of the one-machine mesh's DynamoDB Local, for which no AWS command line is needed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from local.settings import Settings, SettingsError
from tools.clouds.command import CommandError
from tools.clouds.rows import Row
from tools.clouds.sources import Source, dynamodb_row

_REGION = "us-west-2"  # one that is as good as any other: -sharedDb


def _descriptions() -> list[dict[str, Any]]:
    settings = Settings()
    client = boto3.client(
        "dynamodb",
        endpoint_url=f"http://{settings.dynamodb_host}:{settings.dynamodb_port}",
        region_name=_REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - DynamoDB Local takes any
        config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 1}),
    )
    return [client.describe_table(TableName=name)["Table"] for name in client.list_tables()["TableNames"]]


def local_tables() -> Source:
    """Return the tables of the mesh on this machine."""

    async def rows() -> AsyncIterator[Row]:
        try:
            for description in await asyncio.to_thread(_descriptions):
                yield dynamodb_row(description, "this machine")
        except (BotoCoreError, ClientError, SettingsError) as error:
            raise CommandError(f"{error}: is it running (make up)?") from error

    return Source("this machine", "", rows)
