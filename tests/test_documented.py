"""How the commands of a page are found: what is run, what is left out, and what nobody can tell."""

import re
from pathlib import Path

import pytest
from documented import blocks
from documented.pages import pattern
from documented.shim import shortened

PAGE = """
A list:

1. Indented:

   <!-- with: RUN=table -->
   <!-- exit code: 2 -->
   ```bash
   trainer eval RUN
   trainer train device=cuda     # a GPU
   ```

`own/net.py`

```python
import torch
```

```console
$ trainer train \\
    epochs=1
a line that is printed
$ trainer runs
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of a repository that has nothing else."""
    monkeypatch.setattr(blocks, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    return tmp_path / "page.md"


def test_a_block_has_its_language_its_file_and_the_comments_before_it(page: Path) -> None:
    shell, python, console = blocks.blocks(page)
    assert (shell.language, shell.place) == ("bash", "page.md:8")
    assert shell.marks == {"with": "RUN=table", "exit code": "2"}
    assert shell.script.splitlines()[0] == "trainer eval RUN"
    assert (python.file, python.marks) == ("own/net.py", {})
    assert console.script == "trainer train \\\n    epochs=1\ntrainer runs\n"
    assert console.shown == ["a line that is printed"]
    assert blocks.mistakes(page) == []


def test_lines_that_need_what_is_not_here_are_left_out_and_named(page: Path) -> None:
    shell = next(blocks.blocks(page))
    assert blocks.divided(shell.script) == ("trainer eval RUN\n", [("trainer train device=cuda", "a GPU")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```shell\ntrainer train\n```", "neither run nor shown"),
        ("```\n$ trainer train\n```", "so that they are run"),
        ("Words:\n\n    trainer train\n", "so that they are run"),
        ("```console\ntrainer train\n```", "without a line that begins"),
        ("<!-- nit run: no GPU -->\n```bash\ntrainer train\n```", "unknown comments: nit run"),
        ("<!-- not run -->\n```bash\ntrainer train\n```", "gives no reason"),
    ],
)
def test_a_block_of_which_nobody_can_say_whether_it_is_run_is_a_mistake(page: Path, text: str, said: str) -> None:
    page.write_text(f"{text}\n", encoding="utf-8")
    (mistake,) = blocks.mistakes(page)
    assert said in mistake


@pytest.mark.parametrize(
    ("typed", "run"),
    [
        ("train data=digits", "train data=digits plots=false tensorboard.enabled=false epochs=1"),
        ("train epochs=50 plots=true", "train epochs=3 plots=true tensorboard.enabled=false"),
        ("train max_steps=5", "train max_steps=5 plots=false tensorboard.enabled=false"),
        ("resume SWEEP search.trials=60", "resume SWEEP search.trials=3"),
        ("resume RUN epochs=20", "resume RUN epochs=20"),
        ("eval RUN", "eval RUN"),
        ("train --cfg job", "train --cfg job"),
    ],
)
def test_a_training_is_shortened_and_nothing_else(typed: str, run: str) -> None:
    assert shortened(typed.split()) == run.split()


def test_a_line_of_a_console_may_differ_in_its_numbers_alone() -> None:
    shown = pattern("test loss 0.3728, accuracy 91.11%  …  in runs/lenet_digits/2026-01-31_12-00-00")
    assert re.search(shown, "test loss 12, accuracy 9.5% and more in runs/mlp/2027-02-01_00-00-00")
    assert not re.search(shown, "test loss 12, f1 9.5% and more in runs/mlp/2027-02-01_00-00-00")
