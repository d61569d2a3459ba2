"""Directories of strangers: what their files say is data, and nothing is written through what they hold."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import resuming
import yaml
from conftest import Trainer
from running import QUICK, SILENT, result
from test_sweep_resume import swept

from trainer.cli.main import main
from trainer.config.kept import may_say
from trainer.system import inside
from trainer.system.errors import RunError

SECRET = "Tr0ub4dor"
OTHER = "somebody's own lines\n"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", SECRET)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/theirs`, a run that was interrupted, and a sweep whose second job was."""
    folder, taken = tmp_path_factory.mktemp("honest"), list[int]()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TRAINER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        with resuming.interrupting(lambda state: state.step == 2):
            assert main(["train", *QUICK, "data.batch_size=10", "name=theirs"]) == 130
        with resuming.interrupting(lambda state: bool(taken.append(1)) or len(taken) == 12):
            assert main(["train", "-m", "seed=0,1", *QUICK, "data.batch_size=10"]) == 130
    return folder


@pytest.fixture
def run(honest: Path, empty: Path) -> Path:
    """The run, in the current directory."""
    shutil.copytree(honest / "runs/theirs", "runs/theirs")
    (found,) = Path("runs/theirs").iterdir()
    return found


@pytest.fixture
def sweep(honest: Path, empty: Path) -> Path:
    """The sweep, in the current directory."""
    shutil.copytree(honest / "runs/sweeps", "runs/sweeps")
    return swept()


def refused(trainer: Trainer, directory: Path, *typed: str) -> str:
    """Resume it, which must be refused in a line or two; what is said."""
    ran = trainer("resume", str(directory), *typed)
    assert ran.code == 2, (ran.out, ran.err)
    assert len(ran.err.splitlines()) <= 2, ran.err
    assert "Traceback" not in ran.err
    return ran.err


def change(path: Path, how: Callable[[dict[str, Any]], object]) -> None:
    values = yaml.safe_load(path.read_text())
    how(values)
    path.write_text(yaml.safe_dump(values))


def say(sweep: Path, *words: str) -> None:
    """Add words to what the sweep says was typed."""
    kept = yaml.safe_load((sweep / "overrides.yaml").read_text())
    (sweep / "overrides.yaml").write_text(yaml.safe_dump([*kept, *words]))


def nowhere(secret: str, folder: Path) -> bool:
    """Whether no file below the folder has it."""
    return not any(secret.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


# --- what a file may say ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        *("optim.lr=0.1", "seed=0,1,2", "optim.lr=tag(log,interval(1e-4,1))", "seed=range(5)", "name=null"),
        *(
            "model=lenet",
            "model=linear,mlp",
            "model=own/net",
            "optim='sgd'",
            "model=choice(linear,mlp)",
            "model=glob(l*)",
        ),
        *("experiment=mnist_lenet", "data.path=/data/table.csv", "data.root=/data", "++data.limit=5", "sweep=slurm"),
        *("data.split_seed=${seed}", "model.hidden=${data.features}", "data.mean=[0.5,0.5]", "data.placement=stream"),
    ],
)
def test_a_file_may_say_plain_values_and_names(word: str) -> None:
    assert may_say(word)


@pytest.mark.parametrize(
    "word",
    [
        *(
            "model={_target_: os.system}",
            "model._target_=os.system",
            "optim={}",
            "data={name: csv}",
            "x.y={_target_: a}",
        ),
        *(
            "model=../../evil",
            "model=/evil",
            "experiment=../x",
            "model=a,../b",
            "+model@x=lenet",
            "model=$x",
            "data=a:b",
        ),
        *("hydra.run.dir=x", "hydra/launcher=joblib", "--config-dir", "/tmp", "-cd", "~model", "~data.limit", "seed"),
        *("name=${oc.env:SECRET}", "name=\\${oc.env:SECRET}", "name=${data.root}", "name=${data}", "name=${.x}"),
        *("name=${oc.decode:${oc.env:SECRET}}", "name=${${seed}}", "seed=${hydra:runtime.cwd}", "seed=${oc.create:{}}"),
        *("sweep.setup=[touch x]", "sweep.options=[--qos=x]", "sweep.address=host:1", "sweep.partition=p"),
        *("data.cache=/elsewhere", "data.download=true", "model.weights=/elsewhere"),
    ],
)
def test_a_file_may_say_nothing_that_leads_out(word: str) -> None:
    assert not may_say(word)


