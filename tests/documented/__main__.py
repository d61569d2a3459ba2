"""`python -m tests.documented [PAGE ...] [--list]`: see the package."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from . import blocks, prepared
from .environment import follow, fresh, hints
from .pages import Outcome, left_out, run, wanted


def main() -> int:
    """Run what was asked for; 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.documented", description=(__doc__ or "").split(":")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="words in the paths of pages; all if none is given")
    parser.add_argument("--list", action="store_true", help="only list what is not run")
    parser.add_argument("--keep", type=Path, help="a folder to work in, which stays")
    asked = parser.parse_args()
    pages = [
        p
        for p in blocks.PAGES
        if not asked.pages or any(word in str(p.relative_to(blocks.ROOT)) for word in asked.pages)
    ]
    mistakes = [mistake for page in pages for mistake in blocks.mistakes(page)]
    if mistakes or asked.list:
        print("\n".join(mistakes) or "\n".join(line for page in pages for line in left_out(page)))
        return int(bool(mistakes))
    with tempfile.TemporaryDirectory() as scratch:
        return _run(pages, (asked.keep or Path(scratch)).resolve(), hinted=not asked.pages)


def _run(pages: list[Path], scratch: Path, hinted: bool) -> int:
    started = time.perf_counter()
    with fresh(scratch) as made, ThreadPoolExecutor(2) as pool:
        print(f"{time.perf_counter() - started:5.1f} s  the wheel is built and installed", flush=True)
        shelf = scratch / "shelf"
        (shelf / "made").mkdir(parents=True)
        prepared.files(shelf)
        prepared.home(shelf)
        variables = made.variables(shelf)
        names = sorted(wanted(pages))
        list(pool.map(lambda name: prepared.runs(shelf, variables, {name}), names))
        print(f"{time.perf_counter() - started:5.1f} s  prepared: {', '.join(names)}", flush=True)
        failed: list[str] = []

        def shown(outcome: Outcome) -> Outcome:
            print(outcome.line, flush=True)
            failed.extend(outcome.failures)
            return outcome

        longest_first = sorted(pages, key=lambda page: -page.read_text(encoding="utf-8").count("trainer train"))
        outcomes = list(pool.map(lambda page: shown(run(page, made, shelf, scratch / "pages")), longest_first))
        if hinted:
            for hint, wrong in zip(hints(), pool.map(lambda hint: follow(hint, made, scratch), hints()), strict=True):
                print(f"{hint}: {'as this project' if wrong is None else 'FAILED'}", flush=True)
                failed.extend([f"{hint}\n{wrong}"] if wrong is not None else [])
    print(f"\n{sum(o.blocks for o in outcomes)} blocks, {time.perf_counter() - started:.0f} s. Not run:")
    print("\n".join(f"  {line}" for page in pages for line in left_out(page)))
    for failure in failed:
        print(f"\nFAILED {failure}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
