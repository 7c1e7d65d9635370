"""What the parts of the kubelet share."""

from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from local.controllers.events import EventRecorder
from local.images.environments import Environments
from local.images.store import ImageStore
from local.kinds import Object
from local.kubelet.records import ProcessRecords
from local.settings import Settings
from local.store import Store

PROXY = "istio-proxy"
"""The container that Istio runs: its command, variables and readiness come from istiod."""

COMPONENT = "kubelet"


class Proxies(Protocol):
    """Istio's part in running a sidecar."""

    def proxy_argv(self, pod: Object) -> list[str]:
        """Write the sidecar's first configuration and return its command line."""
        ...

    async def proxy_ready(self, pod: Object) -> bool:
        """Tell whether the sidecar serves with all of its configuration."""
        ...

    async def drain(self, pod: Object) -> None:
        """Let the sidecar take no new connections."""
        ...

    def proxy_env(self, pod: Object) -> dict[str, str]:
        """Return the variables that lead an application's requests through its sidecar."""
        ...


@dataclass(frozen=True)
class BackOff:
    """How long a container waits before it is started again; seconds."""

    initial: float = 10.0
    maximum: float = 300.0
    reset: float = 600.0
    """A container that ran this long starts from the beginning again."""

    def delay(self, crashes: int) -> float:
        """Return the wait after that many ends in a row: none after the first, then doubled each time."""
        return 0.0 if crashes <= 1 else min(self.maximum, self.initial * 2.0 ** (crashes - 2))


@dataclass(frozen=True)
class Runtime:
    """The kubelet's means."""

    store: Store
    settings: Settings
    istiod: Proxies
    images: ImageStore
    environments: Environments
    records: ProcessRecords
    recorder: EventRecorder
    session: aiohttp.ClientSession
    back_off: BackOff = field(default_factory=BackOff)


def has_proxy(pod: Object) -> bool:
    """Tell whether a pod has a sidecar of Istio."""
    spec = pod["spec"]
    return any(c["name"] == PROXY for c in [*(spec.get("initContainers") or []), *spec["containers"]])


def app_address(pod: Object, settings: Settings) -> str:
    """Return the address that a pod's applications listen at: behind the sidecar where there is one."""
    address = str(pod["status"]["podIP"])
    return settings.app_ip(address) if has_proxy(pod) and not pod["spec"].get("hostNetwork") else address
