"""DynamoDB's stack, the makefile's targets and db's policy: the real AWS CLI, boto3 and db against moto's server.

moto creates and deletes the stack's tables, but does not carry an update of the stack out on them, and leaves out
encryption, time to live and point-in-time recovery: those are checked in the template.
"""

import json
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import jwt
import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from db.datastore import LOADER_USER, create_app
from db.tables import ENDED_TOKENS, OBJECTS, TABLES
from servicekit.lifecycle import lifecycle_of
from tests.clouds.checkout import ROOT, VENV, Checkout, Result
from tests.clouds.conftest import REGION
from tests.unit.world import LOADER_TOKEN, SECRET, ok

REGID = "Someone-1"
PLACE = "a-cluster"
TEMPLATES = ("cluster/cloudformation-dynamodb.json", "cluster/iam-db.json")


def template(path: str) -> dict[str, Any]:
    return json.loads((ROOT / path).read_text())


@pytest.fixture
def k8s(checkout: Checkout) -> Checkout:
    checkout.env |= {"REGID": REGID, "PLACE": PLACE}
    return checkout


def run(k8s: Checkout, target: str, *settings: str, **env: str) -> Result:
    return k8s.make("k8s.mak", target, *settings, **env)


def made(k8s: Checkout, target: str, *settings: str, **env: str) -> str:
    done = run(k8s, target, *settings, **env)
    assert done.code == 0, done.err
    return done.out


def tables() -> list[str]:
    return sorted(boto3.client("dynamodb", REGION).list_tables()["TableNames"])


def description(name: str) -> dict[str, Any]:
    return boto3.client("dynamodb", REGION).describe_table(TableName=name)["Table"]


def parameters() -> dict[str, str]:
    (stack,) = boto3.client("cloudformation", REGION).describe_stacks(StackName=f"c756-dynamodb-{REGID}")[
        "Stacks"
    ]
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}


# --- The templates ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", TEMPLATES)
def test_cfn_lint_finds_nothing(path: str) -> None:
    done = subprocess.run([VENV / "cfn-lint", ROOT / path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.prefix)
def test_the_template_has_the_tables_that_db_uses(table: Any) -> None:
    properties = template(TEMPLATES[0])["Resources"][table.prefix]["Properties"]
    assert properties["TableName"] == {"Fn::Sub": f"{table.prefix}-${{RegId}}"}
    assert properties["KeySchema"] == [{"AttributeName": table.key, "KeyType": "HASH"}]
    assert properties["AttributeDefinitions"] == [{"AttributeName": table.key, "AttributeType": "S"}]
    ttl = {"AttributeName": table.ttl, "Enabled": True} if table.ttl else None
    assert properties.get("TimeToLiveSpecification") == ttl
    recovery = {"Fn::If": ["Recoverable", True, False]}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": recovery}
    assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["Protected", True, False]}
    assert properties["SSESpecification"]["Fn::If"][:2] == ["OwnKey", {"SSEEnabled": True, "SSEType": "KMS"}]


def test_the_template_has_no_other_resources_and_cheap_defaults() -> None:
    read = template(TEMPLATES[0])
    assert list(read["Resources"]) == [table.prefix for table in TABLES]
    defaults = {name: parameter.get("Default") for name, parameter in read["Parameters"].items()}
    assert defaults == {
        "RegId": None,
        "BillingMode": "PAY_PER_REQUEST",
        "ReadCapacity": 5,
        "WriteCapacity": 5,
        "DeletionProtection": "false",
        "PointInTimeRecovery": "true",
        "Encryption": "KMS",
    }


# --- dynamodb-init ---------------------------------------------------------------------------------------
def test_init_creates_the_tables_and_a_second_one_changes_nothing(k8s: Checkout) -> None:
    names = [f"Music-{REGID}", f"Token-{REGID}", f"User-{REGID}"]
    for _ in range(2):
        assert f"The tables of {REGID} are in us-west-2" in made(k8s, "dynamodb-init")
        assert tables() == names
    for name in names:
        described = description(name)
        assert described["TableStatus"] == "ACTIVE"
        assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        tags = boto3.client("dynamodb", REGION).list_tags_of_resource(ResourceArn=described["TableArn"])[
            "Tags"
        ]
        assert {"Key": "owner", "Value": REGID} in tags


