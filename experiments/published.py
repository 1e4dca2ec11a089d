"""Numbers that Hoffmann et al. (Digital Discovery 2 (2023) 1368) print, to stand beside ours."""

TABLE1: dict[str, dict[str, tuple[float, float, float]]] = {
    "distance to the hull (meV/atom)": {"PBEsol": (26, 22, 19), "SCAN": (31, 26, 22)},
    "formation energy (meV/atom)": {"PBEsol": (20, 18, 13), "SCAN": (24, 22, 16)},
    "volume (A^3/atom)": {"PBEsol": (0.21, 0.18, 0.16)},
    "band gap (eV)": {"SCAN": (0.078, 0.093, 0.068)},
}
"""Test MAE without transfer, with the regression head alone, with full transfer.

For the gap with the head alone the paper prints 0.93; its -19 % and the text mean 0.093.
"""
PBE: dict[str, float] = {
    "distance to the hull (meV/atom)": 23,
    "formation energy (meV/atom)": 18,
    "volume (A^3/atom)": 0.24,
    "band gap (eV)": 0.020,
}
"""Test MAE of the pre-trainings."""
CROSSING = "With transfer, 11 thousand systems reach 43 meV/atom (the paper's chemical accuracy)."
STRAIGHT = "The paper finds straight lines in log-log for both sizes, without a bend."
BUDGET = "The paper takes a SCAN calculation to cost as much as five PBE calculations."


def change(value: float, base: float) -> str:
    """The relative change in percent."""
    return f"{value / base - 1:+.0%}"


def published_rows() -> list[tuple[str, ...]]:
    """Table 1 as rows: property, functional, none, head, full with their changes."""
    rows = []
    for name, functionals in TABLE1.items():
        for functional, (none, head, full) in functionals.items():
            shown = [f"{v:g} ({change(v, none)})" for v in (head, full)]
            rows.append((name, functional, f"{PBE[name]:g}", f"{none:g}", *shown, "-"))
    return rows
