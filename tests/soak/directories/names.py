"""Names of files and folders, names in texts, and what stands in a search's journal."""
# ruff: noqa: E501 -- tables

import json
from typing import Any

from .arena import MODULE, Maker, Place
from .making import RESUME, Case, config, filled, in_json, types

ODD = {
    "a newline": "a\nb",
    "an escape code": "\x1b[31mred\x1b[0m",
    "a terminal's title": "\x1b]0;owned\x07",
    "a backspace": "safe\x08\x08\x08\x08evil",
    "a carriage return": "good\rbad",
    "text from right to left": "abc\u202egnp.exe",
    "no width": "a\u200bb\ufeff",
    "markup": "[red]x[/red] [link=http://127.0.0.1:9]y[/link] [/]",
    "mathtext": "$\\frac{",
    "percent signs": "%s%d%(x)s",
    "braces": "{0.__class__}{}",
    "a formula": "=cmd|'/c calc'!A1",
    "a formula with @": "@SUM(1+1)",
    "a formula with +": "+1+1",
    "a formula with -": "-1+1",
    "quotes": "\"'`$(touch canary)",
    "a path upwards": "../../../outside/new",
    "an absolute path": "/OUTSIDE/new",
    "dots": "..",
    "a dash": "-rf",
    "a tilde": "~root",
    "300 letters": "x" * 300,
    "100,000 letters": "x" * 100_000,
    "spaces": " a  b ",
    "nothing": "",
    "emoji": "🙂👩‍👩‍👧",
    "a separator": "a\u2028b\u2029c\x85d",
    "HTML": "<img src=x onerror=alert(1)>",
}
STAMPS = {
    "a superscript": "²",
    "10,000 digits": "9" * 200,
    "another script's digits": "١٢٣",
    "no stamp": "",
    "a negative one": "-5",
    "the largest": "9" * 18,
    "a float": "1e5",
    "a newline": "1\n2",
    "a surrogate": "\udcff",
    "an underscore": "1_0",
    "a fraction": "½",
}
JOBS = (
    "-1",
    "01",
    "1e3",
    "007",
    "²",
    "٣",
    "999999999999999999999",
    "3",
    " 1",
    "None",
    "..x",
    "-rf",
    "a\nb",
    "\udcff",
    "\x1b[31m",
)


def _event_file(stamp: str) -> Maker:
    def make(place: Place) -> None:
        (place / f"events.out.tfevents.{stamp}.theirs.1").write_bytes(b"junk")
        (place / f"events.out.tfevents.{stamp}").write_bytes(b"")

    return make


def _job_folder(name: str) -> Maker:
    def make(place: Place) -> None:
        (place / name).mkdir(exist_ok=True)
        (place / name / "result.json").write_text('{"status": "completed"}')

    return make


def _many(count: int, name: str) -> Maker:
    def make(place: Place) -> None:
        for number in range(count):
            (place / name.format(number)).write_bytes(b"")

    return make


def _shown() -> dict[str, Case]:
    found = {}
    for how, text in ODD.items():
        found |= {
            f"config.yaml, name, {how}": Case("run", config(name=text), RESUME),
            f"config.yaml, output, {how}": Case("run", config(output=text), RESUME),
            f"config.yaml, a key, {how}": Case("run", config(**{text.replace(".", "·"): 1}), RESUME),
            f"config.yaml, device, {how}": Case("run", config(device=text), RESUME),
            f"config.yaml, objective, {how}": Case("run", config(objective=text), RESUME),
            f"config.yaml, a number, {how}": Case("run", config(epochs=text), RESUME),
            f"result.json, stopped, {how}": Case("finished run", in_json("result.json", {"stopped": text}), RESUME),
            f"result.json, a metric, {how}": Case(
                "finished sweep", in_json("0/result.json", {f"metrics.test/{text.replace('.', '·')}": 1.0})
            ),
            f"result.json, the objective, {how}": Case("sweep", in_json("0/result.json", {"objective.name": text})),
            f"result.json, a job's error, {how}": Case(
                "sweep", in_json("0/result.json", {"status": "failed", "error": text}), RESUME
            ),
            f"sweep.jsonl, an override, {how}": Case("sweep", in_json("sweep.jsonl", {"overrides.name": text}, 0)),
            f"sweep.jsonl, a key, {how}": Case(
                "sweep", in_json("sweep.jsonl", {f"overrides.{text.replace('.', '·')}": "1"}, 0)
            ),
            f"sweep.jsonl, its error, {how}": Case(
                "search", in_json("sweep.jsonl", {"status": "failed", "error": text}, 0)
            ),
            f"metrics.jsonl, a metric, {how}": Case("run", in_json("metrics.jsonl", {f"val/{text.replace('.', '·')}": 1}, 0), RESUME),
            f"a sweep's words, name, {how}": Case("sweep", types(f"name={text}"), RESUME),
            f"a sweep's words, name in quotes, {how}": Case("sweep", types("name='" + text.replace("'", "") + "'"), RESUME),
            f"a sweep's words, a key, {how}": Case("sweep", types(f"{text}=1"), RESUME),
            f"a sweep's words, a choice, {how}": Case("sweep", types(f"model={text}"), RESUME),
        }  # fmt: skip
    return found


