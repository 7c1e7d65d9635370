"""`kubectl logs`: a container's log file as a response, followed where that is asked for."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from local.apiserver import containers, errors
from local.apiserver.requests import flag, number
from local.apiserver.runner import Runner
from local.kinds import Object
from local.store import Store, namespace_of

_CHUNK = 64 * 1024
_POLL_SECONDS = 0.1
"""How often a followed file is looked at: no file system event is to be had from the standard library."""


async def send_log(request: web.Request, store: Store, runner: Runner, pod: Object) -> web.StreamResponse:
    """Answer GET …/pods/NAME/log; raises ApiError (400) for what cannot be answered."""
    query = request.query
    for option in ("timestamps", "sinceSeconds", "sinceTime"):
        if query.get(option) not in (None, "", "false"):
            raise errors.bad_request(f"{option}: logs of the one-machine mesh carry no times of their own")
    container = containers.chosen(pod, query.get("container", ""))
    previous, follow = flag(query, "previous"), flag(query, "follow")
    path = runner.log_path(pod, container, previous)
    if path is None or not path.exists():
        raise errors.bad_request(_missing(pod, container, previous=previous))
    tail, limit = number(query, "tailLines"), number(query, "limitBytes")
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    with path.open("rb") as file:
        if tail is not None:
            file.seek(_tail_start(file, tail))
        await response.prepare(request)
        sent = 0
        ended = not follow
        while True:
            for data in _chunks(file, None if limit is None else limit - sent):
                sent += len(data)
                await response.write(data)
            if ended or (limit is not None and sent >= limit):
                return response
            # What was written before the end was seen is read once more.
            ended = _over(store, runner, pod, container, path)
            if not ended:
                await asyncio.sleep(_POLL_SECONDS)


def _missing(pod: Object, container: str, *, previous: bool) -> str:
    name = pod["metadata"]["name"]
    if previous:
        return f'previous terminated container "{container}" in pod "{name}" not found'
    waiting = (containers.status(pod, container).get("state") or {}).get("waiting") or {}
    reason = waiting.get("reason") or "ContainerCreating"
    return f'container "{container}" in pod "{name}" is waiting to start: {reason}'


def _chunks(file: BinaryIO, limit: int | None) -> Iterator[bytes]:
    while limit is None or limit > 0:
        data = file.read(_CHUNK if limit is None else min(_CHUNK, limit))
        if not data:
            return
        if limit is not None:
            limit -= len(data)
        yield data


def _tail_start(file: BinaryIO, lines: int) -> int:
    """Return where the last `lines` lines of a file begin, read from its end."""
    end = file.seek(0, os.SEEK_END)
    if not lines:
        return end
    position, breaks = end, 0
    while position > 0:
        size = min(_CHUNK, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) != -1:
            # The last line's own end does not begin another one.
            breaks += position + at + 1 < end
            if breaks == lines:
                return position + at + 1
    return 0


def _over(store: Store, runner: Runner, pod: Object, container: str, path: Path) -> bool:
    """Tell whether nothing more will be written to a log: its container ended, or was started anew."""
    meta = pod["metadata"]
    newest = store.find("Pod", namespace_of(pod), meta["name"])
    if newest is None or newest["metadata"]["uid"] != meta["uid"]:
        return True
    return not containers.running(newest, container) or runner.log_path(newest, container, False) != path
