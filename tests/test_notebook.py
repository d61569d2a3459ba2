"""Trainings in a notebook: a real kernel with its running event loop and its stop button, and what a cell shows."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from running import SILENT

manager = pytest.importorskip("jupyter_client.manager", reason="Jupyter is not installed")
pytest.importorskip("ipykernel", reason="Jupyter is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Jupyter's own code is not free of them

SECONDS = 120
QUIET = ", ".join(map(repr, SILENT))


@dataclass
class Cell:
    """What is below a cell: printed text, the last text of each line that is replaced, and an error."""

    text: str = ""
    bars: list[str] = field(default_factory=list)
    value: str = ""
    error: str = ""
    traceback: list[str] = field(default_factory=list)


class Notebook:
    """A kernel; cells are run in it one after the other."""

    def __init__(self, kernel: Any, client: Any) -> None:
        self.kernel, self.client = kernel, client

    def run(self, code: str, stop: bool = False) -> Cell:
        """Run a cell; `stop` it when its first bar is drawn anew."""
        asked, cell = self.client.execute(code), Cell()
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return cell
            if kind == "stream":
                cell.text += content["text"]
            elif kind in ("display_data", "update_display_data"):
                cell.bars.append(content["data"]["text/plain"])
                if stop and kind == "update_display_data":
                    self.kernel.interrupt_kernel()
                    stop = False
            elif kind == "execute_result":
                cell.value = content["data"]["text/plain"]
            elif kind == "error":
                cell.error, cell.traceback = f"{content['ename']}: {content['evalue']}", content["traceback"]


@pytest.fixture
def notebook(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IPYTHONDIR", str(empty / "ipython"))
    kernel, client = manager.start_new_kernel(startup_timeout=SECONDS, cwd=str(empty))
    try:
        yield Notebook(kernel, client)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


def test_a_training_is_followed_stopped_and_resumed_and_the_kernel_goes_on(notebook: Notebook) -> None:
    assert notebook.run("import asyncio, trainer; bool(asyncio.get_running_loop())").value == "True"
    stopped = notebook.run(f"trainer.train({QUIET}, 'model=lenet', epochs=5000)", stop=True)
    assert stopped.error.startswith("KeyboardInterrupt: interrupted in epoch ")
    assert "resume it: trainer resume runs/lenet_digits/" in stopped.error
    assert len(stopped.traceback) < 8  # not all that the loop was in
    assert re.match(r"epoch \d/5000  \d+/21  [\d:.]+ (s )?left  loss .* samples/s", stopped.bars[0])
    assert stopped.bars[-1] == ""  # it is taken away
    assert notebook.run("run = trainer.runs()[0]; run.status").value == "'interrupted'"
    resumed = notebook.run("run = trainer.resume(run, epochs=len(run.history['epoch']) + 1); run.status")
    assert (resumed.error, resumed.value) == ("", "'completed'")
    assert "lenet_digits: done" in resumed.text
    assert "\x1b" not in resumed.text  # plain lines: no codes of a terminal
    assert "\r" not in resumed.text


def test_a_mistake_is_a_few_lines_below_the_cell(notebook: Notebook) -> None:
    mistaken = notebook.run("import trainer; trainer.train('modle=lenet')")
    assert mistaken.error == "UnknownKeyError: modle: no such key\n  did you mean 'model'?"
    assert sum(part.count("\n") + 1 for part in mistaken.traceback) < 20
    many = "[trainer.train(%s, 'model=linear', seed=seed, epochs=1, **{'data.limit': 100}).status for seed in range(2)]"
    assert json.loads(notebook.run(many % QUIET).value.replace("'", '"')) == ["completed"] * 2
