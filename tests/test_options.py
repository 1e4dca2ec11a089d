from dataclasses import dataclass
from typing import Literal

import pytest

from cgatjax.errors import ConfigError
from cgatjax.options import Options, from_dict, load_toml


@dataclass(frozen=True, kw_only=True)
class Inner(Options):
    rate: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer(Options):
    count: int = 3
    name: str | None = None
    kind: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (2, 1)
    pairs: tuple[tuple[str, float], ...] = ()
    flag: bool = True
    inner: Inner = Inner()

    def _check(self) -> None:
        self._require(self.count >= 0, "count", "at least 0")


def test_lists_become_tuples_and_integers_become_floats():
    outer = from_dict(Outer, {"widths": [4, 5], "pairs": [["x", 1]], "inner": {"rate": 2}})
    assert outer.widths == (4, 5)
    assert outer.pairs == (("x", 1.0),)
    assert isinstance(outer.inner.rate, float)
    assert outer.inner.rate == 2.0


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("count", 1.5, "int"),
        ("count", True, "int"),
        ("count", "3", "int"),
        ("count", None, "int"),
        ("kind", "c", "one of 'a', 'b'"),
        ("widths", [1, 2.5], "tuple"),
        ("widths", 3, "tuple"),
        ("pairs", [["x"]], "tuple"),
        ("flag", 1, "bool"),
        ("name", 7, "str"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(option, value, expected):
    with pytest.raises(ConfigError, match=rf"Outer\.{option}: expected .*{expected}.*got") as found:
        Outer(**{option: value})
    assert repr(value) in str(found.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), True, "1"])
def test_a_number_must_be_finite(value):
    with pytest.raises(ConfigError, match=r"Inner\.rate: expected float"):
        Inner(rate=value)


def test_a_value_out_of_range_says_what_is_allowed():
    with pytest.raises(ConfigError, match=r"Outer\.count: expected at least 0, got -1"):
        Outer(count=-1)


def test_an_unknown_key_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"Outer: unknown option\(s\) \['cuont'\].*'count'"):
        from_dict(Outer, {"cuont": 1})
    with pytest.raises(ConfigError, match=r"Inner: unknown option"):
        from_dict(Outer, {"inner": {"speed": 1}})
    with pytest.raises(ConfigError, match=r"Outer: unknown option"):
        Outer().replace(cuont=1)


def test_replace_changes_a_copy():
    outer = Outer(name="x")
    assert outer.replace(count=5) == Outer(name="x", count=5)
    assert outer.count == 3


def test_a_dictionary_gives_the_same_options():
    outer = Outer(name="x", pairs=(("p", 2.0),), inner=Inner(rate=0.25))
    assert from_dict(Outer, outer.to_dict()) == outer
    assert "name" not in Outer().to_dict()


def test_the_digest_depends_on_values_alone():
    assert Outer(widths=[2, 1]).digest() == Outer().digest()
    assert Outer(count=4).digest() != Outer().digest()
    assert Inner().digest() == "13399833b1240fba"  # sha256 of {"rate": 0.5}


def test_toml_gives_the_tables_as_written(tmp_path):
    file = tmp_path / "options.toml"
    file.write_text('[outer]\ncount = 7\nkind = "b"\n[outer.inner]\nrate = 1\n')
    tables = load_toml(file, {"outer": Outer, "inner": Inner})
    assert tables == {"outer": {"count": 7, "kind": "b", "inner": {"rate": 1}}}
    assert from_dict(Outer, tables["outer"]) == Outer(count=7, kind="b", inner=Inner(rate=1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[outer]\ncuont = 7\n", r"unknown option\(s\) \['cuont'\]"),
        ("[other]\ncount = 7\n", r"unknown table 'other'; known are \['outer'\]"),
        ("count = 7\n", r"unknown table 'count'"),
        ("[outer]\ncount = 'many'\n", r"Outer\.count: expected int, got 'many'"),
        ("[outer\n", "cannot be read as TOML"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
    file = tmp_path / "options.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_toml(file, {"outer": Outer})


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: no such file"):
        load_toml(tmp_path / "none.toml", {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml: cannot be read"):
        load_toml(tmp_path / "binary.toml", {})
