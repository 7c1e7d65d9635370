"""Checks Kubernetes and Istio files: ``python -m tools.check [--context FILE…] [--live] FILE…``.

The project's chart is rendered, checked as well, and counts as context, unless ``--no-chart`` is given.
"""

import argparse
import sys
from pathlib import Path

from tools.check import chart, documents, live, references, run
from tools.check.documents import Document
from tools.check.problem import Problem


def main(arguments: list[str] | None = None) -> int:
    """Prints a line a problem.

    Returns:
        Exit status: 0 without problems, 1 with some, 2 if the check could not be made.
    """
    options = _parser().parse_args(arguments)
    if [*options.files, *options.context].count("-") > 1:
        print("check: - (standard input) can be named only once", file=sys.stderr)
        return 2
    try:
        objects, problems = _read(options.files)
        context, broken = _read(options.context)
        problems += broken
        if options.chart:
            rendered, broken = chart.render(options.values, options.set, options.namespace)
            if broken:
                # Without the chart, every reference to it would be a problem too.
                print(*problems, *broken, sep="\n")
                return 1
            problems += run.check(rendered, (), options.namespace)
            context += rendered
        if options.live:
            context += live.context(options.namespace)
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        print(f"check: {_text(error)}", file=sys.stderr)
        return 2
    problems += run.check(objects, context, options.namespace)
    for item in problems:
        print(item)
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.check",
        description="Refuses what a cluster would refuse or silently not do: FILE: Kind/name: path: reason.",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="YAML to check; - is standard input")
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML with what else there is, such as the rendered chart; can be repeated",
    )
    parser.add_argument(
        "--no-chart", dest="chart", action="store_false", help="leave the project's chart out"
    )
    parser.add_argument(
        "-f",
        "--values",
        action="append",
        default=[],
        metavar="FILE",
        help="values of the chart; can be repeated",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="values of the chart; can be repeated",
    )
    parser.add_argument(
        "--live", action="store_true", help="what the cluster has now is context too ($KUBECTL)"
    )
    parser.add_argument(
        "-n",
        "--namespace",
        default=references.NAMESPACE,
        help="namespace of the objects that name none (default: %(default)s)",
    )
    return parser


def _read(files: list[str]) -> tuple[list[Document], list[Problem]]:
    found: list[Document] = []
    problems: list[Problem] = []
    for file in files:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        objects, wrong = documents.read(text, "standard input" if file == "-" else file)
        found += objects
        problems += wrong
    return found, problems


def _text(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return "a file is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


if __name__ == "__main__":
    sys.exit(main())
