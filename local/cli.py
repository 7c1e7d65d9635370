"""The commands up, down, status and scratch of the one-machine mesh."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial

import click
import psutil

import db.tables
from local import daemon, prometheus
from local.apiserver import support as apiserver_support
from local.istiod import support as istiod_support
from local.kubelet import support as kubelet_support
from local.settings import ROOT, Settings, SettingsError

_START_SECONDS = 60
_STOP_SECONDS = 60


class MeshError(click.ClickException):
    """Something that the person at the terminal has to know; shown in one line."""


def _settings() -> Settings:
    try:
        return Settings()
    except SettingsError as error:
        raise MeshError(str(error)) from error


def _ports(settings: Settings) -> dict[tuple[str, int], str]:
    """Return each address that the mesh takes, with the variable that moves it."""
    return {
        (settings.ingress_host, settings.ingress_port): "INGRESS_PORT",
        (settings.ingress_host, settings.prometheus_port): "PROMETHEUS_PORT",
        (settings.ingress_host, settings.dashboards_port): "DASHBOARDS_PORT",
        (settings.api_host, settings.api_port): "C756_NET",
        (settings.dynamodb_host, settings.dynamodb_port): "C756_NET",
    }


def _check_ports(settings: Settings) -> None:
    for (host, port), variable in _ports(settings).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                what = "a number of its own" if variable == "C756_NET" else "another port"
                raise MeshError(
                    f"{host}:{port} cannot be taken ({error.strerror}): stop what listens there, "
                    f"or set {variable} to {what}, for example {variable}="
                    f"{settings.net + 10 if variable == 'C756_NET' else port + 1} make up"
                ) from error


def _wait(what: str, ready: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise MeshError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.1)


def _connects(address: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
        return True
    return False


def _answers(url: str, status: int) -> bool:
    """Tell whether a GET is answered with this HTTP status."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310  a loopback address of our own
            return bool(answer.status == status)
    except urllib.error.HTTPError as error:
        return error.code == status
    except OSError:
        return False


@contextlib.contextmanager
def _step(text: str) -> Iterator[None]:
    start = time.monotonic()
    click.echo(f"  {text:58}", nl=False)
    try:
        yield
    except BaseException:
        click.echo("failed")
        raise
    click.echo(f"ok ({time.monotonic() - start:.0f} s)")


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which make and kubectl reach this mesh, whatever place is in use."""
    return {
        **os.environ,
        "PLACE": "local",
        "REGID": settings.regid,
        "C756_STATE": str(settings.state),
        "C756_CACHE": str(settings.cache),
    }


def _make(settings: Settings, makefile: str, target: str) -> None:
    log = settings.state / "log" / f"{target}.log"
    with log.open("w", encoding="utf-8") as out:
        command = ["make", "-f", makefile, target]
        code = subprocess.run(
            command, cwd=ROOT, env=_environment(settings), stdout=out, stderr=out, check=False
        ).returncode
    if code:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise MeshError(f"{last}\n`{' '.join(command)}` failed; all it said: {log}")


def _start_daemon(settings: Settings) -> None:
    log = settings.state / "log" / "daemon.log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "serve"],
            cwd=ROOT,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def ready() -> bool:
        if process.poll() is not None:
            last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
            raise MeshError(f"{last}\nThe mesh ended while it started; all it said: {log}")
        return settings.kubeconfig.exists() and _connects((settings.api_host, settings.api_port))

    _wait("The Kubernetes API", ready, _START_SECONDS)


def _summary(settings: Settings) -> str:
    ingress = f"http://{settings.ingress_host}:{settings.ingress_port}"
    return f"""
  Ingress        {ingress}/   (users: /api/v1/user/, music: /api/v1/music/)
  Graph          {ingress}/kiali
  Dashboards     http://{settings.ingress_host}:{settings.dashboards_port}/
  Prometheus     {prometheus.url(settings)}/
  Send load      ./gatling-1-user.sh and ./gatling-5-music.sh; end it: tools/kill-gatling.sh
  Switch S2      tools/s2ver.sh v2 (10 % to version 2), tools/s2ver.sh v1 (all of it back)
  Look inside    local/bin/kubectl -n c756ns get pods; make -f k8s.mak help
  Stop           make down   (delete the data as well: make -f local.mak scratch)
