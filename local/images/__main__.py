"""The command local/bin/image: build, list and remove images, with docker's words."""

import os
import sys
from pathlib import Path

import click

from local.images.builder import Builder, DockerfileError
from local.images.environments import Environments
from local.images.reference import ImageReference
from local.images.store import ImageNotFoundError, ImageStore
from local.settings import Settings, SettingsError


def _settings() -> Settings:
    try:
        return Settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _reference(_: click.Context, __: click.Parameter, value: str) -> ImageReference:
    try:
        return ImageReference.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return --build-arg's pairs; one without a value takes that of the environment, as docker does."""
    pairs = {}
    for text in values:
        name, equals, value = text.partition("=")
        if equals or name in os.environ:
            pairs[name] = value if equals else os.environ[name]
    return pairs


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Images of the one-machine mesh: snapshots that the mesh's pods run from."""


@main.command()
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), help="Dockerfile (default: CONTEXT/Dockerfile)."
)
@click.option("-t", "--tag", "reference", required=True, callback=_reference, help="NAME:TAG of the image.")
@click.option("--build-arg", "build_args", multiple=True, callback=_pairs, help="NAME=VALUE of an ARG.")
@click.option("-q", "--quiet", is_flag=True, help="Print the digest only.")
@click.argument("context", type=click.Path(exists=True, file_okay=False, path_type=Path))
def build(
    file: Path | None, reference: ImageReference, build_args: dict[str, str], quiet: bool, context: Path
) -> None:
    """Build an image from a Dockerfile and the files of CONTEXT."""
    settings = _settings()

    def tell(text: str) -> None:
        if not quiet:
            click.echo(f" => {text}")

    path = file or context / "Dockerfile"
    try:
        image = Builder(ImageStore(settings.images), Environments(settings.environments), tell).build(
            path, context, reference, build_args
        )
    except FileNotFoundError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    except (DockerfileError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if not quiet:
        click.echo(f"Successfully tagged {reference}")
    click.echo(image.digest)


@main.command()
@click.argument("reference", metavar="NAME:TAG", callback=_reference)
def digest(reference: ImageReference) -> None:
    """Print an image's content digest: equal for equal content."""
    try:
        click.echo(ImageStore(_settings().images).find(str(reference)).digest)
    except ImageNotFoundError as error:
        raise click.ClickException(str(error)) from error


@main.command("ls")
def list_() -> None:
    """List the images."""
    rows = [("IMAGE", "TAG", "DIGEST"), *ImageStore(_settings().images).tags()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        click.echo("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@main.command()
@click.argument("references", metavar="NAME:TAG...", nargs=-1, required=True)
def rm(references: tuple[str, ...]) -> None:
    """Remove images; pods that run from them go on."""
    store = ImageStore(_settings().images)
    failed = False
    for text in references:
        try:
            store.remove(text)
            click.echo(f"Untagged: {text}")
        except (ImageNotFoundError, ValueError) as error:
            click.echo(f"Error: {error}", err=True)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main(prog_name="image")
