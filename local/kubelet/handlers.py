"""What probes and hooks do: HTTP requests, TCP connections, commands."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp

from local.kinds import Object
from local.kubelet.commands import CommandTimeoutError, run_command

_REDIRECTS = 10
_BODY = 1024


class HandlerError(Exception):
    """The check failed; the text is what an event says."""


@dataclass(frozen=True)
class Target:
    """A container as its probes and hooks see it."""

    address: str
    ports: Mapping[str, int]
    cwd: Path
    env: Mapping[str, str]
    argv: Mapping[tuple[str, ...], list[str]]
    """Commands of the spec -> as they are run on this machine."""

    def port(self, value: int | str) -> int:
        """Return a port's number. Raises HandlerError for a name that no port has."""
        if isinstance(value, int) or value.isdecimal():
            return int(value)
        if value not in self.ports:
            raise HandlerError(f"couldn't find port: {value!r}")
        return self.ports[value]


async def handle(spec: Object, target: Target, session: aiohttp.ClientSession, timeout: float) -> None:
    """Do what a probe or hook says, within `timeout` seconds. Raises HandlerError where it fails."""
    if "httpGet" in spec:
        await _http(spec["httpGet"], target, session, timeout)
    elif "tcpSocket" in spec:
        await _tcp(spec["tcpSocket"], target, timeout)
    elif "exec" in spec:
        await _exec(spec["exec"]["command"], target, timeout)
    elif "sleep" in spec:
        await asyncio.sleep(min(timeout, spec["sleep"]["seconds"]))


async def _http(get: Object, target: Target, session: aiohttp.ClientSession, timeout: float) -> None:
    host = get.get("host") or target.address
    url = f"{get.get('scheme', 'HTTP').lower()}://{host}:{target.port(get['port'])}"
    url = urljoin(url, "/" + (get.get("path") or "/").lstrip("/"))
    headers = {"User-Agent": "kube-probe/1.37", "Accept": "*/*", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in get.get("httpHeaders") or []}
    try:
        async with asyncio.timeout(timeout):
            for _ in range(_REDIRECTS):
                async with session.get(url, headers=headers, allow_redirects=False, ssl=False) as answer:
                    status = answer.status
                    location = urljoin(url, answer.headers.get("Location", ""))
                    # As the kubelet: a redirect to elsewhere is a success, one to the same host is followed.
                    if 300 <= status < 400 and location != url and urlsplit(location).hostname == host:
                        url = location
                        continue
                    if 200 <= status < 400:
                        return
                    body = (await answer.content.read(_BODY)).decode(errors="replace")
                    raise HandlerError(f"HTTP probe failed with statuscode: {status}{_said(body)}")
            raise HandlerError("stopped after 10 redirects")
    except TimeoutError:
        raise HandlerError(f'Get "{url}": context deadline exceeded ({timeout:g}s)') from None
    except (aiohttp.ClientError, OSError) as error:
        raise HandlerError(f'Get "{url}": {error}') from error


def _said(body: str) -> str:
    return f": {body.strip()}" if body.strip() else ""


async def _tcp(socket: Object, target: Target, timeout: float) -> None:
    host, port = socket.get("host") or target.address, target.port(socket["port"])
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout)
    except TimeoutError:
        raise HandlerError(f"dial tcp {host}:{port}: i/o timeout") from None
    except OSError as error:
        raise HandlerError(f"dial tcp {host}:{port}: {error.strerror or error}") from error
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _exec(command: list[str], target: Target, timeout: float) -> None:
    argv = target.argv.get(tuple(command), command)
    try:
        code, output = await run_command(argv, cwd=target.cwd, env=target.env, timeout=timeout)
    except (CommandTimeoutError, OSError) as error:
        raise HandlerError(str(error)) from error
    if code:
        raise HandlerError(output.strip() or f"command terminated with exit code {code}")
