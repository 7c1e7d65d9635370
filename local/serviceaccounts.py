"""Tokens by which pods are known to the API server, each that of one ServiceAccount."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

_KEY = secrets.token_bytes(32)
"""The mesh's processes end with the mesh, so their tokens may."""


@dataclass(frozen=True)
class ServiceAccount:
    """An identity of pods."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        """Return the user's name, as Kubernetes has it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


def issue(account: ServiceAccount) -> str:
    """Return the account's token."""
    digest = hmac.new(_KEY, account.user.encode(), hashlib.sha256).hexdigest()
    return f"{account.namespace}:{account.name}:{digest}"


def identify(token: str) -> ServiceAccount | None:
    """Return whose token this is, None where it is nobody's."""
    namespace, _, rest = token.partition(":")
    account = ServiceAccount(namespace, rest.partition(":")[0])
    return account if hmac.compare_digest(issue(account).encode(), token.encode()) else None
