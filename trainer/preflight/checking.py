"""The looks, taken one after the other, and what they find on the screen."""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from trainer.config.train import Train
from trainer.preflight.finding import Finding
from trainer.preflight.looks import AREAS, Look
from trainer.preflight.subject import Subject
from trainer.run import summary
from trainer.show import findings
from trainer.show.report import Report
from trainer.show.values import duration
from trainer.system import circumstances
from trainer.system.errors import TrainerError, UnfitError
from trainer.system.shown import counted


def run(
    config: Train, looks: Sequence[Look], screen: Report, named: Collection[str] = (), out: str | None = None
) -> dict[str, Any]:
    """Take the `looks` at what `config` would train, and show what each finds.

    `named` are areas and looks that were asked for by name; `out` is where the picture of the learning rates goes.

    Returns:
        `looks`, how many were taken; `notes`, how many findings are worth knowing.

    Raises:
        UserError: The training would be refused.
        UnfitError: Something is wrong with it.
    """
    begun = time.perf_counter()
    subject = Subject(config, screen, named, out)
    screen.facts("", summary.opening(subject.first))
    found: list[tuple[Look, str]] = []
    try:
        for look, finding in _findings(looks, subject):
            if not found or found[-1][0].area != look.area:
                screen.say(AREAS[look.area], style="bold")
            found.append((look, _kind(finding)))
            findings.show(screen, _kind(finding), finding.looked_at, finding.found, finding.advice)
    finally:
        subject.close()
    took = f"{counted(len(looks), 'look')} in {duration(time.perf_counter() - begun)}"
    wrong, notes = ([look.name for look, kind in found if kind == wanted] for wanted in ("wrong", "note"))
    if wrong:
        raise UnfitError(
            f"{counted(len(wrong), 'thing')} {'is' if len(wrong) == 1 else 'are'} wrong ({took})",
            f"below each stands what to type; to look at that again: check.only={','.join(dict.fromkeys(wrong))}",
        )
    worth = f", {counted(len(notes), 'thing')} worth knowing" if notes else ""
    screen.say(f"nothing wrong{worth} ({took})", style="bold green")
    return {"looks": len(looks), "notes": len(notes)}


def _findings(looks: Sequence[Look], subject: Subject) -> Iterator[tuple[Look, Finding]]:
    return ((look, finding) for look in looks for finding in _taken(look, subject))


def _taken(look: Look, subject: Subject) -> Iterator[Finding]:
    """What a look finds, also where it cannot be taken to its end for a reason that the user should know."""
    found = look.look(subject)
    while True:
        try:
            with subject.screen.doing(f"looking at {look.about}"):
                finding = next(found, None)
        except TrainerError as error:
            finding, found = _failed(look, error), iter(())
        except Exception as error:
            explained = circumstances.explained(error)
            if explained is None:
                raise
            finding, found = _failed(look, explained), iter(())
        if finding is None:
            return
        yield finding


def _failed(look: Look, error: TrainerError) -> Finding:
    return Finding(look.about, error.message, error.hint or "the training would fail in the same way", wrong=True)


def _kind(finding: Finding) -> str:
    return "wrong" if finding.wrong else "note" if finding.advice else "fine"
