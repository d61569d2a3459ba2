"""The command line: verbs, completion, Hydra, and one handler for everything that ends a command.

Torch is not imported here: it is once a config has been checked.
"""

import dataclasses
import os
import re
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from trainer import __version__
from trainer.cli import verbs
from trainer.config import registry
from trainer.config.keys import public
from trainer.config.sweep import Serial
from trainer.sweeps import again
from trainer.system import streams
from trainer.system.errors import (
    ConfigError,
    TerminatedError,
    TrainerError,
    TrainingFailedError,
    UnknownKeyError,
    did_you_mean,
    first_line,
    interrupted,
)
from trainer.system.paths import expanded

# Hydra's flags, and whether a value follows.
_FLAGS = {
    **dict.fromkeys(("--multirun", "-m", "--run", "-r", "--resolve", "--hydra-help"), False),
    **dict.fromkeys(("--cfg", "-c", "--package", "-p", "--config-dir", "-cd"), True),
    **dict.fromkeys(("--config-name", "-cn", "--config-path", "-cp"), True),
    **dict.fromkeys(("--info", "-i", "--shell-completion", "-sc"), False),
}
# Run directories and logs are ours: Hydra makes none.
_QUIET = (
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
    "hydra.output_subdir=null",
    "hydra.run.dir=.",
    "hydra.job.chdir=false",
)
# How a process is asked to end, but for Ctrl-C; SIGHUP: its terminal was closed.
TERMINATING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
LONGEST = 1000  # characters of a message: a stranger's file may hold names of any length
_CFG = ("job", "hydra", "all")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if threading.current_thread() is threading.main_thread():
        for signum in TERMINATING:
            if signal.getsignal(signum) is not signal.SIG_IGN:  # as `nohup` has it
                signal.signal(signum, _terminated)
    with streams.prepared() as stdout:
        code = _code(args)
    unwritten = stdout.lost is not None and not isinstance(stdout.lost, BrokenPipeError)
    # What a training says is in its directory, too; what other commands say is all that they do.
    return 1 if unwritten and not code and args[:1] not in (["train"], ["resume"]) else code


def _code(args: list[str]) -> int:
    try:
        return _dispatch(args)
    except TrainerError as error:
        return _show(error)
    except KeyboardInterrupt as error:
        return _show(interrupted(error))
    except Exception as error:
        explained = _explained(error)
        if explained is None:
            raise
        return _show(explained)


def _explained(error: Exception) -> TrainerError | None:
    """torch's complaints (which is not imported here) that a machine is too small; None: a bug."""
    if type(error).__name__ == "OutOfMemoryError":
        return TrainingFailedError(f"out of memory: {error}", "try a smaller data.batch_size or data.eval_batch_size")
    if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
        return TrainingFailedError(
            "a process that reads batches was killed", "perhaps for want of memory: use fewer, data.workers=0 or 1"
        )
    return None


def _terminated(signum: int, frame: FrameType | None) -> None:
    raise TerminatedError(signum)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals that come within the block take effect after it: torch may break where its import is interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, *TERMINATING)}
    before = {signum: handler for signum, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda signum, frame: came.append(signum))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for late in came:
        signal.raise_signal(late)


def _dispatch(args: list[str]) -> int:
    if "-sc" in args or "--shell-completion" in args:
        return _complete(args)
    if not args or args[0] in ("--help", "-h", "help"):
        print(verbs.overview())
        return 0
    verb, rest = args[0], args[1:]
    if verb == "--version":
        print(f"trainer {__version__}")
        return 0
    if verb not in registry.verbs():
        if "=" in verb or verb.startswith("-"):
            raise ConfigError(
                f"a verb comes first: '{verb}' is none", f"trainer {'|'.join(registry.verbs())} {verb} ..."
            )
        raise ConfigError(f"'{verb}' is not a verb of trainer", did_you_mean(verb, registry.verbs()))
    if "--version" in rest:
        return _dispatch(["--version"])
    if "--help" in rest or "-h" in rest:
        print(verbs.help_of(verb))
        return 0
    return _run(verb, rest)


def _show(error: TrainerError) -> int:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    message = textwrap.shorten(error.message, LONGEST) if len(error.message) > LONGEST else error.message
    print(f"error: {streams.printable(message)}", file=sys.stderr)
    if error.hint:
        print(f"  {streams.printable(error.hint)}", file=sys.stderr)
    return error.exit_code


