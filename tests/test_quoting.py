"""Names and paths as people type them, read back by Hydra's own grammar."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from trainer.cli import quoting
from trainer.cli.arguments import read
from trainer.cli.quoting import Text
from trainer.config.composition import compose, ready

NAMES = [
    *("Preço", "种类", "Consumo de cerveja (litros)", "price ($)", "a=b", "a, b", "[x]", "{a: b}", "# rooms", "x > 3"),
    *("true", "NULL", "-1", "1.5", "1e3", "inf", "'t Hoen", 'a"b', "back\\", "it's\\", " leading", "100%", "a|b", "~x"),
    *("a:b", "@home", "*", "&y", "!z", "ключ", "مفتاح", "range", "tag(x", "x,", "y)"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["data.target", "data.path"])
def test_a_name_arrives_as_it_was_typed(empty: Path, key: str, name: str) -> None:
    given = read("train", ["data=csv", "data.path=t.csv", "data.target=y", "model=linear", f"{key}={name}"])

    with ready():
        cfg, _ = compose("train", given.prepared())

    assert cfg.data[key.removeprefix("data.")] == name


TEXT, TEXTS = {"key": Text(many=False, optional=True)}, {"key": Text(many=True, optional=True)}


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("null", None),
        ("", ""),
        ("'quoted, by hand'", "quoted, by hand"),
        ('"so"', "so"),
    ],
)
def test_what_is_already_a_value_stays_one(typed: str, values: object) -> None:
    assert _read(f"key={typed}", TEXT, multirun=False) == values


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("Name", ["Name"]),
        ("Name,Ticket", ["Name", "Ticket"]),
        ("[Name, Número de casa (m²)]", ["Name", "Número de casa (m²)"]),
        ("['a, b',c]", ["a, b", "c"]),
        ("[0,-1]", ["0", "-1"]),
        ("[true,null]", ["true", "null"]),
        ("[f(x),g]", ["f(x)", "g"]),
        ("[]", []),
        ("null", None),
    ],
)
def test_names_are_a_list_with_brackets_or_without(typed: str, names: object) -> None:
    assert _read(f"key={typed}", TEXTS, multirun=False) == names


@pytest.mark.parametrize(
    ("typed", "texts", "values"),
    [
        ("Preço,Consumo (litros)", TEXT, ["Preço", "Consumo (litros)"]),
        ("choice(a,b)", TEXT, ["a", "b"]),
        ("'a,b',c", TEXT, ["a,b", "c"]),
        ("[a],[b,ç]", TEXTS, [["a"], ["b", "ç"]]),
        ("a,b", TEXTS, [["a"], ["b"]]),
    ],
)
def test_a_comma_of_a_sweep_parts_its_jobs(typed: str, texts: dict[str, Text], values: list[object]) -> None:
    parsed = OverridesParser.create().parse_override(quoting.prepared(f"key={typed}", texts, multirun=True))

    jobs = [OverridesParser.create().parse_override(f"key={job}").value() for job in parsed.sweep_string_iterator()]

    assert jobs == values


def test_a_file_that_is_there_goes_before_a_sweep(empty: Path) -> None:
    Path("a,b (1).csv").touch()

    prepared = quoting.prepared("key=a,b (1).csv", TEXT, multirun=True)

    assert OverridesParser.create().parse_override(prepared).value() == "a,b (1).csv"


def test_a_class_of_the_users_takes_lists_and_numbers_by_names_that_are_texts_of_ours(empty: Path) -> None:
    Path("configs/data").mkdir(parents=True)
    Path("configs/data/mine.yaml").write_text("_target_: mine.Data\npath: []\ntarget: 0\n")

    given = read("train", ["data=mine", "data.path=[a,b]", "data.target=3"])

    with ready():
        cfg, _ = compose("train", given.prepared())

    assert (cfg.data.path, cfg.data.target) == (["a", "b"], 3)


def _read(override: str, texts: dict[str, Text], multirun: bool) -> object:
    return OverridesParser.create().parse_override(quoting.prepared(override, texts, multirun)).value()
