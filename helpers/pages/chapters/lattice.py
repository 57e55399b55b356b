"""The matches of a small example as a lattice and, where minimal matches are unique, as a graph of needs.

A match is a frozenset of neurons such as ("x", 0), as in `helpers.matching.definitions`.
"""

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from ...matching.definitions import Array, Distances, Neuron, Set, all_matches, name, simple
from .drawings import with_slider

SIMPLE, UNION, NOT_CLOSED = "#0173b2", "#e8e8e8", "#de8f05"
LABELLED = 6  # up to this many matches on one level, every box names its neurons


def in_order(sets: Iterable[Set]) -> list[Set]:
    """The sets, small ones first, and sets of equal size in the order of their neurons."""
    return sorted(set(sets), key=lambda s: (len(s), sorted(s)))


def unions(generators: Iterable[Set]) -> list[Set]:
    """Every union of the given sets, with the empty one (cor-generators).

    The simple matches give all matches in this way.
    """
    sets: set[Set] = {frozenset()}
    for generator in generators:
        sets |= {s | generator for s in sets}
    return in_order(sets)


def covers(matches: Sequence[Set]) -> list[tuple[Set, Set]]:
    """(a, b) for every a inside b with no third match between them: the lines of a Hasse diagram."""
    below = {b: [a for a in matches if a < b] for b in matches}
    return [(a, b) for b in matches for a in below[b] if not any(a < c for c in below[b])]


def ranks(matches: Sequence[Set]) -> dict[Set, int]:
    """The length of the longest chain of smaller matches below each match."""
    rank: dict[Set, int] = {}
    for m in in_order(matches):
        rank[m] = 1 + max((rank[a] for a in rank if a < m), default=-1)
    return rank


def positions(matches: Sequence[Set]) -> dict[Set, tuple[float, int]]:
    """Where to draw each match: upwards its rank, across the mean of the matches that it covers, spread evenly."""
    rank, lines = ranks(matches), covers(matches)
    at: dict[Set, tuple[float, int]] = {}
    for level in range(max(rank.values()) + 1):
        row = [m for m in in_order(matches) if rank[m] == level]
        pull = {m: [at[a][0] for a, b in lines if b == m] for m in row}
        row.sort(key=lambda m: sum(pull[m]) / max(len(pull[m]), 1))
        for k, m in enumerate(row):
            at[m] = (2 * (k + 0.5) / len(row) - 1, level)
    return at


def box_text(match: Set) -> str:
    """The neurons of a match in two lines, counted from 1: x above, y below; "∅" for the empty match."""
    lines = [" ".join(f"{s}{i + 1}" for s, i in sorted(match) if s == side) for side in "xy"]
    return "\n".join(lines) if match else "∅"


def draw_lattice(ax: Axes, matches: Sequence[Set], labels: bool | None = None) -> None:
    """The Hasse diagram: simple matches blue, the others grey. A line joins a match to those just above it."""
    at, chosen = positions(matches), set(simple(list(matches)))
    for a, b in covers(matches):
        ax.plot(*zip(at[a], at[b], strict=True), color="#999999", linewidth=0.8, zorder=1)
    widest = max(sum(y == level for _, y in at.values()) for level in {y for _, y in at.values()})
    labels = widest <= LABELLED if labels is None else labels
    for m, (x, y) in at.items():
        draw_match(ax, x, y, box_text(m) if labels else "", SIMPLE if m in chosen else UNION)
    ax.set(xlim=(-1.15, 1.15), ylim=(-0.5, max(y for _, y in at.values()) + 0.5))
    ax.set_axis_off()


def draw_match(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    """One match: a box with its neurons, or a dot if there is no room for names."""
    if not text:
        ax.plot([x], [y], "o", color=colour, markersize=7, markeredgecolor="#555555", zorder=2)
        return
    ink = "white" if sum(to_rgb(colour)) < 1.5 else "black"
    box = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "#555555"}
    ax.text(x, y, text, ha="center", va="center", fontsize=9, color=ink, bbox=box, zorder=2, linespacing=1.2)