# --- running a verb -----------------------------------------------------------------------------------


def _run(verb: str, args: list[str], directory: Path | None = None) -> int:
    from trainer.config import composition

    if verb == "resume" and args and again.is_sweep(expanded(args[0].removeprefix("run="))):
        directory = expanded(args[0].removeprefix("run="))
        return _run("train", again.arguments(directory, args[1:]), directory)
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigError(f"the current directory is gone: {error.strerror}", "change to another: cd DIR") from error
    composition.register()
    flags, overrides = _split(verb, args)
    multirun = "-m" in flags or "--multirun" in flags
    searching = any(o.startswith("search=") and o != "search=none" for o in overrides)
    show_only = any(flag.split("=")[0] in ("--cfg", "-c", "--info", "-i", "--hydra-help") for flag in flags)
    for key in verbs.needed(verb):
        if not show_only and not any(o.lstrip("+").startswith(f"{key}=") for o in overrides):
            usage = f"trainer {verb} RUN" if key == "run" else f"trainer {verb} {key}=RUN"
            more = " (a run directory)" if key == "run" else " (a run directory or a checkpoint file)"
            raise ConfigError(f"{key}= is missing", usage + more)
    if verb == "train" and searching and not multirun and not show_only:
        raise ConfigError("a search runs many jobs, and goes with -m", "trainer train -m search=optuna ...")
    if verb == "resume":
        for override in overrides:
            key = override.lstrip("+").split("=", 1)[0]
            if override.startswith("~") or key in (*registry.GROUPS, "experiment"):
                raise ConfigError(
                    f"{override}: a training goes on with what it was started with",
                    "start a new run from its weights: trainer train from=RUN ...",
                )
    if verb == "resume" and multirun:
        raise ConfigError("-m goes with train: a run is resumed once", "trainer resume RUN")
    hydra_overrides = [
        *_QUIET,
        *_from_checkpoint(verb, overrides),
        *(_prepare(o, multirun) for o in overrides),
    ]
    jobs = _Jobs(verb, args, overrides, multirun, directory)
    try:
        _hydra_main(verb, jobs.run, jobs.search, [*flags, *hydra_overrides])
    except ValueError as error:  # Hydra's own: what a job raises is kept for `finish`
        raise ConfigError(first_line(error), f"see trainer {verb} --help") from error
    except Exception as error:
        explained = composition.explain(error)
        if explained is None:
            raise
        raise explained from error
    return jobs.finish()


