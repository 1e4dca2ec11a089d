"""Figure of attention in one crystal: bonds, neighbor shells, and pooling weights of the atoms."""

from typing import TYPE_CHECKING

import numpy as np

from cgatjax.errors import InputError
from cgatjax.inference.interpretation import Explanation
from cgatjax.plotting.style import COLOR_SCALE, COLORS, colors, new_figure
from cgatjax.structures import SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BONDS = 120
"""Number of bonds to draw, strongest first."""
MAX_ROWS = 16
"""Number of rows of the attention map and of bars; further ones are counted in the label."""
_TILT = np.array([[0.96, 0.0, 0.28], [-0.07, 0.97, 0.24]])
"""Drawing plane in the principal axes of the cell: longest axis to the right, slightly tilted."""


def attention_figure(found: Explanation, *, step: int) -> "Figure":
    """Draw three panels: the cell with its strongest bonds, attention by shell, pooling weights.

    Attention is averaged over heads. Bonds with more attention than in a uniform distribution are
    drawn; the width of the line grows with the ratio of the two.

    Args:
      found: interpretation of one crystal; the first panel needs its coordinates.
      step: message-passing step, from 1.

    Raises:
      InputError: no such step.
    """
    steps = len(found.bond_attention)
    if not 1 <= step <= steps:
        raise InputError(f"expected a message-passing step in 1..{steps}, got {step}")
    attention = found.bond_attention[step - 1].mean(0)
    figure, (cell, shells, atoms) = new_figure(15.0, 5.2, panels=3, pad=0.12)
    symbols = sorted(set(found.elements), key=SYMBOLS.index)
    color_of = dict(zip(symbols, colors(len(symbols)), strict=True))
    _draw_cell(cell, found, attention, color_of)
    _draw_shells(shells, found, attention)
    _draw_atoms(atoms, found, color_of)
    heads = found.bond_attention.shape[1]
    title = f"attention at step {step} of {steps}, mean of {heads} heads"
    shells.set_title(title, fontsize="medium")
    figure.suptitle(_headline(found))
    return figure


def _headline(found: Explanation) -> str:
    """Format id, formula if it is another, and predictions on one line."""
    name, p = found.graph.id, found.predictions
    name = name if len(name) <= 40 else f"{name[:37]}..."
    parts = []
    for target, mean in p.means.items():
        std = f" ± {p.stds[target][0]:.2g}" if np.isfinite(p.stds[target][0]) else ""
        parts.append(f"{target} {mean[0]:.3g}{std} {p.units[target]}".strip())
    more = f" and {len(parts) - 2} more" if len(parts) > 2 else ""
    name = name if name == found.formula else f"{name} ({found.formula})"
    return f"{name}: {', '.join(parts[:2])}{more}"


def _draw_cell(
    axes: "Axes", found: Explanation, attention: np.ndarray, color_of: dict[str, str]
) -> None:
    """Draw the cell from the front; pale atoms are periodic images."""
    from matplotlib.collections import LineCollection

    axes.axis("off")
    if found.crystal is None or found.vectors is None:
        axes.text(0.5, 0.5, "no coordinates", ha="center", va="center", transform=axes.transAxes)
        return
    lattice = found.crystal.lattice
    inside = (found.crystal.frac_coords % 1.0) @ lattice
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    edges = [(a, b) for a in corners for b in corners if (b - a).sum() == 1 and (b >= a).all()]
    own_axes = np.linalg.svd((corners - 0.5) @ lattice)[2]
    plane = (_TILT @ own_axes).T
    frame = [np.array(pair) @ lattice @ plane for pair in edges]
    axes.add_collection(
        LineCollection(frame, colors="0.5", linewidths=0.8, linestyles=":", zorder=1)
    )
    strength = attention / found.even_share
    strong = np.argsort(-strength, kind="stable")
    strong = strong[strength[strong] > 1.0][:MAX_BONDS]
    starts = inside[found.graph.site_class[: len(inside)]][found.graph.edge_center[strong]]
    ends = starts + found.vectors[strong]
    lines = np.stack([starts @ plane, ends @ plane], 1)
    widths = np.clip(0.5 + 1.5 * (strength[strong] - 1), 0.5, 6)
    axes.add_collection(
        LineCollection(list(lines), colors="0.25", linewidths=widths, alpha=0.35, zorder=2)
    )
    sites = np.array([color_of[e] for e in found.elements])
    others = ends @ plane
    shades = sites[found.graph.edge_neighbor[strong]]
    axes.scatter(others[:, 0], others[:, 1], s=28, c=shades, alpha=0.35, linewidths=0, zorder=3)
    flat = inside @ plane
    for symbol, color in color_of.items():
        mine = flat[np.array(found.elements) == symbol]
        axes.scatter(
            mine[:, 0], mine[:, 1], s=130, color=color, edgecolors="white", zorder=4, label=symbol
        )
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=6)
    n_strong = int((strength > 1.0).sum())
    shown = f"{len(strong)} strongest of {n_strong}" if n_strong > len(strong) else f"{n_strong}"
    axes.set_title(f"{shown} bonds above uniform (of {len(strength)})", fontsize="medium")


