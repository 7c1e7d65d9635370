"""Subsets that a file's VirtualServices send traffic to: ``python -m tools.check.subsets FILE``."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.check import documents


def served(objs: Iterable[dict[str, Any]]) -> list[str]:
    """Names of the subsets with a share of the traffic, in their order.

    Args:
        objs: objects that passed the check; those that are no VirtualServices do not count.
    """
    names: dict[str, None] = {}
    for obj in objs:
        if obj.get("kind") != "VirtualService":
            continue
        for route in obj["spec"].get("http", []):
            destinations = route.get("route", [])
            for weighted in destinations:
                # The only destination of a route gets all of it, whatever its weight.
                has_share = len(destinations) == 1 or weighted.get("weight", 0) > 0
                if has_share and "subset" in weighted["destination"]:
                    names[weighted["destination"]["subset"]] = None
    return list(names)


def main(arguments: list[str]) -> int:
    """Prints the subsets of the file; the exit status is 2 if it cannot be read."""
    if len(arguments) != 1:
        print("usage: python -m tools.check.subsets FILE", file=sys.stderr)
        return 2
    try:
        text = Path(arguments[0]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print(f"subsets: {error}", file=sys.stderr)
        return 2
    found, problems = documents.read(text, arguments[0])
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        return 2
    print(*served(document.obj for document in found), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
