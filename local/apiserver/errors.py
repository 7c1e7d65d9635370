"""Refusals as Kubernetes words them (metav1.Status), so that kubectl and Helm understand them.

Wording: k8s.io/apimachinery/pkg/api/errors/errors.go.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from local.kinds import Object, Resource


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong: a field's path, a reason of metav1.CauseType and a text."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """A request that is refused; `status` is the body of the answer."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    @property
    def status(self) -> Object:
        """The metav1.Status object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def qualified(resource: Resource) -> str:
    """Return a resource's name with its group, as in `deployments.apps`."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _details(resource: Resource, name: str) -> Object:
    details: Object = {"name": name, "kind": resource.plural}
    return {**details, "group": resource.group} if resource.group else details


def not_found(resource: Resource, name: str) -> ApiError:
    """404: there is no such object."""
    return ApiError(404, "NotFound", f'{qualified(resource)} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """409: an object of that name is there."""
    text = f'{qualified(resource)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, _details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    """409: the object is not in the state that the request expects."""
    text = f'Operation cannot be fulfilled on {qualified(resource)} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(resource, name))


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """403: a rule of the server forbids it."""
    text = f'{qualified(resource)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", text, _details(resource, name))


def invalid(resource: Resource, name: str, causes: Iterable[Cause]) -> ApiError:
    """422: the object breaks rules; all of them are named."""
    found = sorted(set(causes), key=lambda cause: (cause.field, cause.message))
    texts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in found]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {
        **_details(resource, name),
        "kind": resource.kind,
        "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in found],
    }
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def bad_request(text: str) -> ApiError:
    """400: the request itself is malformed."""
    return ApiError(400, "BadRequest", text)


def unauthorized() -> ApiError:
    """401: no token, or a wrong one."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed(what: str = "") -> ApiError:
    """405: the resource has no such verb."""
    text = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", f"{text}: {what}" if what else text)


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    """415: the body is in a format that is not understood here."""
    text = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", text + ", ".join(accepted))


def no_such_path() -> ApiError:
    """404: nothing is served under this path."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def not_here(what: str) -> ApiError:
    """501: a part of Kubernetes that the one-machine mesh does not have."""
    return ApiError(501, "NotImplemented", f"the one-machine mesh has no {what}")


def internal(text: str) -> ApiError:
    """500: something went wrong here."""
    return ApiError(500, "InternalError", f"Internal error occurred: {text}")


def expired(text: str) -> ApiError:
    """410: the history of changes does not reach that far back."""
    return ApiError(410, "Expired", text)