class _Jobs:
    """The jobs of one command: one, which is run as soon as it is composed, or with -m all of a sweep, at the end.

    `words` is the whole command line after the verb, and `directory` that of a sweep that is gone on with.
    """

    def __init__(self, verb: str, words: list[str], typed: list[str], multirun: bool, directory: Path | None) -> None:
        self.verb, self.words, self.typed, self.multirun, self.directory = verb, words, typed, multirun, directory
        self.sweeping = multirun and verb == "train"
        self.asked: list[Any] = []  # the jobs of a sweep, composed but not run yet
        self.trials: Callable[[Path], Any] | None = None  # makes the source of jobs of a search
        self.output, self.name = "runs", None
        self.failure: Exception | None = None

    def run(self, cfg: Any) -> None:
        try:
            self._run(cfg)
        except KeyboardInterrupt as error:
            self.failure = interrupted(error)
        except Exception as error:
            # Hydra would print a line of its own above ours: `finish` raises it instead.
            self.failure = error

    def _run(self, cfg: Any) -> None:
        if self.failure is not None:
            return
        if self.sweeping:
            self.asked.append(self._job(cfg))
            return
        composed = self._checked(cfg, self._typed())
        with _signals_wait():
            import torch  # noqa: F401
        registry.command(self.verb).run(composed)

    def _typed(self) -> list[str]:
        """The words of the job that is composed."""
        from hydra.core.hydra_config import HydraConfig

        typed = [str(o) for o in HydraConfig.get().overrides.task] if self.multirun else self.typed
        words = [o.lstrip("+") for o in typed if not o.startswith("~")]
        if not self.sweeping:
            return words
        # How the sweep is run says nothing of its jobs.
        return [word for word in words if word.split("=", 1)[0].split(".")[0] not in registry.OF_A_SWEEP]

    def _checked(self, cfg: Any, typed: list[str]) -> Any:
        from hydra.core.hydra_config import HydraConfig

        from trainer.config.check import check

        if self.verb == "resume":
            from trainer.config.reopening import reopened

            return reopened(cfg, typed)
        choices = {k: str(v) for k, v in HydraConfig.get().runtime.choices.items()}
        return check(self.verb, cfg, typed, choices)

    def _job(self, cfg: Any) -> Any:
        """A job of a sweep. With a mistake of its own it fails when it is run, and the others run."""
        from trainer.config.check import check_sweep
        from trainer.sweeps.plan import Asked

        if not self.asked:
            check_sweep(cfg)
        self.output, self.name = str(cfg.get("output", "runs")), cfg.get("name")
        typed = self._typed()
        try:
            return Asked(typed, self._checked(cfg, typed))
        except TrainerError as error:
            if isinstance(error, UnknownKeyError) and not self.asked:  # every job has it
                raise
            return Asked(typed, None, error)

    def search(self, space: Any, compose: Callable[[list[str], Callable[[Any], Any]], Any]) -> None:
        """Keep what a search is over, and what composes a trial; a job that stands for all shows mistakes now."""
        from trainer.sweeps.plan import Asked
        from trainer.sweeps.search.goal import goal

        example = compose(space.example(), self._job)
        if example.mistake is not None:
            raise example.mistake
        self.asked.append(example)
        aim = goal(example.config)

        def trial(overrides: list[str]) -> Any:
            try:
                return compose(overrides, self._job)
            except Exception as error:
                from trainer.config import composition

                mistake = composition.explain(error)
                if mistake is None:
                    raise
                return Asked([o.lstrip("+") for o in overrides if not o.startswith("~")], None, mistake)

        def trials(directory: Path) -> Any:
            from trainer.sweeps.search.trials import Search

            return Search(directory, space, trial, example.config, aim)

        self.trials = trials

    def _source(self, directory: Path) -> Any:
        """Where the jobs of the sweep come from."""
        from trainer.sweeps.plan import Listed

        return self.trials(directory) if self.trials is not None else Listed(directory, self.asked)

    def finish(self) -> int:
        """Raise what stopped the command, or run the sweep whose jobs were composed; the exit code."""
        if self.failure is not None:
            raise self.failure
        if not self.asked:
            return 0
        from trainer.run import directory as runs
        from trainer.sweeps import runner
        from trainer.sweeps.engine import Sweep

        composed = [job.config for job in self.asked if job.config is not None]
        settings = composed[0].sweep if composed else Serial()
        top = expanded(self.output) / "sweeps" / (self.name or "sweep")
        if settings.dry_run:
            Sweep(self.directory or top, self._source(self.directory or top), settings).list()
            return 0
        runner.check(settings)
        directory = self.directory or runs.claim(top)
        with runs.locked(directory):
            source = self._source(directory)
            runs.write_overrides(directory, self.words)
            jobs = Sweep(directory, source, settings).run()
        failure = source.failure(jobs)
        if failure:
            raise TrainingFailedError(failure, "the table above has their reasons")
        return 0


def _hydra_main(verb: str, task: Callable[[Any], None], search: Callable[..., None], args: list[str]) -> None:
    import hydra

    from trainer.cli import sweeper
    from trainer.config.composition import CONFIGS

    # Hydra exits by itself after --hydra-help.
    with _hydra_raises(), _mode_by_flag(), sweeper.in_place(search), _argv(["trainer", *args]), suppress(SystemExit):
        hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=verb)(task)()


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Let Hydra raise instead of printing and exiting, so that there is one handler: ours."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


@contextmanager
def _mode_by_flag() -> Iterator[None]:
    """-m alone asks for a sweep: Hydra would compose everything once more, only to look for `hydra.mode`."""
    from hydra._internal.hydra import Hydra

    before = Hydra.get_mode
    Hydra.get_mode = lambda *args, **kwargs: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = before  # type: ignore[method-assign]


