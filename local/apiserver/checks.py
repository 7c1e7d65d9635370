"""What the API server asks the rest of the project about an object, before it takes it."""

from collections.abc import Iterator

from local import prometheus
from local.apiserver import support
from local.apiserver.errors import Cause
from local.istiod import support as istiod_support
from local.kinds import Object
from local.kubelet import support as kubelet_support
from local.store import Store
from tools.check import Problem, istio, kubernetes, references, schema

_CONTEXT = ("Service", "ServiceEntry", "DestinationRule", "Gateway", "VirtualService")


def causes(obj: Object, store: Store) -> list[Cause]:
    """Return what is wrong with an object: its form, else rules that it breaks, else what is not here.

    Unknown fields are refused whatever the client's fieldValidation: nothing is ignored silently.
    """
    found = list(_causes(schema.errors(obj)))
    if not found:
        found = list(_causes([*kubernetes.validate(obj), *istio.validate(obj), *_subsets(obj, store)]))
    return found or [Cause(path, reason, "FieldValueNotSupported") for path, reason in _unsupported(obj)]


def _causes(problems: list[Problem]) -> Iterator[Cause]:
    return (Cause(problem.path, problem.reason) for problem in problems)


def _subsets(obj: Object, store: Store) -> list[Problem]:
    """Return the subsets of a VirtualService that no DestinationRule defines.

    Other references may lead to what is applied a moment later; a request to such a subset fails at once.
    """
    if obj["kind"] != "VirtualService":
        return []
    context = [other for kind in _CONTEXT for other in store.select(kind)]
    found = references.problems([obj], context, str(obj["metadata"].get("namespace")))
    return [problem for problem in found if problem.path.endswith(".subset")]


def _unsupported(obj: Object) -> Iterator[tuple[str, str]]:
    for part in (support, istiod_support, kubelet_support, prometheus):
        yield from part.problems(obj)
