"""Which rank is to blame, and who is waited for: with a clock of its own, and no processes."""

from pathlib import Path

import pytest

from trainer.run.ranks.ended import Ended, by_death, by_error
from trainer.run.ranks.watch import GRACE, OTHERS, Watch
from trainer.system.errors import ConfigError, InterruptedRunError, LostRankError, TrainingFailedError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watch(clock: Clock, size: int = 3) -> Watch:
    made = Watch(size, 60.0, clock)
    made.hears(0, "met")
    return made


def test_while_all_work_nobody_is_killed(clock: Clock) -> None:
    watched = watch(clock)
    clock.now = 1e6
    assert watched.due() == []
    assert watched.answer() is None
    assert not watched.over


def test_ranks_that_have_done_their_share_do_not_end_the_first(clock: Clock) -> None:
    watched = watch(clock)
    for rank in (1, 2):
        watched.hears(rank, Ended(0))
        watched.is_gone(rank, 0)
    clock.now = 1e6  # as long as its test takes
    assert watched.due() == []
    watched.hears(0, Ended(0, result="done"))
    watched.is_gone(0, 0)
    assert watched.over
    assert watched.blamed() is None


def test_a_rank_that_is_killed_is_to_blame_and_the_first_is_told(clock: Clock) -> None:
    watched = watch(clock)
    watched.hears(0, "lost")
    assert watched.answer() is None  # the system has not said yet that a process is over
    watched.hears(2, Ended(1, "another rank has ended", lost=True))
    watched.is_gone(1, -9)
    assert watched.due() == [2]
    assert watched.answer() == "rank 1 was killed by SIGKILL"
    assert watched.answer() is None
    watched.is_gone(2, -9)
    assert watched.blamed() == 1
    clock.now = GRACE
    assert watched.due() == [0]


def test_a_rank_that_does_not_answer_is_named(clock: Clock) -> None:
    watched = watch(clock)
    watched.hears(0, "lost")
    watched.hears(2, Ended(1, "another rank does not answer", lost=True))
    assert watched.due() == []
    clock.now = OTHERS
    assert watched.due() == [1, 2]
    assert watched.answer() == "rank 1 did not answer for 60 s (rank_timeout)"


def test_the_first_rank_may_be_the_one_that_does_not_answer(clock: Clock) -> None:
    watched = watch(clock, 2)
    watched.hears(1, Ended(1, "another rank does not answer", lost=True))
    clock.now = OTHERS
    assert watched.due() == [1]
    assert watched.why() == "rank 0 did not answer for 60 s (rank_timeout)"
    clock.now = OTHERS + GRACE
    assert watched.due() == [0, 1]
    watched.is_gone(0, -9)
    assert watched.blamed() is None


def test_before_all_have_met_nobody_is_waited_for(clock: Clock) -> None:
    watched = Watch(2, 60.0, clock)
    watched.is_gone(1, -9)
    assert watched.due() == [0]
    watched.is_gone(0, -9)
    assert watched.blamed() == 1


def test_of_several_that_fail_the_first_is_to_blame(clock: Clock) -> None:
    watched = watch(clock)
    for rank in (2, 1):
        watched.hears(rank, Ended(2, "a mistake"))
    assert watched.why() == "rank 1: a mistake"
    watched.hears(0, Ended(2, "a mistake"))
    assert watched.blamed() == 0
    assert watched.why() == "a mistake"


def test_only_the_first_says_where_the_run_lies(clock: Clock) -> None:
    watched = watch(clock)
    watched.hears(1, Path("elsewhere"))
    watched.hears(0, Path("here"))
    assert watched.directory == Path("here")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no such key", "try another"), 2),
        (TrainingFailedError("diverged"), 1),
        (InterruptedRunError(15, "interrupted"), 143),
        (KeyboardInterrupt(), 130),
        (LostRankError("gone"), 1),
    ],
)
def test_a_rank_ends_as_a_command_does(error: BaseException, code: int) -> None:
    ended = by_error(error)
    assert ended.code == ended.raised(0).exit_code == code
    assert ended.lost == isinstance(error, LostRankError)
    assert ended.trace == ""


def test_an_error_of_ours_has_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("not today")
    except ValueError as error:
        ended = by_error(error)
    assert str(ended.raised(1)) == "rank 1: ValueError: not today"
    assert "Traceback" in capsys.readouterr().err


def test_a_rank_that_says_nothing_is_told_by_its_exit_code() -> None:
    assert by_death(1, -15).message == "rank 1 was killed by SIGTERM"
    assert by_death(1, 3).message == "rank 1 ended with exit code 3"
