"""Tables of results, for the screen and for Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table as RichTable

from benchmarks.figures import FIGURES, Round, Spread, ratios, values
from benchmarks.goals import Goal, standing
from benchmarks.rounds import Measured
from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Table:
    """A heading and rows of text; the first column names, the others hold figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> RichTable:
        """For a terminal."""
        table = RichTable(title=self.title, title_justify="left", box=box.SIMPLE)
        for number, name in enumerate(self.header):
            table.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a page; the title is the page's own affair."""
        ruler = ["---", *["---:"] * (len(self.header) - 1)]
        return "\n".join(f"| {' | '.join(row)} |" for row in [self.header, ruler, *self.rows])


def results(workload: Workload, measured: Measured) -> Table:
    """Medians (least to most) of each contender's figures, and the subject's ratio to each."""
    names = list(dict.fromkeys(name for found in measured.rounds for name in found))
    subject = workload.subject
    compared = [f for f in workload.figures if subject is not None and f != "accuracy"]
    shown = [f for f in workload.figures if any(values(measured.rounds, f, name) for name in names)]
    header = [""]
    for figure in shown:
        header.append(FIGURES[figure][0])
        if figure in compared:
            header.append(f"{subject} / it")
    rows = []
    for name in sorted(names, key=lambda name: (name != subject, names.index(name))):
        row = [name]
        for figure in shown:
            row.append(_figure(figure, values(measured.rounds, figure, name)))
            if figure in compared and subject is not None:
                others = [] if name == subject else ratios(measured.rounds, figure, subject, name)
                row.append(_spread(Spread.of(others), 2))
        rows.append(row)
    return Table(f"{workload.name}: {workload.summary}", header, rows)


def notes(measured: Measured) -> list[str]:
    """What the table does not say."""
    found = [f"{_count(len(measured.rounds), 'round')}, {len(measured.discarded)} more discarded."]
    if not measured.guarded:
        found.append("This system does not say what other processes used: no round could be discarded.")
    found += [f"{name} ran with {variant}, its fastest." for name, variant in measured.chosen.items()]
    found += [f"{name} did not compete: {reason}." for name, reason in measured.absent.items()]
    return found


def goals(measured: Mapping[str, Sequence[Round]]) -> Table:
    """Every goal whose workload was measured."""
    rows = [
        [_what(goal), f"<= {goal.limit:g}{' s' if goal.seconds else ''}", _spread(spread, 2), _verdict(goal, spread)]
        for goal, spread in standing(measured)
    ]
    return Table("goals", ["", "goal", "measured", "met"], rows)


def _what(goal: Goal) -> str:
    name = {"first": "time to start", "wall": "process", "memory": "peak memory"}.get(goal.figure, goal.figure)
    return f"{goal.workload}, {name}: {goal.subject} {'minus' if goal.seconds else '/'} {goal.other}"


def _verdict(goal: Goal, spread: Spread) -> str:
    return "yes" if spread.median <= goal.limit else "no"


def _figure(figure: str, found: Iterable[float]) -> str:
    _, unit, decimals = FIGURES[figure]
    return _spread(Spread.of([value / unit for value in found]), decimals)


def _spread(spread: Spread | None, decimals: int) -> str:
    if spread is None:
        return ""
    if spread.low == spread.high:
        return f"{spread.median:.{decimals}f}"
    return f"{spread.median:.{decimals}f} ({spread.low:.{decimals}f}-{spread.high:.{decimals}f})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