"""


@click.group()
def main() -> None:
    """Start and stop the one-machine mesh."""


@main.command()
def up() -> None:
    """Run the application in the mesh, wait until it answers, and say where."""
    settings = _settings()
    if daemon.running_pid(settings):
        click.echo(f"c756 runs already (make down stops it).\n{_summary(settings)}", nl=False)
        return
    _check_ports(settings)
    (settings.state / "log").mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _bring_up(settings)
    except BaseException:
        _stop(settings)
        raise
    click.echo(_summary(settings), nl=False)


def _bring_up(settings: Settings) -> None:
    with _step("The mesh: Kubernetes API, runner, ingress, Prometheus"):
        _start_daemon(settings)
    with _step("DynamoDB Local and its tables"):
        _wait(
            "DynamoDB Local",
            lambda: _connects((settings.dynamodb_host, settings.dynamodb_port)),
            _START_SECONDS,
        )
        _make(settings, "local.mak", "tables")
    with _step("Images, chart and S2 v1 (make -f k8s.mak deploy)"):
        _make(settings, "k8s.mak", "deploy")
    ingress = f"http://{settings.ingress_host}:{settings.ingress_port}/api/v1"
    with _step("The services answer at the ingress"):
        for service in (f"{ingress}/user/", f"{ingress}/music/"):
            # Without a token the services themselves answer 401; the ingress alone would say 404 or 503.
            _wait(service, partial(_answers, service, 401), _START_SECONDS)
    with _step("Sample data"):
        _make(settings, "local.mak", "data")
    _wait("Prometheus", partial(_answers, f"{prometheus.url(settings)}/-/ready", 200), _START_SECONDS)


def _ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _stop(settings: Settings) -> bool:
    pid = daemon.running_pid(settings)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    try:
        _wait("The end of the mesh", partial(_ended, pid), _STOP_SECONDS)
    except MeshError:
        # Its children are set to die with it.
        os.kill(pid, signal.SIGKILL)
        raise
    return True


@main.command()
def down() -> None:
    """Stop all of it; the data stays."""
    settings = _settings()
    subprocess.run([str(ROOT / "tools/kill-gatling.sh")], check=False, stdout=subprocess.DEVNULL)
    click.echo("c756 is stopped; its data stays." if _stop(settings) else "c756 does not run.")


@main.command()
def status() -> None:
    """Say whether it runs; exit status 3 where it does not."""
    settings = _settings()
    pid = daemon.running_pid(settings)
    if pid is None:
        click.echo("c756 does not run on this machine: make up")
        sys.exit(3)
    click.echo(f"c756 runs (process {pid}).\n{_summary(settings)}", nl=False)


@main.command()
def tables() -> None:
    """Create the DynamoDB tables that are missing."""
    settings = _settings()
    # DynamoDB Local takes any credentials; with -sharedDb the region is no part of a table's place either.
    os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")  # noqa: S106
    endpoint = f"http://{settings.dynamodb_host}:{settings.dynamodb_port}"
    sys.exit(db.tables.main(["--regid", settings.regid, "--region", "us-west-2", "--endpoint-url", endpoint]))


@main.command()
def fields() -> None:
    """List the kinds and fields that are accepted and have no effect on one machine, with the reasons."""
    tables = (
        apiserver_support.WITHOUT_EFFECT_KINDS,
        {
            **apiserver_support.WITHOUT_EFFECT,
            **kubelet_support.WITHOUT_EFFECT,
            **istiod_support.WITHOUT_EFFECT,
        },
    )
    for title, table in zip(("Kinds", "Fields"), tables, strict=True):
        click.echo(f"{title} without effect on one machine; whatever else it cannot follow is refused:")
        for name, reason in sorted(table.items()):
            click.echo(f"  {name}: {reason}")


@main.command()
def scratch() -> None:
    """Stop all of it and delete its data."""
    settings = _settings()
    _stop(settings)
    if (settings.state / "log").is_dir():
        shutil.rmtree(settings.state)
    click.echo("c756 is stopped, and its data is deleted.")


@main.command()
def serve() -> None:
    """Be the mesh, in the foreground; `up` runs this in the background."""
    daemon.run(_settings())
