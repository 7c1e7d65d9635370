"""Images: Dockerfiles, build contexts, snapshots, environments and the command line."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local.images.builder import Builder, DockerfileError
from local.images.environments import Environments, InstallError
from local.images.reference import ImageReference
from local.images.store import MACHINE_IMAGE, ImageNotFoundError, ImageStore
from local.settings import ROOT

NAME = ImageReference.parse("ghcr.io/someone/app:v1")
DOCKERFILE = """\
# A comment
ARG BASE=python:3.13-slim
FROM ${BASE} AS build
WORKDIR /src
COPY lib/ /src/lib/

FROM ${BASE}
ARG GREETING="hello there"
ENV GREETING=$GREETING \\
    PYTHONPATH=/code/lib:$PYTHONPATH
ENV OLD form of it
WORKDIR /code
COPY --from=build --chown=1:1 /src/lib /code/lib
COPY *.py conf.d/?.txt ./
RUN useradd --uid 10001 app && mkdir -p /code/data
USER 10001
EXPOSE 30000
CMD ["python", "app.py"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    for name in ("lib/inner/x.py", "lib/y.pyc", "app.py", "other.py", "conf.d/a.txt", "conf.d/bb.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / ".dockerignore").write_text("# not these\n**/*.pyc\nother.py\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def builder(store: ImageStore, tmp_path: Path, said: list[str] | None = None) -> Builder:
    tell = (said if said is not None else []).append
    return Builder(store, Environments(tmp_path.parent / "cache" / "envs"), tell)


def build(store: ImageStore, tmp_path: Path, context: Path, text: str | None = None, **args: str):
    if text is not None:
        (context / "Dockerfile").write_text(text)
    return builder(store, tmp_path).build(context / "Dockerfile", context, NAME, args)


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_the_last_stage_is_executed(store, tmp_path, context):
    image = build(store, tmp_path, context)
    assert files(image.rootfs) == {"code/lib/inner/x.py", "code/app.py", "code/a.txt"}
    assert (image.rootfs / "code/data").is_dir()
    config = image.config
    assert config.cmd == ["python", "app.py"]
    assert config.workdir == "/code"
    assert config.env["GREETING"] == "hello there"
    assert config.env["PYTHONPATH"] == "/code/lib:"
    assert config.env["OLD"] == "form of it"
    assert "/code" in config.roots
    assert build(store, tmp_path, context, GREETING="bye").config.env["GREETING"] == "bye"


def test_the_digest_is_that_of_the_content(store, tmp_path, context):
    first = build(store, tmp_path, context).digest
    (context / "app.py").touch()
    (context / "other.py").write_text("ignored, so that nothing changes")
    assert build(store, tmp_path, context).digest == first
    (context / "app.py").write_text("changed")
    second = build(store, tmp_path, context).digest
    assert second != first
    (context / "app.py").chmod(0o755)
    assert build(store, tmp_path, context).digest not in (first, second)
    assert build(store, tmp_path, context, DOCKERFILE + "ENV MORE=1\n").digest not in (first, second)
    # The tag has one snapshot; those of earlier builds are gone.
    assert len(list((tmp_path / "images" / ".snapshots").iterdir())) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("RUN apt-get install -y curl", "'apt-get install -y curl' cannot be run here"),
        ("RUN echo x > /code/file", "'>': only commands joined by && can be run here"),
        ("RUN --mount=type=secret,id=x mkdir y", "only --mount=type=cache"),
        ("RUN pip install flask", "pin it in a requirements file"),
        ("RUN pip install -r app.py", "--require-hashes is required"),
        ("RUN pip install --require-hashes -r no.txt", "the stage has no file /code/no.txt: COPY it before"),
        ("RUN pip download flask", "only pip install"),
        ("COPY no-such /code/", "not found in the build context"),
        ("COPY other.py /code/", "excluded by .dockerignore"),
        ("COPY ../context/app.py /code/", "leads out of the build context"),
        ("COPY --from=nowhere /x /y", "no earlier stage has that name"),
        ("COPY --from=build /nothing /y", "not in that stage"),
        ("COPY --chmod=755 app.py /y", "--chmod: not supported here"),
        ("COPY app.py conf.d/a.txt /code/one", "must end with /"),
        ("COPY app.py", "a source and a destination are required"),
        ("ADD https://example.com/x /x", "use COPY"),
        ("ONBUILD RUN x", "not supported here"),
        ("CMD [1]", "a JSON array of texts"),
        ("ENV A", "NAME=value"),
        ("ENV =x", "NAME=value"),
        ('ENV A="open', "No closing quotation"),
        ("FROM debian:12", "not an image of Python"),
        ("RUN <<EOF", "here-documents"),
    ],
)
def test_what_cannot_be_built_is_named_and_changes_nothing(store, tmp_path, context, line, said):
    before = build(store, tmp_path, context).digest
    number = len(DOCKERFILE.splitlines()) + 1
    with pytest.raises(DockerfileError) as caught:
        build(store, tmp_path, context, f"{DOCKERFILE}{line}\n")
    assert said in str(caught.value)
    assert f"Dockerfile:{number}: {line.split()[0]}: " in str(caught.value)
    assert store.find(str(NAME)).digest == before
    assert {p.name for p in (tmp_path / "images").iterdir()} == {".snapshots", "ghcr.io_someone_app"}


def test_a_link_out_of_the_context_is_refused(store, tmp_path, context):
    (context / "lib" / "link").symlink_to("/etc/passwd")
    with pytest.raises(DockerfileError, match="leads out of the build context"):
        build(store, tmp_path, context)
    (context / "lib" / "link").unlink()
    (context / "lib" / "link").symlink_to("inner/x.py")
    rootfs = build(store, tmp_path, context).rootfs
    assert (rootfs / "code/lib/link").read_text() == "lib/inner/x.py"