def test_what_leads_out_of_a_sweep_is_to_be_typed_again(trainer: Trainer, sweep: Path) -> None:
    say(sweep, "sweep=slurm", "sweep.cluster=local", "sweep.setup=[touch canary]")
    said = refused(trainer, sweep)
    assert re.search(r"type it again: trainer resume .* 'sweep.setup=\[touch canary\]'", said)
    assert not Path("canary").exists()
    assert trainer("resume", str(sweep), "sweep=serial").code == 0


@pytest.mark.parametrize("key", ["name", "data.path", "objective"])
def test_no_file_of_a_sweep_reads_the_environment(trainer: Trainer, sweep: Path, key: str) -> None:
    say(sweep, f"{key}=${{oc.env:SECRET}}")
    assert SECRET not in refused(trainer, sweep)
    assert nowhere(SECRET, sweep)


@pytest.mark.parametrize("key", ["name", "objective", "direction"])
def test_no_config_of_a_run_reads_the_environment(trainer: Trainer, run: Path, key: str) -> None:
    change(run / "config.yaml", lambda config: config.__setitem__(key, "a ${oc.env:SECRET}"))
    said = refused(trainer, run)
    assert f"takes {key} from an expression" in said
    assert SECRET not in said
    assert nowhere(SECRET, run)


def test_an_expression_of_a_file_is_replaced_by_what_is_typed(trainer: Trainer, run: Path) -> None:
    change(run / "config.yaml", lambda config: config.__setitem__("name", "${oc.env:SECRET}"))
    assert trainer("resume", str(run), "name=mine").code == 0
    assert result(run)["name"] == "mine"
    assert nowhere(SECRET, run)


def test_an_expression_that_the_users_own_configs_have_is_taken(trainer: Trainer, monkeypatch: Any) -> None:
    Path("configs/data").mkdir(parents=True)
    Path("table.csv").write_text("x,y\n" + "".join(f"{i},{i / 7}\n" for i in range(40)))
    monkeypatch.setenv("TABLE", "table.csv")
    Path("configs/data/mine.yaml").write_text(
        "defaults:\n- /Table@_here_\n- _self_\npath: ${oc.env:TABLE}\ntarget: y\n"
    )
    with resuming.interrupting(lambda state: state.step == 1):
        assert trainer("train", *SILENT, "model=linear", "data=mine", "epochs=2").code == 130
    (run,) = Path("runs").glob("*/*")
    assert trainer("resume", str(run)).code == 0
    Path("configs/data/mine.yaml").unlink()
    assert "takes data.path from an expression" in refused(trainer, run, "epochs=3")


def test_a_cache_that_a_file_names_is_not_used(trainer: Trainer, run: Path, sweep: Path) -> None:
    change(run / "config.yaml", lambda config: config["data"].update(cache="elsewhere"))
    say(sweep, "data.cache=elsewhere")
    for directory in (run, sweep):
        ran = trainer("resume", str(directory))
        assert ran.code == 0, ran.err
        assert ran.err == "warning: data.cache=elsewhere is not taken from a file; type it again if you want it\n"
    assert not Path("elsewhere").exists()


def test_a_data_root_that_a_file_names_is_not_downloaded_to(trainer: Trainer, sweep: Path) -> None:
    say(sweep, "data=mnist", f"data.root={Path('elsewhere').absolute()}")
    ran = trainer("resume", str(sweep))
    assert ran.code == 1
    assert "data.download=false" in ran.out
    assert not Path("elsewhere").exists()


# --- what a directory holds ---------------------------------------------------------------------------

