"""Real releases on a one-machine mesh of their own, at the Guide's load.

    python -m tests.release.measure OUT.jsonl error-50:20 healthy:5 …     one JSON line a release
    python -m tests.release.measure OUT.jsonl --summary

A case changes the candidate, deploys it once, and releases it as often as said. A line has the ending, the
seconds to the verdict, and what users got. What a candidate costs with the Guide's fixed 10 % is the case `manual`:
the same minute of load, without a release.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.local.mesh import Mesh

V1 = 'app = start(create_app, version="v1")'
V1_FAILS = '''import random

from werkzeug.exceptions import InternalServerError


def fail_sometimes() -> None:
    """Fail 2 % of the reads."""
    if random.randrange(100) < 2:
        raise InternalServerError("get_song failed")


app = start(create_app, version="v1", before_read=fail_sometimes)'''
MANUAL_SECONDS = 60


@dataclass(frozen=True)
class Case:
    """Edits of the checkout as (file, old text, new text), and how a release is to end."""

    edits: tuple[tuple[str, str, str], ...]
    ending: str


def _errors(percent: int) -> tuple[str, str, str]:
    return "s2/v2/app.py", "PERCENT_ERROR = 50", f"PERCENT_ERROR = {percent}"


CASES = {
    "error-50": Case((), "rolled back"),
    "error-10": Case((_errors(10),), "rolled back"),
    "error-5": Case((_errors(5),), "rolled back"),
    "slow-100ms": Case(
        (
            _errors(0),
            ("s2/v2/app.py", "import random\n", "import random\nimport time\n"),
            ("s2/v2/app.py", "    if random.randrange", "    time.sleep(0.1)\n    if random.randrange"),
        ),
        "rolled back",
    ),
    "healthy": Case((_errors(0),), "promoted"),
    "both-fail-2": Case((_errors(2), ("s2/v1/app.py", V1, V1_FAILS)), "promoted"),
    "manual": Case((), ""),
}


def _release(mesh: Mesh) -> dict[str, Any]:
    """Release what is deployed; return the line about it."""
    folder = mesh.root / "logs"
    before = set(folder.glob("release-*.json"))
    done = subprocess.run(
        ["tools/release.py", "--reports", str(folder)],
        cwd=mesh.root,
        env=mesh.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    (path,) = set(folder.glob("release-*.json")) - before
    report = json.loads(path.read_text())
    assert report["exitCode"] == done.returncode, done.stdout + done.stderr
    last = report["moments"][-1]
    return {
        "ending": report["ending"],
        "reason": report["reason"],
        "seconds": report["seconds"],
        "step": last["step"],
        "usersOfCandidate": last["candidate"]["user_answers"],
        "failedByCandidate": last["candidate"]["user_failures"],
        "usersOfStable": last["stable"]["user_answers"],
        "failedByStable": last["stable"]["user_failures"],
        "unanswered": report["usersUnanswered"],
        "evidence": last["evidence"],
        "latencies": report["latencies"],
    }


def _manual(mesh: Mesh) -> dict[str, Any]:
    """Give the candidate its 10 % and do nothing for a minute; return what users got."""

    mesh.s2("v2")
    with mesh.counted(0) as got:
        time.sleep(MANUAL_SECONDS)
    mesh.s2("v1")
    return {
        "seconds": MANUAL_SECONDS,
        "usersOfCandidate": got["v2", "200"] + got["v2", "500"],
        "failedByCandidate": got["v2", "500"],
    }


def measure(out: Path, wanted: dict[str, int]) -> None:
    """Run all that is wanted on a mesh that is made for it."""
    with tempfile.TemporaryDirectory() as folder, out.open("a", encoding="utf-8") as file:
        mesh = Mesh(Path(folder))
        kept = {name: (mesh.root / name).read_text() for name in ("s2/v1/app.py", "s2/v2/app.py")}
        try:
            mesh.run("make up", seconds=500)
            mesh.run("./gatling-1-user.sh && ./gatling-5-music.sh")
            for name, runs in wanted.items():
                for path, text in kept.items():
                    (mesh.root / path).write_text(text)
                for edit in CASES[name].edits:
                    mesh.edit(*edit)
                mesh.run("make -f k8s.mak clean")
                mesh.s2("v1")
                mesh.run(
                    "S2_VER=v2 make -e -f k8s.mak image-s2 && tools/manifest.sh cluster/s2-dpl-v2.yaml "
                    '"$(tail -n 1 .state/log/images/cmpt756s2-v2.log)" | tools/kubectl -n c756ns apply -f - '
                    "&& tools/kubectl -n c756ns rollout status deploy/cmpt756s2-v2 --timeout=90s"
                )
                for number in range(runs):
                    line = _manual(mesh) if name == "manual" else _release(mesh)
                    file.write(json.dumps({"case": name, "run": number, **line}) + "\n")
                    file.flush()
                    told = {key: value for key, value in line.items() if key not in ("latencies", "evidence")}
                    print(name, number, told, flush=True)
                    mesh.run("tools/kubectl -n c756ns apply -f cluster/s2-vs-v1.yaml")
        finally:
            mesh.run("tools/kill-gatling.sh; make down")
            mesh.session.close()


def summary(out: Path) -> None:
    """Print a table of all cases."""
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    print("case         runs  as wanted  seconds: median (least to most)  users' answers by v2, failed")
    for name, case in CASES.items():
        of_case = [line for line in lines if line["case"] == name]
        if not of_case:
            continue
        seconds = [line["seconds"] for line in of_case]
        right = sum(line.get("ending", "") == case.ending for line in of_case)
        users = sum(line["usersOfCandidate"] for line in of_case)
        failed = sum(line["failedByCandidate"] for line in of_case)
        times = f"{statistics.median(seconds):.0f} ({min(seconds):.0f} to {max(seconds):.0f})"
        print(f"{name:<12} {len(of_case):>4}  {right:>9}  {times:<30}  {users}, {failed}")


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="*", metavar="CASE:RUNS", help=" ".join(CASES))
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args(arguments)
    wanted = {name: int(runs or 1) for name, _, runs in (text.partition(":") for text in options.cases)}
    unknown = set(wanted) - set(CASES)
    if unknown:
        parser.error(f"no such case: {' '.join(sorted(unknown))}; there are {' '.join(CASES)}")
    if wanted:
        measure(options.out, wanted)
    if options.summary:
        summary(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