@pytest.mark.parametrize(
    ("making", "copied", "packages"),
    [
        (
            "RUN python3 -m venv /opt/v\nENV PATH=/opt/v/bin:$PATH\nRUN pip install",
            "/opt/v /opt/v",
            {"/opt/v": "prefix"},
        ),
        ("RUN python -m venv /v && /v/bin/pip install", "/v /v", {"/v": "prefix"}),
        ("RUN pip install --target=/packages", "/packages /code/p", {"/code/p": "site"}),
        ("RUN pip install --prefix /install", "/install /usr/local", {"/usr/local": "prefix"}),
        (
            "RUN --mount=type=cache,target=/root/.cache pip install",
            "/usr/local /usr/local",
            {"/usr/local": "prefix"},
        ),
    ],
)
def test_packages_become_one_environment(  # noqa: PLR0917
    store, tmp_path, context, making, copied, packages
):
    (context / "requirements.txt").write_text("# nothing is pinned\n")
    text = (
        f"FROM python AS build\nCOPY requirements.txt /tmp/r.txt\n{making} --no-cache-dir --require-hashes"
        f" -r /tmp/r.txt\nFROM python\nWORKDIR /code\nCOPY --from=build {copied}\n"
    )
    image = build(store, tmp_path, context, text)
    assert image.config.packages == packages
    environment = Environments(tmp_path.parent / "cache" / "envs").path(image.config.requirements)
    assert (environment / "bin" / "python").exists()


def test_an_environment_is_made_once_and_a_failed_one_leaves_nothing(tmp_path):
    environments = Environments(tmp_path / "envs")
    said: list[str] = []
    keys: list[str] = []
    threads = [
        threading.Thread(target=lambda: keys.append(environments.ensure("# the same\n", said.append)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 4
    assert len(said) == 1
    python = environments.path(keys[0]) / "bin" / "python"
    prefix = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert Path(prefix.stdout.strip()).parent == tmp_path / "envs" / keys[0]
    missing = f"x @ file:///no-such.whl --hash=sha256:{0:064x}\n"
    with pytest.raises(InstallError, match="wheel filename"):
        environments.ensure(missing, said.append)
    key = environments.key(missing)
    assert not environments.path(key).exists()
    assert {p.name for p in (tmp_path / "envs" / key).iterdir()} == {
        "pip.log",
        "venv.log",
        "requirements.txt",
    }


def test_tags(store, tmp_path, context):
    image = build(store, tmp_path, context)
    assert store.exists(str(NAME))
    assert store.tags() == [("ghcr.io_someone_app", "v1", image.digest)]
    copy = tmp_path / "copy"
    assert store.copy(str(NAME), copy).digest == image.digest
    assert files(copy) == files(image.rootfs)
    store.remove(str(NAME))
    assert store.tags() == []
    assert not image.rootfs.exists()
    with pytest.raises(ImageNotFoundError):
        store.find(str(NAME))
    with pytest.raises(ImageNotFoundError):
        store.remove(str(NAME))
    assert store.find(MACHINE_IMAGE).rootfs is None


@pytest.mark.parametrize("name", ["", "x/UPPER/case", "../x", "a/../b", "x:", "x:a/b", "a b", "x@sha256:1"])
def test_names_that_no_image_can_have(name):
    with pytest.raises(ValueError, match="not the name of an image"):
        ImageReference.parse(name)


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("python", "python", "latest"),
        ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
        ("ghcr.io/O-wner/x".lower() + ":v1", "ghcr.io/o-wner/x", "v1"),
    ],
)
def test_names(text, name, tag):
    found = ImageReference.parse(text)
    assert (found.name, found.tag) == (name, tag)


def test_the_command_line(tmp_path, context):
    env = {
        "C756_STATE": str(tmp_path / "state"),
        "C756_CACHE": str(tmp_path.parent / "cache"),
        "PATH": "/usr/bin:/bin",
    }

    def image(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "local.images", *arguments]
        return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    done = image(
        "build", "-f", f"{context}/Dockerfile", "-t", "app:v1", "--build-arg", "GREETING=x", str(context)
    )
    assert done.returncode == 0, done.stderr
    assert "Successfully tagged app:v1" in done.stdout
    digest = done.stdout.splitlines()[-1]
    assert image("digest", "app:v1").stdout.strip() == digest
    assert digest in image("ls").stdout
    assert image("rm", "app:v1").stdout == "Untagged: app:v1\n"
    for arguments in (["digest", "app:v1"], ["rm", "app:v1"]):
        gone = image(*arguments)
        assert gone.returncode == 1
        assert "No such image: app:v1" in gone.stderr
    (context / "Dockerfile").write_text("FROM python\nRUN make\n")
    failed = image("build", "-t", "app:v1", str(context))
    assert failed.returncode == 1
    assert "Dockerfile:2: RUN: 'make' cannot be run here" in failed.stderr
    assert "Traceback" not in failed.stderr
    missing = image("build", "-f", "no-such-file", "-t", "app:v1", str(context))
    assert missing.returncode == 1
    assert "no-such-file: No such file" in missing.stderr


@pytest.mark.parametrize(
    "dockerfile", sorted(ROOT.glob("*/Dockerfile")) + sorted(ROOT.glob("[!.]*/*/Dockerfile"))
)
def test_the_project_s_dockerfiles_can_be_built_here(store, tmp_path, dockerfile, monkeypatch):
    monkeypatch.setattr(Environments, "ensure", lambda self, text, _tell: self.key(text))
    image = builder(store, tmp_path).build(dockerfile, ROOT, NAME, {})
    assert image.config.cmd
    assert image.config.workdir == "/code"
    assert "prefix" in image.config.packages.values()
