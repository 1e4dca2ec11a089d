"""Mutated crystal files are read as crystals, rejections, or a documented error."""

import bz2
import csv
import gzip
import io
import json
from contextlib import suppress

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.errors import StructureError
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.dcgat import entry_of
from cgatjax.structures.elements import SYMBOLS
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals

CRYSTALS = sorted(ionic_crystals(12, seed=3), key=lambda crystal: crystal.n_sites)[:3]
CONFIG = GraphConfig.recommended(max_neighbors=4)


def read(path):
    """Every crystal of a file, and the graph of each: the way of `--on-error skip`."""
    items = list(read_crystals(path))
    for item in items:
        if isinstance(item, Rejected):
            assert item.source == str(path), item
            assert item.reason, item
            assert len(item.reason) < 3000, f"{len(item.reason)} characters: {item.reason:.200}"
        else:
            item.id.encode()
            "".join(item.targets).encode()
            assert all(type(value) is float for value in item.targets.values())
            with suppress(StructureError):
                featurize(item, CONFIG)
    return items


def read_around(path):
    """The same, and whatever happens to the second of three crystals spares the others."""
    items = read(path)
    found = [item for item in items if isinstance(item, Crystal)]
    missing = {CRYSTALS[0].id, CRYSTALS[2].id} - {item.id for item in found}
    assert not missing, [item for item in items if isinstance(item, Rejected)]
    for expected in (CRYSTALS[0], CRYSTALS[2]):
        same = next(item for item in found if item.id == expected.id)
        assert abs(same.volume - expected.volume) < 1e-5
    return items


def poscar(crystal):
    rows = [" ".join(map(repr, row)) for row in crystal.lattice.tolist()]
    order = np.argsort(crystal.atomic_numbers, kind="stable")
    numbers, counts = np.unique(crystal.atomic_numbers, return_counts=True)
    sites = [" ".join(map(repr, row)) for row in crystal.frac_coords[order].tolist()]
    head = [crystal.id, "1.0", *rows, " ".join(SYMBOLS[z] for z in numbers)]
    return "\n".join([*head, " ".join(map(str, counts)), "Direct", *sites, ""])


