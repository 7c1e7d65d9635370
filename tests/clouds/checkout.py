"""A copy of the makefiles and tools, driven with make, in which the vendors' commands are the stand-ins of fakes.py."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clouds.fakes import TOOLS

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(sys.executable).parent
SYSTEM = (
    *("awk", "bash", "basename", "cat", "cut", "dirname", "env", "grep", "head", "make", "mkdir", "mktemp"),
    *("paste", "rm", "sed", "sh", "sleep", "sort", "stat", "tail", "tr"),
)
DOCUMENTED: dict[str, dict[str, Any]] = json.loads((ROOT / "tests/clouds/documented.json").read_text())
STATE: dict[str, Any] = {
    "logged_in": True,
    "create_fails": False,
    "cluster": None,
    # AWS
    "list-addons": ["metrics-server"],
    "list-pod-identity-associations": [],
    # Google
    "api": True,
    "project": "p",
    "disks": [],
    "rules": [],
    # Azure: resource groups, and whether they carry the project's tag
    "groups": {},
    "keeps_nodes": False,
    # Kubernetes
    "services": [],
    "claims": [],
    "volumes": {},
}


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@dataclass
class Checkout:
    """`env` is all of the environment; `state` is what the stand-ins find."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.folder / "c756"
        self.root.mkdir()
        for path in [
            *ROOT.glob("*.mak"),
            ROOT / "tools",
            ROOT / "cluster",
            ROOT / "gatling",
            ROOT / "local",
            ROOT / "db",
            ROOT / "servicekit",
        ]:
            copy = self.root / path.name
            if path.is_dir():
                shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__", "target"))
            else:
                shutil.copy(path, copy)
        (self.root / ".venv").symlink_to(VENV.parent)
        self.bin, system = self.folder / "bin", self.folder / "system"
        self.bin.mkdir()
        system.mkdir()
        for name in SYSTEM:
            (system / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        main = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        for name in TOOLS:
            self.put(name, f"{main}from tests.clouds.fakes import main\nmain()\n")
        self.log = self.folder / "called.jsonl"
        self.state_file = self.folder / "state.json"
        self.env |= {
            "PATH": f"{self.bin}:{system}",
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "FAKE_LOG": str(self.log),
            "FAKE_STATE": str(self.state_file),
            "REAL_AWS": str(VENV / "aws"),
            "REAL_KUBECTL": str(VENV / "kubectl"),
            "LC_ALL": "C.UTF-8",
        }
        self.set(**STATE)

    def put(self, name: str, text: str) -> None:
        """Make an executable."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.state_file.read_text())

    def set(self, **values: Any) -> None:
        before = self.state if self.state_file.exists() else {}
        self.state_file.write_text(json.dumps(before | values))

    @property
    def place(self) -> str | None:
        path = self.root / ".place"
        return path.read_text().strip() if path.exists() else None

    @property
    def contexts(self) -> list[str]:
        listed = subprocess.run(
            [VENV / "kubectl", "config", "get-contexts", "-o", "name"],
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return listed.stdout.split()

    def run(self, *command: str, timeout: float = 60, **env: str) -> Result:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def make(self, makefile: str, target: str, *settings: str, **env: str) -> Result:
        return self.run("make", "-f", makefile, target, *settings, **env)

    def calls(self, tool: str | None = None) -> list[list[str]]:
        """What was called, in order; with `tool`, only its arguments."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        called = [json.loads(line) for line in lines]
        return [call[1:] for call in called if call[0] == tool] if tool else called

    def forget(self) -> None:
        self.log.unlink(missing_ok=True)


def command_of(call: list[str]) -> str:
    """The entry of documented.json that a call belongs to: the longest one that its words begin with."""
    words = [word for word in call if not word.startswith("-")]
    for length in range(len(words), 1, -1):
        if (name := " ".join(words[:length])) in DOCUMENTED:
            return name
    raise AssertionError(f"undocumented command: {' '.join(call)}")


def undocumented(call: list[str]) -> set[str]:
    """The options of a call that its documentation does not have."""
    options = set(" ".join(DOCUMENTED[command_of(call)]["options"]).split())
    return {match[0] for word in call if (match := re.match(r"--?[a-z][a-z-]*", word))} - options
