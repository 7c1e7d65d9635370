"""A mesh of the tests' own, driven by the commands that a person types, in a copy of the checkout."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.support.place import ROOT, Counts, Place
from tests.support.waiting import eventually

__all__ = ["Mesh", "eventually"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_net() -> int:
    nets = list(range(120, 240, 3))
    # Two runs that start at one moment look at different ones first.
    start = os.getpid() % len(nets)
    for net in nets[start:] + nets[:start]:
        with socket.socket() as probe:
            try:
                probe.bind((f"127.{net}.0.1", 6443))
            except OSError:
                continue
            return net
    raise AssertionError("no free loopback network for the tests' mesh")


class Mesh(Place):
    """One place to run: a copy of the checkout with state, addresses and ports of its own."""

    kubectl_program = "local/bin/kubectl"

    def __init__(self, folder: Path) -> None:
        self.net = free_net()
        self.ingress_port = free_port()
        self.prometheus_port = free_port()
        env = {
            "C756_CACHE": os.environ.get("C756_CACHE") or str(ROOT / ".cache"),
            "C756_NET": str(self.net),
            "INGRESS_PORT": str(self.ingress_port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "DASHBOARDS_PORT": str(free_port()),
        }
        super().__init__(
            folder, f"127.0.0.1:{self.ingress_port}", f"http://127.0.0.1:{self.prometheus_port}", env
        )
        self.state = self.root / ".state"

    # --- metrics ---------------------------------------------------------------------------------------
    def counter(self, address: str, name: str, **labels: str) -> float:
        """Sum of a sidecar's own counters with these labels, at this moment."""
        text = self.session.get(f"http://{address}:15090/stats/prometheus", timeout=10).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name in (name, f"envoy_{name}")
            and all(sample.labels.get(key) == value for key, value in labels.items())
        )

    def _gateway_counts(self) -> Counts:
        gateway = self.kubectl(
            "-n istio-system get pods -l istio=ingressgateway -o jsonpath='{.items[0].status.podIP}'"
        )
        return {
            (version, code): round(
                self.counter(
                    gateway,
                    "istio_requests_total",
                    destination_app="cmpt756s2",
                    destination_version=version,
                    response_code=code,
                )
            )
            for version in ("v1", "v2")
            for code in ("200", "500")
        }

    @contextlib.contextmanager
    def counted(self, requests_sent: int) -> Iterator[Counts]:
        before = self._gateway_counts()
        got: Counts = {}
        yield got
        after = self._gateway_counts()
        got.update({key: after[key] - before[key] for key in before})

    # --- processes -------------------------------------------------------------------------------------
    def _processes(self) -> Iterator[psutil.Process]:
        """The processes that work in or on this mesh's folder."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                folder = str(self.root)
                if process.pid != os.getpid() and (
                    process.cwd().startswith(folder) or any(folder in word for word in process.cmdline())
                ):
                    yield process

    def processes(self) -> list[str]:
        """Command lines of all processes of this mesh."""
        found = []
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline()))
        return found

    def kill(self, pod: str, program: str) -> int:
        """SIGKILL a pod's processes whose command line holds `program`; return how many have ended."""
        killed: list[psutil.Process] = []
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                command = " ".join(process.cmdline())
                if program in command and (pod in process.cwd() or pod in command):
                    process.kill()
                    killed.append(process)
        gone, alive = psutil.wait_procs(killed, timeout=5)
        assert not alive
        return len(gone)
