"""Signals that end a release."""

import os
import select
import signal
from types import FrameType

_NAMES = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "the terminal was closed (SIGHUP)",
}


class Stop:
    """Set by SIGINT, SIGTERM and SIGHUP; further signals change nothing, so that a roll-back is not cut short."""

    def __init__(self) -> None:
        # A pipe, because a lock may be held by the very code that the signal interrupts.
        self._readable, self._writable = os.pipe()
        self._reason = ""

    def listen(self) -> None:
        """Take the signals of this process."""
        for number in _NAMES:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.set(f"ended by {_NAMES[signal.Signals(number)]}")

    def set(self, reason: str) -> None:
        """End the release for this reason, unless there is one already."""
        if not self._reason:
            self._reason = reason
            os.write(self._writable, b"!")

    def wait(self, seconds: float) -> str:
        """Wait for a signal; return the reason, empty if there was none."""
        select.select([self._readable], [], [], seconds)
        return self._reason
