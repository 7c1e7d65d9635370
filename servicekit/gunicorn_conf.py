"""gunicorn's settings for all services: `gunicorn -c python:servicekit.gunicorn_conf app:app`.

GUNICORN_CMD_ARGS wins over this file: `--bind=127.0.0.2:30001` moves a service to another address.
"""

import gc
import os
import signal
from types import FrameType
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from servicekit import logs
from servicekit.config import ConfigError, exit_with, number
from servicekit.lifecycle import lifecycle_of

try:
    bind = f"0.0.0.0:{number(os.environ, 'PORT', 8000, 1, 65535)}"
    threads = number(os.environ, "THREADS", 16, 1, 256)
except ConfigError as error:
    exit_with(error)

# One worker: metrics and tokens' cache are one process's own; more load means more replicas.
workers = 1
worker_class = "gthread"
keepalive = 75  # outlasts the idle pools of the proxies in front, which otherwise meet closing connections
timeout = 30
graceful_timeout = 20
control_socket_disable = True
# The root file system may be read-only; the worker's heartbeat file belongs in memory anyway.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
accesslog = None  # servicekit.app logs the requests: it knows their ids


class JsonLogger(Logger):  # type: ignore[misc]
    """gunicorn's own messages, in the services' format."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401
        """Send gunicorn's messages the way of all others."""
        super().setup(cfg)
        logs.configure()
        self.error_log.handlers.clear()
        self.error_log.propagate = True


logger_class = JsonLogger


def post_worker_init(worker: Any) -> None:  # noqa: ANN401
    """Say that the service is ready once its worker is, and that it is draining as soon as SIGTERM comes."""
    lifecycle = lifecycle_of(worker.wsgi)
    stop = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        lifecycle.drain()
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, drain)
    signal.siginterrupt(signal.SIGTERM, False)
    # What is loaded by now stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    lifecycle.serve()
