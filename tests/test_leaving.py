"""The end of a process: what is registered for it happens, and what was printed is there."""

import subprocess
import sys

import pytest

ENDING = """
import atexit, sys, threading, time
from trainer.system.leaving import Leaving

class Late:
    def __del__(self):
        print("taken apart", flush=True)

late = Late()
late.itself = late  # so that only the end of Python takes it apart
leaving = Leaving()
atexit.register(print, "registered")
threading.Thread(target=lambda: (time.sleep(0.2), print("waited for"))).start()
print("printed")
"""


@pytest.mark.parametrize(
    ("last", "code", "said"),
    [
        ("leaving.code = 3; sys.exit(3)", 3, ["printed", "waited for", "registered"]),
        ("leaving.code = 0", 0, ["printed", "waited for", "registered"]),
        ("raise ValueError('ours')", 1, ["printed", "waited for", "registered", "taken apart"]),
    ],
)
def test_a_process_ends_with_its_code_and_all_that_is_registered_but_is_not_taken_apart(
    last: str, code: int, said: list[str]
) -> None:
    words = [sys.executable, "-c", ENDING + last]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.split("\n")[:-1]) == (code, said)
    assert ("ValueError: ours" in ended.stderr) == (code == 1)
