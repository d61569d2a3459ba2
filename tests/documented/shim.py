"""What stands in the place of a command of the fresh environment: it is forked, where torch is imported already.

Copied there under the names `trainer`, `tensorboard` and `program`, which runs the code that it is given;
`DOCUMENTED_ORDERS` is the socket of `tests/fork_server.py`. It is run by `python -I -S`, so it imports nothing of the
environment.
"""

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path

LENGTHS = ("epochs", "max_steps", "max_minutes", "until")


def shortened(argv: list[str]) -> list[str]:
    """The words of a command that trains, so that it takes a second."""
    if (
        "DOCUMENTED_IN_FULL" in os.environ
        or argv[:1] not in (["train"], ["resume"], ["profile"])
        or {"--cfg", "--info", "--help"} & {*argv}
    ):
        return argv
    if argv[0] == "profile":
        return [*argv, "profile.seconds=0.1"]
    argv = [re.sub(r"^(search\.trials=)\d+$", r"\g<1>3", word) for word in argv]
    if argv[0] == "resume":  # what is prepared is short
        return argv
    argv = [re.sub(r"^(epochs=)\d+$", r"\g<1>3", word) for word in argv]
    keys = {word.split("=")[0] for word in argv}
    added = {} if "DOCUMENTED_PICTURES" in os.environ else {"plots": "false", "tensorboard.enabled": "false"}
    if not keys & {*LENGTHS, "config"}:
        added["epochs"] = "5" if "experiment" in keys else "1"  # a recipe's schedule goes up and down in some steps
    return [*argv, *(f"{key}={value}" for key, value in added.items() if key not in keys)]


def lay_newest(argv: list[str]) -> None:
    """Let the names that stand for the newest run or sweep be a copy of it, where the command speaks of them."""
    for name in os.environ.get("DOCUMENTED_NEWEST", "").split():
        if any(word.split("=")[-1].split("/")[0] == name for word in argv):
            found = Path("runs").glob("sweeps/*/*/" if name == "SWEEP" else "[!s]*/*/")
            shutil.rmtree(name, ignore_errors=True)
            shutil.copytree(max(found, key=lambda path: path.stat().st_mtime), name)


def ordered(argv: list[str], streams: tuple[int, int, int], code: str | None = None) -> tuple[int, "os.PathLike | int"]:
    """The id of the process that was forked, and the file in which its exit code will stand."""
    answers, answer = os.pipe()
    order = {"argv": argv, "code": code, "cwd": os.getcwd(), "environment": dict(os.environ), "traps": "[]"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as orders:
        orders.connect(os.environ["DOCUMENTED_ORDERS"])
        socket.send_fds(orders, [json.dumps(order).encode()], [*streams, answer])
    os.close(answer)
    return int(_line(answers)), answers


def _line(handle: int) -> bytes:
    text = b""
    while not text.endswith(b"\n"):
        more = os.read(handle, 1)
        if not more:
            sys.exit("the fork server has ended")
        text += more
    return text


def run(argv: list[str], code: str | None = None) -> int:
    """Run it to its end."""
    pid, answers = ordered(argv, (0, 1, 2), code)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda number, _: os.kill(pid, number))
    exit_code = int(_line(answers))
    return exit_code if exit_code >= 0 else 128 - exit_code


def asked_once(argv: list[str], code: str | None = None) -> int:
    """A command that serves HTTP: wait until it says where, ask for its page, and stop it unless it is to stay."""
    said = Path(f"said-{os.getpid()}.txt")
    with said.open("wb") as screen:
        pid, answers = ordered(argv, (0, screen.fileno(), screen.fileno()), code)
    due = time.monotonic() + 120
    while (found := re.search(r"http://[\w.]+:\d+", said.read_text())) is None:
        if time.monotonic() > due:
            sys.exit(f"it serves nothing: {said.read_text()}")
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            sys.exit(f"it has ended: {said.read_text()}")
        time.sleep(0.05)
    with urllib.request.urlopen(found[0].replace("localhost", "127.0.0.1"), timeout=60) as page:
        assert page.status == 200
    print(said.read_text())
    said.unlink()
    if "DOCUMENTED_STAYS" in os.environ:
        with open(os.environ["DOCUMENTED_STAYS"], "a") as stays:
            stays.write(f"{pid}\n")
        return 0
    os.kill(pid, signal.SIGINT)
    _line(answers)
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    if Path(sys.argv[0]).name == "program":
        sys.exit(run([], words[0]))
    if Path(sys.argv[0]).name == "tensorboard":
        code = "import sys; from tensorboard.main import run_main; sys.argv[0] = 'tensorboard'; run_main()"
        sys.exit(asked_once([*words, "--port=0"], code))
    lay_newest(words)
    if words[:1] == ["serve"] and "--help" not in words:
        free = [] if "DOCUMENTED_STAYS" in os.environ or any(w.startswith("port=") for w in words) else ["port=0"]
        sys.exit(asked_once([*words, *free]))
    sys.exit(run(shortened(words)))
