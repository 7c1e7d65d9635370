"""The command: python -m tools.guide."""

import argparse
import sys

from tools.guide import book
from tools.guide.run import EDITED, Guide, GuideError
from tools.guide.steps import STEPS
from tools.release.cluster import ROOT

PAGE = ROOT / "docs/guide.md"


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code: 0 all seen (or written, or up to date), 1 not."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.guide", description="Run the exercise of docs/guide.md."
    )
    parser.add_argument("--by-step", action="store_true", help="wait for Enter before each step")
    parser.add_argument("--write", action="store_true", help="write docs/guide.md and run nothing")
    parser.add_argument("--check", action="store_true", help="is docs/guide.md up to date? and run nothing")
    options = parser.parse_args(arguments)
    page = book.render(STEPS)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if options.check:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(
            "guide: docs/guide.md is not what the steps say: python -m tools.guide --write", file=sys.stderr
        )
        return 1
    try:
        Guide(STEPS, by_step=options.by_step).go()
    except (GuideError, KeyboardInterrupt) as error:
        print(f"\nguide: {error or 'ended'}", file=sys.stderr)
        print(f"guide: to put the files back: git checkout {' '.join(EDITED)}", file=sys.stderr)
        print("guide: to end the load: tools/kill-gatling.sh", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
