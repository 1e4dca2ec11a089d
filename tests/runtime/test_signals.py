"""Signals are recorded while a run listens, and only then."""

import os
import signal
import threading

import pytest

from cgatjax.errors import CgatjaxError
from cgatjax.runtime.signals import SIGNALS, exit_on_interrupt, stop_requests


def handlers():
    return [signal.getsignal(signum) for signum in SIGNALS]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_is_recorded_and_the_handlers_are_restored(signum):
    before = handlers()
    with stop_requests() as stop:
        assert stop.signum is None
        os.kill(os.getpid(), signum)
        assert stop.signum == signum
        error = stop.interrupted("after epoch 3")
    assert handlers() == before
    assert isinstance(error, CgatjaxError)
    assert error.signum == signum
    assert str(error) == (
        f"{signum.name}: stopped after epoch 3; the state is saved, resume to continue"
    )


@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_interrupt_ends_at_once(first):
    before = handlers()
    with stop_requests() as stop:
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.signum == first
    assert handlers() == before


def test_a_second_termination_changes_nothing():
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signum == signal.SIGINT


def test_nothing_changes_without_listening():
    before = handlers()
    with stop_requests(listening=False) as stop:
        assert handlers() == before
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stop.signum is None


def test_nothing_changes_in_other_threads():
    before, seen = handlers(), []

    def work():
        with stop_requests() as stop:
            seen.extend([handlers(), stop.signum])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, None]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_requests() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.signum is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.signum == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_before_the_first_step_an_interrupt_ends_the_program_at_once():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with exit_on_interrupt():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        with stop_requests() as stop:
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.signum == signal.SIGINT
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_callers_own_handler_stays_before_the_first_step():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with exit_on_interrupt():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
