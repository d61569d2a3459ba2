"""What was typed after the verb: Hydra's flags, and overrides, which are made ready for Hydra's grammar."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.cli import fitting, form, limits, naming, no_key, spelling
from trainer.config import registry
from trainer.config.choices import CONFIGS, GIVEN
from trainer.config.keys import MISSING, public
from trainer.system import streams
from trainer.system.errors import ConfigError, did_you_mean

# Hydra's flags: each by its long name and by its short one. These take a value ...
_WITH_VALUE = {
    "--config": "",
    "--cfg": "-c",
    "--package": "-p",
    "--config-dir": "-cd",
    "--config-name": "-cn",
    "--config-path": "-cp",
}
# ... and these do not, but for --info, which may.
_WITHOUT = {"--multirun": "-m", "--run": "-r", "--info": "-i", "--resolve": "", "--hydra-help": ""}
_WHOLE = "--config"  # a file that holds a whole config
_LONG = {short: long for long, short in (_WITH_VALUE | _WITHOUT).items() if short}
_CFG = ("job", "hydra", "all")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_ACTIONS = ("--multirun", "--run", "--cfg", "--info")  # one of them at a time


@dataclass(frozen=True)
class Arguments:
    """A command line after its verb: `flags` by their long names, and the `overrides` as they were typed."""

    verb: str
    flags: dict[str, str]
    overrides: list[str]
    line: list[str] = dataclasses.field(default_factory=list)  # all words, as they were taken
    notes: list[str] = dataclasses.field(default_factory=list)  # what to say of words that were typed otherwise

    @property
    def multirun(self) -> bool:
        return "--multirun" in self.flags

    @property
    def shows(self) -> bool:
        """Whether a config is to be shown, and nothing is to be run."""
        return not {"--cfg", "--info", "--hydra-help"}.isdisjoint(self.flags)

    @property
    def folder(self) -> Path:
        """Where the configs lie that all others are added to: trainer's own."""
        return Path(self.flags.get("--config-path", CONFIGS)).absolute()

    @property
    def name(self) -> str:
        """The config that is composed."""
        return GIVEN if _WHOLE in self.flags else self.flags.get("--config-name", self.verb)

    @property
    def whole(self) -> list[str]:
        """The flag that names the file with the whole config, as a word; none where there is no such."""
        return [f"{_WHOLE}={self.flags[_WHOLE]}"] if _WHOLE in self.flags else []

    @property
    def words(self) -> list[str]:
        """What was typed for a single run, as `key=value`."""
        return [*self.whole, *bare(self.overrides)]

    def say(self) -> None:
        """Say for what words are taken that were typed otherwise; once, and not of a command that has a mistake."""
        streams.note(*self.notes)
        self.notes.clear()

    def prepared(self) -> list[str]:
        """The overrides in Hydra's grammar.

        Raises:
            ConfigError: There is no such directory as `--config-dir` names, or no such file as `--config` does.
        """
        from trainer.cli import quoting  # late, for it knows all sections

        chosen = {form.key(word): word.partition("=")[2] for word in self.words}
        if self.whole:
            from trainer.config import composition, whole

            composition.give(whole.content(self.flags[_WHOLE], chosen))
        texts = quoting.texts(self.verb, chosen)
        more = self.flags.get("--config-dir")
        if more is not None and not Path(more).is_dir():
            raise ConfigError(f"--config-dir {more}: directory not found", "it holds folders such as model/")
        return [
            *([] if more is None else [f"hydra.searchpath=[{quoting.quoted(f'file://{Path(more).absolute()}')}]"]),
            *([] if self.whole else _from_checkpoint(self.verb, self.overrides)),
            *(quoting.prepared(override, texts, self.multirun) for override in self.overrides),
        ]