# --- the journal --------------------------------------------------------------------------------------


def _lines(place: Place) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "study.journal").read_text().splitlines()]


def _appended(*entries: Any) -> Maker:
    """The journal with lines at its end."""

    def make(place: Place) -> None:
        lines = [*_lines(place), *(filled(entry, place) for entry in entries)]
        place.write("study.journal", "".join(f"{json.dumps(line)}\n" for line in lines))

    return make


def _changed(code: int, **values: Any) -> Maker:
    """The journal with other values in all its lines of this code; None takes one away."""

    def make(place: Place) -> None:
        lines = _lines(place)
        for line in lines:
            if line["op_code"] == code:
                line.update(values)
                for key in [key for key, value in line.items() if value is None]:
                    del line[key]
        place.write("study.journal", "".join(f"{json.dumps(line)}\n" for line in lines))

    return make


def _distribution(name: str, **attributes: Any) -> dict[str, str]:
    return {"optim.lr": json.dumps({"name": name, "attributes": attributes})}


CREATE, TELL = 4, 6  # Optuna's codes: a trial is made; its state is set
FLOAT = {"low": 1e-4, "high": 1.0, "log": True, "step": None}
EVIL = f"{{_target_:{MODULE}.Thing}}"
JOURNALS: dict[str, Maker] = {
    **{f"an entry of code {code!r}": _appended({"op_code": code, "worker_id": "x", "study_id": 0, "trial_id": 0}) for code in (-1, 11, 99, 10**30, 1.5, "4", None, [], True)},
    **{f"an entry that is {entry!r}": _appended(entry) for entry in (None, 1, "x", [], {}, [1, 2], {"op_code": 4}, True)},
    **{f"code {code} without anything": _appended({"op_code": code, "worker_id": "x"}) for code in range(11)},
    **{f"code {code} of an unknown study": _appended({"op_code": code, "worker_id": "x", "study_id": 77, "trial_id": 77}) for code in range(11)},
    "another study": _appended({"op_code": 0, "worker_id": "x", "study_name": "theirs", "directions": [1]}),
    "a thousand studies": _appended(*({"op_code": 0, "worker_id": "x", "study_name": f"s{i}", "directions": [1]} for i in range(1000))),
    "its study deleted": _appended({"op_code": 1, "worker_id": "x", "study_id": 0}),
    "its study twice": _appended({"op_code": 0, "worker_id": "x", "study_name": "search", "directions": [1]}),
    "its study by another name": _changed(0, study_name="theirs"),
    "its study by an odd name": _changed(0, study_name="\x1b[31m\n"),
    "two directions": _changed(0, directions=[1, 2]),
    "no direction": _changed(0, directions=[]),
    "an unknown direction": _changed(0, directions=[9]),
    "directions of another type": _changed(0, directions="minimize"),
    "the other direction": _changed(0, directions=[2]),
    "distributions that are no text": _changed(CREATE, distributions={"optim.lr": 1}),
    "distributions that are a list": _changed(CREATE, distributions=[1]),
    "distributions that are no JSON": _changed(CREATE, distributions={"optim.lr": "{"}),
    "a distribution without a name": _changed(CREATE, distributions={"optim.lr": "{}"}),
    "an unknown distribution": _changed(CREATE, distributions=_distribution("os.system", command="touch canary")),
    "a distribution without attributes": _changed(CREATE, distributions=_distribution("FloatDistribution")),
    "a distribution with more attributes": _changed(CREATE, distributions=_distribution("FloatDistribution", **FLOAT, x=1)),
    "a distribution from high to low": _changed(CREATE, distributions=_distribution("FloatDistribution", **FLOAT | {"low": 5.0})),
    "a distribution with a NaN": _changed(CREATE, distributions=_distribution("FloatDistribution", **FLOAT | {"low": float("nan")})),
    "a distribution to infinity": _changed(CREATE, distributions=_distribution("FloatDistribution", **FLOAT | {"high": float("inf")})),
    "a distribution of texts": _changed(CREATE, distributions=_distribution("FloatDistribution", **FLOAT | {"low": "a"})),
    "a distribution of steps of zero": _changed(CREATE, distributions=_distribution("FloatDistribution", low=0.0, high=1.0, log=False, step=0)),
    "a distribution of tiny steps": _changed(CREATE, distributions=_distribution("FloatDistribution", low=0.0, high=1.0, log=False, step=1e-300)),
    "a distribution of integers": _changed(CREATE, distributions=_distribution("IntDistribution", low=1, high=10**400, log=False, step=1)),
    "an old distribution": _changed(CREATE, distributions=_distribution("LogUniformDistribution", low=1e-4, high=1.0)),
    "choices of code": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=[EVIL, EVIL]), params={"optim.lr": 0}),
    "choices of dictionaries": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=[{"_target_": "os.system"}]), params={"optim.lr": 0}),
    "choices of the environment": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=["${oc.env:SECRET}"]), params={"optim.lr": 0}),
    "choices with words in them": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=["0.1 model=" + EVIL]), params={"optim.lr": 0}),
    "choices of another sweep": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=["0.1,0.2"]), params={"optim.lr": 0}),
    "choices, none": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=[]), params={"optim.lr": 0}),
    "choices of a list": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=[[1], [2]]), params={"optim.lr": 0}),
    "a choice out of range": _changed(CREATE, distributions=_distribution("CategoricalDistribution", choices=["a"]), params={"optim.lr": 9}),
    **{f"a value that is {str(value)[:30]!r}": _changed(CREATE, params={"optim.lr": value}) for value in (None, "x", True, [], {}, -1.0, 1e300, float("nan"), float("inf"), 10**400, EVIL, "${oc.env:SECRET}", "0.1 --config-dir=x")},
    "values that are a list": _changed(CREATE, params=[1]),
    "no values": _changed(CREATE, params={}),
    "values of another key": _changed(CREATE, params={"model._target_": 0.1}),
    "a key of code": _changed(CREATE, params={"model._target_": 0}, distributions={"model._target_": json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": [f"{MODULE}.Thing"]}})}),
    "more keys": _changed(CREATE, params={"optim.lr": 0.1, "epochs": 5}, distributions=_distribution("FloatDistribution", **FLOAT)),
    **{f"trials of state {state!r}": _changed(CREATE, state=state) for state in (-1, 0, 1, 2, 3, 4, 5, 99, "1", None, 1.5, [])},
    **{f"a trial told of state {state!r}": _changed(TELL, state=state) for state in (-1, 0, 2, 3, 4, 5, 99, "1", None)},
    **{f"a trial told of {str(values)[:30]!r}": _changed(TELL, values=values) for values in ([], [1, 2], ["x"], [None], [float("nan")], [float("inf")], "x", 1, [10**400], [[1]], {})},
    **{f"a trial of number {number!r}": _changed(TELL, trial_id=number) for number in (-1, 5, 10**30, "0", None, 1.5, [])},
    "intermediate values": _appended({"op_code": 7, "worker_id": "x", "trial_id": 1, "step": -1, "intermediate_value": float("nan")}),
    "intermediate values at huge steps": _appended({"op_code": 7, "worker_id": "x", "trial_id": 1, "step": 10**400, "intermediate_value": "x"}),
    "attributes": _appended({"op_code": 8, "worker_id": "x", "trial_id": 1, "user_attr": {"a": {"_target_": "os.system"}}}),
    "system attributes": _appended({"op_code": 9, "worker_id": "x", "trial_id": 1, "system_attr": {"constraints": [1], "grid_id": 0, "fixed_params": {"optim.lr": EVIL}}}),
    "study attributes": _appended({"op_code": 3, "worker_id": "x", "study_id": 0, "system_attr": {"pruner": EVIL, "study:optimizer": "x"}}),
    "dates that are none": _changed(CREATE, datetime_start="yesterday", datetime_complete=5),
    "dates of another world": _changed(CREATE, datetime_start="9999-12-31T23:59:59.999999", datetime_complete="0001-01-01T00:00:00"),
    "a hundred thousand trials": _appended(*({"op_code": 4, "worker_id": "x", "study_id": 0, "state": 3} for _ in range(100_000))),
    "a trial without values": _appended({"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": "2026-01-01T00:00:00"}),
}  # fmt: skip

CASES: dict[str, Case] = {
    **{f"names: {where}": case for where, case in _shown().items()},
    **{f"names: an event file's stamp, {how}": Case("run", _event_file(stamp), RESUME) for how, stamp in STAMPS.items()},
    **{f"names: a folder {name!r} in a sweep": Case("sweep", _job_folder(name), RESUME) for name in JOBS},
    **{f"names: a folder {name!r} in a search": Case("search", _job_folder(name), RESUME) for name in JOBS},
    "names: ten thousand event files": Case("run", _many(10_000, "events.out.tfevents.{}.theirs"), RESUME),
    "names: ten thousand unfinished files": Case("run", _many(10_000, ".{}.part"), RESUME),
    "names: ten thousand files in a sweep": Case("sweep", _many(10_000, "{}x")),
    **{f"journal: {what}": Case("search", make, RESUME) for what, make in JOURNALS.items()},
}  # fmt: skip
