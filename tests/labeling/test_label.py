"""Labels of ASE's empirical calculators: values by hand, resuming, failures, provenance."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

import cgatjax as cg
from cgatjax.errors import (
    ConfigError,
    InputError,
    MissingExtraError,
    RunExistsError,
    StructureError,
)
from cgatjax.labeling import calculations as module
from cgatjax.labeling.calculators import make_calculator
from cgatjax.labeling.cell_scan import scan_cell
from cgatjax.labeling.element_energies import ElementEnergies
from cgatjax.labeling.label import label
from cgatjax.structures.crystal import Crystal

EMT_NAME = "ase.calculators.emt:EMT"
FCC = 0.5 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])


def metal(number: int = 29, edge: float = 3.6, name: str = "", **targets: float) -> Crystal:
    return Crystal(
        id=name or f"fcc-{number}-{edge:g}",
        lattice=edge * FCC,
        frac_coords=np.zeros((1, 3)),
        atomic_numbers=np.array([number], np.uint8),
        targets=targets,
    )


def alloy(numbers: list[int], edge: float, name: str, **targets: float) -> Crystal:
    return Crystal(
        id=name,
        lattice=edge * np.eye(3),
        frac_coords=np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
        atomic_numbers=np.array(numbers, np.uint8),
        targets=targets,
    )


def energy(crystal: Crystal) -> float:
    atoms = Atoms(
        crystal.atomic_numbers,
        scaled_positions=crystal.frac_coords,
        cell=crystal.lattice,
        pbc=True,
        calculator=EMT(),
    )
    return float(atoms.get_potential_energy() / len(atoms))


class Counted(Calculator):
    """0.5 eV per atom and 0.1 per atomic number; fails for carbon, counts its calls."""

    implemented_properties = ("energy",)
    calls = 0

    def calculate(self, atoms=None, properties=("energy",), changes=all_changes):
        super().calculate(atoms, properties, changes)
        type(self).calls += 1
        if 6 in atoms.numbers:
            raise ValueError("no carbon")
        value = np.nan if 7 in atoms.numbers else 0.5 + 0.1 * atoms.numbers.mean()
        self.results = {"energy": value * len(atoms)}


def test_labels_are_energies_per_atom_with_their_origin(tmp_path):
    crystals = [metal(29), alloy([29, 29, 79, 79], 3.9, "CuAu", gap=0.0)]
    out = tmp_path / "labeled.json.bz2"
    found = label(crystals, EMT_NAME, out=out)
    assert found.properties == ("energy_emt",)
    assert found.origin.startswith("ase.calculators.emt:EMT 3.")
    again = list(cg.read_crystals([out]))
    for given, made, read in zip(crystals, found.crystals, again, strict=True):
        assert made.targets == {**given.targets, "energy_emt": pytest.approx(energy(given))}
        assert read.targets == made.targets
        assert read.origins == made.origins == {"energy_emt": found.origin}
    store = cg.build_store([out], tmp_path / "s", cg.GraphConfig.recommended(max_neighbors=12))
    assert (store.origin("energy_emt"), store.unit("energy_emt")) == (found.origin, "eV/atom")
    assert not out.with_name(f"{out.name}.unfinished").exists()
    with pytest.raises(RunExistsError, match="exists"):
        label(crystals, EMT_NAME, out=out)


def test_origins_tell_calculators_apart(tmp_path, monkeypatch):
    origin = make_calculator(EMT_NAME).origin
    assert make_calculator(EMT()).origin.partition(",")[2] == origin.partition(",")[2]
    (tmp_path / "my_potential.py").write_text(
        "from ase.calculators.lj import LennardJones\n"
        "def weak(): return LennardJones(epsilon=0.1)\n"
        "def strong(): return LennardJones(epsilon=0.2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    weak, strong = (make_calculator(f"my_potential:{name}").origin for name in ("weak", "strong"))
    assert weak.partition(", hash ")[2] != strong.partition(", hash ")[2]


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_listed_and_the_rest_is_labeled(workers):
    bad = dataclasses.replace(metal(92), id="uranium")
    found = label([metal(29), bad, metal(79, 4.1)], EMT_NAME, workers=workers)
    assert [c.id for c in found.crystals] == ["fcc-29-3.6", "fcc-79-4.1"]
    [failed] = found.failed
    assert failed.id == "uranium"
    assert "the calculator failed: " in failed.reason
    with pytest.raises(StructureError, match="uranium"):
        label([bad], EMT_NAME, on_error="raise")
    with pytest.raises(InputError, match="no crystal could be labeled"):
        label([bad], EMT_NAME)


def test_values_that_are_not_finite_are_failures():
    found = label([metal(7), metal(29)], Counted())
    assert "returned nan" in found.failed[0].reason
    assert found.crystals[0].targets == {"energy_counted": pytest.approx(3.4)}


def test_a_stopped_run_is_resumed_without_repeating_a_calculation(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    crystals = [metal(n, 4.0, name=f"m{n}") for n in (13, 6, 28, 29, 46, 47, 78, 79)]
    out = tmp_path / "labels.json"
    log = tmp_path / "labels.json.unfinished"
    calculator, Counted.calls = Counted(), 0

    def stopping():
        for k, crystal in enumerate(crystals):
            if k == 5:
                raise KeyboardInterrupt
            yield crystal

    with pytest.raises(KeyboardInterrupt):
        label(stopping(), calculator, out=out)
    assert Counted.calls == 4
    assert len(log.read_text().splitlines()) == 5
    with log.open("a") as file:
        file.write('{"digest": "half a li')
    with pytest.raises(RunExistsError, match="continue it with --resume"):
        label(crystals, calculator, out=out)
    with pytest.raises(ConfigError, match="resume with the same options"):
        label(crystals, EMT_NAME, out=out, resume=True)
    found = label(crystals, calculator, out=out, resume=True)
    assert Counted.calls == len(crystals)
    assert found.computed == 4
    assert [c.id for c in found.crystals] == [c.id for c in crystals if c.id != "m6"]
    whole = label(crystals, calculator, out=tmp_path / "whole.json")
    assert (tmp_path / "whole.json").read_bytes() == out.read_bytes()
    assert len(whole.failed) == 1
    log.write_text("{}\nnot json\n")
    out.unlink()
    with pytest.raises(InputError, match=r"cannot be read as a journal.*remove the file"):
        label(crystals, calculator, out=out, resume=True)


def test_equal_structures_are_calculated_once():
    Counted.calls = 0
    found = label([metal(29, name="a"), metal(29, name="b")], Counted())
    assert (len(found), Counted.calls) == (2, 1)


def test_the_scan_finds_the_equilibrium_of_copper():
    calculator = make_calculator(EMT_NAME)
    for edge in (3.4, 3.59, 3.9, 4.4):
        found, volume = scan_cell(calculator, metal(29, edge))
        assert (4 * volume) ** (1 / 3) == pytest.approx(3.590, abs=0.004)
        assert found == pytest.approx(-0.0070, abs=5e-4)
    assert "no minimum" in scan_cell(calculator, metal(29, 9.0))
    labeled = label([metal(29, 3.8)], EMT_NAME, scan=True).crystals[0]
    assert set(labeled.targets) == {"energy_emt", "volume_emt"}
    assert labeled.targets["volume_emt"] == pytest.approx(3.59**3 / 4, rel=3e-3)
    assert labeled.units["volume_emt"] == "A^3/atom"
    np.testing.assert_array_equal(labeled.lattice, metal(29, 3.8).lattice)


def test_formation_energies_by_given_and_by_fitted_references(tmp_path):
    mixed = alloy([29, 29, 79, 79], 3.9, "CuAu")
    energies = {"Cu": -0.1, "Au": 0.3}
    file = tmp_path / "elements.json"
    file.write_text(json.dumps(energies))
    for given in (energies, file, str(file)):
        found = label([mixed, metal(13)], EMT_NAME, references=given)
        [crystal] = found.crystals
        assert crystal.targets["e-form_emt"] == pytest.approx(energy(mixed) - 0.1)
        assert found.failed[0].reason == "no reference energy of ['Al']"
    # Formation energies that follow from known energies of the elements are found again.
    known = [
        alloy(numbers, edge, f"{k}", **{"e-form": 0.0})
        for k, (numbers, edge) in enumerate(
            (n, e) for n in ([29] * 4, [29, 29, 29, 79], [29, 79, 79, 79], [79] * 4)
             for e in (3.8, 3.9, 4.0)
        )
    ]  # fmt: skip
    truth = ElementEnergies.given(energies)
    known = [
        dataclasses.replace(c, targets={"e-form": energy(c) - truth.of(c.atomic_numbers)})
        for c in known
    ]
    archive = cg.write_dcgat(known, tmp_path / "known.json")
    found = label([mixed], EMT_NAME, references=archive)
    assert found.crystals[0].targets["e-form_emt"] == pytest.approx(energy(mixed) - 0.1, abs=1e-4)
    assert "energies of 2 elements" in found.crystals[0].origins["e-form_emt"]
    with pytest.raises(InputError, match="a known 'gap', to fit"):
        label([mixed], EMT_NAME, references=archive, reference_property="gap")
    with pytest.raises(InputError, match="expected a number"):
        label([mixed], EMT_NAME, references={"Cu": "low"})


def test_mistakes_in_the_name_of_a_calculator(monkeypatch):
    with pytest.raises(ConfigError, match="MODULE:FACTORY, such as"):
        make_calculator("emt")
    with pytest.raises(MissingExtraError, match="no_such_module"):
        make_calculator("no_such_module:make")
    with pytest.raises(ConfigError, match="no attribute 'Emt'"):
        make_calculator("ase.calculators.emt:Emt")
    with pytest.raises(ConfigError, match="returns an ASE calculator, got dict"):
        make_calculator("builtins:dict")
    with pytest.raises(ConfigError, match="expected the name of a calculator"):
        make_calculator(3)
    with pytest.raises(ConfigError, match="give its name"):
        label([metal()], EMT(), workers=2)
    monkeypatch.setitem(__import__("sys").modules, "chgnet.model", None)
    with pytest.raises(MissingExtraError, match="pip install chgnet"):
        make_calculator("chgnet")


def test_labels_are_the_baseline_of_a_model_that_refuses_others(tmp_path):
    rng = np.random.default_rng(0)
    crystals = [
        alloy(rng.choice([28, 29, 46, 47, 78, 79], 4).tolist(), rng.uniform(3.6, 4.2), f"a{k}")
        for k in range(16)
    ]
    low = label(crystals, EMT_NAME, property="low").crystals
    data = [
        dataclasses.replace(c, targets={**c.targets, "e": c.targets["low"] + rng.normal(0, 0.1)})
        for c in low
    ]
    graphs = cg.GraphConfig.recommended(max_neighbors=12)
    store = cg.build_store(data, tmp_path / "s", graphs, units={"e": "eV/atom"})
    train, valid, _ = store.split()
    sizes = {"node_dim": 4, "edge_dim": 4, "heads": 1, "steps": 1, "composition_steps": 1}
    config = cg.ModelConfig.small(**sizes, composition_hidden=4, head_widths=(4,))
    model = cg.init_model(config, store, target="e")
    model, _ = cg.fit(model, train, valid, cg.TrainConfig(epochs=0, baseline="low"))
    assert model.normalizers["e"].baseline.origin == low[0].origins["low"]
    assert len(cg.predict(model, low)) == len(low)
    others = label(crystals, "ase.calculators.lj:LennardJones", property="low").crystals
    with pytest.raises(cg.MismatchError, match=r"computed by ase\.calculators\.lj:LennardJones"):
        cg.predict(model, others)


def test_the_command_writes_an_archive_and_a_list_of_failures(tmp_path: Path):
    from tests.commands import ok, refused

    archive = cg.write_dcgat([metal(29), metal(92)], tmp_path / "in.json")
    out = tmp_path / "out.json.gz"
    text = ok("label", archive, "--calculator", EMT_NAME, "--property", "low", "--out", out)
    assert "1 crystals with low, 1 failed" in text
    assert "calculator: ase.calculators.emt:EMT" in text
    assert "fcc-92-3.6" in out.with_name("out.json.gz.failed.csv").read_text()
    [crystal] = cg.read_crystals([out])
    assert crystal.targets["low"] == pytest.approx(energy(metal(29)))
    assert "exists" in refused("label", archive, "--calculator", EMT_NAME, "--out", out)


def test_references_are_fitted_to_enough_crystals_of_each_element(tmp_path, monkeypatch):
    monkeypatch.setattr("cgatjax.labeling.label.REFERENCE_CRYSTALS", 3)
    cells = [(4 * [29], 3.5 + 0.1 * k) for k in range(6)] + [([29, 29, 79, 79], 3.9)]
    known = [alloy(z, edge, f"{k}", **{"e-form": 0.0}) for k, (z, edge) in enumerate(cells)]
    archive = cg.write_dcgat(known, tmp_path / "known.json")
    Counted.calls = 0
    found = label([metal(79)], Counted(), references=archive)
    assert Counted.calls == 3 + 1 + 1  # Cu three times, the alloy for Au's sake, the crystal
    assert "energies of 2 elements" in found.origin
