"""Client of the datastore service: at most one request to it per request of a user."""

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from flask import Response, current_app
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError
from werkzeug.exceptions import BadGateway, GatewayTimeout, HTTPException, ServiceUnavailable

from servicekit.auth import unauthorized
from servicekit.config import Environ, matching, number
from servicekit.tracing import headers_to_pass_on

DEFAULT_URL = "http://cmpt756db:30002/api/v1/datastore"

# A user gets an answer within 3 s whatever happens behind; the datastore itself gives up after about 2 s.
_CONNECT_TIMEOUT = 0.5
_READ_TIMEOUT = 2.3
_RETRY_WITHIN = 0.15
_log = logging.getLogger(__name__)


class Datastore:
    """One pooled HTTP session to the datastore, for all threads of the process."""

    def __init__(self, url: str, pool_size: int, proxy: str | None = None) -> None:
        """Take the base `url`, the number of connections kept, and the HTTP `proxy` if there is one."""
        self._url = url.rstrip("/")
        session = requests.Session()
        session.trust_env = False  # proxies and netrc would be looked up again for each request
        session.proxies = {"http": proxy} if proxy else {}
        session.cookies.set_policy(
            DefaultCookiePolicy(allowed_domains=[])
        )  # one user's must not reach another
        session.mount("http://", HTTPAdapter(pool_connections=2, pool_maxsize=pool_size))
        self.session = session

    @classmethod
    def from_environ(cls, environ: Environ) -> "Datastore":
        """Read DB_URL, THREADS and HTTP_PROXY (or http_proxy); raises ConfigError."""
        return cls(
            matching(
                environ, "DB_URL", r"https?://[^\s/]+(/\S*)?", "an http:// or https:// URL", DEFAULT_URL
            ),
            number(environ, "THREADS", 16, 1, 256),
            environ.get("HTTP_PROXY") or environ.get("http_proxy"),
        )

    def call(
        self,
        method: str,
        operation: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        token: str | None = None,
        expect: Collection[int] = (200,),
    ) -> requests.Response:
        """Return the datastore's answer, whose status is one of `expect` and whose body is JSON.

        Raises Unauthorized (the datastore knows that the token was ended), BadGateway, ServiceUnavailable or
        GatewayTimeout.
        """
        headers = headers_to_pass_on()
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        answer = self._send(method, f"{self._url}/{operation}", params, body, headers)
        if answer.status_code in expect and answer.headers.get("Content-Type", "").startswith(
            "application/json"
        ):
            return answer
        raise self._error(operation, answer.status_code)

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        headers: dict[str, str],
    ) -> requests.Response:
        send = partial(
            self.session.request,
            method,
            url,
            params=params,
            json=body,
            headers=headers,
            timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
            allow_redirects=False,
        )
        started = time.monotonic()
        try:
            try:
                return send()
            except requests.ConnectionError as error:
                # A kept connection may close just as it is used again; only a read is safe to repeat.
                if method != "GET" or not _dropped(error) or time.monotonic() - started > _RETRY_WITHIN:
                    raise
                return send()
        except requests.ReadTimeout as error:
            _log.warning("datastore: %s %s: no answer in time", method, url)
            raise GatewayTimeout("the datastore did not answer in time") from error
        except requests.RequestException as error:
            _log.warning("datastore: %s %s: %s", method, url, error)
            raise ServiceUnavailable("the datastore cannot be reached") from error

    @staticmethod
    def _error(operation: str, status: int) -> HTTPException:
        if status == 401:
            return unauthorized("the token was ended by a logoff")
        _log.warning("datastore: %s answered %d", operation, status)
        if status == 503:
            return ServiceUnavailable("the datastore is not available")
        if status == 504:
            return GatewayTimeout("the datastore did not answer in time")
        return BadGateway("the datastore failed")


def _dropped(error: requests.RequestException) -> bool:
    """Tell whether the peer closed the connection, as opposed to never having accepted it."""
    return bool(error.args) and isinstance(error.args[0], ProtocolError)


def datastore() -> Datastore:
    """Return the current application's `Datastore`, kept in its extensions."""
    found: Datastore = current_app.extensions["datastore"]
    return found


def relay(answer: requests.Response) -> Response:
    """Return the datastore's `answer` as this service's own, byte for byte."""
    return Response(answer.content, answer.status_code, mimetype="application/json")
