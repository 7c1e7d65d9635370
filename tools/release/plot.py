"""Line plots as SVG, for pages that need nothing but themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 120, 12, 28


@dataclass(frozen=True)
class Line:
    """A named line; `style` is its CSS class. A point without a value interrupts it."""

    name: str
    style: str
    points: Sequence[tuple[float, float | None]]
    is_stepped: bool = False


@dataclass(frozen=True)
class Limit:
    """A horizontal line that something is to reach, or not to."""

    name: str
    value: float


def _nice_step(span: float, ticks: int) -> float:
    """Return a step of 1, 2 or 5 times a power of ten for about so many ticks."""
    raw = max(span, 1e-9) / ticks
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)


def _ticks(low: float, high: float, count: int) -> list[float]:
    step = _nice_step(high - low, count)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:.10g}"


def _path(line: Line, x: "_Scale", y: "_Scale") -> str:
    parts: list[str] = []
    before: float | None = None
    for at, value in line.points:
        if value is None:
            before = None
            continue
        here = f"{x(at):.1f},{y(value):.1f}"
        if before is None:
            parts.append(f"M{here}")
        else:
            parts.append(f"H{x(at):.1f}V{y(value):.1f}" if line.is_stepped else f"L{here}")
        before = value
    return "".join(parts)


class _Scale:
    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self._low, self._begin = low, begin
        self._factor = (end - begin) / ((high - low) or 1)

    def __call__(self, value: float) -> float:
        return self._begin + (value - self._low) * self._factor


def _rule(style: str, left: float, right: float, y: float) -> str:
    return f'<line class="{style}" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _label(anchor: str, x: float, y: float, text: str) -> str:
    return f'<text class="axis" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def plot(
    title: str, unit: str, lines: Sequence[Line], limits: Sequence[Limit] = (), least: float = 1.0
) -> str:
    """Return a figure. The time is in seconds; the value axis holds 0, all values, and `least` at least."""
    values = [value for line in lines for _, value in line.points if value is not None]
    values += [limit.value for limit in limits]
    end = max((at for line in lines for at, _ in line.points), default=1.0) or 1.0
    low, high = min([0.0, *values]), max([least, *values]) * 1.05
    x, y = _Scale(0, end, _LEFT, WIDTH - _RIGHT), _Scale(low, high, HEIGHT - _BOTTOM, _TOP)
    left, right, foot = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM
    svg = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for value in _ticks(low, high, 4):
        svg.append(_rule("grid", left, right, y(value)))
        svg.append(_label("end", left - 6, y(value) + 4, _number(value)))
    svg += [_label("middle", x(value), foot + 20, f"{_number(value)} s") for value in _ticks(0, end, 8)]
    for limit in limits:
        svg.append(_rule("limit", left, right, y(limit.value)))
        svg.append(_label("start", right + 6, y(limit.value) + 4, limit.name))
    svg += [f'<path class="{line.style}" d="{_path(line, x, y)}"/>' for line in lines]
    svg.append("</svg>")
    keys = "".join(f'<span class="key {line.style}">{escape(line.name)}</span>' for line in lines)
    return f"<figure><figcaption>{escape(title)}, {escape(unit)} {keys}</figcaption>{''.join(svg)}</figure>"
