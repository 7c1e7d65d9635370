"""Where rows come from: the vendors' command lines, the one-machine mesh, the load that runs."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.clouds.command import CommandError, answer, output
from tools.clouds.rows import CLUSTER, LOAD, MESH, TABLE, Row, counted

ROOT = Path(__file__).resolve().parents[2]
PREFIXES = ("User-", "Music-", "Token-")  # as in cluster/cloudformation-dynamodb.json
AT_A_TIME = 4  # commands of one source; each takes a core for most of a second


@dataclass(frozen=True)
class Source:
    """A place to look at: its name, how to log in there (empty: no need), and the rows that it gives."""

    name: str
    login: str
    rows: Callable[[], AsyncIterator[Row]]


async def _each(calls: Iterable[Awaitable[Row]]) -> AsyncIterator[Row]:
    """Yield what the calls return as it comes, AT_A_TIME of them under way; the first error ends all."""
    slots = asyncio.Semaphore(AT_A_TIME)

    async def limited(call: Awaitable[Row]) -> Row:
        async with slots:
            return await call

    tasks = [asyncio.ensure_future(limited(call)) for call in calls]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        # Each kills its command before it ends.
        await asyncio.gather(*tasks, return_exceptions=True)


async def _aws(region: str, *command: str) -> Any:  # noqa: ANN401 - JSON
    return await answer("aws", *command, "--region", region, "--output", "json")


def eks(region: str) -> Source:
    """Return the EKS clusters of a region; their nodes are the instances that run for them."""

    async def rows() -> AsyncIterator[Row]:
        names, instances = await asyncio.gather(
            _aws(region, "eks", "list-clusters", "--query", "clusters"),
            _aws(
                region,
                *(
                    "ec2",
                    "describe-instances",
                    "--filters",
                    "Name=instance-state-name,Values=pending,running",
                ),
                *("--query", "Reservations[].Instances[].[Tags[?Key=='eks:cluster-name'].Value | [0]]"),
            ),
        )
        nodes = Counter(name for (name,) in instances or [])

        async def cluster(name: str) -> Row:
            status = await _aws(
                region, "eks", "describe-cluster", "--name", name, "--query", "cluster.status"
            )
            return Row(CLUSTER, name, f"EKS {region}", counted(nodes[name], "node"), status)

        async for row in _each(cluster(name) for name in names or []):
            yield row

    return Source(f"EKS {region}", "aws configure, or aws sso login", rows)


def dynamodb_row(description: dict[str, Any], where: str) -> Row:
    """Return the row of a table, from DynamoDB's DescribeTable; its numbers are some hours old there."""
    billing = description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    capacity = description.get("ProvisionedThroughput", {})
    units = (
        f"{capacity.get('ReadCapacityUnits', 0)} read, {capacity.get('WriteCapacityUnits', 0)} write units"
    )
    status = [
        description["TableStatus"],
        "on demand" if billing == "PAY_PER_REQUEST" else f"provisioned: {units}",
        *(["protected"] if description.get("DeletionProtectionEnabled") else []),
    ]
    items = counted(description.get("ItemCount", 0), "item")
    return Row(TABLE, description["TableName"], where, items, ", ".join(status))


def dynamodb(region: str) -> Source:
    """Return the tables of all installations in a region of AWS; other tables there are not ours."""

    async def describe(name: str) -> Row:
        description = await _aws(
            region, "dynamodb", "describe-table", "--table-name", name, "--query", "Table"
        )
        return dynamodb_row(description, f"DynamoDB {region}")

    async def rows() -> AsyncIterator[Row]:
        names = await _aws(region, "dynamodb", "list-tables", "--query", "TableNames")
        async for row in _each(describe(name) for name in names or [] if name.startswith(PREFIXES)):
            yield row

    return Source(f"DynamoDB {region}", "aws configure, or aws sso login", rows)


async def _gke_rows() -> AsyncIterator[Row]:
    try:
        clusters: Any = await answer("gcloud", "container", "clusters", "list", "--format=json")
    except CommandError as error:
        # Google's API is off until a project's first cluster.
        if "SERVICE_DISABLED" in str(error) or "has not been used in project" in str(error):
            return
        raise
    for cluster in clusters or []:
        # A cluster without nodes has no such number.
        nodes = counted(int(cluster.get("currentNodeCount", 0)), "node")
        yield Row(CLUSTER, cluster["name"], f"GKE {cluster['location']}", nodes, cluster["status"])


async def _aks_rows() -> AsyncIterator[Row]:
    clusters: Any = await answer("az", "aks", "list", "--output", "json")
    for cluster in clusters or []:
        stopped = (cluster.get("powerState") or {}).get("code") == "Stopped"
        nodes = 0 if stopped else sum(pool["count"] or 0 for pool in cluster["agentPoolProfiles"] or [])
        status = "Stopped" if stopped else cluster["provisioningState"]
        yield Row(CLUSTER, cluster["name"], f"AKS {cluster['location']}", counted(nodes, "node"), status)


async def _mesh_rows() -> AsyncIterator[Row]:
    said = await output(sys.executable, "-m", "local", "status", may_fail=True)
    if said.startswith("c756 runs"):
        yield Row(MESH, "c756", "this machine", "1 node", "running")


async def _load_rows() -> AsyncIterator[Row]:
    for line in (await output(str(ROOT / "tools/list-gatling.sh"))).splitlines()[1:]:
        pid, sim, users, date, time, place, *_log = line.split()
        size = counted(int(users), "user")
        yield Row(LOAD, f"{sim} ({pid})", f"to {place}", size, f"since {date} {time}")


GKE = Source("GKE", "gcloud auth login, gcloud config set project", _gke_rows)
AKS = Source("AKS", "az login", _aks_rows)
THIS_MACHINE = Source("this machine", "", _mesh_rows)
GATLING = Source("load of this machine", "", _load_rows)
