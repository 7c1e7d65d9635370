"""Places: layers from left to right, apps' boxes as wholes, long arcs around what lies between.

The steps are those of Sugiyama's method: layers by the longest way, stand-ins for arcs over several layers, order
within a layer by the neighbours' average (barycentre), then the places. Sizes are in pixels.
"""

import itertools
from dataclasses import dataclass, field

from console.graph.model import Graph

LAYER_GAP = 124.0
"""Between the columns of boxes: room for an arc's label."""
ROW_GAP = 34.0
CELL_WIDTH, CELL_HEIGHT = 84.0, 84.0
"""Of one node with the text below it."""
RADIUS = 22.0
_INNER_GAP = 78.0
"""Between two columns inside a box."""
_PADDING = 16.0
_TITLE = 26.0
_STAND_IN_HEIGHT = 26.0
_ROUNDS = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class Rectangle:
    """A place with its size, from the upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Centres of nodes, rectangles of boxes, SVG paths and middles of arcs, by id; the size of it all."""

    nodes: dict[str, Point]
    boxes: dict[str, Rectangle]
    paths: dict[str, str]
    middles: dict[str, Point]
    width: float
    height: float


@dataclass
class _Block:
    """A box with its nodes, a node alone, or a stand-in on an arc's way (`nodes` empty)."""

    name: str
    columns: list[list[str]] = field(default_factory=list)
    boxed: bool = False
    layer: int = 0
    y: float = 0.0
    """Of its centre."""

    @property
    def width(self) -> float:
        inner = len(self.columns) * CELL_WIDTH + max(0, len(self.columns) - 1) * _INNER_GAP
        return inner + 2 * _PADDING if self.boxed else inner

    @property
    def height(self) -> float:
        if not self.columns:
            return _STAND_IN_HEIGHT
        rows = max(map(len, self.columns)) * CELL_HEIGHT
        return rows + _PADDING + _TITLE if self.boxed else rows


def layout(graph: Graph, focus: str = "") -> Layout:
    """Return where everything stands; with `focus` (a box's or node's id) its sources left, its sinks right."""
    blocks = _blocks(graph)
    block_of = {node: block.name for block in blocks.values() for column in block.columns for node in column}
    links = {
        (block_of[e.source.id], block_of[e.target.id])
        for e in graph.edges.values()
        if block_of[e.source.id] != block_of[e.target.id]
    }
    if focus in blocks:
        _layers_around(blocks, links, focus)
    else:
        _layers(blocks, links)
    chains = _stand_ins(blocks, links)
    steps = [pair for chain in chains.values() for pair in itertools.pairwise(chain)]
    layers = _ordered(blocks, steps)
    _place(blocks, layers, steps)
    return _coordinates(graph, blocks, layers, block_of, chains)


def _blocks(graph: Graph) -> dict[str, _Block]:
    blocks: dict[str, _Block] = {}
    for node in sorted(graph.nodes):
        box = graph.boxes.get(node)
        if box is None:
            blocks[node] = _Block(node, [[node]])
        elif box not in blocks:
            members = sorted(graph.members(box))
            kinds = (("service",), ("operation",), ("app", "workload"))
            columns = [[m for m in members if graph.nodes[m].kind in kind] for kind in kinds]
            blocks[box] = _Block(box, [column for column in columns if column], boxed=True)
    return blocks


def _layers_around(blocks: dict[str, _Block], links: set[tuple[str, str]], focus: str) -> None:
    sources = {a for a, b in links if b == focus}
    for block in blocks.values():
        block.layer = 1 if block.name == focus else 0 if block.name in sources else 2
    if not sources:
        for block in blocks.values():
            block.layer -= 1


