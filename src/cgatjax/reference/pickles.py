"""Safe reader of pickled arrays and plain containers.

A pickle can call any importable function, and NumPy's unpickling code trusts the lengths in it: a
wrong shape of an object array leads to invalid memory access. Therefore no name in a pickle is
imported. The few names that arrays need are replaced by functions that check every length against
the data.
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
    """Read a pickle of arrays, dictionaries, lists, tuples, sets, strings and numbers.

    UnpicklingError for another name, inconsistent lengths, or repeated content; others for damage.
    """
    _require_small_memo(content)
    found = _PlainUnpickler(io.BytesIO(content)).load()
    _require_no_repetition(found, most=len(content))
    return found


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler limited to arrays, containers, strings and numbers."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"expected NumPy arrays and plain containers, it asks for {module:.80}.{name:.80}"
            )
        return _ALLOWED[module, name]


class _Maker:
    """Function that a pickle may call, but neither inspect nor change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it tries to change the functions that make its arrays")


class _Type:
    """Replacement of a dtype: numbers, text or objects, with a byte order."""

    def __init__(self, code: str, *_: Any) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"[biufcSUO]\d{1,4}", code)):
            raise pickle.UnpicklingError(f"it asks for arrays of {code!r:.80}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """Array whose data must match its shape exactly."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, data = state
        checked: Any = (1, shape, _checked(shape, kind, data), bool(is_fortran), data)
        super().__setstate__(checked)


def _checked(shape: Any, kind: Any, data: Any) -> np.dtype:
    """Check shape and dtype of an array against its data, and return the dtype."""
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
    """Encode bytes as old protocols do; other encodings are refused."""
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


# Names in NumPy's pickles of arrays (old and new protocols) and scalars. The class ndarray occurs
# only as an argument of `_reconstruct`.
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
    """Refuse large memo indices, up to which Python's unpickler allocates memory.

    Each memo entry takes at least one byte of the pickle, so no valid pickle has larger indices.
    """
    for opcode, place, _ in pickletools.genops(content):
        named = int(place or 0) if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") else 0
        if named > len(content):
            raise pickle.UnpicklingError(f"it asks for room for {place} objects")


def _require_no_repetition(found: Any, most: int) -> None:
    """Refuse containers that hold themselves or each other repeatedly, and so expand without limit.

    Each item takes at least one byte of the pickle, unless it is repeated.
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
            raise pickle.UnpicklingError("it repeats the same lists")
        stack += [item for item in items if isinstance(item, _CONTAINERS)]
