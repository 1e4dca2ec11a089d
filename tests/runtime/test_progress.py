import logging
import sys
import types

import pytest

from cgatjax.runtime import progress as module
from cgatjax.runtime.progress import progress


def test_a_log_gets_a_line_at_the_end(caplog):
    with caplog.at_level(logging.INFO, "cgatjax"), progress("read", 3) as advance:
        advance(1, "")
        advance(2, "done")
    assert [r.getMessage() for r in caplog.records] == ["read: 3 of 3, done"]


def test_a_log_gets_occasional_lines(caplog, monkeypatch):
    monkeypatch.setattr(module, "LOG_SECONDS", -1.0)
    with caplog.at_level(logging.INFO, "cgatjax"), progress("read") as advance:
        advance(4, "one bad")
    assert [r.getMessage() for r in caplog.records] == ["read: 4, one bad"]


def test_a_phase_is_announced_at_once(caplog):
    with caplog.at_level(logging.INFO, "cgatjax"), progress("train", 3) as advance:
        advance(0, "compiling")
        assert caplog.messages == ["train: 0 of 3, compiling"]


def test_by_default_of_the_public_functions_a_log_gets_nothing(caplog, capsys):
    with caplog.at_level(logging.INFO, "cgatjax"), progress("read", 3, shown=None) as advance:
        advance(0, "started")
        advance(3, "done")
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


def test_a_notebook_gets_one_line_that_overwrites_itself(caplog, capsys, monkeypatch):
    class ZMQInteractiveShell:
        pass

    notebook = types.SimpleNamespace(get_ipython=ZMQInteractiveShell)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    with progress("read", 3, shown=None) as advance:
        advance(0, "started")
        advance(3, "end")
    assert capsys.readouterr() == ("", "\rread: 0 of 3, started\rread: 3 of 3, end    \n")
    assert not caplog.records


def test_hidden_progress_writes_nothing(caplog, capsys):
    with caplog.at_level(logging.INFO, "cgatjax"), progress("read", 3, shown=False) as advance:
        advance(3, "done")
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_on_standard_error(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("train", 2, shown=None) as advance:
        advance(2, "loss 0.1")
    out, err = capsys.readouterr()
    assert out == ""
    assert "train" in err
    assert "2/2" in err


def test_an_error_passes_through():
    with pytest.raises(KeyError), progress("read", 3):
        raise KeyError("x")
