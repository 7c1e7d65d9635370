"""Runs the steps as a person would, and checks what is seen."""

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tools.guide import pictures
from tools.guide.seen import NotSeenError, Place
from tools.guide.step import Command, Step
from tools.release.cluster import ROOT
from tools.release.prometheus import Prometheus, PrometheusError

EDITED = ("s2/v2/app.py", "cluster/s2-vs-v2.yaml")
_LONGEST = 600  # seconds that one command may take: the first `make up` sets up all that is missing
PICTURES = ROOT / "logs/guide"


class GuideError(Exception):
    """The guide cannot go on; the text says in which step and why."""


def place_name() -> str:
    """Return the place in use: `local`, or a kubectl context."""
    done = subprocess.run(
        ["make", "-s", "-f", "k8s.mak", "showcontext"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _in_terminal(command: Command) -> list[str]:
    """Return the command with a terminal of its own, into which its lines are typed."""
    typed = "; ".join(["sleep 3", *(f"echo {shlex.quote(line)}; sleep 1" for line in command.lines)])
    return ["bash", "-c", f"({typed}) | script -qec {shlex.quote(command.text)} /dev/null"]


def run(command: Command, folder: Path = ROOT) -> str:
    """Type a command, show what it prints, and return that. Raises GuideError."""
    words = _in_terminal(command) if command.lines else ["bash", "-c", command.text]
    done = subprocess.Popen(
        words,
        cwd=folder,
        env={
            key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        text, _ = done.communicate(timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        done.kill()
        raise GuideError(f"`{command.text}` has not ended after {_LONGEST} s") from None
    print("".join(f"  {line}\n" for line in text.splitlines()), end="", flush=True)
    if done.returncode:
        raise GuideError(f"`{command.text}` ended with {done.returncode}")
    for pattern in command.shows:
        if not re.search(pattern, text, re.MULTILINE):
            raise GuideError(f"`{command.text}` did not print what matches {pattern!r}")
    return text


def unchanged() -> bool:
    """Tell whether the files that the guide edits are as in the repository."""
    done = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *EDITED], cwd=ROOT, check=False)
    return done.returncode == 0


def _url(name: str) -> str:
    done = subprocess.run(["tools/url.sh", name], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip().rstrip("/")


class Guide:
    """Goes through the steps. `by_step` waits for Enter before each."""

    def __init__(self, steps: tuple[Step, ...], *, by_step: bool) -> None:
        self._place = place_name()
        kind = "local" if self._place == "local" else "cluster"
        self._steps = [step for step in steps if step.only in ("", kind)]
        self._by_step = by_step
        self._pictures_missing = pictures.missing()

    def go(self) -> None:
        """Go through all steps. Raises GuideError."""
        if not unchanged():
            raise GuideError(
                f"the guide edits {' and '.join(EDITED)}, which have changes of yours: git stash or commit them"
            )
        began = time.monotonic()
        for number, step in enumerate(self._steps, 1):
            print(
                f"\n=== {number}/{len(self._steps)} {step.title}  ({time.monotonic() - began:.0f} s)\n{step.text}\n",
                flush=True,
            )
            try:
                self._take(step)
            except (GuideError, NotSeenError, PrometheusError) as error:
                raise GuideError(f"step {number}, {step.title}: {error}") from error
        print(f"\nAll {len(self._steps)} steps are done and were seen, in {time.monotonic() - began:.0f} s.")

    def _take(self, step: Step) -> None:
        for command in step.commands:
            typed = "".join(f" ⏎ {line}" for line in command.lines)
            print(f"$ {command.text}{typed}", flush=True)
            if self._by_step:
                self._wait()
            run(command)
        if self._by_step and not step.commands:
            self._wait()
        if step.seen:
            print(f"You see: {step.seen}", flush=True)
        if step.check:
            place = Place(Prometheus(_url("prometheus")), _url("kiali"))
            print(f"  seen: {step.check(place)}", flush=True)
        for look in step.looks:
            if self._pictures_missing:
                print(f"  no picture: {self._pictures_missing} is missing", flush=True)
            else:
                print(f"  picture: {pictures.take(_url('kiali'), look, PICTURES)}", flush=True)

    @staticmethod
    def _wait() -> None:
        if not sys.stdin.isatty():
            raise GuideError("STEP=by-step waits for Enter, and nobody is there to press it")
        input("  (Enter) ")