def cif(crystal):
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    units = crystal.lattice / lengths[:, None]
    angles = [np.degrees(np.arccos(units[i] @ units[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    cell = [f"_cell_{n} {v:.9f}" for n, v in zip(names, [*lengths, *angles], strict=True)]
    loop = ["loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'", "loop_", "_atom_site_label"]
    loop += ["_atom_site_type_symbol", *(f"_atom_site_fract_{x}" for x in "xyz")]
    sites = [
        f"{SYMBOLS[z]}{i} {SYMBOLS[z]} " + " ".join(f"{x:.9f}" for x in place)
        for i, (z, place) in enumerate(
            zip(crystal.atomic_numbers, crystal.frac_coords.tolist(), strict=True)
        )
    ]
    return "\n".join([f"data_{crystal.id}", *cell, *loop, *sites, ""])


def table(crystals, text_of, kind):
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["material_id", kind, "gap"])
    rows.writerows([c.id, text_of(c), 0.5] for c in crystals)
    return file.getvalue().encode()


def frame(crystal):
    cell = " ".join(map(repr, crystal.lattice.ravel().tolist()))
    places = crystal.frac_coords @ crystal.lattice
    sites = [
        f"{SYMBOLS[z]} " + " ".join(map(repr, place))
        for z, place in zip(crystal.atomic_numbers, places.tolist(), strict=True)
    ]
    comment = f'Lattice="{cell}" Properties=species:S:1:pos:R:3 id={crystal.id} gap=0.5 pbc="T T T"'
    return "\n".join([str(crystal.n_sites), comment, *sites, ""])


DCGAT = json.dumps({"entries": [entry_of(c) for c in CRYSTALS]}).encode()
FILES = {
    "DCGAT .json": ("x.json", DCGAT, 1),
    "POSCAR": ("POSCAR", poscar(CRYSTALS[0]).encode(), 1),
    "CIF": ("x.cif", cif(CRYSTALS[0]).encode(), 4),
    "CSV with POSCAR cells": ("x.csv", table(CRYSTALS, poscar, "poscar"), 1),
    "CSV with CIF cells": ("x.csv", table(CRYSTALS, cif, "cif"), 8),
    "extended XYZ": ("x.extxyz", "".join(map(frame, CRYSTALS)).encode(), 3),
}


def needs(name):
    if "XYZ" in name or "ASE" in name:
        pytest.importorskip("ase")


@pytest.mark.parametrize("name", FILES)
def test_mutated_bytes(fuzz, name):
    needs(name)
    file, content, cost = FILES[name]
    fuzz.mutations(name, file, content, read, cost=cost)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_mutated_compression(fuzz, suffix, pack):
    file = f"x.json.{suffix}"
    fuzz.mutations(f"DCGAT .{suffix}", file, pack(DCGAT), read)
    fuzz.mutations(f"DCGAT inside .{suffix}", file, DCGAT, read, pack=pack)


def test_wrong_values_in_dcgat_reject_one_entry(fuzz):
    document = json.loads(DCGAT)
    fuzz.values("DCGAT values", "x.json", document, read)
    fuzz.values("DCGAT one entry", "x.json", document, read_but_deep, below=("entries", 1))


def read_but_deep(path):
    """Nesting beyond a JSON parser's limit is bad syntax: then no entry of the file is read."""
    return read(path) if b"[[[[" in path.read_bytes() else read_around(path)


@pytest.mark.parametrize(
    ("name", "text_of", "cost"), [("poscar", poscar, 2), ("cif", cif, 12)], ids=["poscar", "cif"]
)
def test_a_bad_cell_rejects_one_row(fuzz, name, text_of, cost):
    def pack(text):
        cells = [CRYSTALS[0].id, "mutated", CRYSTALS[2].id], [text_of(c) for c in CRYSTALS]
        file = io.StringIO()
        rows = csv.writer(file)
        rows.writerow(["material_id", name])
        text = text.decode("utf-8", "replace").replace("\0", "")
        rows.writerows(zip(cells[0], [cells[1][0], text, cells[1][2]], strict=True))
        return file.getvalue().encode()

    content = text_of(CRYSTALS[1]).encode()
    fuzz.mutations(f"CSV one {name}", "x.csv", content, read_around, cost=cost, pack=pack)


def test_a_bad_frame_rejects_one_frame(fuzz):
    pytest.importorskip("ase")
    first, middle, last = map(frame, CRYSTALS)
    head, *lines = middle.splitlines()

    def pack(text):
        words = text.decode("latin-1").split("\n")
        body = [*(" ".join(w.split()) for w in words), *[""] * len(lines)][: len(lines)]
        return f"{first}{head}\n".encode() + "\n".join(body).encode() + b"\n" + last.encode()

    fuzz.mutations(
        "extended XYZ one frame", "x.xyz", "\n".join(lines).encode(), read_around, cost=4, pack=pack
    )


def test_ase_databases(fuzz, tmp_path):
    pytest.importorskip("ase")
    from ase import Atoms
    from ase.db import connect

    for kind in ("db", "json-db"):
        source = tmp_path / f"source.{kind}"
        with connect(str(source), type=kind.split("-")[0]) as database:
            for c in CRYSTALS:
                atoms = Atoms(c.atomic_numbers, scaled_positions=c.frac_coords, cell=c.lattice)
                atoms.pbc = True
                database.write(atoms, key_value_pairs={"gap": 0.5}, data={"note": [1, 2]})
        fuzz.mutations(f"ASE .{kind}", f"x.{kind}", source.read_bytes(), read, cost=6)
    document = json.loads(source.read_text())
    fuzz.values("ASE .json-db values", "x.json-db", document, read, cost=4)


def test_property_tables_beside_structures(fuzz):
    (fuzz.folder / "d").mkdir()
    (fuzz.folder / "d" / "a.vasp").write_text(poscar(CRYSTALS[0]))

    def read_folder(path):
        items = list(read_crystals(path.parent))
        assert any(isinstance(item, Crystal) and item.id == "a" for item in items), items
        return items

    content = b"id,gap,volume\na,1.5,20\nb,2.5,\n"
    fuzz.mutations("properties.csv", "d/properties.csv", content, read_folder)
    (fuzz.folder / "d" / "properties.csv").unlink()
    fuzz.mutations("id_prop.csv", "d/id_prop.csv", b"a,1.5\nb,2.5\n", read_folder)


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_thousands_of_mutations(fuzz, name):
    test_mutated_bytes(fuzz, name)


@pytest.mark.long
@pytest.mark.parametrize("place", ["entry", "poscar", "cif", "frame", "database", "gz", "bz2"])
def test_thousands_of_bad_crystals_do_not_affect_the_others(fuzz, place, tmp_path):
    if place == "entry":
        test_wrong_values_in_dcgat_reject_one_entry(fuzz)
    elif place == "frame":
        test_a_bad_frame_rejects_one_frame(fuzz)
    elif place == "database":
        test_ase_databases(fuzz, tmp_path)
    elif place in ("gz", "bz2"):
        test_mutated_compression(fuzz, place, {"gz": gzip.compress, "bz2": bz2.compress}[place])
    else:
        text_of, cost = {"poscar": (poscar, 2), "cif": (cif, 12)}[place]
        test_a_bad_cell_rejects_one_row(fuzz, place, text_of, cost)