def read(verb: str, args: Sequence[str]) -> Arguments:
    """Read the words after the verb.

    Raises:
        ConfigError: A flag does not exist, a key is missing that the verb needs, a word is no override, or it is all
            too much.
    """
    limits.check(args)
    args, notes = spelling.mended(verb, args, _known_flags(verb))
    args = [naming.override(verb, word, notes) for word in args]
    flags: dict[str, str] = {}
    overrides: list[str] = []
    places: list[str] = []  # words without a key
    place = positional(verb)
    own = {f"--{key}" for key in switches(verb)}
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        if arg in own:
            overrides.append(f"{arg[2:]}=true")
        elif arg.startswith("-"):
            _read_flag(verb, arg, queue, flags)
        elif arg.startswith("hydra.mode="):
            raise ConfigError(f"'{arg}': a sweep is asked for with -m", f"trainer {verb} -m ...")
        elif place is not None and _is_place(arg, place.name, first=not (overrides or places)):
            places.append(arg)
        elif "=" in arg or arg.startswith("~"):
            form.check(verb, arg)
            overrides.append(form.in_full(arg))
        elif place is not None and not no_key.word(verb, arg).startswith("did you mean"):
            places.append(arg)  # which is not there: the verb says so
        else:
            bare_words = [word for word in (arg, *queue) if "=" not in word and not word.startswith("-")]
            raise ConfigError(f"'{arg}' is not of the form KEY=VALUE", no_key.words(verb, bare_words))
    if verb == "predict" and (inputs := naming.inputs(places)) and not any(form.key(w) == "input" for w in overrides):
        places = [word for word in places if word not in inputs]
        overrides.insert(0, f"input={','.join(inputs)}")
        notes.append(f"{' '.join(inputs)} is taken as {overrides[0]}")
    if place is not None and places:
        places = [naming.place(verb, public(place.name), word, notes) for word in places]
        overrides.insert(0, _placed(verb, place, places, overrides))
    if verb in registry.TRAINING and (model := fitting.model(overrides, flags)) is not None:
        # The screen shows the model of any training; of data that were typed otherwise it is said at once.
        notes[:] = [f"{line} {model}" if " is taken as data=" in line else line for line in notes]
        overrides.append(model)
        args.append(model)
    given = Arguments(verb, flags, overrides, args, notes)
    _check(given)
    return given


def _read_flag(verb: str, arg: str, queue: list[str], flags: dict[str, str]) -> None:
    typed, _, value = arg.partition("=")
    name = _LONG.get(typed, typed)
    if name in _WITH_VALUE and "=" not in arg:
        if not queue:
            raise ConfigError(f"{arg} needs a value", f"see trainer {verb} --hydra-help")
        value = queue.pop(0)
    elif name == "--info" and "=" not in arg:
        value = queue.pop(0) if queue and queue[0] in _INFO else "all"
    elif name not in _WITH_VALUE and name not in _WITHOUT:
        raise ConfigError(
            f"'{arg}' is not a flag of trainer {verb}",
            no_key.flag(verb, arg, [*_WITH_VALUE, *_WITHOUT, "--help", "--version"]),
        )
    for flag, known in (("--cfg", _CFG), ("--info", _INFO)):
        if name == flag and value not in known:
            raise ConfigError(f"{typed} {value}: no such part", did_you_mean(value, known))
    flags[name] = value


def _known_flags(verb: str) -> dict[str, bool]:
    """All that may stand for a flag of a verb, and whether a value follows: Hydra's, in both forms, and its own."""
    known = dict.fromkeys(_WITHOUT, False) | dict.fromkeys(_WITH_VALUE, True)
    known |= {short: known[long] for short, long in _LONG.items()}
    return known | dict.fromkeys((f"--{key}" for key in switches(verb)), False)


def positional(verb: str) -> "dataclasses.Field[Any] | None":
    """The key of a verb that words without one are taken for; None: there is no such."""
    fields = dataclasses.fields(registry.of_verb(verb))
    return next((f for f in fields if f.metadata.get("positional")), None)


def switches(verb: str) -> list[str]:
    """The keys of a verb that may be typed as `--NAME`."""
    return [f.name for f in dataclasses.fields(registry.of_verb(verb)) if f.metadata.get("flag")]


def _is_place(word: str, key: str, first: bool) -> bool:
    """Whether a word names a file or a folder that is there, whatever letters are in it."""
    if word.startswith((f"{key}=", "~")) and not os.path.exists(word):
        return False
    return os.path.exists(os.path.expanduser(word)) or (first and "=" not in word and os.sep in word)


