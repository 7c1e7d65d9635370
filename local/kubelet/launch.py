"""How a container's process is started: command line, folder, environment."""

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from local.images.environments import site_packages
from local.images.image import Image
from local.kinds import Object
from local.kubelet import environment, volumes
from local.kubelet.folders import ContainerFolder, PathMap, PodFolder
from local.kubelet.handlers import Target
from local.kubelet.runtime import PROXY, Runtime, app_address, has_proxy


class CreateError(Exception):
    """The container cannot be made from its image (CreateContainerError)."""


@dataclass(frozen=True)
class Launch:
    """A process to start, and what its probes and hooks need."""

    argv: list[str]
    cwd: Path
    env: dict[str, str]
    target: Target


def ports_of(container: Object) -> list[int]:
    """Return the numbers of the container's TCP ports."""
    return [p["containerPort"] for p in container.get("ports") or [] if p.get("protocol", "TCP") == "TCP"]


def proxy(runtime: Runtime, pod: Object, container: Object, folder: ContainerFolder) -> Launch:
    """Return how Istio's proxy is started."""
    argv = runtime.istiod.proxy_argv(pod)
    folder.home.mkdir(parents=True, exist_ok=True)
    env = {**environment.machine(), "HOME": str(folder.home), "HOSTNAME": pod["metadata"]["name"]}
    return Launch(argv, folder.home, env, _target(runtime, pod, container, folder.home, env, PathMap({})))


def app(runtime: Runtime, pod: Object, container: Object, pod_folder: PodFolder, image: Image) -> Launch:
    """Return how an application is started. Raises ConfigError, VolumeError, CreateError."""
    folder = pod_folder.container(container["name"])
    volumes.set_up(runtime.store, pod, pod_folder)
    mounts = volumes.mount(pod, container, pod_folder, folder)
    packages = _packages(runtime, image)
    paths = PathMap(
        {**{root: folder.rootfs / root.lstrip("/") for root in image.config.roots}, **packages, **mounts}
    )
    env = _env(runtime, pod, container, pod_folder, image, paths)
    workdir = container.get("workingDir") or image.config.workdir
    cwd = folder.rootfs if workdir == "/" else paths.real(workdir)
    if not cwd.is_dir():
        raise CreateError(f"workingDir {workdir}: the image has no such folder")
    return Launch(
        _argv(container, image, env, paths), cwd, env, _target(runtime, pod, container, cwd, env, paths)
    )


def _packages(runtime: Runtime, image: Image) -> dict[str, Path]:
    if image.rootfs is None:
        return {}
    venv = runtime.environments.path(image.config.requirements)
    if not (venv / "bin").is_dir():
        raise CreateError(
            f"{image.reference}: the packages of this image are gone from the cache: build it again"
        )
    return {
        path: venv if kind == "prefix" else site_packages(venv)
        for path, kind in image.config.packages.items()
    }


def _argv(container: Object, image: Image, env: dict[str, str], paths: PathMap) -> list[str]:
    """Return command and arguments: the pod's, or else the image's (v1.Container.command)."""
    command, args = container.get("command") or [], container.get("args") or []
    own = [environment.expand(text, env) for text in (*command, *args)]
    if command:
        words = own
    elif args:
        words = [*image.config.entrypoint, *own]
    else:
        words = [*image.config.entrypoint, *image.config.cmd]
    if not words:
        raise CreateError("no command specified: neither the image nor the container has one")
    return [paths.translate(word) for word in words]


def _env(  # noqa: PLR0917
    runtime: Runtime, pod: Object, container: Object, pod_folder: PodFolder, image: Image, paths: PathMap
) -> dict[str, str]:
    folder = pod_folder.container(container["name"])
    folder.home.mkdir(parents=True, exist_ok=True)
    env = {**environment.machine(), "PYTHONUNBUFFERED": "1"}
    search = env.get("PATH", os.defpath)
    for variable in environment.declared(runtime.store, pod, container, image.config.env):
        env[variable.name] = paths.translate(variable.value) if variable.literal else variable.value
    first = [str(runtime.environments.path(image.config.requirements) / "bin")] if image.rootfs else []
    folders = [*first, *env.get("PATH", "").split(":"), *search.split(":")]
    env["PATH"] = ":".join(dict.fromkeys(filter(None, folders)))
    env["KUBERNETES_SERVICE_HOST"] = runtime.settings.api_host
    env["KUBERNETES_SERVICE_PORT"] = str(runtime.settings.api_port)
    env["HOME"] = str(folder.home)
    env["HOSTNAME"] = pod["spec"].get("hostname") or pod["metadata"]["name"]
    env["TMPDIR"] = str(paths.real("/tmp")) if paths.knows("/tmp") else str(pod_folder.tmp)  # noqa: S108
    if has_proxy(pod):
        env |= runtime.istiod.proxy_env(pod)
    binds = [f"--bind={app_address(pod, runtime.settings)}:{port}" for port in ports_of(container)]
    if binds:
        given = env.get("GUNICORN_CMD_ARGS")
        env["GUNICORN_CMD_ARGS"] = " ".join([*([given] if given else []), *binds])
    return env


def _target(  # noqa: PLR0917
    runtime: Runtime, pod: Object, container: Object, cwd: Path, env: dict[str, str], paths: PathMap
) -> Target:
    specs = [container.get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")]
    specs += (container.get("lifecycle") or {}).values()
    commands = [tuple(spec["exec"]["command"]) for spec in specs if spec and "exec" in spec]
    argv = {words: [paths.translate(environment.expand(word, env)) for word in words] for words in commands}
    ports = {p["name"]: p["containerPort"] for p in container.get("ports") or [] if p.get("name")}
    address = (
        str(pod["status"]["podIP"]) if container["name"] == PROXY else app_address(pod, runtime.settings)
    )
    return Target(address, ports, cwd, env, argv)


def executable(launch: Launch) -> str | None:
    """Return why the command cannot be run, None where it can."""
    program = launch.argv[0]
    if "/" in program:
        path = launch.cwd / program
        if not path.is_file():
            return f"exec: {shlex.quote(program)}: stat {path}: no such file or directory"
        return None if os.access(path, os.X_OK) else f"exec: {shlex.quote(program)}: permission denied"
    if shutil.which(program, path=launch.env.get("PATH", os.defpath)) is None:
        return f'exec: "{program}": executable file not found in $PATH'
    return None
