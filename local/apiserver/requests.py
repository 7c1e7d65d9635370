"""What a request means: the resource, the object, the subresource; and how it wants the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from local.apiserver import errors
from local.kinds import RESOURCES, Resource

_BY_PATH = {(r.group, v, r.plural): r for r in RESOURCES for v in r.versions}


@dataclass(frozen=True)
class Target:
    """The resource, and the object where there is a name, that a path stands for."""

    resource: Resource
    version: str
    namespace: str | None
    """None: every namespace, or a kind without namespaces."""
    name: str | None
    subresource: str

    @property
    def api_version(self) -> str:
        """`apiVersion` of the objects as this request sees them."""
        group = self.resource.group
        return f"{group}/{self.version}" if group else self.version

    @property
    def space(self) -> str:
        """The namespace as the store writes it: "" for kinds without one."""
        return self.namespace or ""


def split(raw_path: str) -> list[str]:
    """Return the decoded steps of a path."""
    return [unquote(step) for step in raw_path.split("/") if step]


def parse(steps: list[str]) -> Target | None:
    """Return what /api/v1/… or /apis/GROUP/VERSION/… stands for, None where there is no such resource."""
    if steps[:1] == ["api"] and len(steps) >= 3:
        group, version, rest = "", steps[1], steps[2:]
    elif steps[:1] == ["apis"] and len(steps) >= 4:
        group, version, rest = steps[1], steps[2], steps[3:]
    else:
        return None
    namespace = None
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = _BY_PATH.get((group, version, rest[0]))
    if resource is None or len(rest) > 3 or (namespace is not None and not resource.namespaced):
        return None
    name = rest[1] if len(rest) > 1 else None
    if resource.namespaced and namespace is None and name is not None:
        return None
    return Target(resource, version, namespace, name, rest[2] if len(rest) > 2 else "")


@dataclass(frozen=True)
class Accepted:
    """One media type of an Accept header, with `as`, `g` and `v` of the API's transformations."""

    media: str
    parameters: Mapping[str, str]

    @property
    def transform(self) -> str:
        """The kind that the answer is wanted as: Table, PartialObjectMetadata … or "" for the object."""
        return self.parameters.get("as", "")


def accepted(header: str) -> list[Accepted]:
    """Return an Accept header's media types that are JSON, in the client's order.

    Raises ApiError (406) where the client takes no JSON.
    """
    found = []
    for part in (header or "*/*").split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media in ("application/json", "application/*", "*/*"):
            pairs = (p.partition("=") for p in parameters)
            found.append(Accepted("application/json", {k.strip(): v.strip() for k, _, v in pairs}))
    if not found:
        text = "only the following media types are accepted: application/json"
        raise errors.ApiError(406, "NotAcceptable", text)
    return found


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return a boolean query parameter; raises ApiError (400)."""
    text = query.get(name, "")
    if text in ("", "0", "f", "F", "false", "False", "FALSE"):
        return False
    if text in ("1", "t", "T", "true", "True", "TRUE"):
        return True
    raise errors.bad_request(f"invalid value for {name}: {text!r}: must be true or false")


def number(query: Mapping[str, str], name: str) -> int | None:
    """Return a query parameter that is a whole number >= 0, None where absent; raises ApiError (400)."""
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdecimal():
        raise errors.bad_request(f"invalid value for {name}: {text!r}: must be a whole number")
    return int(text)


def dry_run(values: list[str]) -> bool:
    """Tell whether `dryRun` asks for a dry run; raises ApiError (400) for a value other than All."""
    for value in values:
        if value not in ("All", ""):
            raise errors.bad_request(f'dryRun: Unsupported value: "{value}": supported values: "All"')
    return any(values)
