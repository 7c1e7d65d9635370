"""The mesh itself: one process with the API server, the controllers, the runner and Istio's part."""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from local import system
from local.apiserver import ApiServer
from local.controllers import Controllers
from local.files import write_atomically
from local.istiod import Istiod
from local.kubelet import Kubelet
from local.prometheus import PrometheusOperator
from local.settings import Settings
from local.store import Store

log = logging.getLogger(__name__)


def pid_file(settings: Settings) -> Path:
    """Return the file that the running daemon holds locked; its text is the process id."""
    return settings.state / "daemon.pid"


def running_pid(settings: Settings) -> int | None:
    """Return the process id of the daemon that runs with these settings, or None."""
    try:
        with pid_file(settings).open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int(pid_file(settings).read_text(encoding="utf-8") or 0) or None
    return None


@contextlib.contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    path = pid_file(settings)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("The mesh runs already.")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


async def serve(settings: Settings) -> None:
    """Run the mesh until SIGTERM or SIGINT, then end every process of it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    write_atomically(settings.state / "values.yaml", yaml.safe_dump(system.chart_values(settings)))
    (settings.state / "dynamodb").mkdir(exist_ok=True)
    store = Store()
    system.create(store, settings)
    istiod = Istiod(store, settings)
    kubelet = Kubelet(store, settings, istiod)
    operator = PrometheusOperator(store, settings)
    operator.write()
    api = ApiServer(store, settings, kubelet)
    await api.start()
    parts = {
        "istiod": istiod.run(),
        "controllers": Controllers(store, settings).run(),
        "prometheus operator": operator.run(),
        "kubelet": kubelet.run(),
    }
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    waiter = asyncio.create_task(stop.wait(), name="signal")
    log.info("the mesh runs")
    done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {waiter}:
        log.critical("%s ended", task.get_name(), exc_info=task.exception())
    log.info("stopping")
    await api.stop()
    # The kubelet goes first: its pods still need their sidecars' configuration while they end.
    for task in reversed(tasks):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    settings.kubeconfig.unlink(missing_ok=True)
    log.info("stopped")


def run(settings: Settings) -> None:
    """Run the mesh in this process, alone for these settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings.state.mkdir(parents=True, exist_ok=True)
    # Secrets lie in this folder: the pods' environment, the kubeconfig.
    settings.state.chmod(0o700)
    with _only_one(settings):
        asyncio.run(serve(settings))
