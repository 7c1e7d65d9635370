"""allclouds.mak ls: the AWS CLI is the real one and speaks to moto's server; gcloud and az are stand-ins."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import boto3
import psutil
import pytest

from tests.clouds.checkout import Checkout
from tests.clouds.conftest import REGION
from tests.support.waiting import eventually
from tools.clouds.look import look
from tools.clouds.rows import CLUSTER, UNSEEN, Row
from tools.clouds.sources import Source

LIMIT = 10.0  # seconds that the whole may take where a cloud does not answer
HANGS = """#!/usr/bin/env bash
sleep 300 &
echo $! >"$HOME/hangs-$(basename "$0")"
wait
"""


PATIENCE = "60"  # seconds, where it is not about them: other tests may run beside this one


def table(checkout: Checkout, **env: str) -> list[str]:
    done = checkout.run("make", "-f", "allclouds.mak", "ls", timeout=90, **{"CLOUDS_TIMEOUT": PATIENCE} | env)
    assert done.code == 0, done.err
    return done.out.splitlines()


def row(lines: list[str], *begin: str) -> str:
    """The one row that begins with these words, with single spaces."""
    (found,) = [words for line in lines if (words := " ".join(line.split())).startswith(" ".join(begin))]
    return found


def eks_cluster(region: str = REGION) -> None:
    """A cluster with two nodes, and an instance that is none of its."""
    role = "arn:aws:iam::123456789012:role/eks"
    boto3.client("eks", region).create_cluster(
        name="c756", roleArn=role, resourcesVpcConfig={"subnetIds": ["subnet-1"]}
    )
    ec2 = boto3.client("ec2", region)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    for count, name in ((2, "c756"), (1, "other")):
        tags = [{"Key": "eks:cluster-name", "Value": name}]
        ec2.run_instances(
            ImageId=image,
            MinCount=count,
            MaxCount=count,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )


def test_all_that_runs_is_in_one_table(checkout: Checkout) -> None:
    eks_cluster()
    eks_cluster("eu-central-1")
    dynamodb = boto3.client("dynamodb", REGION)
    for name in ("Music-x", "Theirs"):
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "music_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "music_id", "KeyType": "HASH"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        )
    dynamodb.put_item(TableName="Music-x", Item={"music_id": {"S": "1"}})
    checkout.set(cluster={"status": "RUNNING", "nodes": 3, "power": "Running"})
    lines = table(checkout, AWS_REGIONS=f"{REGION} eu-central-1")
    assert lines[0].split() == ["KIND", "NAME", "WHERE", "SIZE", "STATUS"]
    assert row(lines, "cluster c756 EKS us-west-2") == "cluster c756 EKS us-west-2 2 nodes ACTIVE"
    assert row(lines, "cluster c756 EKS eu-central-1") == "cluster c756 EKS eu-central-1 2 nodes ACTIVE"
    assert row(lines, "cluster c756 GKE") == "cluster c756 GKE us-west1-a 3 nodes RUNNING"
    assert row(lines, "cluster c756 AKS") == "cluster c756 AKS westus2 3 nodes RUNNING"
    expected = "table Music-x DynamoDB us-west-2 1 item ACTIVE, provisioned: 5 read, 6 write units"
    assert row(lines, "table") == expected
    assert not any("not seen" in line or "Theirs" in line for line in lines)


def test_clusters_without_nodes(checkout: Checkout) -> None:
    checkout.set(cluster={"status": "Succeeded", "nodes": 0, "power": "Stopped"})
    lines = table(checkout)
    assert row(lines, "cluster c756 GKE") == "cluster c756 GKE us-west1-a 0 nodes Succeeded"
    assert row(lines, "cluster c756 AKS") == "cluster c756 AKS westus2 0 nodes Stopped"


def test_where_nothing_runs_it_says_so(checkout: Checkout) -> None:
    assert table(checkout) == ["Nothing is there."]


def test_googles_api_that_is_off_is_no_failure(checkout: Checkout) -> None:
    checkout.set(api=False)
    assert table(checkout) == ["Nothing is there."]


def test_a_cloud_without_cli_or_access_stops_no_other(checkout: Checkout) -> None:
    checkout.set(cluster={"status": "Succeeded", "nodes": 2, "power": "Running"})
    for name in ("aws", "gcloud"):
        (checkout.bin / name).unlink()
    lines = table(checkout)
    for name in ("EKS us-west-2", "DynamoDB us-west-2"):
        assert row(lines, "not seen", name) == f"not seen {name} the command 'aws' is missing"
    assert row(lines, "not seen", "GKE") == "not seen GKE the command 'gcloud' is missing"
    assert row(lines, "cluster") == "cluster c756 AKS westus2 2 nodes Succeeded"


def test_who_is_not_logged_in_reads_how_to(checkout: Checkout) -> None:
    checkout.set(logged_in=False)
    lines = table(checkout)
    assert row(lines, "not seen", "AKS").endswith(
        "Please run 'az login' to setup account.; to log in: az login"
    )
    assert "; to log in: gcloud auth login" in row(lines, "not seen", "GKE")
    assert "Unable to locate credentials" in row(lines, "not seen", "EKS")
    assert row(lines, "not seen", "DynamoDB").endswith("; to log in: aws configure, or aws sso login")


@pytest.mark.parametrize("hanging", [("az",), ("aws", "az", "gcloud")], ids=",".join)
def test_a_cloud_that_does_not_answer_is_given_up_in_time(
    checkout: Checkout, hanging: tuple[str, ...]
) -> None:
    for name in hanging:
        checkout.put(name, HANGS)
    checkout.set(cluster={"status": "RUNNING", "nodes": 2, "power": "Running"})
    started = time.monotonic()
    lines = table(checkout, CLOUDS_TIMEOUT="")
    assert time.monotonic() - started <= LIMIT
    assert row(lines, "not seen", "AKS") == "not seen AKS no (or not the whole) answer within 7 s"
    if "gcloud" not in hanging:
        assert row(lines, "cluster") == "cluster c756 GKE us-west1-a 2 nodes RUNNING"
    for name in hanging:  # what the command itself had started is gone as well
        pid = int((checkout.folder / f"hangs-{name}").read_text())
        eventually(lambda pid=pid: not psutil.pid_exists(pid), 5, "the end of what hung")


def test_what_came_before_the_time_was_over_is_kept() -> None:
    early = Row(CLUSTER, "c756", "there", "2 nodes", "RUNNING")

    async def slow() -> AsyncIterator[Row]:
        yield early
        await asyncio.sleep(60)

    found = asyncio.run(look([Source("there", "", slow)], seconds=1))
    assert found == [early, Row(UNSEEN, "", "there", "", "no (or not the whole) answer within 1 s")]


@pytest.mark.parametrize("seconds", ["0", "1.5", "soon"])
def test_a_wrong_timeout_is_named(checkout: Checkout, seconds: str) -> None:
    done = checkout.make("allclouds.mak", "ls", CLOUDS_TIMEOUT=seconds)
    assert done.err.startswith(
        f"clouds: CLOUDS_TIMEOUT is '{seconds}': it must be a whole number of seconds from 1 to 600"
    )


@pytest.mark.parametrize("answer", ["<html>", "[1]", '[{"name": "x"}]'])
def test_an_answer_of_another_form_is_told(checkout: Checkout, answer: str) -> None:
    checkout.put("az", f"#!/usr/bin/env bash\necho '{answer}'\n")
    lines = table(checkout)
    said = row(lines, "not seen", "AKS")
    assert (
        said.endswith("did not print JSON; to log in: az login") or "its answer is not understood (" in said
    )


@pytest.fixture
def load(checkout: Checkout) -> Iterator[subprocess.Popen[bytes]]:
    """A process that tools/list-gatling.sh takes for a run of Gatling."""
    log = checkout.root / "logs/gatling-ReadMusicSim-5-20260101-120000.log"
    arguments = [
        "java",
        "-c",
        "import time; time.sleep(120)",
        f"-Dproj756.log={log}",
        "-Dproj756.place=10.0.0.1:80",
    ]
    run = subprocess.Popen(arguments, executable=sys.executable, start_new_session=True)
    yield run
    run.kill()
    run.wait()


def test_load_that_still_runs_is_a_reminder(checkout: Checkout, load: subprocess.Popen[bytes]) -> None:
    lines = table(checkout)
    expected = f"load ReadMusicSim ({load.pid}) to 10.0.0.1:80 5 users since 2026-01-01 12:00:00"
    assert row(lines, "load") == expected
    assert lines[-1] == "Load is still being sent; to end it: tools/kill-gatling.sh"


def test_before_anything_is_set_up_it_says_what_to_do(checkout: Checkout) -> None:
    (checkout.root / ".venv").unlink()
    done = checkout.make("allclouds.mak", "ls")
    assert done.err.startswith("allclouds.mak: nothing is set up yet: run make up once\n")


def test_the_mesh_of_this_machine_is_a_row(checkout: Checkout) -> None:
    """Where it runs, `python -m local status` begins with these words (tests/local runs it)."""
    package = checkout.root / "local"
    assert "c756 runs (process {pid})." in Path(package / "cli.py").read_text()
    (package / "__main__.py").write_text("print('c756 runs (process 1).')\n")
    assert row(table(checkout), "mesh") == "mesh c756 this machine 1 node running"
