"""python -m tools.clouds: clusters, tables, load; with the argument `tables` those of the place in use.

AWS_REGIONS: the regions of AWS to look at, with spaces between (AWS_REGION, or else us-west-2).
CLOUDS_TIMEOUT: seconds that a cloud may take to answer (7).
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from tools.clouds.local_tables import local_tables
from tools.clouds.look import SECONDS, look
from tools.clouds.rows import LOAD, TABLE, Row, table
from tools.clouds.sources import AKS, GATLING, GKE, THIS_MACHINE, Source, dynamodb, eks

_STALE = "DynamoDB counts its items every six hours or so."


def _regions() -> list[str]:
    return (os.environ.get("AWS_REGIONS") or os.environ.get("AWS_REGION") or "us-west-2").split()


def _seconds() -> int:
    text = os.environ.get("CLOUDS_TIMEOUT") or str(SECONDS)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 600):
        sys.exit(f"clouds: CLOUDS_TIMEOUT is '{text}': it must be a whole number of seconds from 1 to 600")
    return int(text)


def _print(rows: Sequence[Row]) -> None:
    print(table(rows) if rows else "Nothing is there.")
    if any(row.kind == TABLE and row.where.startswith("DynamoDB ") for row in rows):
        print(_STALE)
    if any(row.kind == LOAD for row in rows):
        print("Load is still being sent; to end it: tools/kill-gatling.sh")


def main() -> None:
    """Look, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m tools.clouds", description="What runs where.")
    parser.add_argument("what", nargs="?", choices=["all", "tables"], default="all")
    what = parser.parse_args().what
    sources: list[Source] = [dynamodb(region) for region in _regions()]
    if what == "all":
        sources += [*(eks(region) for region in _regions()), GKE, AKS, THIS_MACHINE, GATLING]
    elif os.environ.get("PLACE") == "local":
        sources = [local_tables()]
    _print(asyncio.run(look(sources, _seconds())))


if __name__ == "__main__":
    main()
