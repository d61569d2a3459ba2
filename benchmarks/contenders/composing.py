"""The jobs of a sweep are composed and checked and none is run: by trainer, or by Hydra one by one."""

import sys
import time

from benchmarks.contenders.job import Watch


def main() -> None:
    from trainer.cli import arguments
    from trainer.cli.jobs import Jobs
    from trainer.cli.sweep import Asking
    from trainer.config import composition
    from trainer.config.check import check

    one_by_one = sys.argv[1] == "hydra"
    watch = Watch()
    with composition.ready():
        started = time.process_time()
        jobs = Jobs(arguments.read("train", ["-m", *sys.argv[2:]]))
        asking = Asking(jobs)
        for job in jobs.combinations():
            if one_by_one:
                cfg, choices = composition.compose("train", job.words)
                check("train", cfg, job.words, choices).digest()
            else:
                assert asking(job).digest
        spent = time.process_time() - started
    watch.write(composing=1000 * spent / jobs.count)


if __name__ == "__main__":
    main()
