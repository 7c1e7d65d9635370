"""A service's own state, as its readiness probe tells it."""

from enum import StrEnum

from flask import Flask, current_app


class State(StrEnum):
    """Only a serving process wants new requests."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Lifecycle:
    """Starting, then serving, then draining; never back."""

    def __init__(self) -> None:
        self.state = State.STARTING

    def serve(self) -> None:
        """Say that the process takes requests now, unless it was told to stop meanwhile."""
        if self.state is State.STARTING:
            self.state = State.SERVING

    def drain(self) -> None:
        """Say that the process is stopping: running requests end, new ones belong elsewhere."""
        self.state = State.DRAINING


def lifecycle_of(app: Flask) -> Lifecycle:
    """Return the lifecycle that `servicekit.app.create_service` gave to `app`."""
    lifecycle: Lifecycle = app.extensions["lifecycle"]
    return lifecycle


def health() -> tuple[dict[str, str], int]:
    """Answer the liveness probe: 200 as long as a thread is there to answer."""
    return {"status": "alive"}, 200


def readiness() -> tuple[dict[str, str], int]:
    """Answer the readiness probe from this process's state alone: one failing service must not empty all."""
    state = lifecycle_of(current_app).state
    return {"status": state.value}, 200 if state is State.SERVING else 503
