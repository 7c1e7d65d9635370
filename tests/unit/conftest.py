"""Fixtures of the services' tests."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from tests.unit.world import World, environ


@pytest.fixture(scope="session", autouse=True)
def _aws() -> Iterator[None]:
    """DynamoDB in this process, and an environment in which nothing of the machine's own shows."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in (
            "HTTP_PROXY",
            "http_proxy",
            "DB_URL",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "JWT_LIFETIME",
            "THREADS",
        ):
            patch.delenv(name, raising=False)
        for name, value in environ("unused").items():
            patch.setenv(name, value)
        patch.setattr("s1.passwords._METHOD", "scrypt:1024:8:1")  # the real one takes 0.1 s
        yield


@pytest.fixture(scope="module")
def world() -> World:
    """The services, shared by the tests of a module."""
    return World()


@pytest.fixture
def new_world() -> World:
    """The services with empty tables."""
    return World()
