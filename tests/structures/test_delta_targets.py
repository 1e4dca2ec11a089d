"""Differences between two properties as a property of its own."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.data.build import build_store
from cgatjax.errors import ConfigError, InputError, TargetError
from cgatjax.structures.crystal import Rejected
from cgatjax.structures.delta_targets import properties_to_read, units_with, with_differences
from cgatjax.synthetic.dataset import ionic_crystals

GAIN = {"gain": ("e-form@high", "e-form@low")}
GRAPHS = GraphConfig.recommended()


def crystals_with(*values):
    made = ionic_crystals(len(values), seed=0)
    return [replace(c, targets=v) for c, v in zip(made, values, strict=True)]


def test_differences_are_unknown_where_a_value_is():
    crystals = crystals_with({"a": 3.0, "b": 1.0}, {"a": 3.0})
    found = list(with_differences(crystals, {"d": ("a", "b")}))
    assert found[0].targets == {"a": 3.0, "b": 1.0, "d": 2.0}
    assert math.isnan(found[1].targets["d"])
    rejected = Rejected(id="x", source="", reason="")
    assert list(with_differences([rejected], {"d": ("a", "b")})) == [rejected]
    assert list(with_differences(crystals, {})) == crystals


def test_a_property_is_never_overwritten():
    crystals = crystals_with({"a": 3.0, "b": 1.0, "d": 7.0})
    with pytest.raises(ConfigError, match=r"\['d'\] already"):
        list(with_differences(crystals, {"d": ("a", "b")}))


def test_the_operands_of_differences_are_read_but_not_kept(tmp_path):
    crystals = ionic_crystals(5, seed=0)
    store = build_store(crystals, tmp_path / "s", GRAPHS, targets=["volume@high"], differences=GAIN)
    assert store.units == {"volume@high": "A^3/atom", "gain": "eV/atom"}
    expected = [c.targets["e-form@high"] - c.targets["e-form@low"] for c in crystals]
    np.testing.assert_array_equal(store.target("gain"), np.array(expected))
    everything = build_store(crystals, tmp_path / "all", GRAPHS, differences=GAIN)
    assert set(everything.units) == {*crystals[0].targets, "gain"}


def test_a_difference_may_be_named_among_the_targets(tmp_path):
    crystals = ionic_crystals(2, seed=0)
    store = build_store(crystals, tmp_path / "s", GRAPHS, targets=["gain"], differences=GAIN)
    assert store.units == {"gain": "eV/atom"}


@pytest.mark.parametrize("targets", ["gain", ["volume@high", "volume@high"]])
def test_targets_are_a_list_of_distinct_names(tmp_path, targets):
    for differences in ({}, GAIN):
        with pytest.raises(InputError, match="targets: expected"):
            build_store(
                ionic_crystals(2, seed=0), tmp_path / "s", GRAPHS,
                targets=targets, differences=differences,
            )  # fmt: skip
    assert not (tmp_path / "s").exists()


def test_a_difference_without_any_value_is_an_error(tmp_path):
    with pytest.raises(TargetError, match=r"\['gain'\]; the input has \['volume@high'\]"):
        build_store(
            [replace(c, targets={"volume@high": 20.0}) for c in ionic_crystals(2, seed=0)],
            tmp_path / "s", GRAPHS, differences=GAIN,
        )  # fmt: skip


def test_a_resumed_build_has_the_same_differences(tmp_path, monkeypatch):
    crystals = ionic_crystals(6, seed=0)
    monkeypatch.setattr("cgatjax.data.shard_writer.SHARD", 2)
    monkeypatch.setattr("cgatjax.data.build.CHUNK", 2)

    def broken():
        yield from crystals[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_store(broken(), tmp_path / "s", GRAPHS, differences=GAIN)
    with pytest.raises(ConfigError, match="differences"):
        build_store(crystals, tmp_path / "s", GRAPHS, resume=True)
    store = build_store(crystals, tmp_path / "s", GRAPHS, differences=GAIN, resume=True)
    assert len(store) == 6


def test_properties_to_read():
    assert properties_to_read(None, GAIN) is None
    assert properties_to_read(["volume", "e-form@high"], GAIN) == [
        "volume",
        "e-form@high",
        "e-form@low",
    ]


def test_units_are_those_of_both_properties():
    assert units_with({"heat": "K"}, GAIN) == {"heat": "K", "gain": "eV/atom"}
    assert units_with({"gain": "eV"}, GAIN) == {"gain": "eV"}
    with pytest.raises(ConfigError, match="one unit, got 'e-form' in eV/atom and 'volume' in A"):
        units_with(None, {"odd": ("e-form", "volume")})
