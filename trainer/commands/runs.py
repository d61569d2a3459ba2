"""`trainer runs`: list runs and sweeps, compare two, or look at one."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import key

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.compare.finding import Place

SUMMARY = "list runs and sweeps, compare two, or look at one"
EXAMPLES = """
trainer runs                                                  all below ./runs, the newest first
trainer runs runs/sweeps runs.where='optim.lr>0.01 and test/accuracy>=0.9' runs.sort=test/accuracy
trainer runs runs.status=failed,unfinished --json
trainer runs RUN                                              one: its config, lineage, files, and the way back
trainer runs A B runs.out=curves.png                          two: what differs, and their curves in one picture
"""
DEFAULT = "runs"  # the folder that trainings make


@dataclass
class RunsOptions:
    """Which runs are listed, in which order, and where to."""

    where: str | None = key(None, "only those for which this holds: 'optim.lr>0.01 and model=lenet'", text=True)
    status: str | None = key(
        None, "only those: completed, failed, interrupted, running, unfinished, broken; several with commas", text=True
    )
    sort: str = key(
        "when",
        "a metric, a key, or name, when, status, time, objective: the newest and the best first, else from small to "
        "large; -KEY: the largest first; +KEY: the smallest first",
        text=True,
    )
    limit: int | None = key(None, "only the first N", minimum=1)
    jobs: bool = key(False, "also the jobs of sweeps, a line each")
    out: str | None = key(
        None, "a listing goes to a .csv, .jsonl or .parquet; the curves of two runs to a .png", text=True
    )


@dataclass
class Runs(Config):
    """`trainer runs`: list runs and sweeps, compare two, or look at one."""

    path: list[str] | None = key(
        None, "runs, sweeps, or folders of them; two are compared; null: runs", text=True, positional=True
    )
    json: bool = key(False, "print JSON, and nothing else; also typed as --json", flag=True)
    runs: RunsOptions = field(default_factory=RunsOptions, metadata={"doc": "which runs, in which order, and where to"})


def run(config: Runs) -> dict[str, Any]:
    """Show a listing, a comparison or one run, whichever the paths are.

    Returns:
        What `--json` prints, under the name of what was shown: `runs`, `comparison` or `run`.

    Raises:
        UserError: There is no such run, or what was asked of it cannot be read.
    """
    from trainer.compare import detail, finding, pair, sides
    from trainer.engine import own_measures
    from trainer.system.paths import expanded

    own_measures.declare()
    typed = config.path or [DEFAULT]
    places = [finding.at(word) for word in typed] if config.path else []
    if len(places) == 1 and places[0].is_run:
        return {"run": detail.show(places[0], config.json)}
    out = expanded(config.runs.out) if config.runs.out is not None else None
    if len(places) == 2 and (both := sides.of(places)) is not None:
        return {"comparison": pair.show(both, out, config.json)}
    return {"runs": _listed(config, typed, places, out)}


def _listed(config: Runs, typed: list[str], places: "list[Place]", out: "Path | None") -> list[dict[str, Any]]:
    from trainer.compare import files, listing
    from trainer.run.records import finite
    from trainer.show.report import Report
    from trainer.system.shown import counted

    options = config.runs
    if out is not None:
        files.ending(out)
    with_jobs = options.jobs or (len(places) == 1 and places[0].is_sweep)
    found = listing.collected(typed, with_jobs)
    entries = listing.chosen(found, options.where, options.status)
    entries = listing.ordered(entries, options.sort)[: options.limit]
    if out is not None:
        files.write(out, listing.flat(entries, listing.differing(entries)))
    if config.json:
        summaries = [entry.summary() for entry in entries]
        print(json.dumps(finite(summaries), indent=2))
        return summaries
    if not entries:
        raise listing.nothing(typed, found)
    keys, screen = listing.differing(entries), Report()
    header, rows, rest = listing.table(entries, keys, screen.console.width if screen.live else None)
    screen.table(header, rows)
    if more := listing.further(rest):
        screen.say(more, style="dim")
    if out is not None:
        screen.say(f"{counted(len(entries), 'line')} in {out}")
    return [entry.summary() for entry in entries]
