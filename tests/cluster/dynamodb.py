"""DynamoDB Local on an address of this machine that the cluster's pods reach."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.place import ROOT
from tests.support.waiting import eventually

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
"""DynamoDB Local takes any."""


class LocalDynamoDB:
    """A store in memory on `address`, with the tables of `regid`; pods call it `host`."""

    def __init__(self, folder: Path, host: str, address: str, regid: str) -> None:
        jars = Path(os.environ.get("C756_CACHE") or ROOT / ".cache") / "dynamodb"
        assert jars.is_dir(), "DynamoDB Local is not there: run tools/setup.sh"
        with socket.socket() as probe:
            probe.bind((address, 0))
            port = probe.getsockname()[1]
        self.helm_flags = f"--set dynamodb.endpoint=http://{host}:{port},dynamodb.address={address}"
        folder.mkdir()
        java = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"]
        program = [f"-Djava.library.path={jars}", "-cp", f"{jars}:{jars}/*", "LoopbackDynamoDB", address]
        options = ["-port", str(port), "-sharedDb", "-inMemory", "-disableTelemetry"]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [*java, *program, *options], cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            eventually(lambda: self._answers(address, port), 30, f"DynamoDB Local on {address}")
            subprocess.run(
                [sys.executable, "-m", "db.tables", "--endpoint-url", f"http://{address}:{port}"],
                cwd=ROOT,
                env={**os.environ, **CREDENTIALS, "REGID": regid, "AWS_REGION": "us-west-2"},
                check=True,
            )
        except BaseException:
            self.stop()
            raise

    def _answers(self, address: str, port: int) -> bool:
        assert self._process.poll() is None, "DynamoDB Local has ended"
        with socket.socket() as probe:
            return probe.connect_ex((address, port)) == 0

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