def test_init_with_provisioned_capacity_and_without_own_key(k8s: Checkout) -> None:
    made(
        k8s, "dynamodb-init", "BILLING=PROVISIONED", "READ_CAPACITY=7", "WRITE_CAPACITY=3", "ENCRYPTION=OWNED"
    )
    for name in tables():
        described = description(name)
        assert (
            "BillingModeSummary" not in described
            or described["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
        )
        throughput = described["ProvisionedThroughput"]
        assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (7, 3)
    # What is not named stays as it is.
    made(k8s, "dynamodb-init", "PROTECT=true")
    assert parameters() | {"RegId": ""} == {
        "RegId": "",
        "BillingMode": "PROVISIONED",
        "ReadCapacity": "7",
        "WriteCapacity": "3",
        "DeletionProtection": "true",
        "PointInTimeRecovery": "true",
        "Encryption": "OWNED",
    }


def test_tables_made_by_other_means_are_left_alone(k8s: Checkout) -> None:
    client = boto3.client("dynamodb", REGION)
    for table in TABLES:
        client.create_table(
            TableName=table.name(REGID),
            AttributeDefinitions=[{"AttributeName": table.key, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": table.key, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    assert "made by other means than this: they stay as they are" in made(k8s, "dynamodb-init")
    said = run(k8s, "dynamodb-clean", YES="1").err
    assert "aws dynamodb delete-table --region us-west-2 --table-name NAME" in said
    assert len(tables()) == 3
    client.delete_table(TableName=f"Token-{REGID}")
    said = run(k8s, "dynamodb-init").err
    assert f"only these are in us-west-2, made by other means than this: User-{REGID} Music-{REGID};" in said


@pytest.mark.parametrize("regid", ["a_b", "-x", "x" * 40, "a b", "a;id", "a.b", "ä"])
@pytest.mark.parametrize("target", ["dynamodb-init", "dynamodb-clean"])
def test_a_regid_that_is_none_is_refused(k8s: Checkout, target: str, regid: str) -> None:
    done = run(k8s, target, REGID=regid)
    assert done.code != 0
    assert f"dynamodb: REGID is '{regid}': it must be a GitHub ID" in done.err
    assert k8s.calls() == []


# What moto cannot be brought to: answers of the AWS CLI in these states.
SCRIPTED = """#!/usr/bin/env bash
echo "$*" >>"$HOME/aws.log"
case "$*" in
  "sts get-caller-identity"*) ;;
  "cloudformation describe-stacks"*) echo "$STACK_STATUS" ;;
  "cloudformation deploy"*) if [ "$STACK_STATUS" = UPDATE_ROLLBACK_COMPLETE ]; then
    echo "Failed to create/update the stack." >&2
    exit 255
  fi ;;
  "cloudformation describe-stack-events"*) printf 'User\\tResource handler returned message: Rate exceeded\\n' ;;
esac
"""


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_the_rest_of_a_first_start_that_failed_is_replaced(k8s: Checkout, status: str) -> None:
    k8s.put("aws", SCRIPTED)
    made(k8s, "dynamodb-init", STACK_STATUS=status)
    stack = [
        line.split()[1:4]
        for line in (k8s.folder / "aws.log").read_text().splitlines()
        if "stack-name" in line
    ]
    assert [words[0] for words in stack] == [
        "describe-stacks",
        "describe-stacks",
        "delete-stack",
        "wait",
        "deploy",
    ]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("UPDATE_IN_PROGRESS", "is UPDATE_IN_PROGRESS just now: wait, and start again"),
        (
            "UPDATE_ROLLBACK_FAILED",
            "is UPDATE_ROLLBACK_FAILED: see 'aws cloudformation describe-stack-events",
        ),
        (
            "UPDATE_ROLLBACK_COMPLETE",
            "could not be deployed in us-west-2: Failed to create/update the stack.",
        ),
    ],
)
def test_a_stack_that_cannot_be_deployed_is_explained(k8s: Checkout, status: str, says: str) -> None:
    k8s.put("aws", SCRIPTED)
    done = run(k8s, "dynamodb-init", STACK_STATUS=status)
    assert done.code != 0
    assert says in done.err
    if status == "UPDATE_ROLLBACK_COMPLETE":
        assert "User\tResource handler returned message: Rate exceeded" in done.err


@pytest.mark.parametrize("target", ["dynamodb-init", "dynamodb-clean"])
def test_without_the_cli_or_access_one_line_says_so(k8s: Checkout, target: str) -> None:
    k8s.set(logged_in=False)
    said = run(k8s, target).err.splitlines()
    assert said[0].startswith("dynamodb: aws has no access (Unable to locate credentials")
    assert said[0].endswith("to log in: aws configure, or aws sso login")
    (k8s.bin / "aws").unlink()
    said = run(k8s, target).err.splitlines()
    assert said[0].startswith("dynamodb: the command 'aws' is missing: install it (https://")
    assert len(said) == 2


# --- dynamodb-clean and ls-tables ------------------------------------------------------------------------
def test_clean_asks_then_deletes_and_a_second_one_does_no_harm(k8s: Checkout) -> None:
    made(k8s, "dynamodb-init")
    assert "say YES=1" in run(k8s, "dynamodb-clean").err
    assert len(tables()) == 3
    made(k8s, "dynamodb-clean", YES="1")
    assert tables() == []
    assert f"There are no tables of {REGID} in us-west-2" in made(k8s, "dynamodb-clean", YES="1")


def test_clean_refuses_protected_tables_and_says_how_to_go_on(k8s: Checkout) -> None:
    made(k8s, "dynamodb-init", "PROTECT=true")
    done = run(k8s, "dynamodb-clean", YES="1")
    assert done.code != 0
    assert (
        f"protected against deletion: User-{REGID} Music-{REGID} Token-{REGID}; to end that: make" in done.err
    )
    assert len(tables()) == 3
    for name in tables():
        boto3.client("dynamodb", REGION).update_table(TableName=name, DeletionProtectionEnabled=False)
    made(k8s, "dynamodb-clean", YES="1")
    assert tables() == []


def test_clean_takes_no_other_installations_tables(k8s: Checkout) -> None:
    made(k8s, "dynamodb-init")
    made(k8s, "dynamodb-init", REGID="other")
    made(k8s, "dynamodb-clean", YES="1")
    assert tables() == ["Music-other", "Token-other", "User-other"]


def test_ls_tables_shows_billing_capacity_and_items(k8s: Checkout) -> None:
    made(k8s, "dynamodb-init", "PROTECT=true")
    made(k8s, "dynamodb-init", "BILLING=PROVISIONED", "READ_CAPACITY=7", REGID="other")
    client = boto3.client("dynamodb", REGION)
    for number in range(2):
        client.put_item(TableName=f"Music-{REGID}", Item={"music_id": {"S": str(number)}})
    lines = made(k8s, "ls-tables", CLOUDS_TIMEOUT="60").splitlines()
    assert lines[0].split() == ["KIND", "NAME", "WHERE", "SIZE", "STATUS"]
    rows = {line.split()[1]: line for line in lines[1:-1]}
    assert len(rows) == 6
    assert rows[f"Music-{REGID}"].endswith("DynamoDB us-west-2  2 items  ACTIVE, on demand, protected")
    assert rows["User-other"].endswith("0 items  ACTIVE, provisioned: 7 read, 5 write units")


def test_on_this_machine_the_tables_are_the_meshs(k8s: Checkout) -> None:
    done = run(k8s, "dynamodb-clean", PLACE="local")
    assert "make -f local.mak scratch" in done.err
    assert "is it running (make up)?" in made(k8s, "ls-tables", PLACE="local", C756_NET="250")
    assert k8s.calls() == []


# --- db on the stack's tables, with the policy ------------------------------------------------------------
def serve(regid: str) -> Flask:
    app = create_app({"REGID": regid, "AWS_REGION": REGION, "LOADER_TOKEN": LOADER_TOKEN})
    lifecycle_of(app).serve()
    return app


BASE = "/api/v1/datastore"
LOADER = {"auth": (LOADER_USER, LOADER_TOKEN)}


def whole_api(client: FlaskClient) -> set[str]:
    """Call every route of db that has to do with DynamoDB, with each kind of object; returns the routes."""
    called = set()

    def call(method: str, route: str, **arguments: Any) -> Any:
        called.add(route)
        return ok(client.open(f"{BASE}/{route}", method=method, **arguments))

    for objtype, table in OBJECTS.items():
        key = call("POST", "write", json={"objtype": objtype, "Artist": "The Testers"})[table.key]
        at = {"objtype": objtype, "objkey": key}
        assert call("GET", "read", query_string=at)["Items"] == [{table.key: key, "Artist": "The Testers"}]
        assert call("GET", "list", query_string={"objtype": objtype})["Count"] == 1
        assert call("PUT", "update", query_string=at, json={"Artist": "Others"}) == {
            "Attributes": {"Artist": "Others"}
        }
        assert call("DELETE", "delete", query_string=at)["Attributes"]["Artist"] == "Others"
        loaded = {"objtype": objtype, "uuid": str(uuid.uuid4()), "Artist": "The Loaded"}
        call("POST", "load", json=loaded, **LOADER)
    call("POST", "revoke", json={"jti": "a token", "expires": 2_000_000_000})
    return called


def test_db_reads_and_writes_the_stacks_tables(k8s: Checkout) -> None:
    made(k8s, "dynamodb-init")
    whole_api(serve(REGID).test_client())
    assert description(f"Music-{REGID}")["ItemCount"] == 1
    item = boto3.client("dynamodb", REGION).get_item(
        TableName=f"Token-{REGID}", Key={"jti": {"S": "a token"}}
    )["Item"]
    assert item[str(ENDED_TOKENS.ttl)] == {"N": "2000000000"}


def granted() -> set[tuple[str, str]]:
    """Each action of the policy with the table that it is granted on."""
    statements = template(TEMPLATES[1])["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
    pairs = set()
    for statement in statements:
        assert statement["Effect"] == "Allow"
        resources = (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
        for resource in resources:
            arn = resource["Fn::Sub"]
            begin = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/"
            assert arn.startswith(begin)
            assert arn.endswith("-${RegId}")
            table = arn.removeprefix(begin).removesuffix("-${RegId}")
            pairs |= {(action, table) for action in statement["Action"]}
    return pairs


def test_the_policy_grants_just_what_db_calls(k8s: Checkout) -> None:
    """Neither more nor less: the calls are noted by botocore while the whole API is used."""
    made(k8s, "dynamodb-init")
    app = serve(REGID)
    used = set()

    def note(model: Any, params: dict[str, Any], **_: Any) -> None:
        table = json.loads(params["body"])["TableName"].removesuffix(f"-{REGID}")
        used.add((f"{model.service_model.endpoint_prefix}:{model.name}", table))

    app.extensions["store"]._client.meta.events.register("before-call.dynamodb", note)
    client = app.test_client()
    routes = {
        str(rule).removeprefix(f"{BASE}/") for rule in app.url_map.iter_rules() if str(rule).startswith(BASE)
    }
    assert whole_api(client) == routes - {"health", "readiness"}
    # A user's token, which s1 and s2 pass on, is looked up as well.
    claims = {"sub": str(uuid.uuid4()), "iat": 1, "exp": 2_000_000_000, "jti": str(uuid.uuid4())}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    ok(client.get(f"{BASE}/list?objtype=user", headers={"Authorization": f"Bearer {token}"}))
    assert used == granted()


@pytest.fixture
def checked(moto: str) -> Iterator[None]:
    """From now on moto checks who may do what."""
    yield
    requests.post(f"{moto}/moto-api/reset-auth", data="Infinity", timeout=10).raise_for_status()


def test_db_works_with_the_policy_and_nothing_else_does(
    k8s: Checkout, moto: str, checked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto compares actions and no resources; that the tables are the right ones is shown by the comparison above."""
    made(k8s, "dynamodb-init")
    done = k8s.run("tools/clouds/dynamodb.sh", "policy")
    assert done.code == 0, done.err
    iam = boto3.client("iam", REGION)
    iam.create_user(UserName="db")
    document = iam.get_policy_version(PolicyArn=done.out.strip(), VersionId="v1")["PolicyVersion"]["Document"]
    assert (
        document["Statement"][1]["Resource"] == f"arn:aws:dynamodb:{REGION}:123456789012:table/Token-{REGID}"
    )
    anywhere = [statement | {"Resource": "*"} for statement in document["Statement"]]
    iam.put_user_policy(
        UserName="db", PolicyName="db", PolicyDocument=json.dumps(document | {"Statement": anywhere})
    )
    key = iam.create_access_key(UserName="db")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    requests.post(f"{moto}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
    whole_api(serve(REGID).test_client())
    client = boto3.Session().client(
        "dynamodb", REGION
    )  # a new one: the default one keeps the keys from before
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.delete_table(TableName=f"User-{REGID}")
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.query(
            TableName=f"User-{REGID}",
            KeyConditionExpression="user_id = :id",
            ExpressionAttributeValues={":id": {"S": "x"}},
        )
