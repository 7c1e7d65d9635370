"""Which tokens a logoff has ended: asked of DynamoDB, and remembered for a short time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from db.store import Store
from servicekit.auth import Claims

FRESH_SECONDS = 3.0
"""How long a token stays good in memory after DynamoDB said so: a logoff elsewhere shows within this time."""

MAX_ENTRIES = 10_000


class EndedTokens:
    """A bounded memory in front of the table of ended tokens; one for all threads."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        """Take the `store` to ask, a `clock` (seconds since 1970) and the number of tokens to remember."""
        self._store = store
        self._clock = clock
        self._max_entries = max_entries
        self._known: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._lock = threading.Lock()

    def end(self, jti: str, expires: int) -> None:
        """End token `jti`, whose own life ends at `expires` (seconds since 1970)."""
        self._store.end_token(jti, expires)
        self._remember(jti, ended=True, until=expires)

    def is_ended(self, claims: Claims) -> bool:
        """Tell whether the token with `claims` was ended; raises the store's errors where it cannot."""
        now = self._clock()
        with self._lock:
            ended, until = self._known.get(claims.jti, (False, 0.0))
            if now < until:
                self._known.move_to_end(claims.jti)
                return ended
        ended = self._store.token_ended(claims.jti)
        self._remember(claims.jti, ended=ended, until=claims.expires if ended else now + FRESH_SECONDS)
        return ended

    def _remember(self, jti: str, *, ended: bool, until: float) -> None:
        with self._lock:
            if not ended and self._known.get(jti, (False, 0.0))[0]:
                return  # a logoff came between the question and this answer to it
            self._known[jti] = (ended, until)
            self._known.move_to_end(jti)
            if len(self._known) > self._max_entries:
                self._known.popitem(last=False)
