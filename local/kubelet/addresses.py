"""The pods' addresses on the loopback: each pod gets one that no other has had for a long time."""

import socket
from collections.abc import Iterable

from local.settings import Settings

_LAST = 60_000


class NoAddressError(Exception):
    """All addresses are taken."""


def _is_free(address: str, port: int) -> bool:
    """Tell whether a server could listen there; one that is busy would share its traffic (SO_REUSEPORT)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


class Addresses:
    """Numbers pods in a ring, so that an address is used again only after all the others."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last = 0
        self._taken: dict[str, str] = {}

    def take(self, uid: str, ports: Iterable[int]) -> str:
        """Return the address of pod `uid`, on which nobody else listens at `ports`. Raises NoAddressError."""
        wanted = tuple(ports)
        for _ in range(_LAST):
            self._last = self._last % _LAST + 1
            address = self._settings.pod_ip(self._last)
            both = (address, self._settings.app_ip(address))
            if address not in self._taken.values() and all(_is_free(a, p) for a in both for p in wanted):
                self._taken[uid] = address
                return address
        raise NoAddressError(
            f"no free address among {self._settings.pod_ip(1)} to {self._settings.pod_ip(_LAST)}"
        )

    def release(self, uid: str) -> None:
        """Give back the address of a pod that has ended."""
        self._taken.pop(uid, None)