@contextmanager
def _argv(args: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, args
    try:
        yield
    finally:
        sys.argv = before


# --- arguments ----------------------------------------------------------------------------------------


def _split(verb: str, args: list[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags (each with its value) and the overrides."""
    flags: list[str] = []
    overrides: list[str] = []
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        name = arg.split("=", 1)[0]
        if arg.startswith("-"):
            if name not in _FLAGS:
                raise ConfigError(f"'{arg}' is not a flag of trainer {verb}", f"see trainer {verb} --help")
            flags.append(arg)
            if _FLAGS[name] and "=" not in arg:
                if not queue:
                    raise ConfigError(f"{arg} needs a value", f"see trainer {verb} --hydra-help")
                flags.append(queue.pop(0))
                if name in ("--cfg", "-c") and flags[-1] not in _CFG:
                    raise ConfigError(f"{name} {flags[-1]}: no such part", did_you_mean(flags[-1], _CFG))
            elif name in ("--info", "-i") and queue and queue[0] in _INFO:
                flags.append(queue.pop(0))
        elif name == "hydra.mode":
            raise ConfigError(f"'{arg}': a sweep is asked for with -m", f"trainer {verb} -m ...")
        elif verb == "resume" and not overrides and not arg.startswith("run="):
            overrides.append(f"run={arg}")  # the first word, whatever is in it
        elif "=" in arg or arg.startswith("~"):
            overrides.append(arg)
        else:
            raise ConfigError(f"'{arg}' is not of the form KEY=VALUE", _meant(verb, arg))
    return flags, overrides


def _meant(verb: str, word: str) -> str:
    from trainer.config.composition import group_choices

    keys = {public(f.name) for f in dataclasses.fields(registry.of_verb(verb))}
    for group in (*registry.GROUPS, "experiment"):
        if (group in keys or verb == "train") and word in group_choices(group):
            return f"did you mean {group}={word}?"
    if "ckpt" in keys and os.path.exists(word):
        return f"did you mean ckpt={word}?"
    if word in keys:
        return f"did you mean {word}=VALUE?"
    return f"see trainer {verb} --help"


def _from_checkpoint(verb: str, overrides: list[str]) -> list[str]:
    """With `ckpt=` the checkpoint describes model and data: no defaults of ours for what is not chosen."""
    keys = {o.lstrip("+~").split("=", 1)[0] for o in overrides}
    if not (verb == "inspect" and "ckpt" in keys) and not (verb == "train" and "from" in keys):
        return []
    if "experiment" in keys:  # which chooses both
        return []
    return [f"~{group}" for group in ("model", "data") if group not in keys]


def _prepare(override: str, multirun: bool) -> str:
    """Rewrite an override for Hydra's grammar.

    A key of ours is force-added: Hydra then leaves it to our own check to refuse a misspelt one, which
    knows all the keys, and a section that a checkpoint describes takes overrides before it is read.
    A value that is a path or a name is quoted where Hydra's grammar would take it apart, or for a number.
    """
    if override.startswith("~"):
        return override
    name, value = override.split("=", 1)
    bare = name.lstrip("+")
    groups = (*registry.GROUPS, "experiment")
    is_text = bare in ("ckpt", "output", "name", "inspect.out", "run", "from")
    of_data = re.fullmatch(r"data\.(root|path|cache)", bare)
    if re.search(r"[^\w./:+-]", value, re.ASCII):
        # A class of the user's own may take a list by that name.
        is_expression = re.match(r"""['"\[{]|\$\{""" if of_data else r"""['"]|\$\{""", value)
        is_sweep = multirun and re.search("[,()]", value)  # a,b or range(1,9)
        if os.path.exists(value) or ((is_text or of_data) and not is_sweep and not is_expression):
            value = _quoted(value)
    is_name = bare in groups or is_text or (of_data and os.path.exists(value))
    if is_name and re.fullmatch(r"[-+.\de_]+|true|false|inf|nan", value, re.IGNORECASE):
        value = f"'{value}'"  # though it reads like a number
    if name.startswith("+") or bare in groups or bare.split(".")[0] == "hydra" or "@" in bare or "/" in bare:
        return f"{name}={value}"
    return f"++{bare}={value}"


def _quoted(value: str) -> str:
    """Backslashes are doubled before a quote or the end, and nowhere else: so Hydra's grammar has it."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


# --- completion ------------------------------------------------------------------------------


def _complete(args: list[str]) -> int:
    """Answer Hydra's completion protocol; the verb is ours, the rest Hydra's."""
    from trainer.config import composition

    query = [a for a in args if a.startswith("query=")]
    verb = "train"
    if query:
        words = os.environ.get("COMP_LINE", "").split(" ")
        if len(words) <= 2:
            print(" ".join(registry.verbs()))
            return 0
        verb = words[1]
        if verb not in registry.verbs():
            return 0
        os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
    composition.register()
    _hydra_main(verb, lambda cfg: None, lambda space, compose: None, args)
    return 0
