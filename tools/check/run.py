"""The whole check of a set of objects: schemas, rules, references."""

from collections.abc import Iterable
from dataclasses import replace

from tools.check import istio, kubernetes, problem, references, schema
from tools.check.documents import Document
from tools.check.problem import Problem


def check(
    documents: Iterable[Document], context: Iterable[Document] = (), namespace: str = references.NAMESPACE
) -> list[Problem]:
    """What is wrong with the documents, file by file.

    References are followed only among objects that keep to their schemas, so one mistake is one problem.
    Files are alternatives: two may hold an object of one name; each is checked with the others as context.

    Args:
        documents: what is to be applied.
        context: what else there is or will be; not checked itself.
        namespace: namespace of the objects that name none.
    """
    found: list[Problem] = []
    sound: dict[str, list[Document]] = {}
    for document in documents:
        wrong = schema.errors(document.obj)
        if not wrong:
            sound.setdefault(document.file, []).append(document)
            wrong = kubernetes.validate(document.obj) + istio.validate(document.obj)
        found += (_placed(item, document) for item in wrong)
    others = [item.obj for item in context if not schema.errors(item.obj)]
    for file, own in sound.items():
        rest = [item.obj for other, items in sound.items() if other != file for item in items]
        for item in references.problems([document.obj for document in own], others + rest, namespace):
            same = [document for document in own if _is_about(item, document)]
            found.append(_placed(item, same[-1]))
    return sorted(found, key=lambda item: (item.file, item.index))


def _is_about(item: Problem, document: Document) -> bool:
    about = problem.of(document.obj, (), "")
    return (item.kind, item.name) == (about.kind, about.name)


def _placed(item: Problem, document: Document) -> Problem:
    return replace(item, file=document.file, index=document.index)
