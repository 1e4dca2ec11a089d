"""Exceptions of parsers on malformed files as one InputError."""

import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgatjax.errors import InputError, MismatchError, StorageError

# Parsers (of JSON, NumPy, pymatgen, ASE, ...) have no exception of their own: damage surfaces as
# whichever built-in error the first wrong byte leads to, MemoryError where it announces a size.
PARSE_ERRORS = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(AssertionError, RuntimeError, SyntaxError, MemoryError),
    *(pickle.UnpicklingError, struct.error, tarfile.TarError, zipfile.BadZipFile),
    *(zlib.error, lzma.LZMAError),
)
"""Exceptions of the standard library's and other parsers on malformed content."""


@contextmanager
def reading(
    path: str | Path,
    content: str,
    advice: str = "it is damaged or another kind of file",
    *further: type[Exception],
) -> Iterator[None]:
    """Turn the exceptions of parsers inside into an InputError that names the file.

    Args:
      path: file or folder that is read.
      content: what it should hold, with an article: "a model".
      advice: end of the message: what the user can do.
      *further: exceptions of the parser's own, besides `PARSE_ERRORS`.

    Raises:
      InputError: the content is malformed. An InputError or MismatchError raised inside keeps its
        class and message, with the path in front.
    """
    malformed: tuple[type[Exception], ...] = (*PARSE_ERRORS, *further)
    try:
        yield
    except StorageError:  # of what is written meanwhile
        raise
    except (InputError, MismatchError) as error:
        if str(error).startswith(f"{path}"):
            raise
        raise type(error)(f"{path}: {error}") from error
    except malformed as error:
        reason = f"{type(error).__name__}: {error!s:.300}"
        raise InputError(f"{path}: cannot be read as {content}: {reason}; {advice}") from error
