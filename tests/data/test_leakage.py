"""Removal of held-out crystals from splits, and ids from every kind of source."""

import dataclasses
import json

import numpy as np
import pytest

from cgatjax.config import GraphConfig, SplitConfig
from cgatjax.data.build import build_store
from cgatjax.data.leakage import (
    exclude,
    exclude_seen,
    read_held_out,
    read_ids,
    split_from_options,
)
from cgatjax.data.splits import Split
from cgatjax.errors import ConfigError, InputError, MismatchError
from cgatjax.runs.run_folder import DATA, SPLIT

HELD_OUT = Split(train=("a", "b", "c"), valid=("d",), test=("e", "f"))


@pytest.fixture(scope="module")
def low(prototypes, tmp_path_factory):
    """Store of NaCl under two ids, LiCl, CsCl and SrTiO3."""
    salt = prototypes["NaCl"]
    lithium = np.where(salt.atomic_numbers == 11, 3, 17).astype(np.uint8)
    crystals = [
        *(prototypes[name] for name in ("NaCl", "CsCl", "SrTiO3")),
        dataclasses.replace(salt, id="again", lattice=1.01 * salt.lattice),
        dataclasses.replace(salt, id="LiCl", atomic_numbers=lithium),
    ]
    crystals = [dataclasses.replace(c, targets={"e-form@low": -1.0}) for c in crystals]
    return build_store(crystals, tmp_path_factory.mktemp("low") / "low", GraphConfig.recommended())


@pytest.fixture(scope="module")
def high(prototypes, tmp_path_factory):
    """Store of NaCl under another id, with a value, and of CaF2 without one."""
    salt = dataclasses.replace(prototypes["NaCl"], id="salt", targets={"e-form@high": -2.0})
    fluoride = dataclasses.replace(prototypes["CaF2"], targets={})
    folder = tmp_path_factory.mktemp("high") / "high"
    return build_store([salt, fluoride], folder, GraphConfig.recommended())


def everything(split):
    return {*split.train, *split.valid, *split.test}


def test_held_out_ids_leave_every_subset_and_unknown_ids_are_ignored(low):
    split = Split(train=("NaCl", "again"), valid=("LiCl",), test=("CsCl", "SrTiO3"))
    left = exclude(split, low, ["again", "CsCl", "not there"])
    assert (left.train, left.valid, left.test) == (("NaCl",), ("LiCl",), ("SrTiO3",))


def test_the_validation_and_test_set_of_a_split_are_held_out(low):
    split = Split(train=tuple(low.ids), valid=(), test=())
    other = Split(train=("NaCl",), valid=("again",), test=("LiCl", "elsewhere"))
    assert set(exclude(split, low, other).train) == {"NaCl", "CsCl", "SrTiO3"}


@pytest.mark.parametrize(
    ("by", "removed"),
    [
        ("id", set()),
        ("formula", {"NaCl", "again"}),
        ("graph", {"NaCl", "again"}),
        ("prototype", {"NaCl", "again", "LiCl"}),
    ],
)
def test_duplicates_of_held_out_crystals_are_removed_too(low, high, by, removed):
    split = Split(train=tuple(low.ids), valid=(), test=())
    salt = high.all().select(high.rows_of(["salt"]))
    other = Split(train=("CaF2",), valid=(), test=("salt",))
    for left in (
        exclude(split, low, salt, by=by),
        exclude(split, low, other, by=by, home=high),
        exclude(split, low, ["salt"], by=by, home=high),
    ):
        assert set(low.ids) - everything(left) == removed


def test_duplicates_of_ids_are_looked_for_in_the_split_store_by_default(low):
    split = Split(train=tuple(low.ids), valid=(), test=())
    assert set(exclude(split, low, ["NaCl"], by="formula").train) == {"LiCl", "CsCl", "SrTiO3"}


def test_crystals_that_cannot_be_compared_are_refused(low, high, prototypes, tmp_path):
    split = Split(train=tuple(low.ids), valid=(), test=())
    with pytest.raises(InputError, match=r"1 ids are not in the store: \['none'\].*by id alone"):
        exclude(split, low, ["salt", "none"], by="formula", home=high)
    other = build_store([prototypes["NaCl"]], tmp_path / "other", GraphConfig.released())
    with pytest.raises(MismatchError, match="made with the same options"):
        exclude(split, low, other.all(), by="graph")


