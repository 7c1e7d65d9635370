"""`kubectl exec`: a command in a container's environment, over a WebSocket.

Protocol: v4.channel.k8s.io and v5.channel.k8s.io (k8s.io/apimachinery/pkg/util/remotecommand): the first byte
of a message is its channel; v5 adds a message that closes one.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from local.apiserver import containers, errors, shell
from local.apiserver.requests import flag
from local.apiserver.runner import ExecEnvironment, Runner
from local.kinds import Object

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_CHUNK = 32 * 1024
_DRAIN_SECONDS = 1.0
"""How long output may still come after the command's end, from what it left behind."""


async def exec_command(request: web.Request, runner: Runner, pod: Object) -> web.StreamResponse:
    """Answer …/pods/NAME/exec; raises ApiError (400) before the connection is upgraded."""
    query = request.query
    container = containers.chosen(pod, query.get("container", ""))
    command = query.getall("command", [])
    if not command:
        raise errors.bad_request("you must specify at least one command for the container")
    if not containers.running(pod, container):
        raise errors.bad_request(f"container {container} of pod {pod['metadata']['name']} is not running")
    environment = runner.exec_environment(pod, container)
    socket = web.WebSocketResponse(protocols=_PROTOCOLS, heartbeat=30, max_msg_size=4 * 1024 * 1024)
    if not socket.can_prepare(request).ok:
        raise errors.bad_request("exec needs a WebSocket (v5.channel.k8s.io); SPDY is not spoken here")
    await socket.prepare(request)
    session = _Session(socket, stdin=flag(query, "stdin"), tty=flag(query, "tty"))
    try:
        status = await session.run(command, environment)
    except OSError as error:
        status = errors.internal(f"error executing command in container: {error}").status
    with contextlib.suppress(ConnectionError):
        await session.send(_ERROR, json.dumps(status).encode())
        await socket.close()
    return socket


# A command dies with this process; Ctrl-C reaches it even where this process was started with SIGINT ignored.
_LAUNCHER = ("setpriv", "--pdeathsig=KILL", "--", "env", "--default-signal=HUP,INT,QUIT,PIPE")


class _Session:
    """One command and its streams."""

    def __init__(self, socket: web.WebSocketResponse, *, stdin: bool, tty: bool) -> None:
        self._socket = socket
        self._stdin = stdin
        self._tty = tty

    async def send(self, channel: int, data: bytes) -> None:
        """Send a message on one channel."""
        await self._socket.send_bytes(bytes([channel]) + data)

    async def run(self, command: list[str], environment: ExecEnvironment) -> Object:
        """Run the command to its end, or to the client's, and return the metav1.Status of it."""
        env = shell.environment(environment, terminal=self._tty)
        shell.check(command[0], environment)
        if self._tty:
            return await self._in_terminal(command, environment.cwd, env)
        return await self._with_pipes(command, environment.cwd, env)

    async def _with_pipes(self, argv: list[str], cwd: Path, env: dict[str, str]) -> Object:
        process = await asyncio.create_subprocess_exec(
            *_LAUNCHER,
            *argv,
            cwd=cwd,
            env=env,
            stdin=asyncio.subprocess.PIPE if self._stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        outputs = [(process.stdout, _STDOUT), (process.stderr, _STDERR)]
        copies = [asyncio.create_task(self._copy(r, c)) for r, c in outputs if r is not None]
        return await self._attend(process, copies, self._feed(process.stdin))

    async def _in_terminal(self, argv: list[str], cwd: Path, env: dict[str, str]) -> Object:
        master, slave = pty.openpty()
        try:
            process = await asyncio.create_subprocess_exec(
                *_LAUNCHER,
                "setsid",
                "--ctty",
                *argv,
                cwd=cwd,
                env=env,
                stdin=slave,
                stdout=slave,
                stderr=slave,
            )
        except OSError:
            os.close(master)
            raise
        finally:
            os.close(slave)
        terminal = _Terminal(master)
        try:
            copies = [asyncio.create_task(self._copy_terminal(terminal))]
            return await self._attend(process, copies, self._type(terminal))
        finally:
            terminal.close()

    async def _attend(
        self,
        process: asyncio.subprocess.Process,
        copies: list[asyncio.Task[None]],
        reading: Any,  # noqa: ANN401
    ) -> Object:
        """Wait for the command while both directions are copied; a client that goes ends the command."""
        reader = asyncio.create_task(reading)
        waiter = asyncio.create_task(process.wait())
        try:
            await asyncio.wait([reader, waiter], return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                _kill(process.pid)
            code = await waiter
            await asyncio.wait(copies, timeout=_DRAIN_SECONDS)
            return _status(code)
        finally:
            _kill(process.pid)
            for task in (reader, waiter, *copies):
                task.cancel()
            await asyncio.gather(reader, waiter, *copies, return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, channel: int) -> None:
        while data := await reader.read(_CHUNK):
            await self.send(channel, data)

    async def _copy_terminal(self, terminal: "_Terminal") -> None:
        while data := await terminal.read():
            await self.send(_STDOUT, data)

    async def _feed(self, writer: asyncio.StreamWriter | None) -> None:
        """Pass the client's input on; returns when the client is gone."""
        async for channel, data in self._messages():
            if writer is None:
                continue
            with contextlib.suppress(ConnectionError):
                if channel == _STDIN and data:
                    writer.write(data)
                    await writer.drain()
                elif channel == _CLOSE and data[:1] == bytes([_STDIN]):
                    writer.close()

    async def _type(self, terminal: "_Terminal") -> None:
        async for channel, data in self._messages():
            if channel == _STDIN and self._stdin:
                await terminal.write(data)
            elif channel == _CLOSE and data[:1] == bytes([_STDIN]):
                await terminal.write(b"\x04")
            elif channel == _RESIZE:
                terminal.resize(data)

    async def _messages(self) -> AsyncIterator[tuple[int, bytes]]:
        message: WSMessage
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                yield message.data[0], message.data[1:]


class _Terminal:
    """The master side of a pseudo terminal, without blocking."""

    def __init__(self, master: int) -> None:
        self._master = master
        os.set_blocking(master, False)
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        """Return what the command wrote, nothing when it has closed the terminal."""
        while True:
            try:
                return os.read(self._master, _CHUNK)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
            except OSError:
                return b""

    async def write(self, data: bytes) -> None:
        """Type `data`."""
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            except OSError:
                return

    def resize(self, data: bytes) -> None:
        """Set the size that a message of the resize channel tells; a malformed one is passed over."""
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, struct.error, OSError):
            size = json.loads(data)
            packed = struct.pack("HHHH", size["Height"], size["Width"], 0, 0)
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, packed)

    def close(self) -> None:
        """Close it: the command gets SIGHUP."""
        os.close(self._master)

    async def _ready(self, add: Any, remove: Any) -> None:  # noqa: ANN401 - the loop's methods
        done: asyncio.Future[None] = self._loop.create_future()
        add(self._master, _resolve, done)
        try:
            await done
        finally:
            remove(self._master)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _status(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    # A command that a signal ended has 128 + its number, as in a container.
    code = 128 - code if code < 0 else code
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
