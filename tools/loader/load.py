"""Load the sample data through the datastore service: python -m tools.loader.load [FOLDER].

Exit code 0: every row is loaded. 1: some rows are bad, the others are loaded. 2: the rows cannot be loaded.
143: ended by SIGTERM. To run it again is harmless: each row is written under its own id.
"""

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TextIO
from urllib.parse import urlsplit

import requests

from tools.loader.datastore import CannotLoadError, Datastore, Patience, RefusedRowError, StoppedError
from tools.loader.rows import TABLES, BadRow, Row, UnusableFileError, read

DATA = Path("gatling/data")  # relative: the same in the checkout and in the image
QUIT_SIDECAR_URL = "http://localhost:15020/quitquitquit"
PROGRESS_EVERY = 2.0  # seconds
REPORTED_BAD_ROWS = 50
OK, SOME_BAD, CANNOT_LOAD, TERMINATED = 0, 1, 2, 128 + signal.SIGTERM


class SettingsError(Exception):
    """A variable of the environment is missing or wrong."""


@dataclass(frozen=True)
class Settings:
    """What the environment says; `patience` is in seconds."""

    url: str
    token: str = field(repr=False)
    proxy: str | None
    workers: int
    patience: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check the variables; raises SettingsError."""
        url = environment.get("DB_URL") or "http://cmpt756db:30002/api/v1/datastore"
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise SettingsError(
                f"DB_URL is '{url}': it must be a URL such as http://cmpt756db:30002/api/v1/datastore"
            )
        if not environment.get("LOADER_TOKEN"):
            raise SettingsError("LOADER_TOKEN is not set: it must be the datastore's LOADER_TOKEN")
        return cls(
            url=url.rstrip("/"),
            token=environment["LOADER_TOKEN"],
            proxy=environment.get("HTTP_PROXY") or environment.get("http_proxy"),
            workers=_number(environment, "LOADER_WORKERS", default=8, highest=64),
            patience=_number(environment, "LOADER_PATIENCE", default=180, highest=86_400),
        )


def _number(environment: Mapping[str, str], name: str, default: int, highest: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
        raise SettingsError(f"{name} is '{text}': it must be a whole number from 1 to {highest}")
    return int(text)


class Load:
    """One pass over all rows by a few threads."""

    def __init__(self, settings: Settings, rows: Iterator[Row | BadRow], stop: threading.Event) -> None:
        """Nothing is sent before `run`; `stop` ends it early, and is set by a failure too."""
        self._settings = settings
        self._rows = rows
        self._stop = stop
        self._patience = Patience(settings.patience)
        self._lock = threading.Lock()
        self._loaded = Counter({table.objtype: 0 for table in TABLES})
        self._bad = 0

    def run(self) -> int:
        """Load all rows and return the exit code (OK or SOME_BAD; of no meaning if it was stopped).

        Raises CannotLoadError.
        """
        started = time.monotonic()
        with ThreadPoolExecutor(self._settings.workers) as pool:
            workers = [pool.submit(self._work) for _ in range(self._settings.workers)]
            pending = set(workers)
            while pending:
                done, pending = wait(pending, PROGRESS_EVERY, FIRST_EXCEPTION)
                if any(worker.exception() for worker in done):
                    self._stop.set()
                elif pending:
                    _say(self._summary(time.monotonic() - started))
        _say(self._summary(time.monotonic() - started))
        for worker in workers:
            worker.result()
        if self._bad and not self._loaded.total():
            raise CannotLoadError("no row was loaded: each one is bad or was refused")
        return SOME_BAD if self._bad else OK

    def _work(self) -> None:
        settings = self._settings
        datastore = Datastore(settings.url, settings.token, settings.proxy, self._patience, self._stop)
        while not self._stop.is_set():
            with self._lock:
                row = next(self._rows, None)
            if row is None:
                return
            if isinstance(row, BadRow):
                self._report(row)
                continue
            try:
                datastore.load(row)
            except RefusedRowError as error:
                self._report(BadRow(row.where, str(error)))
            except StoppedError:
                return
            else:
                with self._lock:
                    self._loaded[row.objtype] += 1

    def _report(self, row: BadRow) -> None:
        with self._lock:
            self._bad += 1
            number = self._bad
        if number <= REPORTED_BAD_ROWS:
            _say(f"{row.where}: {row.reason}", sys.stderr)
        elif number == REPORTED_BAD_ROWS + 1:
            _say("further bad rows are only counted", sys.stderr)

    def _summary(self, seconds: float) -> str:
        with self._lock:
            done = ", ".join(f"{objtype} {number}" for objtype, number in self._loaded.items())
            return f"loaded after {seconds:.1f} s: {done}; bad rows: {self._bad}"


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)


def load(folder: Path) -> int:
    """Load the files of `folder` as the environment says and return the exit code."""
    stop = threading.Event()
    terminated = threading.Event()

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        terminated.set()
        stop.set()

    signal.signal(signal.SIGTERM, terminate)
    try:
        settings = Settings.of(os.environ)
        rows = itertools.chain.from_iterable([read(folder, table) for table in TABLES])
        _say(f"loading {folder} through {settings.url}")
        code = Load(settings, rows, stop).run()
    except (SettingsError, UnusableFileError, CannotLoadError) as error:
        _say(f"loader: {error}", sys.stderr)
        return CANNOT_LOAD
    if terminated.is_set():
        _say("loader: ended by SIGTERM; start it again to load the rest", sys.stderr)
        return TERMINATED
    return code


def quit_sidecar() -> None:
    """Ask Istio's agent to end the sidecar, without which a Job's pod would never be complete.

    Only sidecars that are ordinary containers need it (Istio without native sidecars); see
    https://istio.io/latest/docs/reference/commands/pilot-agent/ for the call.
    """
    session = requests.Session()
    session.trust_env = False  # not through a proxy
    try:
        session.post(QUIT_SIDECAR_URL, timeout=2)
    except requests.RequestException as error:
        _say(f"loader: no sidecar to end at {QUIT_SIDECAR_URL}: {type(error).__name__}", sys.stderr)


def main() -> int:
    """Run the loader; returns its exit code."""
    parser = argparse.ArgumentParser(
        description="Load users.csv and music.csv through the datastore service."
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=DATA, help=f"where the files are (default: {DATA})"
    )
    folder: Path = parser.parse_args().folder
    try:
        return load(folder)
    finally:
        if os.environ.get("QUIT_SIDECAR", "").lower() == "true":
            quit_sidecar()


if __name__ == "__main__":
    sys.exit(main())
