"""Fixtures: AWS as moto's server, and a checkout whose vendors' commands are stand-ins."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from moto.server import ThreadedMotoServer

from tests.clouds.checkout import Checkout, undocumented

REGION = "us-west-2"
# Real ones, or of another kind, checked by other means: the AWS CLI by itself, kubectl by its own tests.
UNCHECKED = ("aws", "kubectl")


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """moto's server, and its URL."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An empty AWS, and the environment in which the CLI and boto3 find it."""
    requests.post(f"{moto}/moto-api/reset", timeout=10).raise_for_status()
    env = {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return env


@pytest.fixture
def checkout(tmp_path: Path, aws: dict[str, str]) -> Iterator[Checkout]:
    """A checkout; at the end of each test, what it called must be what the tools' documentation has."""
    made = Checkout(tmp_path, dict(aws))
    yield made
    for call in made.calls():
        assert call[0] in UNCHECKED or not undocumented(call), call
