"""Pickles of arrays and plain containers, read without trusting them.

A pickle can call whatever it names, and NumPy's own part in reading one believes what the pickle
says about lengths: a wrong shape of an array of objects ends in memory that is not its own. So
nothing that a pickle names is looked up. The few names that arrays need have stand-ins here, which
compare every length with the data that are there.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_CONTAINERS = (dict, list, tuple, set, frozenset, np.ndarray)


def unpickled(content: bytes) -> Any:
    """The object in a pickle: arrays, dictionaries, lists, tuples, sets, strings and numbers.

    Raises:
      UnpicklingError: it names anything else, contradicts itself, or holds itself many times over.
      EOFError, ValueError, TypeError, AttributeError, LookupError, OverflowError, MemoryError:
        damaged.
    """
    _require_small_memo(content)
    found = _PlainUnpickler(io.BytesIO(content)).load()
    _require_no_repetition(found, most=len(content))
    return found


class _PlainUnpickler(pickle.Unpickler):
    """Makes arrays, containers, strings and numbers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for {module:.80}.{name:.80}, but only NumPy arrays and plain containers "
                "are read"
            )
        return _ALLOWED[module, name]


class _Maker:
    """A function that a pickle may call, and can neither read nor change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it tries to change what makes its arrays")


class _Type:
    """Stands for a dtype: numbers, text or objects, with a byte order and nothing else."""

    def __init__(self, code: str, *_: Any) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"[biufcSUO]\d{1,4}", code)):
            raise pickle.UnpicklingError(f"it asks for arrays of {code!r:.80}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array whose content must fill its shape exactly."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, data = state
        checked: Any = (1, shape, _checked(shape, kind, data), bool(is_fortran), data)
        super().__setstate__(checked)


def _checked(shape: Any, kind: Any, data: Any) -> np.dtype:
    """The dtype of an array whose shape agrees with its data."""
    if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
        raise pickle.UnpicklingError(f"an array of shape {shape!r:.80}")
    if not isinstance(kind, _Type):
        raise pickle.UnpicklingError(f"an array of {kind!r:.80}")
    is_objects = kind.dtype.hasobject
    if not isinstance(data, list if is_objects else bytes | bytearray):
        raise pickle.UnpicklingError(f"an array of {kind.dtype} made of {type(data).__name__}")
    length = math.prod(shape) * (1 if is_objects else kind.dtype.itemsize)
    if len(data) != length or len(shape) > 16:
        raise pickle.UnpicklingError(f"an array of shape {shape!r:.80} with {len(data)} items")
    return kind.dtype


def _latin1(text: str, encoding: str) -> bytes:
    """How old protocols spell bytes; no other encoding is looked up."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"expected latin1 text, got {encoding!r:.80}")
    return text.encode("latin1")


def _empty_array(*_: Any) -> np.ndarray:
    return np.empty(0, np.int8).view(_Array)


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    dtype = _checked(shape, kind, data)
    if dtype.hasobject:
        raise pickle.UnpicklingError("an array of objects made of bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: Any, data: Any) -> Any:
    return _from_buffer(data, kind, (1,), "C")[0]


# What NumPy itself names when it pickles an array (old and new protocols) or a scalar. The class
# is only ever an argument of `_reconstruct`.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _Maker(_Type),
    ("_codecs", "encode"): _Maker(_latin1),
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Maker(_empty_array)
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _Maker(_scalar)
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _Maker(_from_buffer)


def _require_small_memo(content: bytes) -> None:
    """Python's unpickler makes room up to the largest place that is named in its memo.

    Whatever is put there takes a byte of the pickle at least, so no pickle needs more places.
    """
    for opcode, place, _ in pickletools.genops(content):
        named = int(place or 0) if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") else 0
        if named > len(content):
            raise pickle.UnpicklingError(f"it asks for room for {place} objects")


def _require_no_repetition(found: Any, most: int) -> None:
    """A list may hold itself, or one list a thousand times, and that one another: refuse it.

    Every item takes a byte of the pickle at least, if it is written down once.
    """
    stack, count = [found], 0
    while stack:
        value = stack.pop()
        if isinstance(value, np.ndarray):
            items = value.ravel().tolist() if value.dtype.hasobject else []
        else:
            items = list(value.values()) if isinstance(value, dict) else list(value)
        count += 1 + len(items)
        if count > most:
            raise pickle.UnpicklingError("it holds the same lists over and over")
        stack += [item for item in items if isinstance(item, _CONTAINERS)]
