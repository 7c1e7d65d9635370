"""Client of the datastore's `load` call: waits for the service, and tells a bad row from a bad service."""

import contextlib
import random
import threading
import time

import requests
from requests.auth import HTTPBasicAuth

from tools.loader.rows import Row

USER = "svc-loader"
TIMEOUT = (3.05, 10.0)  # seconds to connect, seconds to wait for an answer
RETRIED = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds


class CannotLoadError(Exception):
    """No row can be loaded: the service is not there, or refuses the loader."""


class RefusedRowError(Exception):
    """The service refuses this row; others may still be loaded."""


class StoppedError(Exception):
    """The loader was told to stop while it waited."""


class Patience:
    """How long the service may stay away: `seconds` since the start or since the last row that it took."""

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self.seconds = seconds
        self._since = time.monotonic()

    def renew(self) -> None:
        """Start the clock again."""
        self._since = time.monotonic()

    def is_over(self) -> bool:
        """Return whether the service stayed away for too long."""
        return time.monotonic() - self._since > self.seconds


class Datastore:
    """One connection to the datastore, for one thread."""

    def __init__(
        self, url: str, token: str, proxy: str | None, patience: Patience, stop: threading.Event
    ) -> None:
        """`url` is the datastore's base; `patience` and `stop` are shared by all threads."""
        self._url = f"{url}/load"
        self._patience = patience
        self._stop = stop
        self._session = requests.Session()
        self._session.trust_env = False  # or a netrc would replace the token
        self._session.auth = HTTPBasicAuth(USER, token.encode())  # a str would be sent as Latin-1
        if proxy:
            self._session.proxies = {"http": proxy}

    def load(self, row: Row) -> None:
        """Write one row under its own id; to do it twice changes nothing, so it may be repeated.

        Raises RefusedRowError, CannotLoadError, and StoppedError if told to stop between two attempts.
        """
        pause = FIRST_PAUSE
        while problem := self._attempt(row):
            if self._patience.is_over():
                raise CannotLoadError(
                    f"{self._url}: no row was taken for {self._patience.seconds:g} s: {problem}"
                )
            if self._stop.wait(random.uniform(pause / 2, pause)):  # noqa: S311 - spreads the threads
                raise StoppedError
            pause = min(2 * pause, LONGEST_PAUSE)
        self._patience.renew()

    def _attempt(self, row: Row) -> str | None:
        """Return None if the row was taken, or what was wrong if it is worth another attempt."""
        body = {"objtype": row.objtype, "uuid": row.uuid, **row.attributes}
        try:
            response = self._session.post(self._url, json=body, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            return _innermost(error)
        if response.status_code == 200:
            return None
        answer = f"{response.status_code} {_error_of(response)}"
        if response.status_code in (401, 403):
            raise CannotLoadError(
                f"{self._url} refuses user {USER}: {answer}; LOADER_TOKEN must be the datastore's"
            )
        # A proxy that does not know its routes yet answers 404 too, but not with the service's JSON.
        if response.status_code in RETRIED or (response.status_code == 404 and not _has_json(response)):
            return answer
        if response.status_code in (404, 405) or response.is_redirect:
            raise CannotLoadError(f"{self._url} is not the datastore's load call: {answer}; see DB_URL")
        raise RefusedRowError(f"the datastore answered {answer}")


def _innermost(error: BaseException) -> str:
    """Return the cause at the bottom, such as 'Connection refused', without the layers around it."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    return f"no answer: {getattr(error, 'strerror', None) or error}"


def _has_json(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").startswith("application/json")


def _error_of(response: requests.Response) -> str:
    """Return the service's own words where it has any, at most one line of them."""
    text = response.text
    if _has_json(response):
        with contextlib.suppress(ValueError, LookupError, TypeError):
            text = str(response.json()["error"])
    return (text.strip().splitlines() or [response.reason])[0][:200]
