"""What the tests of sweeps share: jobs that have ended, without running any."""

from itertools import product

from trainer.run.sweep_log import Outcome


def job(number: int, value: float | None, *, status: str = "", error: str = "", **facts: object) -> Outcome:
    """A job of `key=value` overrides, `optim__lr` for `optim.lr`; without a value it has failed."""
    known = {"objective": "val/accuracy", "direction": "max"} | {
        name: facts.pop(name) for name in ("objective", "direction", "best_epoch", "metrics") if name in facts
    }
    overrides = {key.replace("__", "."): str(text) for key, text in facts.items()}
    ended = status or ("failed" if value is None else "completed")
    if value is None:
        known = {}  # as a job has it that failed
    return Outcome(number, overrides, ended, 1.0 + number, value=value, error=error, **known)  # type: ignore[arg-type]


def grid(values: dict[str, list[float | None]], key: str = "optim.lr", **facts: object) -> list[Outcome]:
    """For each value of `key`, a job for each of the seeds 0, 1, … with the results given."""
    pairs = [(setting, seed, value) for setting, found in values.items() for seed, value in enumerate(found)]
    return [
        job(number, value, **{key.replace(".", "__"): setting, "seed": seed}, **facts)  # type: ignore[arg-type]
        for number, (setting, seed, value) in enumerate(pairs)
    ]


def crossed(**keys: list[object]) -> list[dict[str, object]]:
    """Every combination of the keys' values."""
    return [dict(zip(keys, values, strict=True)) for values in product(*keys.values())]
