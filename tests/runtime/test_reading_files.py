"""Errors of parsers as one InputError."""

import json

import pytest

from cgatjax.errors import ConfigError, InputError, MismatchError, StorageError, StructureError
from cgatjax.runtime.files import PARSE_ERRORS, reading


class OwnError(Exception):
    """Exception of some library."""


@pytest.mark.parametrize("error", [*PARSE_ERRORS, ConfigError, RecursionError, OwnError])
def test_parse_errors_name_file_content_and_advice(error):
    message = rf"x\.json: cannot be read as a model: {error.__name__}: why; save it again"
    with (
        pytest.raises(InputError, match=message),
        reading("x.json", "a model", "save it again", OwnError),
    ):
        raise error("why")


@pytest.mark.parametrize("error", [InputError, StructureError, MismatchError])
def test_own_errors_keep_class_and_message(error):
    with pytest.raises(error, match=r"^run: three heads$"), reading("run", "a model"):
        raise error("three heads")
    with pytest.raises(error, match=r"^run/a: three heads$"), reading("run", "a model"):
        raise error("run/a: three heads")


def test_malformed_and_missing_files(tmp_path):
    file = tmp_path / "x.json"
    for content in (None, "{", "[" * 100_000):
        if content is not None:
            file.write_text(content)
        with (
            pytest.raises(InputError, match=r"x\.json: cannot be read as a table: "),
            reading(file, "a table"),
        ):
            json.loads(file.read_text())


@pytest.mark.parametrize("error", [KeyboardInterrupt, StorageError, OwnError])
def test_other_exceptions_pass(error):
    with pytest.raises(error), reading("x.json", "a model"):
        raise error
