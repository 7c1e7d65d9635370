"""Find and hide: short expressions over nodes and arcs, as `app = cmpt756s2 and rate > 1`.

Words: a bare word is a part of a name; `!` or `not` before a term turns it round; `and` binds before `or`.
Comparisons: name, app, version, namespace, kind (=, !=, contains), rate, errors (%), average, p50, p95, p99 (ms)
(=, !=, <, <=, >, >=). Properties: idle, healthy, degraded, failure, service, workload, external, unknown, tcp, http.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from console.graph.model import Edge, Graph, Node
from console.graph.quantiles import quantile


class ExpressionError(ValueError):
    """An expression that cannot be read; the text says where."""


Element = Node | Edge
Test = Callable[[Graph, Element], bool]

_TOKEN = re.compile(r'\s*("[^"]*"|[<>!]=|[<>=()!]|[^\s<>=()!"]+)')
_TEXTS = ("name", "app", "version", "namespace", "kind")
_NUMBERS = ("rate", "errors", "average", "p50", "p95", "p99")
_HEALTH = ("idle", "healthy", "degraded", "failure")
_KINDS = {
    "service": ("service",),
    "workload": ("app", "workload"),
    "external": ("external",),
    "operation": ("operation",),
    "unknown": ("unknown",),
}
_PROTOCOLS = ("tcp", "http", "grpc")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matching(graph: Graph, expression: str) -> set[str]:
    """Return the ids of the nodes and arcs that an expression is true of; none for an empty one.

    Raises ExpressionError.
    """
    if not expression.strip():
        return set()
    test = _Parser(expression).parse()
    elements: list[Element] = [*graph.nodes.values(), *graph.edges.values()]
    return {element.id for element in elements if test(graph, element)}


@dataclass
class _Parser:
    text: str

    def parse(self) -> Test:
        self.words = _words(self.text)
        test = self._either()
        if self.words:
            raise ExpressionError(f"{self.words[0]!r} is not expected there: join terms by `and` or `or`")
        return test

    def _take(self, *wanted: str) -> str | None:
        if self.words and self.words[0].lower() in wanted:
            return self.words.pop(0).lower()
        return None

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("or"):
            tests.append(self._both())
        return lambda graph, element: any(test(graph, element) for test in tests)

    def _both(self) -> Test:
        tests = [self._term()]
        while self._take("and"):
            tests.append(self._term())
        return lambda graph, element: all(test(graph, element) for test in tests)

    def _term(self) -> Test:
        if self._take("!", "not"):
            test = self._term()
            return lambda graph, element: not test(graph, element)
        if self._take("("):
            test = self._either()
            if not self._take(")"):
                raise ExpressionError("a parenthesis is not closed")
            return test
        if not self.words:
            raise ExpressionError("the expression ends where a term is expected")
        word = self.words.pop(0)
        if word.lower() in (*_TEXTS, *_NUMBERS):
            return self._comparison(word.lower())
        return _property(word)

    def _comparison(self, field: str) -> Test:
        sign = self._take(*_COMPARE, "contains")
        if sign is None or not self.words:
            raise ExpressionError(f"{field!r} is to be compared, for example `{_example(field)}`")
        value = self.words.pop(0).strip('"')
        if field in _TEXTS:
            if sign not in ("=", "!=", "contains"):
                raise ExpressionError(f"{field!r} is a text: compare it by =, != or contains")
            return _text_test(field, sign, value.lower())
        try:
            number = float(value.removesuffix("%").removesuffix("ms"))
        except ValueError as error:
            raise ExpressionError(f"{value!r} is no number: {field!r} is compared with one") from error
        if sign == "contains":
            raise ExpressionError(f"{field!r} is a number: compare it by =, !=, <, <=, >, >=")
        return _number_test(field, _COMPARE[sign], number)


def _words(text: str) -> list[str]:
    words, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ExpressionError(f"{text[place:].strip()!r} cannot be read: is a quotation mark missing?")
        words.append(match[1])
        place = match.end()
    return words


def _example(field: str) -> str:
    return f"{field} = v1" if field in _TEXTS else f"{field} > 1"


def _texts(element: Element, field: str) -> list[str]:
    """Return the values of a text field; an arc has those of its target."""
    node = element.target if isinstance(element, Edge) else element
    if field == "app":
        return [node.parts[1] if node.kind == "app" else node.host.partition(".")[0]]
    if field == "name":
        return [element.id] if isinstance(element, Edge) else [node.name, *node.parts]
    return [str(getattr(node, field))]


def _text_test(field: str, sign: str, value: str) -> Test:
    def test(_graph: Graph, element: Element) -> bool:
        found = [text.lower() for text in _texts(element, field)]
        if sign == "contains":
            return any(value in text for text in found)
        return (value in found) == (sign == "=")

    return test


def _number_test(field: str, compare: Callable[[float, float], bool], number: float) -> Test:
    def test(_graph: Graph, element: Element) -> bool:
        if not isinstance(element, Edge):
            return False
        traffic = element.traffic
        if field.startswith("p"):
            value = quantile(int(field[1:]) / 100, traffic.buckets)
        else:
            value = {"rate": traffic.rate, "errors": traffic.error_share, "average": traffic.average}[field]
        return value is not None and compare(value, number)

    return test


def _property(word: str) -> Test:
    name = word.lower()

    def test(graph: Graph, element: Element) -> bool:
        if name in _HEALTH:
            found = element.traffic.health if isinstance(element, Edge) else graph.health(element.id)
            return found == name
        if name in _KINDS:
            return isinstance(element, Node) and element.kind in _KINDS[name]
        if name in _PROTOCOLS:
            if not isinstance(element, Edge):
                return False
            return element.traffic.is_tcp if name == "tcp" else name in element.traffic.codes()
        return any(name.strip('"') in text.lower() for text in _texts(element, "name"))

    return test
