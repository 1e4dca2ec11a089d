"""What a training must not see: ids from every kind of file, out of every part of a split."""

import json

import pytest

from cgatjax.data.leakage import held_out, read_ids, without
from cgatjax.data.splits import Split
from cgatjax.errors import InputError

SPLIT = Split(train=("a", "b", "c"), valid=("d",), test=("e", "f"))


def test_held_out_is_validation_and_test():
    assert held_out(SPLIT) == ("d", "e", "f")


def test_ids_leave_every_part_and_unknown_ones_do_not_matter():
    left = without(SPLIT, ["b", "e", "not there"])
    assert (left.train, left.valid, left.test) == (("a", "c"), ("d",), ("f",))


def test_a_split_file_stands_for_what_it_holds_out(tmp_path):
    SPLIT.save(tmp_path / "split.json")
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
def test_ids_are_read_from(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert read_ids(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ids.txt", "# nothing\n", "holds none"),
        ("ids.csv", "", "holds none"),
        ("ids.csv", "id\n", "holds none"),
        ("ids.json", "{", "not JSON"),
        ("ids.json", "3", "expected a split"),
        ("ids.json", '{"train": []}', "split"),
    ],
)
def test_what_is_no_list_of_ids_says_so(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_ids(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        read_ids(tmp_path / "nowhere.txt")
