"""Base of the frozen option classes: validation, conversion from and to TOML."""

import dataclasses
import hashlib
import json
import sys
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from cgatjax.errors import ConfigError

_INVALID = object()
_INT_LIMIT = 2**63
"""TOML integers have 64 bits."""


def _coerced(value: Any, hint: Any) -> Any:
    """Convert to the annotated type (list to tuple, int to float); _INVALID if impossible."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value if value in arguments else _INVALID
    if origin in (types.UnionType, typing.Union):  # the latter for Literal[...] | None
        return next(
            (c for c in (_coerced(value, a) for a in arguments) if c is not _INVALID), _INVALID
        )
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return _INVALID
        inner = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(inner) != len(value):
            return _INVALID
        items = tuple(_coerced(v, a) for v, a in zip(value, inner, strict=True))
        return _INVALID if any(item is _INVALID for item in items) else items
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number and abs(value) <= sys.float_info.max else _INVALID
    if hint is int and (
        not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _INT_LIMIT
    ):
        return _INVALID
    return value if isinstance(value, hint) else _INVALID


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(a) for a in typing.get_args(hint))
    return getattr(hint, "__name__", None) or str(hint).replace("typing.", "")


C = typing.TypeVar("C", bound="Options")


class Options:
    """Base of option classes: value checks, conversion from and to plain dictionaries."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = _coerced(getattr(self, field.name), hints[field.name])
            if value is _INVALID:
                raise ConfigError(
                    f"{type(self).__name__}.{field.name}: "
                    f"expected {_type_name(hints[field.name])}, got {getattr(self, field.name)!r}"
                )
            object.__setattr__(self, field.name, value)
        self._check()

    def _check(self) -> None:
        """Raise ConfigError if a value is out of range; overridden by each class."""

    def _require(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise ConfigError(
                f"{type(self).__name__}.{name}: expected {expected}, got {getattr(self, name)!r}"
            )

    def _require_at_least(self, least: int, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self._require(value is None or value >= least, name, f"at least {least}")

    def _require_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self._require(value is None or value > 0, name, "a positive number")

    def _require_seed(self, name: str = "seed") -> None:
        self._require(0 <= getattr(self, name) < 2**31, name, f"0 <= {name} < 2**31")

    @classmethod
    def of(cls, options: "Self | Mapping[str, Any]") -> Self:
        """Return options as they are, or make them of a dictionary; ConfigError for anything
        else.
        """
        if isinstance(options, cls):
            return options
        if isinstance(options, Mapping):
            return from_dict(cls, options)
        raise ConfigError(
            f"expected a {cls.__name__} or a dictionary of its options, got "
            f"{type(options).__name__}: {options!r:.80}"
        )

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some options changed; unknown names raise ConfigError."""
        return from_dict(type(self), {**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a plain dictionary, without those that are None (as in TOML)."""
        plain: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Options):
                plain[field.name] = value.to_dict()
            elif value is not None:
                plain[field.name] = value
        return plain

    def digest(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the options."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
    """Build an option class from a dictionary; an unknown key raises ConfigError."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{cls.__name__}: expected a table of options, got {values!r:.80}")
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(f"{cls.__name__}: unknown option(s) {unknown}; known are {sorted(hints)}")
    nested = {
        name: from_dict(hints[name], value)
        if isinstance(value, Mapping)
        and isinstance(hints[name], type)
        and issubclass(hints[name], Options)
        else value
        for name, value in values.items()
    }
    return cls(**nested)


def load_toml(path: str | Path, sections: Mapping[str, type[Options]]) -> dict[str, dict[str, Any]]:
    """Read a TOML file of option tables, and check every table and key.

    Returns table name -> {option: value}, without unset options; `sections` are the option classes.

    Raises:
      ConfigError: the file is not TOML, or a table or key is unknown.
    """
    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: cannot be read as TOML: nested too deeply") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    for name, table in tables.items():
        if name not in sections or not isinstance(table, Mapping):
            raise ConfigError(f"{path}: unknown table {name!r}; known are {sorted(sections)}")
        try:
            from_dict(sections[name], table)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
    return tables
