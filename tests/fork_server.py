"""Forks a process per order: torch and trainer are imported already, which takes a fresh process seconds.

`python fork_server.py SOCKET [MODULE ...]` imports these modules, too. An order is a message of JSON: what to run, its
arguments, its environment, its working directory. Four files come with it: the process's standard input, output and
error, and one for its id, and for its exit status when it has ended.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import types
from typing import Any


def become(order: dict[str, Any], streams: list[int]) -> None:
    """Let the forked process be the one that was ordered, to its end."""
    os.setsid()
    os.chdir(order["cwd"])
    for number, handle in enumerate(streams):
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(order["environment"])
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for signum in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(signum, signal.SIG_DFL if signum == signal.SIGCHLD else signal.default_int_handler)
    sys.path[0] = order["cwd"]
    traps.lay(order["traps"])
    if order["code"] is None:
        sys.argv = ["trainer", *order["argv"]]
        runpy.run_module("trainer", run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *order["argv"]]
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(order["code"], "<string>", "exec"), main.__dict__)
    sys.exit()


def serve(orders: socket.socket) -> None:
    """Take orders until there are no more."""
    running: dict[int, int] = {}  # process ids, and the files to which their ends are written
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who orders
    server = os.getpid()
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            for pid in [pid for pid in running if report(pid, running[pid])]:
                os.close(running.pop(pid))
        if orders in ready:
            message, files, _, _ = socket.recv_fds(orders, 1 << 20, 4)
            if not message:
                return
            *streams, answer = files
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for handle in (orders.detach(), woken, waker, answer, *running.values()):
                    os.close(handle)
                workers.end_with(server)
                become(json.loads(message), streams)
            for handle in streams:
                os.close(handle)
            os.write(answer, f"{pid}\n".encode())
            running[pid] = answer


def report(pid: int, answer: int) -> bool:
    """Write how a process has ended, if it has."""
    found, status = os.waitpid(pid, os.WNOHANG)
    if found:
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
            os.write(answer, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return bool(found)


if __name__ == "__main__":
    import traps

    sys.path[0] = os.getcwd()
    import sklearn.datasets  # noqa: F401

    from trainer.cli import main as cli
    from trainer.commands import eval, resume, train  # noqa: F401
    from trainer.run.hooks import tensorboard  # noqa: F401
    from trainer.system import workers

    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(["train", "--cfg", "job"])  # imports Hydra
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()  # or a child would copy every page that it looks through
    serve(socket.socket(fileno=int(sys.argv[1])))
