"""Forks one trainer per order: torch and trainer are imported already, so that hundreds of them take minutes.

An order is a line of JSON: argv, traps, the working directory and two files for what is printed. The answer is the
process id, and another line with the exit status when it has ended.
"""

import contextlib
import gc
import io
import json
import os
import signal
import sys

sys.path[0] = os.getcwd()


def become(order: dict[str, str]) -> None:
    """Let the forked process be the one that was ordered."""
    os.setsid()
    os.chdir(order["cwd"])
    for number, path in enumerate((os.devnull, order["out"], order["err"])):
        handle = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    os.environ["TRAINER_CACHE"] = order["cache"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    traps.lay(order["traps"])
    sys.exit(cli.main(order["argv"]))


def serve() -> None:
    """Take orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who orders
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            workers.end_with(os.getppid())
            become(order)
        answers.write(f"{pid}\n")
        answers.flush()
        _, status = os.waitpid(pid, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import traps

    sys.path.pop(0)
    import sklearn.datasets  # noqa: F401

    from trainer.cli import main as cli
    from trainer.config import composition  # noqa: F401
    from trainer.run import resuming, starting  # noqa: F401
    from trainer.run.hooks import tensorboard  # noqa: F401
    from trainer.system import workers

    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(["train", "--cfg", "job"])  # imports Hydra
    gc.freeze()  # or a child would copy every page that it looks through
    serve()
