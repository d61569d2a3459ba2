"""report.html of a run: what it is and how good, what it gets wrong, and how it is made again and used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from trainer.engine.bootstrap import RESAMPLES
from trainer.engine.measures import MEASURES
from trainer.show import html
from trainer.show.captions import caption
from trainer.show.card import Card, Rows
from trainer.show.report import Facts

Table = tuple[Sequence[str], Rows]  # header and rows
TILES = 6  # figures in large letters
# Where a picture stands, by the stem of its file; the others come near the end.
_WELL = ("roc", "residuals", "fit")
_CURVES = ("curves",)
_WRONG = ("confusion", "predictions")
_CALIBRATION = ("reliability",)


class Judged(Protocol):
    """What a run comes to in one line, where that is sure."""

    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def grave(self) -> bool:
        """Whether the model is of no use."""


@dataclass(frozen=True)
class RunPage:
    """What the report of a run says; all texts are plain ones, and are escaped.

    `card` is what the model card says. `judged` is what it comes to, where that is sure. `pictures` are PNG files by
    their paths in the run, of plain letters. `classes` and the other tables are a header and rows: what is told wrong
    comes first. `settings` are keys with their values and defaults, `back` leads to the training again, `files` are
    paths in the run, of plain letters, with what they hold, and `following` are commands to go on with.
    """

    card: Card
    judged: "Judged | None"
    best: str
    pictures: Mapping[str, bytes]
    classes: Table | None
    confused: Table | None
    mistakes: Table | None
    suspected: str
    suspects: Table | None
    calibration: str
    settings: Rows
    back: Facts
    files: Rows
    following: Sequence[str]

    def text(self) -> str:
        """The page in HTML."""
        card, placed = self.card, {*_WELL, *_CURVES, *_WRONG, *_CALIBRATION}
        others = [stem for stem in map(_stem, self.pictures) if stem not in placed]
        body = [
            html.heading(card.title, card.summary),
            html.notice(self.judged.title, self.judged.text, self.judged.grave) if self.judged is not None else "",
            html.section("How good it is", [*self._figures(), *self._pictures(_WELL)]),
            html.section("Curves", [html.paragraph(self.best) if self.best else "", *self._pictures(_CURVES)]),
            html.section("What it gets wrong", [html.beside(self._tables()), *self._pictures(_WRONG)]),
            html.section("Labels that may be wrong", self._suspects()),
            html.section("Calibration", self._calibration()),
            html.section("What it was trained on", [html.facts(card.data), *self._pictures(others)]),
            html.section("How it was trained", [html.facts(card.recipe), *self._settings()]),
            html.section("Its limits", [html.listed(f"{line[:1].upper()}{line[1:]}." for line in card.limits)]),
            html.section("The way back", [html.commands([card.typed]), html.facts(self.back)]),
            html.section("Files", [self._files()]),
            html.section("What to do next", [html.commands(self.following)]),
        ]
        return html.page(f"{card.title}: report", filter(None, body))

    def _figures(self) -> Iterator[str]:
        figures = sorted(((label, value, span) for label, value, span in self.card.figures), key=_is_loss)
        yield html.paragraph(f"On the {self.card.evaluated}:")
        yield html.tiles([(label, value, span and f"95%: {span}") for label, value, span in figures[:TILES]])
        if len(figures) > TILES:
            yield html.table(("", "value", "95% interval"), figures[TILES:])
        yield html.paragraph(
            f"The intervals are those of {RESAMPLES:,} bootstrap resamples: they say how far a figure moves with other "
            "samples of the same kind, not with another training."
        )

    def _tables(self) -> Iterator[str]:
        for title, found in (
            ("Most often confused", self.confused),
            ("Classes, the least often right first", self.classes),
            ("Most confident mistakes" if self.classes is not None else "Largest errors", self.mistakes),
        ):
            if found is not None and found[1]:
                yield html.below(title) + html.table(*found)

    def _suspects(self) -> Iterator[str]:
        if self.suspected:
            yield html.paragraph(f"{self.suspected}.")
        if self.suspects is not None:
            yield html.table(*self.suspects)

    def _calibration(self) -> Iterator[str]:
        if self.calibration:
            yield html.paragraph(self.calibration)
        yield from self._pictures(_CALIBRATION)

    def _settings(self) -> Iterator[str]:
        if self.settings:
            yield html.below("Choices, and keys that differ from their defaults")
            yield html.table(("key", "value", "default"), self.settings)

    def _files(self) -> str:
        return html.table(("file", "what it holds"), self.files, links=[path for path, _ in self.files])

    def _pictures(self, stems: Sequence[str]) -> Iterator[str]:
        for stem in stems:
            for path, content in self.pictures.items():
                if _stem(path) == stem:
                    yield html.picture(content, stem, caption(stem))


def _is_loss(figure: Sequence[str]) -> bool:
    """The loss comes last: it says the least to people."""
    return figure[0] == MEASURES["loss"].label


def _stem(path: str) -> str:
    return PurePosixPath(path).stem
