"""Commands in general: help, exit codes, messages."""

import logging
from pathlib import Path

import click
import pytest
from tests.commands import ok, refused, run

from cgatjax.cli import main


def test_help_of_every_command_has_an_example() -> None:
    for name in main.commands:
        assert f"cgatjax {name}" in ok(name, "--help")
    assert "cgatjax featurize" in ok("--help")
    assert "0." in ok("--version")


def test_a_folder_that_is_neither_store_nor_run_is_refused(
    store: Path, trained_run: Path, tmp_path: Path
) -> None:
    assert "there is no such folder" in refused("evaluate", trained_run, tmp_path / "none")
    assert "store.json, made by `cgatjax featurize`; it has none" in refused(
        "evaluate", trained_run, tmp_path
    )
    assert "that is a file" in refused("evaluate", trained_run, store / "store.json")
    assert "of a model; it holds none" in refused("evaluate", store, store)
    assert "no such file or folder" in refused("info", tmp_path / "none")


def test_debug_shows_the_traceback_and_an_interrupt_has_its_exit_code(tmp_path: Path) -> None:
    result = run("--debug", "info", tmp_path)
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "InputError"

    @click.command()
    def stop() -> None:
        raise KeyboardInterrupt

    main.add_command(stop)
    try:
        assert run("stop").exit_code == 130
    finally:
        del main.commands["stop"]


def test_messages_are_printed_once_and_the_log_is_restored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("cgatjax")
    before = (list(logger.handlers), logger.level, logger.propagate)

    @click.command()
    def speak() -> None:
        logger.info("epoch 1")
        logger.warning("a step was skipped")

    main.add_command(speak)
    try:
        assert run("speak").stderr == "epoch 1\nwarning: a step was skipped\n"
        assert run("--quiet", "speak").stderr == "warning: a step was skipped\n"
    finally:
        del main.commands["speak"]
    assert not caplog.records
    assert (list(logger.handlers), logger.level, logger.propagate) == before
