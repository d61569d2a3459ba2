"""A sweep from the command line, and how long its jobs took beside composing them and starting up."""

import sys
import time
from typing import Any

from benchmarks.contenders import inside
from benchmarks.contenders.job import Watch


def main() -> None:
    from trainer.sweeps import runner

    watch = Watch()
    make = runner.make

    def watched(*facts: Any) -> runner.Runner:
        made = make(*facts)
        run = made.run

        def timed(jobs: Any) -> None:
            started = time.monotonic()
            run(jobs)
            watch.write(jobs=time.monotonic() - started)

        made.run = timed  # type: ignore[method-assign]
        return made

    runner.make = watched
    inside.command(*sys.argv[1:])


if __name__ == "__main__":
    main()