def test_a_store_holds_out_the_crystals_with_a_value_of_the_property(low, high):
    options = SplitConfig(fractions=(0.0, 0.5, 0.5))
    ids, home = read_held_out(high.path, low, ["e-form@low"], options)
    assert ids == ("salt",)
    assert home.digest == high.digest


def test_a_run_holds_out_the_ids_of_its_split_and_names_its_store(low, high, tmp_path):
    HELD_OUT.save(tmp_path / SPLIT)
    assert read_held_out(tmp_path, low, [], SplitConfig()) == (("d", "e", "f"), low)
    (tmp_path / DATA).write_text(json.dumps({"store": str(high.path)}))
    _, home = read_held_out(tmp_path, low, [], SplitConfig())
    assert home.digest == high.digest


def test_a_split_from_options_excludes_first_and_takes_a_subset_then(low, tmp_path, caplog):
    Split(train=tuple(low.ids[:4]), valid=tuple(low.ids[4:]), test=()).save(tmp_path / "split.json")
    (tmp_path / "ids.txt").write_text(f"{low.ids[0]}\n")
    options = SplitConfig(
        split=str(tmp_path / "split.json"), exclude=(str(tmp_path / "ids.txt"),), train_size=2
    )
    with caplog.at_level("INFO", logger="cgatjax"):
        split = split_from_options(low, ["e-form@low"], options)
    assert set(split.train) < set(low.ids[1:4])
    assert (len(split.train), split.valid) == (2, (low.ids[4],))
    assert "1 of 5 crystals" in caplog.text
    (tmp_path / "ids.txt").write_text("\n".join(low.ids))
    with pytest.raises(InputError, match="no crystal is left to train on; exclude less"):
        split_from_options(low, ["e-form@low"], options)


def test_a_split_file_stands_for_its_held_out_ids(tmp_path):
    HELD_OUT.save(tmp_path / "split.json")
    assert read_ids(tmp_path / "split.json") == ("d", "e", "f")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ids.txt", "# chosen by hand\na\n\n b \n", ("a", "b")),
        ("ids.json", json.dumps(["a", 7]), ("a", "7")),
        ("ids.csv", "gap,mat_id\n0.1,a\n0.2,b\n", ("a", "b")),
        ("ids.csv", "# no header\na,0.1\nb,0.2\n", ("a", "b")),
    ],
)
def test_ids_are_read_from_files(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert read_ids(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ids.txt", "# nothing\n", "holds none"),
        ("ids.csv", "", "holds none"),
        ("ids.csv", "id\n", "holds none"),
        ("ids.json", "{", "cannot be read as a file of crystal ids: JSONDecodeError"),
        ("ids.json", "3", "expected a split"),
        ("ids.json", '{"train": []}', "split"),
    ],
)
def test_a_file_without_ids_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_ids(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        read_ids(tmp_path / "nowhere.txt")


def test_seen_crystals_leave_validation_and_test_set_only(low):
    split = Split(train=("NaCl",), valid=("again", "LiCl"), test=("CsCl", "SrTiO3"))

    def is_seen(data):
        return np.isin(data.ids, ["NaCl", "again", "SrTiO3"])

    left = exclude_seen(split, low, is_seen)
    assert (left.train, left.valid, left.test) == (("NaCl",), ("LiCl",), ("CsCl",))
    with pytest.raises(InputError, match="trained on all validation crystals"):
        exclude_seen(split, low, lambda data: np.ones(len(data), bool))
    options = SplitConfig(fractions=(0.4, 0.4, 0.2), exclude_seen="graph")
    with pytest.raises(ConfigError, match="expected a pre-trained model"):
        split_from_options(low, ("e-form@low",), options)
    before = split_from_options(low, ("e-form@low",), options.replace(exclude_seen=None))
    after = split_from_options(low, ("e-form@low",), options, lambda d: np.isin(d.ids, before.test))
    assert (after.train, after.valid, after.test) == (before.train, before.valid, ())
