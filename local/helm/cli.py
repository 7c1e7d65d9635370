"""Helm's commands and flags, as far as the makefiles and the documentation use them."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import helm_python
import yaml

from local.helm import output
from local.helm.engine import Connection, ConnectionProblem, cancellable, offline
from local.helm.values import Values, ValuesError, collect

_FORMS = click.Choice(["table", "json", "yaml"])
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SEVERITIES = {0: "UNKNOWN", 1: "INFO", 2: "WARNING", 3: "ERROR"}

Command = Callable[..., Any]


class Duration(click.ParamType[int]):
    """A duration as Go writes it (5m0s), in whole seconds of at least 1."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return the seconds; fails the command for other texts."""
        if isinstance(value, int):
            return value
        parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is not a duration such as 5m0s or 90s", param, ctx)
        return max(1, round(sum(float(number) * _UNITS[unit] for number, unit in parts)))


class Helm(click.Group):
    """Commands that are not there end with their names, and with those that are."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; fails for one that is not here."""
        if self.get_command(ctx, args[0]) is None:
            known = ", ".join(self.list_commands(ctx))
            name = "helm" if ctx.parent is None else f"helm {ctx.info_name}"
            raise click.ClickException(f'"{args[0]}" is not a command of this {name}; it has: {known}')
        return super().resolve_command(ctx, args)


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _connection(command: Command) -> Command:
    def wrapped(
        *args: Any,  # noqa: ANN401 - click's
        kubeconfig: str | None,
        kube_context: str | None,
        namespace: str | None,
        **rest: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return command(*args, connection=Connection(kubeconfig, kube_context, namespace), **rest)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return _options(
        click.option("--kubeconfig", help="path to the kubeconfig file"),
        click.option("--kube-context", help="name of the kubeconfig context to use"),
        click.option("-n", "--namespace", envvar="HELM_NAMESPACE", help="namespace scope for this request"),
    )(wrapped)


def _values(command: Command) -> Command:
    def wrapped(
        *args: Any,  # noqa: ANN401 - click's
        values: Sequence[Path],
        set_: Sequence[str],
        set_string: Sequence[str],
        set_json: Sequence[str],
        set_file: Sequence[str],
        set_literal: Sequence[str],
        **rest: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        options = {
            "--set": set_,
            "--set-string": set_string,
            "--set-json": set_json,
            "--set-file": set_file,
            "--set-literal": set_literal,
        }
        return command(*args, values=collect(values, options), **rest)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return _options(
        click.option("-f", "--values", multiple=True, type=click.Path(path_type=Path), help="values file"),
        click.option("--set", "set_", multiple=True, help="set values (key=value,…)"),
        click.option("--set-string", multiple=True, help="set STRING values"),
        click.option("--set-json", multiple=True, help="set JSON values"),
        click.option("--set-file", multiple=True, help="set values from files (key=path)"),
        click.option("--set-literal", multiple=True, help="set a literal STRING value"),
    )(wrapped)


_output = click.option("-o", "--output", "form", type=_FORMS, default="table", help="format of the output")
_wait = click.option(
    "--wait",
    is_flag=False,
    flag_value="watcher",
    default="hookOnly",
    type=click.Choice(["watcher", "hookOnly", "legacy"]),
    help="wait until all resources are ready",
)
_timeout = click.option("--timeout", type=Duration(), default="5m0s", help="time to wait for each operation")
_dry_run = click.option(
    "--dry-run",
    is_flag=False,
    flag_value="client",
    type=click.Choice(["none", "client", "server"]),
    help="simulate the operation",
)
_writes = _options(
    _wait,
    _timeout,
    _dry_run,
    click.option("--create-namespace", is_flag=True, help="create the namespace if there is none"),
    click.option(
        "--rollback-on-failure", "--atomic", "rollback_on_failure", is_flag=True, help="undo a failed attempt"
    ),
    click.option("--description", help="text for the history"),
    click.option("--version", "chart_version", help="version of a chart that is not a local folder"),
    click.option("--repo", "chart_repo_url", help="repository of a chart that is not a local folder"),
    _output,
)


@click.group(cls=Helm, context_settings={"help_option_names": ["-h", "--help"]})
def helm() -> None:
    """Helm's command line over the real Helm engine; without KUBECONFIG for the one-machine mesh."""


@helm.command()
@click.argument("name")
@click.argument("chart")
@_connection
@_values
@_writes
def install(connection: Connection, name: str, chart: str, form: str, **options: Any) -> None:  # noqa: ANN401
    """Install a chart as release NAME."""
    _install(connection, name, chart, form, options)


@helm.command()
@click.argument("name")
@click.argument("chart")
@click.option("-i", "--install", "or_install", is_flag=True, help="install where there is no such release")
@click.option("--reset-values", is_flag=True, help="start from the chart's values")
@click.option("--reuse-values", is_flag=True, help="start from the last release's values")
@click.option("--cleanup-on-fail", is_flag=True, help="delete what a failed upgrade created")
@click.option("--history-max", type=click.IntRange(min=0), default=10, help="revisions to keep, 0: all")
@_connection
@_values
@_writes
def upgrade(
    connection: Connection,
    name: str,
    chart: str,
    form: str,
    *,
    or_install: bool,
    reset_values: bool,
    reuse_values: bool,
    cleanup_on_fail: bool,
    history_max: int,
    **options: Any,  # noqa: ANN401
) -> None:
    """Upgrade release NAME to a chart."""
    if or_install and not _deployed_once(connection, name):
        if form == "table":
            click.echo(f'Release "{name}" does not exist. Installing it now.')
        _install(connection, name, chart, form, options)
        return
    options.pop("create_namespace")
    with connection.open() as config:
        release = cancellable(
            lambda context: config.upgrade(
                chart,
                name,
                context=context,
                namespace=connection.space(),
                reset_values=reset_values,
                reuse_values=reuse_values,
                cleanup_on_fail=cleanup_on_fail,
                max_history=history_max,
                **options,
            )
        )
        if form == "table" and not _simulated(options):
            click.echo(f'Release "{name}" has been upgraded. Happy Helming!')
        _show(config, release, form, simulated=_simulated(options))


@helm.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--keep-history", is_flag=True, help="keep the release's record")
@click.option("--ignore-not-found", is_flag=True, help='treat "release not found" as success')
@click.option("--dry-run", is_flag=True, help="simulate the operation")
@_wait
@_timeout
@_connection
def uninstall(connection: Connection, names: Sequence[str], **options: Any) -> None:  # noqa: ANN401
    """Uninstall releases."""
    with connection.open() as config:
        for name in names:
            result = config.uninstall(name, **options)
            if result.get("info"):
                click.echo(result["info"], err=True)
            click.echo(f'release "{name}" uninstalled')


@helm.command("list")
@click.option("-A", "--all-namespaces", is_flag=True, help="list releases across all namespaces")
@click.option("-a", "--all", "all_states", is_flag=True, help="show releases in every state")
@click.option("-q", "--short", is_flag=True, help="names only")
@click.option("-f", "--filter", "name_filter", help="regular expression for names")
@click.option("-m", "--max", "limit", type=click.IntRange(min=0), default=256, help="how many at most")
@_output
@_connection
def list_releases(
    connection: Connection,
    form: str,
    *,
    short: bool,
    all_namespaces: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """List releases."""
    with connection.open() as config:
        found = [output.listed(r) for r in config.list(all_namespaces=all_namespaces, **options)]
    if short:
        if form == "table":
            click.echo("".join(f"{release['name']}\n" for release in found), nl=False)
        else:
            click.echo(output.structured([release["name"] for release in found], form))
        return
    if form != "table":
        click.echo(output.structured(found, form))
        return
    header = ("NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION")
    click.echo(output.table(header, [tuple(release.values()) for release in found]))


@helm.command()
@click.argument("name")
@click.option("--revision", type=click.IntRange(min=1), help="the revision, if not the last")
@_output
@_connection
def status(connection: Connection, name: str, revision: int | None, form: str) -> None:
    """Show the status of a release."""
    with connection.open() as config:
        _show(config, config.status(name, revision=revision), form)


@helm.command()
@click.argument("name")
@click.option("--max", "max_revisions", type=click.IntRange(min=1), default=256, help="revisions at most")
@_output
@_connection
def history(connection: Connection, name: str, max_revisions: int, form: str) -> None:
    """Show the revisions of a release."""
    with connection.open() as config:
        found = [
            {
                "revision": release["revision"],
                "updated": release.get("deployed_at", ""),
                "status": release["status"],
                "chart": output.chart(release),
                "app_version": release.get("app_version", ""),
                "description": _info(config, name, release["revision"]).get("description", ""),
            }
            for release in config.history(name, max_revisions=max_revisions)
        ]
    if form != "table":
        click.echo(output.structured(found, form))
        return
    header = ("REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION")
    rows = [tuple({**r, "updated": output.time(r["updated"])}.values()) for r in found]
    click.echo(output.table(header, rows))


@helm.command()
@click.argument("name")
@click.argument("revision", type=click.IntRange(min=0), required=False)
@_wait
@_timeout
@_dry_run
@_connection
def rollback(connection: Connection, name: str, revision: int | None, **options: Any) -> None:  # noqa: ANN401
    """Roll a release back to a revision (the one before, where none is named)."""
    with connection.open() as config:
        config.rollback(name, version=revision or None, **options)
    click.echo("Rollback was a success! Happy Helming!")


@helm.group("get", cls=Helm)
def get() -> None:
    """Show more about a release: values, manifest, notes, hooks, metadata."""


_revision = click.option("--revision", type=click.IntRange(min=1), help="the revision, if not the last")


@get.command("values")
@click.argument("name")
@click.option("-a", "--all", "all_values", is_flag=True, help="all (computed) values")
@_revision
@_output
@_connection
def get_values(
    connection: Connection, name: str, revision: int | None, form: str, *, all_values: bool
) -> None:
    """Show a release's values."""
    with connection.open() as config:
        found = config.get_values(name, all_values=all_values, revision=revision)
    if form == "table":
        click.echo("COMPUTED VALUES:" if all_values else "USER-SUPPLIED VALUES:")
        form = "yaml"
    click.echo(output.structured(found or None, form).removesuffix("\n..."))


@get.command("manifest")
@click.argument("name")
@_revision
@_connection
def get_manifest(connection: Connection, name: str, revision: int | None) -> None:
    """Show a release's manifest."""
    with connection.open() as config:
        click.echo(config.status(name, revision=revision).get("manifest", ""))


@get.command("notes")
@click.argument("name")
@_revision
@_connection
def get_notes(connection: Connection, name: str, revision: int | None) -> None:
    """Show a release's notes."""
    with connection.open() as config:
        click.echo(f"NOTES:\n{config.status(name, revision=revision).get('notes', '')}")


@get.command("hooks")
@click.argument("name")
@_revision
@_connection
def get_hooks(connection: Connection, name: str, revision: int | None) -> None:
    """Show a release's hooks."""
    with connection.open() as config:
        for hook in config.get_all(name, revision=revision).get("hooks") or []:
            click.echo(f"---\n# Source: {hook['path']}\n{hook['manifest'].strip()}")


@get.command("metadata")
@click.argument("name")
@_revision
@_output
@_connection
def get_metadata(connection: Connection, name: str, revision: int | None, form: str) -> None:
    """Show a release's metadata."""
    with connection.open() as config:
        found = config.get_metadata(name, revision=revision)
    if form != "table":
        click.echo(output.structured(found, form))
        return
    names = ("name", "chart", "version", "appVersion", "namespace", "revision", "status", "deployedAt")
    for field in names:
        title = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field).upper()
        click.echo(f"{title}: {found.get(field, '')}")


@helm.command()
@click.argument("name", required=False)
@click.argument("chart", required=False)
@click.option("-s", "--show-only", multiple=True, help="only show manifests of these templates")
@click.option("--no-hooks", is_flag=True, help="leave hooks out")
@_connection
@_values
def template(
    connection: Connection,
    name: str | None,
    chart: str | None,
    values: Values,
    show_only: Sequence[str],
    *,
    no_hooks: bool,
) -> None:
    """Render a chart and print the objects."""
    if name is None:
        raise click.UsageError('"helm template" requires at least 1 argument: [NAME] CHART')
    if chart is None:
        name, chart = "release-name", name
    space = connection.namespace or "default"
    with offline() as config, helm_python.Chart.load(chart) as loaded:
        release = config.install(loaded, name, values, namespace=space, dry_run="client")
        found = output.documents(release.get("manifest", ""))
        if not no_hooks:
            rendered = loaded.render(values, name=name, namespace=space, is_install=True)
            found += _hooks(rendered)
        prefix = f"{loaded.name}/"
    for wanted in show_only:
        if not any(source == prefix + wanted for source, _ in found):
            raise click.ClickException(f"could not find template {wanted} in chart")
    for source, text in found:
        if not show_only or source.removeprefix(prefix) in show_only:
            click.echo(f"---\n{text}")


@helm.command()
@click.argument("paths", nargs=-1)
@click.option("--strict", is_flag=True, help="fail on warnings")
@click.option("--quiet", is_flag=True, help="print warnings and errors only")
@click.option("-n", "--namespace", help="namespace scope for this request")
@_values
def lint(paths: Sequence[str], values: Values, namespace: str | None, *, strict: bool, quiet: bool) -> None:
    """Examine charts for possible issues."""
    paths = paths or (".",)
    failed = 0
    for path in paths:
        report = helm_python.lint(path, values, strict=strict, namespace=namespace)
        lines = [
            f"[{_SEVERITIES.get(m['severity'], 'UNKNOWN')}] {m['path']}: {m['error']}"
            for m in report["messages"]
            if not quiet or m["severity"] > 1
        ]
        worst = max((m["severity"] for m in report["messages"]), default=0)
        bad = bool(report["errors"]) or worst >= (2 if strict else 3)
        failed += bad
        if lines or bad or not quiet:
            click.echo("\n".join([f"==> Linting {path}", *lines, ""]))
    summary = f"{len(paths)} chart(s) linted, {failed} chart(s) failed"
    if failed:
        raise click.ClickException(summary)
    if not quiet:
        click.echo(summary)


@helm.command("test")
@click.argument("name")
@click.option("--logs", is_flag=True, help="print the test pods' logs")
@_timeout
@_connection
def run_tests(connection: Connection, name: str, timeout: int, *, logs: bool) -> None:
    """Run a release's tests."""
    with connection.open() as config:
        result = config.test(name, timeout=timeout, logs=logs)
        _show(config, result["release"], "table")
    if result.get("logs"):
        click.echo(result["logs"])


@helm.command()
@click.option("--short", is_flag=True, help="the version only")
def version(*, short: bool) -> None:
    """Print the version of the Helm engine."""
    number = helm_python.helm_sdk_version()
    click.echo(number if short else f'version.BuildInfo{{Version:"{number}"}}')


def _install(connection: Connection, name: str, chart: str, form: str, options: dict[str, Any]) -> None:
    with connection.open() as config:
        release = cancellable(
            lambda context: config.install(
                chart, name, context=context, namespace=connection.space(), **options
            )
        )
        _show(config, release, form, simulated=_simulated(options))


def _simulated(options: dict[str, Any]) -> bool:
    return options.get("dry_run") not in (None, "none")


def _deployed_once(connection: Connection, name: str) -> bool:
    """Tell whether there is a release to upgrade; one that was uninstalled with its history kept is none."""
    with connection.open() as config:
        try:
            found = config.history(name)
        except helm_python.HelmNotFoundError:
            return False
    return bool(found) and found[-1]["status"] != "uninstalled"


def _info(config: helm_python.Config, name: str, revision: int | None) -> dict[str, Any]:
    return dict(config.get_all(name, revision=revision).get("info") or {})


def _show(config: helm_python.Config, release: dict[str, Any], form: str, *, simulated: bool = False) -> None:
    if form != "table":
        click.echo(output.structured(release, form))
        return
    if simulated:
        click.echo(output.status(release, "Dry run complete"))
        click.echo(f"MANIFEST:\n{release.get('manifest', '')}")
        return
    stored = config.get_all(release["name"], revision=release["revision"])
    description = (stored.get("info") or {}).get("description", "")
    click.echo(output.status(release, description, stored.get("hooks") or []))


def _hooks(rendered: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (path, f"# Source: {path}\n{text}")
        for path, whole in sorted(rendered.items())
        if path.endswith((".yaml", ".yml"))
        for _, text in output.documents(whole)
        if output.is_hook(text)
    ]


def run() -> NoReturn:
    """Run the command line and exit as Helm does: 0, or 1 with one line that begins with Error."""
    try:
        helm.main(prog_name="helm", standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        _fail(error.format_message())
    except (helm_python.HelmError, ValuesError, ConnectionProblem, yaml.YAMLError) as error:
        _fail(str(error))
    sys.exit(0)


def _fail(text: str) -> NoReturn:
    click.echo(f"Error: {text}", err=True)
    sys.exit(1)
