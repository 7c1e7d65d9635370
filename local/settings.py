"""Where the one-machine mesh keeps its files and which addresses and ports it takes."""

import os
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the definitions, the Dockerfiles and this package."""


GATEWAY_PORTS = (80, 3000)
"""Ports of Gateways' servers that are served here, at INGRESS_PORT and DASHBOARDS_PORT."""


class SettingsError(ValueError):
    """An environment variable has a value that cannot be used; the text names it."""


def _number(name: str, default: int, low: int, high: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise SettingsError(f"{name}={text!r}: must be a whole number from {low} to {high}")
    return int(text)


def _port(name: str, default: int) -> int:
    return _number(name, default, 1, 65535)


def _folder(name: str, default: str) -> Path:
    return Path(os.environ.get(name) or ROOT / default).expanduser().resolve()


@dataclass(frozen=True)
class Settings:
    """One mesh: two with different `state`, `net` and ports run side by side.

    `net` is the second byte of three neighbouring loopback networks of 16 bits each: pods (sidecars) in
    127.net, their applications in 127.(net+1), virtual service addresses in 127.(net+2).
    """

    cache: Path = field(default_factory=lambda: _folder("C756_CACHE", ".cache"))
    state: Path = field(default_factory=lambda: _folder("C756_STATE", ".state"))
    net: int = field(default_factory=lambda: _number("C756_NET", 56, 1, 252))
    ingress_port: int = field(default_factory=lambda: _port("INGRESS_PORT", 8080))
    prometheus_port: int = field(default_factory=lambda: _port("PROMETHEUS_PORT", 9090))
    dashboards_port: int = field(default_factory=lambda: _port("DASHBOARDS_PORT", 3000))
    regid: str = field(default_factory=lambda: os.environ.get("REGID") or "c756")

    ingress_host: str = "127.0.0.1"
    api_port: int = 6443
    dynamodb_port: int = 8000

    @property
    def api_host(self) -> str:
        """Address of the Kubernetes API server."""
        return str(IPv4Address(f"127.{self.net}.0.1"))

    @property
    def dynamodb_host(self) -> str:
        """Address of DynamoDB Local: outside of the mesh, as the cloud's is."""
        return str(IPv4Address(f"127.{self.net}.0.2"))

    def pod_ip(self, number: int) -> str:
        """Address of pod `number` (1 to 60,000): its sidecar listens there."""
        return str(IPv4Address(f"127.{self.net}.1.0") + number)

    def app_ip(self, pod_ip: str) -> str:
        """Address that a pod's application is bound to: the pod's, one network up."""
        return str(IPv4Address(pod_ip) + (1 << 16))

    def cluster_ip(self, number: int) -> str:
        """Virtual address of service `number`: a name for people, nothing listens there."""
        return str(IPv4Address(f"127.{self.net + 2}.0.0") + number)

    @property
    def gateway_ports(self) -> dict[int, int]:
        """Return where the ports of Gateways' servers are on this machine."""
        return dict(zip(GATEWAY_PORTS, (self.ingress_port, self.dashboards_port), strict=True))

    @property
    def kubeconfig(self) -> Path:
        """What kubectl and Helm need to reach the API server."""
        return self.state / "kubeconfig"

    @property
    def images(self) -> Path:
        """Snapshots that `local/bin/image` makes, one folder a tag."""
        return self.state / "images"

    @property
    def environments(self) -> Path:
        """Virtual environments of the images' packages."""
        return self.cache / "envs"

    @property
    def pods(self) -> Path:
        """One folder a pod: logs, its /tmp, the sidecar's configuration."""
        return self.state / "pods"
