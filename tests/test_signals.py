"""Signals that ask a command to end: the first one does, and none disturbs what is then done."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from processes import Machine, until

from trainer.cli.main import main
from trainer.system import signals
from trainer.system.errors import InterruptedRunError, TerminatedError
from trainer.system.signals import ENDING, Answer, answered, hurried

HERE = os.getpid()


@pytest.fixture
def answer() -> Iterator[Answer]:
    with answered(*ENDING) as found:
        yield found


@pytest.mark.parametrize(
    ("signum", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError), (signal.SIGHUP, TerminatedError)],
)
def test_the_first_signal_raises_and_those_that_come_upon_its_answer_are_counted(
    answer: Answer, signum: int, error: type[KeyboardInterrupt]
) -> None:
    told = []
    assert not hurried()
    try:
        try:
            os.kill(HERE, signum)
        finally:
            os.kill(HERE, signal.SIGTERM)
            told.append("closed")
    except KeyboardInterrupt as raised:
        for _ in range(20):
            os.kill(HERE, signal.SIGINT)
        told.append(type(raised).__name__)
    assert told == ["closed", error.__name__]
    assert hurried()
    assert answer.again >= 2


def test_a_signal_that_was_noted_and_is_then_answered_counts_as_the_first(answer: Answer) -> None:
    def stops() -> None:
        try:
            raise InterruptedRunError(signal.SIGTERM, "interrupted")
        finally:
            os.kill(HERE, signal.SIGINT)

    with pytest.raises(InterruptedRunError):
        stops()
    assert answer.again == 1


def test_an_answer_that_goes_through_a_generator_or_raises_something_else_is_not_disturbed(answer: Answer) -> None:
    @contextmanager
    def opened() -> Iterator[None]:
        try:
            yield
        finally:
            os.kill(HERE, signal.SIGINT)

    def stops() -> None:
        with opened():
            try:
                os.kill(HERE, signal.SIGTERM)
            except KeyboardInterrupt as error:
                raise ValueError("closed") from error

    with pytest.raises(ValueError, match="closed"):
        stops()
    assert answer.again == 1


def test_a_signal_after_one_that_was_caught_and_forgotten_raises_again(answer: Answer) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            os.kill(HERE, signal.SIGINT)
    assert not hurried()


def test_a_signal_that_is_raised_where_python_drops_it_comes_again(answer: Answer) -> None:
    class Dropping:
        def __del__(self) -> None:
            os.kill(HERE, signal.SIGTERM)

    Dropping()
    with pytest.raises(TerminatedError):
        until(lambda: False, 20, pause=0.01)


def test_when_a_command_is_over_signals_change_nothing(answer: Answer) -> None:
    answer.over = True
    os.kill(HERE, signal.SIGTERM)
    assert answer.again == 1


def test_what_handled_signals_before_does_so_after_the_command() -> None:
    before, hook = [signal.getsignal(signum) for signum in ENDING], sys.unraisablehook
    with answered(*ENDING):
        assert all(signal.getsignal(signum) not in before for signum in ENDING)
    assert [signal.getsignal(signum) for signum in ENDING] == before
    assert sys.unraisablehook is hook
    assert not hurried()


def test_signals_that_are_ignored_stay_so() -> None:
    with signals.kept(signal.SIGHUP):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with answered(*ENDING):
            os.kill(HERE, signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


LATE = """
import atexit, os, signal, sys
from trainer.cli.main import main

class Late:
    def __del__(self):
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), signum)

late = Late()  # which goes when Python has gone through its `atexit`
atexit.register(Late.__del__, late)
sys.argv = ["trainer", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.mark.parametrize(("argv", "code"), [(("--version",), 0), (("nonsense",), 2)])
def test_signals_while_the_process_ends_change_neither_its_exit_code_nor_what_it_says(
    machine: Machine, argv: tuple[str, ...], code: int
) -> None:
    ended = machine.run(*argv, code=LATE)
    assert ended.code == code, ended.err
    assert len(ended.err.splitlines()) == (2 if code else 0)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_library_makes_a_class_is_no_error_of_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signum: int, code: int
) -> None:
    class Field:
        def __set_name__(self, owner: type, name: str) -> None:
            os.kill(HERE, signum)

    def imported() -> str:
        return type("Made", (), {"field": Field()}).__name__

    monkeypatch.setattr("trainer.cli.verbs.overview", imported)
    assert main([]) == code
    assert capsys.readouterr().err.startswith("error: ")
