"""Draw the figures of the concept pages as SVG files beside this script.

    python docs/figures/draw.py [FOLDER]

Neighbors, shells and merged sites are computed by the library; the rest is boxes and arrows.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from pymatgen.core import Lattice, Structure

import cgatjax as cg
from cgatjax.graphs.neighbors import nearest_neighbors
from cgatjax.plotting.style import COLORS, new_figure

GRAY = "0.55"
CENTER, HALO = "#222222", "white"
SYMBOLS = ("Sr", "Ti", "O")
"""Elements of the perovskite, in the order of its nodes."""
TILT = np.array([[1.0, 0.0], [0.46, 0.3], [0.0, 1.0]])
"""Oblique projection: x to the right, y into the page, z up."""


def shells() -> Figure:
    """Draw the three shells around one site of rock salt, and the two ways to fill 24 places."""
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(2), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    figure, panels = new_figure(10.0, 3.9, panels=3)
    titles = (
        "26 neighbors in three shells",
        "cut: 24 edges",
        "share: 26 edges, weights sum to 24",
    )
    kinds = (None, "cut", "share")
    for axes, title, kind in zip(panels, titles, kinds, strict=True):
        offsets, shell, weight = _neighbors(salt, kind)
        _cube(axes, offsets, shell, weight)
        axes.set_title(title, fontsize=10)
    return figure


def _neighbors(
    structure: Structure, split_shell: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return offsets (in nearest distances), shells and weights of the first site's edges."""
    options = cg.GraphConfig.recommended(split_shell=split_shell or "share")
    found = nearest_neighbors(structure.lattice.matrix, structure.frac_coords, options)
    first = found.center == 0
    shell = found.shell[first]
    weight = (found.weight_numerator / found.weight_denominator)[first]
    if split_shell is None:
        weight = np.ones(len(shell))
    # In rock salt a shell's members are the points of the grid at distance sqrt(shell).
    grid = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T
    offsets = np.concatenate(
        [grid[(grid**2).sum(1) == s][: (shell == s).sum()] for s in np.unique(shell)]
    )
    return offsets, np.sort(shell), weight[np.argsort(shell, kind="stable")]


def _cube(axes: Axes, offsets: np.ndarray, shell: np.ndarray, weight: np.ndarray) -> None:
    _blank(axes, (-2.0, 2.0), (-1.95, 1.85))
    for place in np.argsort(-offsets[:, 1], kind="stable"):
        x, z = offsets[place] @ TILT
        color, share = COLORS[shell[place] - 1], weight[place]
        axes.plot([0, x], [0, z], color=color, alpha=0.35, linewidth=1.2 * share, zorder=1)
        axes.add_patch(Circle((x, z), 0.13, facecolor=HALO, edgecolor=color, zorder=2))
        axes.add_patch(Circle((x, z), 0.13 * share**0.5, facecolor=color, linewidth=0, zorder=3))
    axes.add_patch(Circle((0, 0), 0.15, facecolor=CENTER, zorder=4))
    for number in np.unique(shell):
        members = shell == number
        share = weight[members][0]
        note = "" if share == 1 else f" x {share:g}"
        text = f"shell {number}: {members.sum()}{note}"
        axes.text(-1.95 + 1.35 * (number - 1), -1.85, text, color=COLORS[number - 1], fontsize=9)


def reduction() -> Figure:
    """Draw the sites of cubic perovskite, and their reduced graph of three nodes."""
    lattice = Lattice.cubic(4)
    half = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    structure = Structure(lattice, ["Sr", "Ti", "O", "O", "O"], [[0] * 3, [0.5] * 3, *half])
    graph = cg.featurize(structure, cg.GraphConfig.recommended())
    small = cg.reduce_graph(graph)
    figure, (left, right) = new_figure(9.0, 4.2, panels=2)
    _cell(left, structure)
    left.set_title(f"SrTiO$_3$: {graph.n_nodes} sites, {graph.n_edges} edges", fontsize=10)
    _merged(right, small)
    right.set_title(f"merged: {small.n_nodes} nodes, {small.n_edges} edges", fontsize=10)
    return figure