def _draw_shells(axes: "Axes", found: Explanation, attention: np.ndarray) -> None:
    """Draw the attention map: attention of sites of one element to each shell of another."""
    graph = found.graph
    numbers = graph.atomic_numbers
    receiving, sending = numbers[found.receivers], numbers[found.senders]
    sites = graph.node_multiplicity.astype(float)
    amount = attention * sites[found.receivers]
    pairs = sorted({(int(a), int(b)) for a, b in zip(receiving, sending, strict=True)})
    n_shells = int(graph.edge_shell.max())
    table = np.zeros((len(pairs), n_shells))
    for row, (a, b) in enumerate(pairs):
        mine = (receiving == a) & (sending == b)
        np.add.at(table[row], graph.edge_shell[mine] - 1, amount[mine])
        table[row] /= sites[numbers == a].sum()
    order = np.argsort(-table.sum(1), kind="stable")[:MAX_ROWS]
    order = np.sort(order)
    drawn = axes.imshow(
        np.ma.masked_equal(table[order], 0), aspect="auto", cmap=COLOR_SCALE, vmin=0
    )
    axes.figure.colorbar(drawn, ax=axes, label="share of the center's attention", shrink=0.8)
    labels = [f"{SYMBOLS[a]} ← {SYMBOLS[b]}" for a, b in (pairs[row] for row in order)]
    axes.set_yticks(range(len(order)), labels, fontsize="small")
    every = max(1, n_shells // 8)
    axes.set_xticks(range(0, n_shells, every), [str(s + 1) for s in range(0, n_shells, every)])
    axes.set_ylabel("center ← neighbor")
    axes.set_xlabel("shell of the center" + _left_out(len(pairs) - len(order), "pairs"))


def _draw_atoms(axes: "Axes", found: Explanation, color_of: dict[str, str]) -> None:
    """Draw the pooling weight of one atom of each kind: mean as a bar, heads as dots."""
    kinds, first, counts = np.unique(found.site_class, return_index=True, return_counts=True)
    weights = found.atom_weights[:, first]
    order = np.argsort(-weights.mean(0) * counts, kind="stable")[:MAX_ROWS]
    elements = [found.elements[first[k]] for k in order]
    places = np.arange(len(order))
    axes.bar(places, weights[:, order].mean(0), color=[color_of[e] for e in elements], width=0.65)
    for head in weights[:, order]:
        axes.plot(places, head, ".", color="0.2", markersize=4, zorder=3)
    even = 1 / len(found.elements)
    axes.axhline(even, color=COLORS[3], linestyle="--", linewidth=1, label="uniform")
    labels = [f"{e}\n×{counts[k]}" for e, k in zip(elements, order, strict=True)]  # noqa: RUF001
    axes.set_xticks(places, labels, fontsize="small")
    axes.set_xlim(-0.7, max(len(order) - 0.3, 1.7))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("kinds of sites" + _left_out(len(kinds) - len(order), "kinds"))
    axes.set_ylabel("pooling weight per atom")
    axes.set_title("bars: mean over heads; dots: heads", fontsize="medium")
    axes.legend(frameon=False, fontsize="small")


def _left_out(n: int, what: str) -> str:
    return f" ({n} {what} of lowest weight left out)" if n > 0 else ""
