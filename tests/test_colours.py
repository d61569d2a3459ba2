"""Colours of what is printed without rich."""

import io

import pytest

from trainer.system.colours import painted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_gets_colours() -> None:
    assert painted("error:", "error", Terminal()) == "\x1b[1;31merror:\x1b[0m"


def test_a_pipe_gets_none() -> None:
    assert painted("error:", "error", io.StringIO()) == "error:"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_asks_for_none_gets_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert painted("error:", "error", Terminal()) == "error:"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert painted("error:", "error", Terminal()) == "error:"


def test_a_pipe_that_is_to_be_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert painted("error:", "error", io.StringIO()) == "\x1b[1;31merror:\x1b[0m"
