"""`python warm.py`: runs commands, each in a forked process in which everything is imported, and watches what they do.

It reads a line of JSON per command and answers with one. A command may write where the line allows it to; what it does
elsewhere, the programs it would start and the connections it would make are noted (Python's audit events), and do not
happen.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import pickle
import pkgutil
import platform
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from watch import Watch, within

LIMIT = 10  # seconds: what takes longer hangs
BUSY = 60  # seconds that a command may take which computes all the while: the machine may be busy with others
MEMORY = 6 * 2**30  # bytes that a command may take beside what is imported
TOGETHER = 50  # commands that one process runs, unless one is to be alone


class Child:
    """A forked process that runs one command after the other, until one of them ends or hangs it."""

    def __init__(self) -> None:
        theirs, self.orders = os.pipe()
        self.answers, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 71
            try:
                os.close(self.orders)
                os.close(self.answers)
                code = _take(os.fdopen(theirs), os.fdopen(answer, "w"))
            finally:
                os._exit(code)
        os.close(theirs)
        os.close(answer)
        self.handle = os.pidfd_open(self.pid)
        self.commands = 0

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """How the command ended: a negative code is a signal's that ended the process, and None means that it hung."""
        self.commands += 1
        notes = Path(order["notes"])
        notes.unlink(missing_ok=True)
        os.write(self.orders, (json.dumps(order) + "\n").encode())
        started, before = time.monotonic(), _computing(self.pid)
        answer = b""
        while not answer.endswith(b"\n"):
            ready = select.select([self.handle, self.answers], [], [], 1)[0]
            if self.answers in ready and (part := os.read(self.answers, 1 << 16)):
                answer += part
            elif ready:
                answer = b'{"code": %d, "seconds": 0, "mib": 0}\n' % self.end()
            else:
                elapsed, computed = time.monotonic() - started, _computing(self.pid)
                if computed - before > LIMIT or elapsed > BUSY or (elapsed > LIMIT and _waits(self.pid)):
                    self.end()
                    answer = b'{"code": null, "seconds": %f, "mib": 0}\n' % (computed - before)
        seen = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
        return {**json.loads(answer), "seen": seen}

    def end(self) -> int:
        """End it, if it has not, and whoever it has left behind; how it ended."""
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        for handle in (self.handle, self.orders, self.answers):
            os.close(handle)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


def _take(orders: Any, answers: Any) -> int:
    """In the forked process: run commands as long as there are any."""
    os.setsid()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    watch = Watch()
    sys.addaudithook(watch)
    for line in orders:
        order = json.loads(line)
        Path("/proc/self/clear_refs").write_text("5")
        started = time.process_time()
        code = _become(order, watch)
        lines = Path("/proc/self/status").read_text().splitlines()
        mib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
        answer = {"code": code, "seconds": time.process_time() - started, "mib": mib}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _become(order: dict[str, Any], watch: Watch) -> int:
    """Run a command; its exit code."""
    os.chdir(order["cwd"])
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.update(order["environment"])
    tempfile.tempdir = None  # it is another one now
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", line_buffering=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", line_buffering=True)
    sys.path[0] = order["cwd"]
    importlib.invalidate_caches()
    known = set(sys.modules)
    watch.begin(order)
    try:
        code = cli.main(order["argv"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except BaseException:
        traceback.print_exc()
        code = 70
    watch.end()
    for name in set(sys.modules) - known:
        file = str(getattr(sys.modules[name], "__file__", None) or "")
        if file and within(os.path.realpath(file), [*order["inside"], order["cwd"]]):
            watch.note(f"import {name} from {file}")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def _computing(pid: int) -> float:
    """The seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _waits(pid: int) -> bool:
    """Whether a process and all that it has started wait for something."""
    states = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == pid:  # the session
                states.append(fields[0])
    return not {"R", "D"} & set(states)


def import_all() -> None:
    """Import what commands may need, so that none of them takes long or loads what is noted."""
    import matplotlib.figure  # noqa: F401
    import optuna.samplers  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torchvision  # noqa: F401

    import trainer

    platform.platform()  # starts a program, once
    for package in pkgutil.walk_packages(trainer.__path__, "trainer."):
        if package.name != "trainer.__main__":
            importlib.import_module(package.name)


def keep_what_is_composed() -> None:
    """Compose the config of the same words once: that takes half of the time of a short command."""
    from trainer.config import composition

    kept: dict[tuple[str, ...], bytes] = {}
    compose = composition.compose

    def composed(name: str, overrides: Sequence[str]) -> Any:
        words = (name, *overrides)
        if words not in kept:
            found = compose(name, overrides)
            kept[words] = pickle.dumps(found)
            return found
        return pickle.loads(kept[words])

    composition.compose = composed


def serve() -> None:
    """Run what is ordered."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    child = None
    for line in sys.stdin:
        order = json.loads(line)
        if order.get("warm"):
            # Once in this process, for what is looked up once and the same for all.
            with contextlib.redirect_stdout(io.StringIO()):
                cli.main(order["warm"])
            gc.freeze()  # or each child would copy every page that it looks through
            print("{}", file=answers, flush=True)
            continue
        if child is not None and child.pid and (order["alone"] or child.commands >= TOGETHER):
            child.end()
        if child is None or not child.pid:
            child = Child()
        print(json.dumps(child.run(order)), file=answers, flush=True)
        if child.pid and order["alone"]:
            child.end()
    if child is not None and child.pid:
        child.end()


if __name__ == "__main__":
    import torch

    from trainer.cli import main as cli

    torch.set_num_threads(1)
    import_all()
    keep_what_is_composed()
    serve()