def _cell(axes: Axes, structure: Structure) -> None:
    _blank(axes, (-0.25, 1.75), (-0.3, 1.6))
    corners = np.array(np.meshgrid(*[(0, 1)] * 3)).reshape(3, -1).T
    for a in corners:
        for b in corners:
            if (np.abs(a - b)).sum() == 1 and (a <= b).all():
                axes.plot(*np.array([a @ TILT, b @ TILT]).T, color="0.8", linewidth=1, zorder=0)
    colors = dict(zip(SYMBOLS, COLORS, strict=False))
    sites = [(s.specie.symbol, p) for s in structure for p in _images(s.frac_coords)]
    for symbol, point in sorted(sites, key=lambda site: -site[1][1]):
        _ball(axes, point @ TILT, {"Sr": 0.085, "Ti": 0.06}.get(symbol, 0.07), colors[symbol])
    for place, (symbol, color) in enumerate(colors.items()):
        axes.text(-0.2 + 0.3 * place, -0.25, symbol, color=color, fontsize=11)


def _images(point: np.ndarray) -> list[np.ndarray]:
    """Return a site and its copies on the other faces of the cell."""
    moves = np.array(np.meshgrid(*[(0, 1) if x == 0 else (0,) for x in point])).reshape(3, -1).T
    return [point + move for move in moves]


def _merged(axes: Axes, graph: cg.CrystalGraph) -> None:
    _blank(axes, (-1.7, 1.7), (-1.35, 1.5))
    places = np.array([[-1.1, -0.7], [1.1, -0.7], [0.0, 0.95]])
    counts = zip(SYMBOLS, graph.node_multiplicity, strict=True)
    names = [f"{symbol}\nx {n}" for symbol, n in counts]
    for a in range(3):
        for b in range(a + 1, 3):
            _line(axes, places[a], places[b])
            middle = (places[a] + places[b]) / 2
            text = f"{_edges(graph, a, b)}\n{_edges(graph, b, a)}"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            axes.text(*middle, text, ha="center", va="center", fontsize=7.5, bbox=box, zorder=2)
    for node, (x, y) in enumerate(places):
        side = -0.36 if y < 0 else 0.36
        axes.text(x, y + side, _edges(graph, node, node), ha="center", va="center", fontsize=7.5)
        axes.add_patch(Circle((x, y), 0.24, facecolor=COLORS[node], linewidth=0, zorder=3))
        axes.text(x, y, names[node], ha="center", va="center", color="white", zorder=4, fontsize=9)


def _edges(graph: cg.CrystalGraph, center: int, neighbor: int) -> str:
    """Format the merged edges between two nodes as "weight in shell"."""
    here = (graph.edge_center == center) & (graph.edge_neighbor == neighbor)
    pairs = zip(graph.edge_weight[here], graph.edge_shell[here], strict=True)
    text = ", ".join(f"{w:.3g} in {s}" for w, s in pairs) or "none"
    return f"{SYMBOLS[center]} sees {SYMBOLS[neighbor]}: {text}"


def network() -> Figure:
    """Draw the network, from elements and shells to a prediction."""
    figure, (axes,) = new_figure(10.0, 3.9)
    _blank(axes, (0, 20.1), (-0.3, 7.8))
    _box(axes, (0.2, 4.5), (2.6, 1.4), "elements\nof the sites", GRAY)
    _box(axes, (0.2, 2.2), (2.6, 1.4), "shell numbers\nof the edges", GRAY)
    _box(axes, (0.2, 0.2), (2.6, 1.2), "composition", GRAY)
    _box(axes, (4.0, 4.5), (2.2, 1.4), "states h", COLORS[0])
    _box(axes, (4.0, 2.2), (2.2, 1.4), "states e", COLORS[0])
    _box(axes, (7.3, 2.6), (3.2, 2.9), "messages\n\nattention over\nthe 24 neighbors", COLORS[1])
    _box(axes, (11.5, 4.5), (2.5, 1.4), "update by a\nhypernetwork", COLORS[1])
    _box(axes, (7.3, 0.2), (3.2, 1.2), "Roost", COLORS[2])
    _box(axes, (11.5, 1.4), (2.5, 1.7), "pooling:\nattention\nover sites", COLORS[2])
    _box(axes, (15.0, 1.55), (1.8, 1.4), "crystal\nembedding", GRAY)
    for row, name in enumerate(("head: e-form", "head: volume")):
        _box(axes, (17.7, 2.6 - 1.9 * row), (2.2, 1.2), name, COLORS[3])
        _arrow(axes, (16.8, 2.25), (17.7, 3.2 - 1.9 * row))
    for start, end in (
        ((2.8, 5.2), (4.0, 5.2)), ((2.8, 2.9), (4.0, 2.9)), ((2.8, 0.8), (7.3, 0.8)),
        ((6.2, 5.2), (7.3, 4.6)), ((6.2, 2.9), (7.3, 3.3)), ((10.5, 4.6), (11.5, 5.2)),
        ((12.75, 4.5), (12.75, 3.1)), ((10.5, 0.8), (11.5, 1.8)), ((14.0, 2.25), (15.0, 2.25)),
    ):  # fmt: skip
        _arrow(axes, start, end)
    _arrow(axes, (12.75, 5.9), (5.1, 5.9), bend=0.22)
    axes.text(8.9, 7.0, "five times", ha="center", fontsize=9)
    axes.plot([3.6, 16.95, 16.95, 3.6, 3.6], [-0.1, -0.1, 7.5, 7.5, -0.1], color="0.75", ls="--")
    axes.text(16.8, 7.1, "encoder", ha="right", fontsize=9, color="0.4")
    return figure


