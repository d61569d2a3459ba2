"""Rows of a table as clients send them, in JSON, and the columns that the model takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from trainer.data.table.columns import Dropped
from trainer.predict.predictor import Answers, Predictor
from trainer.serve.fields import Field, NumberField, field_of
from trainer.serve.limits import Limits
from trainer.serve.problem import ProblemError
from trainer.system.errors import did_you_mean, listed
from trainer.system.inside import parsed
from trainer.system.shown import shortened

MEDIA = "application/json"
PROBLEMS = 20  # that are told of one request
_FEW = 100  # columns, or letters of a name, among which it takes no time to look for one that was meant
_VALUES = 2**25  # features of a request or a batch, which are in memory a few times
_SHARES = 2**18  # probabilities of an answer, which is written in one go

Columns = dict[str, list[Any]]  # cells by the names of the columns, as their fields have read them


class Rows:
    """Reads what a client sends into the columns that a model takes, and asks the model."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor = predictor
        self._count, plan = predictor.shape.numel(), predictor.plan
        if plan is None:
            names = predictor.columns or tuple(f"x{number}" for number in range(1, self._count + 1))
            fields: list[Field] = [NumberField(name) for name in names]
        else:
            fields = [field for column in plan if (field := field_of(column)) is not None]
        self.fields = {field.name: field for field in fields}
        self.passed_over = {column.name for column in plan or () if isinstance(column, Dropped)}
        self.most = max(1, min(limits.rows, _VALUES // self._count, _SHARES // predictor.outputs))

    def takes(self, media: str) -> bool:
        """Whether a body of this type may hold rows."""
        return media == MEDIA

    @property
    def wanted(self) -> str:
        """What to send, for a client that has sent something else."""
        return (
            'send {"rows": [{column: value, ...}, ...]} with Content-Type: application/json; GET /schema has an example'
        )

    def read(self, body: bytes) -> tuple[Columns, int]:
        """The columns of the rows in a body, and how many rows there are.

        Raises:
            ProblemError: It is no JSON, has none or too many rows, or some cannot be used; it says which, and why.
        """
        try:
            content = parsed(body)
        except ValueError as error:
            raise ProblemError(400, f"the body cannot be read as JSON: {error}", self.wanted) from error
        rows = self._rows(content)
        columns: Columns = {name: [] for name in self.fields}
        problems: list[dict[str, Any]] = []
        for number, row in enumerate(rows, start=1):
            for column, reason in self._take(row, columns):
                problems.append({"row": number, "column": column, "reason": reason})
            if len(problems) >= PROBLEMS:
                break
        if problems:
            raise _of_rows(problems[:PROBLEMS])
        return columns, len(rows)

    def nothing(self) -> Columns:
        """A row in which everything is missing."""
        return {name: [None] for name in self.fields}

    def ask(self, parts: Sequence[Columns]) -> Answers:
        """What the model says of the rows of several requests."""
        kind = np.float64 if self.predictor.plan is None else np.float32  # as in `trainer predict`
        features = np.empty((sum(len(next(iter(part.values()))) for part in parts), self._count), kind)
        place = 0
        for name, field in self.fields.items():
            cells = [cell for part in parts for cell in part[name]]
            field.encode(cells, features[:, place : place + field.width])
            place += field.width
        return self.predictor.rows(torch.from_numpy(features))

    def schema(self) -> dict[str, Any]:
        """The columns, with what each takes."""
        return {
            "kind": "rows",
            "columns": [field.described() for field in self.fields.values()],
            "content_types": [MEDIA],
            "most_rows": self.most,
        }

    def example(self) -> dict[str, Any]:
        """A request with a row that the model may have seen."""
        row = {name: field.example() for name, field in self.fields.items()}
        return {"content_type": MEDIA, "body": {"rows": [row]}}

    def _rows(self, content: Any) -> list[Mapping[str, Any]]:
        """The rows that a body has, in whichever of three forms.

        Raises:
            ProblemError: It has another form, none, or too many.
        """
        if isinstance(content, dict) and content.keys() == {"columns"}:
            rows = self._across(content["columns"])
        else:
            rows = content["rows"] if isinstance(content, dict) and content.keys() == {"rows"} else content
        if not isinstance(rows, list):
            raise ProblemError(422, "the body is JSON, but no rows", self.wanted)
        if not rows:
            raise ProblemError(422, "there are no rows", self.wanted)
        self._check_count(len(rows))
        return rows

    def _across(self, columns: Any) -> list[Mapping[str, Any]]:
        if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
            raise ProblemError(
                422, "'columns' is not an object of lists", 'send {"columns": {column: [value, ...], ...}}'
            )
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            raise ProblemError(
                422, f"the columns have from {min(lengths):,} to {max(lengths):,} values", "give each as many"
            )
        self._check_count(max(lengths, default=0))
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _check_count(self, count: int) -> None:
        if count > self.most:
            raise ProblemError(
                413, f"the request has {count:,} rows, and at most {self.most:,} are taken", "send fewer"
            )

    def _take(self, row: Any, columns: Columns) -> list[tuple[str | None, str]]:
        """Append the cells of a row to `columns`; the column and reason of each cell that cannot be used."""
        if not isinstance(row, dict):
            return [(None, "it is not an object with a value for each column")]
        problems: list[tuple[str | None, str]] = []
        for name, field in self.fields.items():
            if name not in row and not field.optional:
                problems.append((name, "is missing"))
                continue
            try:
                columns[name].append(field.cell(row.get(name)))
            except ValueError as error:
                problems.append((name, str(error)))
        strange = sorted(row.keys() - self.fields.keys() - self.passed_over)[:PROBLEMS]
        problems += [(name, "is no column of the model") for name in strange]
        if strange and len(self.fields) <= _FEW:
            name = strange[0][:_FEW]
            meant = did_you_mean(name, self.fields.keys() - row.keys(), f"it has {listed([*self.fields])}")
            problems[-len(strange)] = (name, f"is no column of the model; {meant}")
        return problems


def _of_rows(problems: list[dict[str, Any]]) -> ProblemError:
    first = problems[0]
    for problem in problems:
        problem["column"] = problem["column"] and shortened(problem["column"], 60, "...")
    column = "" if first["column"] is None else f"column '{first['column']}' "
    more = " ('problems' has more)" if len(problems) > 1 else ""
    return ProblemError(
        422,
        f"row {first['row']}: {column}{first['reason']}{more}",
        "GET /schema says what each column takes",
        problems=problems,
    )