FILES = (
    "config.yaml",
    "overrides.yaml",
    "origin.json",
    "metrics.jsonl",
    "train.log",
    "result.json",
    "checkpoints/last.pt",
    "checkpoints",
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe"])
def test_nothing_is_read_or_written_through_a_link_or_a_pipe(trainer: Trainer, run: Path, name: str, kind: str) -> None:
    outside = Path("outside").absolute()
    if name == "checkpoints":
        shutil.copytree(run / name, outside)
        before = {path.name: path.read_bytes() for path in outside.iterdir()}
        shutil.rmtree(run / name)
    else:
        if kind == "link":
            shutil.copy(run / name, outside)
        before = {outside.name: outside.read_bytes()} if outside.exists() else {}
        (run / name).unlink()
    if kind == "pipe":
        os.mkfifo(run / name)
    else:
        (run / name).symlink_to(outside)
    said = refused(trainer, run)
    assert "link" in said or "not what it should be" in said or "regular file" in said, said
    paths = list(outside.iterdir()) if outside.is_dir() else [outside]
    assert {path.name: path.read_bytes() for path in paths if path.exists()} == before


@pytest.mark.parametrize("name", ["sweep.jsonl", "plan.json", "results.csv", "overrides.yaml", "1"])
def test_no_file_or_job_of_a_sweep_is_a_link(trainer: Trainer, sweep: Path, name: str) -> None:
    outside = Path("outside").absolute()
    (sweep / name).rename(outside)
    (sweep / name).symlink_to(outside)
    paths = [path for path in [outside, *outside.rglob("*")] if path.is_file()]
    before = {path: path.read_bytes() for path in paths}
    refused(trainer, sweep)
    assert {path: path.read_bytes() for path in paths} == before
    assert [path for path in [outside, *outside.rglob("*")] if path.is_file()] == paths


def test_a_link_that_the_user_names_is_followed(trainer: Trainer, run: Path) -> None:
    Path("latest").symlink_to(run)
    assert trainer("resume", "latest").code == 0
    assert trainer("eval", "ckpt=latest").code == 0


def test_a_checkpoint_that_lies_elsewhere_is_not_the_runs(trainer: Trainer, run: Path) -> None:
    (run / "checkpoints/last.pt").rename("last.pt")
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    (run / "checkpoints/last.pt").symlink_to(Path("last.pt").absolute())
    ran = trainer("eval", f"ckpt={run}")
    assert ran.code == 2
    assert "leads out of the run" in ran.err
    assert trainer("eval", f"ckpt={run}/checkpoints/last.pt").code == 0  # which the user names


RESULTS: list[Any] = [
    *([], {}, 7, None, {"status": "completed"}, {"status": ["completed"]}, {"status": "completed", "metrics": []}),
    {"status": "completed", "metrics": {"test/loss": "low"}, "objective": {}, "best_epoch": 1},
    {"status": "completed", "metrics": {}, "objective": {"name": 1, "direction": "max", "value": 1}, "best_epoch": 1},
    {"status": "completed", "metrics": {}, "objective": None, "best_epoch": -1, "seconds": -5},
]


@pytest.mark.parametrize(
    "content", [*map(json.dumps, RESULTS), '{"status": "completed", "seconds": 1e999}', "[" * 10**5]
)
def test_a_job_whose_result_cannot_be_read_is_run_again(trainer: Trainer, sweep: Path, content: str) -> None:
    (sweep / "0" / "result.json").write_text(content)
    ran = trainer("resume", str(sweep), "sweep.dry_run=true")
    assert [line.split()[-1] for line in ran.out.splitlines() if line[:1].isdigit()][1:] == ["on", "on"]


@pytest.mark.parametrize(
    "line",
    [
        *('{"job": 0}', "[]", '{"job": true, "overrides": {}, "status": "failed", "seconds": 1}', '{"job": 1e400}'),
        '{"job": 0, "overrides": {"a": 1}, "status": "completed", "seconds": 1}',
        '{"job": 0, "overrides": {}, "status": "completed", "seconds": NaN}',
        '{"job": 0, "overrides": {}, "status": "completed", "seconds": 1, "metrics": {"a": []}}',
        '{"job": ' + "9" * 5000 + ', "overrides": {}, "status": "completed", "seconds": 1}',
    ],
)
def test_a_line_that_is_no_job_is_said(trainer: Trainer, sweep: Path, line: str) -> None:
    log = sweep / "sweep.jsonl"
    log.write_text(f"{line}\n{log.read_text()}")
    assert "sweep.jsonl: line 1 is no job of a sweep" in refused(trainer, sweep)


@pytest.mark.parametrize("content", ["[]", "7", '{"0": 7}', '{"-1": "a"}', '{"1e3": "a"}', '{"²": "a"}', "{" * 10**5])
def test_a_plan_that_is_none_is_refused(trainer: Trainer, sweep: Path, content: str) -> None:
    (sweep / "plan.json").write_text(content)
    assert "plan.json cannot be read" in refused(trainer, sweep)


@pytest.mark.parametrize(
    "line", ["7", "[]", '{"epoch": 1}', '{"epoch": [], "step": 1, "lr": 1}', '{"epoch": 1e999}', "{" * 10**5]
)
def test_rows_that_are_none_are_cut_off(trainer: Trainer, run: Path, line: str) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(f"{line}\n")
    change_lengths(run, "metrics.jsonl")
    assert trainer("resume", str(run)).code == 0
    assert [json.loads(row)["epoch"] for row in (run / "metrics.jsonl").read_text().splitlines()] == [1]


def change_lengths(run: Path, name: str) -> None:
    """Let the checkpoint say that the whole file is the run's."""
    import torch

    path = run / "checkpoints/last.pt"
    content = torch.load(path, weights_only=True)
    content["logs"][name] = (run / name).stat().st_size
    torch.save(content, path)


@pytest.mark.parametrize("stamp", ["²", "9" * 40, "", "-1", "\n", "1e5"])
def test_names_of_event_files_are_only_names(trainer: Trainer, run: Path, stamp: str) -> None:
    (run / f"events.out.tfevents.{stamp}.host").touch()
    assert trainer("resume", str(run), "tensorboard.enabled=true").code == 0


def test_yaml_that_unfolds_or_nests_without_end_is_refused(trainer: Trainer, run: Path) -> None:
    for text in ("a: &a [x]\nb: [*a, *a]\n", "a: " + "[" * 10**5, "a: " + "[" * 60 + "]" * 60, "x: " + "y" * 2**20):
        (run / "config.yaml").write_text(text)
        assert "cannot be read" in refused(trainer, run)


# --- the reader ---------------------------------------------------------------------------------------


@pytest.fixture
def kinds(tmp_path: Path) -> Iterator[Path]:
    """A folder of things that are no plain file in a plain folder."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text(OTHER)
    (tmp_path / "link to file").symlink_to(tmp_path / "folder" / "file")
    (tmp_path / "link to folder").symlink_to(tmp_path / "folder")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    yield tmp_path
    assert (tmp_path / "folder" / "file").read_text() == OTHER


@pytest.mark.parametrize(
    "name", ["link to file", "link to folder/file", "loop", "device", "pipe", "folder", "link to folder"]
)
@pytest.mark.parametrize("mode", ["rb", "wb", "ab", "r+b"])
def test_only_a_plain_file_in_a_plain_folder_is_opened(kinds: Path, name: str, mode: str) -> None:
    with pytest.raises(OSError, match=r"link|regular|directory|device"):
        open(kinds / name, mode, opener=inside.unlinked).close()


def test_a_file_is_read_up_to_a_length(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert inside.content(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match="longer"):
        inside.content(tmp_path / "file", 4)
    assert inside.tail(tmp_path / "file", 2) == "45"


@pytest.mark.parametrize("text", ["[" * 60 + "]" * 60, "[" * 10**6, "9" * 50, "NaN", "[Infinity]", "\ufeff", "{", ""])
def test_json_is_bounded_and_has_the_numbers_of_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|digits|number of JSON|Expecting|BOM"):
        inside.parsed(text)


def test_a_directory_with_plain_files_is_let_through(run: Path) -> None:
    from trainer.run.directory import check_links

    (run / "notes").symlink_to("/nowhere")  # the user's own, which trainer neither reads nor writes
    check_links(run)
    (run / "plots" / "curves.png").symlink_to("/nowhere")
    with pytest.raises(RunError, match=r"curves\.png is a link"):
        check_links(run)


@pytest.mark.parametrize("name", ["train.log", "metrics.jsonl"])
def test_a_file_that_has_another_name_elsewhere_is_not_appended_to(trainer: Trainer, run: Path, name: str) -> None:
    os.link(run / name, "outside")
    before = Path("outside").read_bytes()
    assert "another name" in refused(trainer, run)
    assert Path("outside").read_bytes() == before
    shutil.copytree(run, "copied")
    assert trainer("resume", "copied").code == 0