def lattice_figure(x: Array, y: Array, epsilons: Sequence[float], start: int = 0) -> go.Figure:
    """The Hasse diagram of two small layers, with a slider for ε.

    A match that is simple at one ε may not be at the next.
    """
    lattices = [all_matches(x, y, epsilon) for epsilon in epsilons]
    titles = [f"{len(m)} matches, {len(simple(m))} of them simple" for m in lattices]
    stops = [f"{epsilon:.2f}" for epsilon in epsilons]
    figure = with_slider([lattice_traces(m) for m in lattices], [], titles, stops, "ε = ", start)
    hidden = {"visible": False, "fixedrange": True}
    figure.update_layout(xaxis=hidden | {"range": [-1.15, 1.15]}, yaxis=hidden | {"range": [-0.15, 1.15]}, height=520)
    return figure.update_layout(legend={"orientation": "h", "x": 0, "y": 0.02, "yanchor": "top"})


def lattice_traces(matches: Sequence[Set]) -> list[go.Scatter]:
    """Lines, grey matches and blue simple ones. The pointer shows their neurons; if there is room, so do the boxes."""
    at, chosen = positions(matches), set(simple(list(matches)))
    top = max(1, *(level for _, level in at.values()))
    spots = {m: (x, level / top) for m, (x, level) in at.items()}
    ends = [point for a, b in covers(matches) for point in (spots[a], spots[b], (None, None))]
    lines = go.Scatter(x=[p[0] for p in ends], y=[p[1] for p in ends], mode="lines", hoverinfo="skip")
    lines.update(line={"color": "#999999", "width": 1}, showlegend=False)
    others = {m: spots[m] for m in matches if m not in chosen}
    simples = {m: spots[m] for m in in_order(chosen)}
    room = len(matches) <= 2 * LABELLED
    return [lines, marks(others, "union of smaller matches", UNION, room), marks(simples, "simple", SIMPLE, room)]


def marks(spots: dict[Set, tuple[float, float]], label: str, colour: str, room: bool) -> go.Scatter:
    """Some matches of a lattice as squares with their neurons inside, or as dots if there is no room."""
    ink = "white" if sum(to_rgb(colour)) < 1.5 else "black"
    return go.Scatter(
        x=[x for x, _ in spots.values()],
        y=[y for _, y in spots.values()],
        mode="markers+text" if room else "markers",
        text=[box_text(m).replace("\n", "<br>") for m in spots],
        textfont={"size": 11, "color": ink},
        hovertext=[name(m) for m in spots],
        hoverinfo="text",
        marker={"symbol": "square" if room else "circle", "size": 54 if room else 14, "color": colour},
        marker_line={"color": "#555555", "width": 1},
        name=label,
    )


# ---------------------------------------------------------------- where the structure is unique


def broken_intersections(matches: Sequence[Set]) -> list[tuple[Set, Set]]:
    """Pairs of matches whose intersection is no match.

    There is none exactly if minimal matches are unique (prp-unique).
    """
    known = set(matches)
    return [(a, b) for i, a in enumerate(matches) for b in matches[:i] if a & b not in known]


def needs(r: Distances, names: Set, epsilon: float) -> dict[Neuron, Set]:
    """For each v within ε of the whole other side: the neurons of that side without which it is not (prp-graph)."""
    reached = [v for v in sorted(names) if r(v, names) <= epsilon]
    return {v: frozenset(u for u in names if u[0] != v[0] and r(v, names - {u}) > epsilon) for v in reached}


def closure(graph: dict[Neuron, Set], v: Neuron) -> Set | None:
    """The v-minimum match (prp-graph): all that v needs, what these neurons need, and so on.

    None if one of them is not within ε of the whole other side.
    """
    reached, waiting = {v}, [v]
    while waiting:
        u = waiting.pop()
        if u not in graph:
            return None
        new = graph[u] - reached
        reached |= new
        waiting += new
    return frozenset(reached)