def _placed(verb: str, field: "dataclasses.Field[Any]", places: list[str], overrides: Sequence[str]) -> str:
    """The override that the words without a key stand for."""
    from trainer.cli.quoting import quoted

    name = public(field.name)
    again = [word for word in overrides if form.key(word) == name]
    if "list" in str(field.type) and not again:
        return f"{name}=[{','.join(map(quoted, places))}]"
    if again or len(places) > 1:
        more = again[0] if again else places[1]
        hint = no_key.second(verb, more) or f"trainer {verb} takes one: {name}=..."
        raise ConfigError(f"'{places[0]}' and '{more}' are two of them", hint)
    return f"{name}={places[0]}"


def _check(given: Arguments) -> None:
    verb = given.verb
    actions = [flag for flag in _ACTIONS if flag in given.flags]
    if len(actions) > 1:
        raise ConfigError(f"{actions[0]} and {actions[1]} do not go together", f"see trainer {verb} --help")
    if "--resolve" in given.flags and "--cfg" not in given.flags:
        raise ConfigError("--resolve goes with --cfg", f"trainer {verb} --cfg job --resolve")
    if given.whole:
        _check_whole(given)
    for key in needed(verb):
        if not given.shows and not any(word.startswith(f"{key}=") for word in given.words):
            field = registry.of_verb(verb).__dataclass_fields__[key]
            usage = "RUN" if field.metadata["positional"] else f"{key}=..."
            raise ConfigError(f"{key}= is missing", f"trainer {verb} {usage} ({field.metadata['doc']})")
    chosen = {form.key(word): word.partition("=")[2] for word in given.words}
    if verb == "train" and not (given.multirun or given.shows) and chosen.get("search", "none") != "none":
        raise search_alone()
    if verb not in registry.REOPENING:
        return
    does = "continues" if verb == "resume" else "is repeated"
    for override in given.overrides:
        if override.startswith("~") or form.key(override) in (*registry.GROUPS, "experiment"):
            raise ConfigError(
                f"{override}: a training {does} with what it was started with",
                "start a new run from its weights: trainer train from=RUN ...",
            )
    if given.multirun:
        raise ConfigError(f"-m goes with train: a run is {verb}d once", f"trainer {verb} RUN")


def _check_whole(given: Arguments) -> None:
    """Check what a whole config in a file does not go together with."""
    if given.verb not in registry.TRAINING:
        raise ConfigError(f"{_WHOLE} goes with train: it holds the config of a training", f"trainer train {_WHOLE} ...")
    if "--config-name" in given.flags:
        raise ConfigError(f"{_WHOLE} and --config-name are two configs", "leave one of them out")
    if any(form.key(word) == "experiment" for word in given.overrides):
        raise ConfigError(f"{_WHOLE} and experiment= are two whole configs", "leave one of them out")


def search_alone() -> ConfigError:
    """What to say of a search without `-m`, which would train one run and search nothing."""
    return ConfigError("a search runs many jobs, and goes with -m", "trainer train -m search=optuna ...")


def needed(verb: str) -> list[str]:
    """The keys that a verb cannot do without, but for sections."""
    fields = dataclasses.fields(registry.of_verb(verb))
    return [f.name for f in fields if f.default == MISSING and f.name not in registry.GROUPS]


def bare(overrides: Sequence[str]) -> list[str]:
    """The overrides that set something, without Hydra's `+`."""
    return [override.lstrip("+") for override in overrides if not override.startswith("~")]


def _from_checkpoint(verb: str, overrides: Sequence[str]) -> list[str]:
    """With `ckpt=` the checkpoint describes model and data: no defaults of ours for what is not chosen."""
    keys = set(map(form.key, overrides))
    if not (verb == "inspect" and "ckpt" in keys) and not (verb in registry.TRAINING and "from" in keys):
        return []
    if "experiment" in keys:  # which chooses both
        return []
    return [f"~{group}" for group in ("model", "data") if group not in keys]
