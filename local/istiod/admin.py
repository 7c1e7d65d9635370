"""Envoy's admin interface: https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin."""

from dataclasses import dataclass, field

import aiohttp

from local.istiod.bootstrap import ADMIN_PORT


class ProxyDownError(Exception):
    """Nobody listens: Envoy has not started yet, or has ended."""


class ProxySlowError(Exception):
    """Envoy is there but did not answer in time, or not as expected."""


@dataclass(frozen=True)
class Versions:
    """What Envoy has taken: `version_text` and `update_rejected` of each subscription by its stat's name."""

    accepted: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    warming: int = 0


_TIMEOUT = aiohttp.ClientTimeout(total=2)
_FILTER = r"(version_text|update_rejected|warming_clusters)$"


class Admin:
    """The admin interface of one Envoy."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._url = f"http://{address}:{ADMIN_PORT}"

    async def _call(self, method: str, path: str, params: dict[str, str] | None = None) -> tuple[int, str]:
        try:
            async with self._session.request(
                method, self._url + path, params=params, timeout=_TIMEOUT
            ) as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientConnectorError as error:
            raise ProxyDownError(str(error)) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ProxySlowError(str(error) or type(error).__name__) from None

    async def is_live(self) -> bool:
        """Tell whether Envoy has its first configuration and serves; False where it is down or slow."""
        try:
            status, _ = await self._call("GET", "/ready")
        except (ProxyDownError, ProxySlowError):
            return False
        return status == 200

    async def versions(self) -> Versions:
        """Return the versions in use. Raises ProxyDownError, ProxySlowError."""
        status, text = await self._call("GET", "/stats", {"filter": _FILTER})
        if status != 200:
            raise ProxySlowError(f"/stats answered {status}")
        accepted: dict[str, str] = {}
        rejected: dict[str, int] = {}
        warming = 0
        for line in text.splitlines():
            name, _, value = line.rpartition(": ")
            if name.endswith(".version_text"):
                accepted[name.removesuffix(".version_text")] = value.strip('"')
            elif name.endswith(".update_rejected"):
                rejected[name.removesuffix(".update_rejected")] = int(value)
            elif name.endswith(".warming_clusters"):
                warming = int(value)
        return Versions(accepted, rejected, warming)

    async def drain(self) -> None:
        """Ask for the end of the inbound connections one by one. Raises ProxyDownError, ProxySlowError."""
        await self._call("POST", "/drain_listeners", {"graceful": "", "inboundonly": ""})