def transfer() -> Figure:
    """Draw which parameters each transfer mode freezes, fine-tunes or re-initializes."""
    figure, (axes,) = new_figure(10.0, 3.6)
    _blank(axes, (0, 20), (0, 7.2))
    kept, trained, fresh = "0.72", COLORS[0], COLORS[1]
    _column(
        axes,
        0.3,
        "pre-training",
        "many low-fidelity\nvalues",
        [("encoder", fresh), ("head", fresh)],
    )
    columns = (
        ("full", [("encoder", trained), ("head", trained)]),
        ("head", [("encoder", kept), ("head", trained)]),
        ("none", [("encoder", fresh), ("head", fresh)]),
        ("joint", [("encoder", trained), ("old head", trained), ("new head", trained)]),
    )
    for place, (name, parts) in enumerate(columns):
        note = "few high-fidelity\nvalues" if name != "joint" else "both fidelities"
        _column(axes, 5.3 + 3.75 * place, f"mode {name}", note, parts)
    _arrow(axes, (3.5, 3.6), (5.1, 3.6))
    legend = (("randomly initialized", fresh), ("loaded, fine-tuned", trained),
              ("loaded, frozen", kept))  # fmt: skip
    for place, (name, color) in enumerate(legend):
        axes.add_patch(Circle((5.5 + 4.8 * place, 0.25), 0.17, facecolor=color, linewidth=0))
        axes.text(5.8 + 4.8 * place, 0.25, name, va="center", fontsize=9)
    return figure


def _column(axes: Axes, x: float, name: str, note: str, parts: list[tuple[str, str]]) -> None:
    """Draw a network: the encoder below, the heads above."""
    axes.text(x + 1.55, 6.9, name, ha="center", va="top", fontsize=10)
    axes.text(x + 1.55, 1.05, note, ha="center", va="center", fontsize=9, color="0.4")
    (bottom, color), *heads = parts
    _box(axes, (x, 1.6), (3.1, 2.3), bottom, color)
    width = (3.1 - 0.2 * (len(heads) - 1)) / len(heads)
    for place, (head, head_color) in enumerate(heads):
        corner = (x + place * (width + 0.2), 4.3)
        _box(axes, corner, (width, 1.4), head.replace(" ", "\n"), head_color)


def _blank(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    axes.set(xlim=x, ylim=y, aspect="equal")
    axes.axis("off")


def _ball(axes: Axes, place: np.ndarray, radius: float, color: str) -> None:
    axes.add_patch(Circle(tuple(place), radius, facecolor=color, edgecolor="white", zorder=2))


def _line(axes: Axes, start: np.ndarray, end: np.ndarray) -> None:
    axes.plot(*np.array([start, end]).T, color="0.75", linewidth=1.5, zorder=1)


def _box(
    axes: Axes, corner: tuple[float, float], size: tuple[float, float], text: str, color: str
) -> None:
    style = "round,pad=0,rounding_size=0.18"
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, facecolor=color, linewidth=0))
    middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
    axes.text(*middle, text, ha="center", va="center", color="white", fontsize=9)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0
) -> None:
    style = f"arc3,rad={bend}"
    arrow = FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color="0.4",
                            connectionstyle=style, shrinkA=1, shrinkB=1)  # fmt: skip
    axes.add_patch(arrow)


FIGURES: tuple[Callable[[], Figure], ...] = (shells, reduction, network, transfer)


def draw(folder: Path) -> list[Path]:
    """Draw all figures; with the same libraries the files are the same, byte for byte."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with matplotlib.rc_context({"svg.hashsalt": "cgatjax", "svg.fonttype": "none"}):
        for make in FIGURES:
            files.append(folder / f"{make.__name__}.svg")
            make().savefig(files[-1], format="svg", metadata={"Date": None})
    return files


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
