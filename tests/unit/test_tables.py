"""The command that creates DynamoDB's tables."""

import boto3
import pytest

from db.tables import main
from tests.unit.world import REGION, environ


def test_it_creates_what_is_missing_and_changes_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    client = boto3.client("dynamodb", region_name=REGION)
    settings = environ("command")
    assert main([], settings) == 0
    assert capsys.readouterr().out.splitlines() == [
        "User-command: created",
        "Music-command: created",
        "Token-command: created",
    ]
    client.put_item(TableName="Music-command", Item={"music_id": {"S": "kept"}})
    client.delete_table(TableName="User-command")
    assert main([], settings) == 0
    assert capsys.readouterr().out.splitlines() == [
        "User-command: created",
        "Music-command: exists already",
        "Token-command: exists already",
    ]
    assert client.scan(TableName="Music-command", Select="COUNT")["Count"] == 1


def test_keys_billing_and_ttl() -> None:
    client = boto3.client("dynamodb", region_name=REGION)
    assert main(["--regid", "shape", "--region", REGION], {}) == 0
    for name, key in (("User-shape", "user_id"), ("Music-shape", "music_id"), ("Token-shape", "jti")):
        table = client.describe_table(TableName=name)["Table"]
        assert table["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
        assert table["AttributeDefinitions"] == [{"AttributeName": key, "AttributeType": "S"}]
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    ttl = client.describe_time_to_live(TableName="Token-shape")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    ttl = client.describe_time_to_live(TableName="User-shape")["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [([], "REGID"), (["--regid", "x"], "AWS_REGION"), (["--regid", "no good", "--region", "x"], "REGID")],
)
def test_what_is_missing_is_named(
    arguments: list[str], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, {}) == 1
    line = capsys.readouterr().err
    assert line.startswith("tables: ")
    assert missing in line
    assert line.count("\n") == 1