def _forward(blocks: dict[str, _Block], links: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the links without those that close a circle, found depth first from where nothing comes in."""
    after: dict[str, list[str]] = {name: sorted(b for a, b in links if a == name) for name in blocks}
    targets = {b for _, b in links}
    state: dict[str, int] = {}
    kept: list[tuple[str, str]] = []

    def visit(name: str) -> None:
        state[name] = 1
        for following in after[name]:
            if state.get(following) != 1:
                kept.append((name, following))
                if following not in state:
                    visit(following)
        state[name] = 2

    for name in sorted(blocks, key=lambda n: (n in targets, n)):
        if name not in state:
            visit(name)
    return kept


def _layers(blocks: dict[str, _Block], links: set[tuple[str, str]]) -> None:
    forward = _forward(blocks, links)
    for _ in blocks:
        for source, target in forward:
            blocks[target].layer = max(blocks[target].layer, blocks[source].layer + 1)
    # What nothing calls stands just before what it calls.
    for name, block in blocks.items():
        called = [blocks[b].layer for a, b in forward if a == name]
        if called and not any(b == name for _, b in forward):
            block.layer = min(called) - 1


def _stand_ins(blocks: dict[str, _Block], links: set[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """Add blocks without nodes where links pass layers; return the way of each link, by its ends."""
    chains = {}
    for source, target in sorted(links):
        low, high = blocks[source].layer, blocks[target].layer
        between = range(low + 1, high) if low <= high else range(low - 1, high, -1)
        chain = [source]
        for layer in between:
            name = f"{source}>{target}@{layer}"
            blocks[name] = _Block(name, layer=layer)
            chain.append(name)
        chains[source, target] = [*chain, target]
    return chains


def _ordered(blocks: dict[str, _Block], steps: list[tuple[str, str]]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(max((b.layer for b in blocks.values()), default=-1) + 1)]
    for name in sorted(blocks):
        layers[blocks[name].layer].append(name)
    near: dict[str, set[str]] = {name: set() for name in blocks}
    for a, b in steps:
        near[a].add(b)
        near[b].add(a)
    best, crossings = [list(layer) for layer in layers], _crossings(layers, blocks, steps)
    for turn in range(_ROUNDS):
        down = turn % 2 == 0
        for index in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            fixed = {name: place for place, name in enumerate(layers[index - 1 if down else index + 1])}
            size = max(1, len(fixed) - 1)
            places = {name: i for i, name in enumerate(layers[index])}

            def key(
                name: str, fixed: dict[str, int] = fixed, size: int = size, places: dict[str, int] = places
            ) -> tuple[float, int]:
                found = [fixed[other] / size for other in near[name] if other in fixed]
                return (
                    sum(found) / len(found) if found else places[name] / max(1, len(places) - 1),
                    places[name],
                )

            layers[index].sort(key=key)
        count = _crossings(layers, blocks, steps)
        if count < crossings:
            best, crossings = [list(layer) for layer in layers], count
    return best


def _crossings(layers: list[list[str]], blocks: dict[str, _Block], steps: list[tuple[str, str]]) -> int:
    place = {name: i for layer in layers for i, name in enumerate(layer)}
    forward = [(a, b) if blocks[a].layer < blocks[b].layer else (b, a) for a, b in steps]
    return sum(
        1
        for i, (a, b) in enumerate(forward)
        for c, d in forward[i + 1 :]
        if blocks[a].layer == blocks[c].layer
        and blocks[b].layer == blocks[d].layer
        and (place[a] - place[c]) * (place[b] - place[d]) < 0
    )


def _place(blocks: dict[str, _Block], layers: list[list[str]], steps: list[tuple[str, str]]) -> None:
    """Set the heights: each block near the average of its neighbours, in its layer's order, without overlap."""
    near: dict[str, list[str]] = {name: [] for name in blocks}
    for a, b in steps:
        near[a].append(b)
        near[b].append(a)
    for layer in layers:
        _stack([blocks[name] for name in layer], [0.0] * len(layer))
    for turn in range(2 * _ROUNDS):
        for layer in layers if turn % 2 == 0 else reversed(layers):
            wanted = [
                sum(blocks[o].y for o in near[name]) / len(near[name]) if near[name] else blocks[name].y
                for name in layer
            ]
            _stack([blocks[name] for name in layer], wanted)


def _stack(blocks: list[_Block], wanted: list[float]) -> None:
    """Place blocks below each other as near to the wanted heights as order and sizes allow.

    Neighbours that would overlap are joined and take the average of what they want.
    """
    offsets = [0.0]
    for above, below in itertools.pairwise(blocks):
        offsets.append(offsets[-1] + (above.height + below.height) / 2 + ROW_GAP)
    groups: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        groups.append((want - offset, 1))
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            (a, m), (b, n) = groups[-2:]
            groups[-2:] = [((a * m + b * n) / (m + n), m + n)]
    starts = [start for start, count in groups for _ in range(count)]
    for block, start, offset in zip(blocks, starts, offsets, strict=False):
        block.y = start + offset


def _coordinates(
    graph: Graph,
    blocks: dict[str, _Block],
    layers: list[list[str]],
    block_of: dict[str, str],
    chains: dict[tuple[str, str], list[str]],
) -> Layout:
    top = min((b.y - b.height / 2 for b in blocks.values()), default=0.0) - _PADDING
    bottom = max((b.y + b.height / 2 for b in blocks.values()), default=0.0) + _PADDING
    nodes: dict[str, Point] = {}
    boxes: dict[str, Rectangle] = {}
    passages: dict[str, tuple[Point, Point]] = {}
    left = _PADDING
    for layer in layers:
        width = max((blocks[name].width for name in layer), default=0.0)
        for name in layer:
            block = blocks[name]
            x = left + (width - block.width) / 2
            y = block.y - top
            passages[name] = ((left, y), (left + width, y))
            if block.boxed:
                boxes[name] = Rectangle(x, y - block.height / 2, block.width, block.height)
            _inside(block, x, y, nodes)
        left += width + LAYER_GAP
    paths, middles = {}, {}
    for edge in graph.edges.values():
        chain = chains.get((block_of[edge.source.id], block_of[edge.target.id]), [])
        start, end = nodes[edge.source.id], nodes[edge.target.id]
        # Straight through a layer's whole width, so that the bends lie where no boxes are.
        sides = [side for name in chain[1:-1] for side in passages[name][:: 1 if start[0] <= end[0] else -1]]
        way = [start, *sides, end]
        paths[edge.id], middles[edge.id] = _curve(way)
    return Layout(nodes, boxes, paths, middles, left - LAYER_GAP + _PADDING if layers else 0.0, bottom - top)


def _inside(block: _Block, x: float, y: float, nodes: dict[str, Point]) -> None:
    x += _PADDING if block.boxed else 0
    middle = y + (_TITLE - _PADDING) / 2 if block.boxed else y
    for column in block.columns:
        first = middle - (len(column) - 1) / 2 * CELL_HEIGHT
        for row, node in enumerate(column):
            # The shape stands a little above the cell's middle: its text is below it.
            nodes[node] = (x + CELL_WIDTH / 2, first + row * CELL_HEIGHT - 9)
        x += CELL_WIDTH + _INNER_GAP


def _curve(way: list[Point]) -> tuple[str, Point]:
    """Return an SVG path through the points, from shape to shape, and the point for its label."""
    if way[0] == way[-1]:
        x, y = way[0]
        path = (
            f"M{x - 10:.1f} {y - RADIUS:.1f}"
            f"C{x - 50:.1f} {y - 80:.1f} {x + 50:.1f} {y - 80:.1f} {x + 10:.1f} {y - RADIUS:.1f}"
        )
        return path, (x, y - 66)
    forward = way[-1][0] >= way[0][0] - 1
    ends = RADIUS + 4 if forward else -RADIUS - 4
    points = [(way[0][0] + ends, way[0][1]), *way[1:-1], (way[-1][0] - ends, way[-1][1])]
    if abs(way[-1][0] - way[0][0]) < 1:
        return _beside(way)
    pieces = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        bend = (x1 - x0) * 0.45
        pieces.append(f"C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
    # In the first gap, where a label meets no box.
    (x0, y0), (x1, y1) = points[0], points[1]
    return "".join(pieces), ((x0 + x1) / 2, (y0 + y1) / 2)


def _beside(way: list[Point]) -> tuple[str, Point]:
    """Return the curve between two shapes above each other."""
    (x0, y0), (_, y1) = way[0], way[-1]
    x = x0 + RADIUS + 4
    path = f"M{x:.1f} {y0:.1f}C{x + 60:.1f} {y0:.1f} {x + 60:.1f} {y1:.1f} {x:.1f} {y1:.1f}"
    return path, (x + 45, (y0 + y1) / 2)
