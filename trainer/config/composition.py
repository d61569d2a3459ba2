"""From what was typed to a checked config: Hydra composes, the declarations check, before torch is imported."""

import copy
import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError
from omegaconf.resolvers import oc

from trainer.config import registry
from trainer.config.keys import public
from trainer.system.errors import ConfigError, UnknownKeyError, did_you_mean, first_line

_HERE = Path(__file__).resolve().parent.parent
CONFIGS = next(p for p in (_HERE / "configs", _HERE.parent / "configs") if (p / "train.yaml").is_file())

_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Custom:
    """A section of the user's own: `_target_` names their class, called with `kwargs`.

    `common` holds the keys that trainer itself reads (batch size, splits, ...) where the group has such.
    """

    target: str
    kwargs: dict[str, Any]
    common: Any = None


@dataclass
class Composed:
    """A checked config. `settings` is the verb's dataclass; sections of groups come from `section()`."""

    settings: Any
    typed: list[str]
    choices: dict[str, str] = field(default_factory=dict)
    run: Path | None = None  # the run directory that `trainer resume` is to go on with
    _cfg: DictConfig = field(default_factory=lambda: OmegaConf.create({}), repr=False)
    _sections: dict[str, Any] = field(default_factory=dict, repr=False)  # those that were asked for

    def change(self, key: str, value: Any) -> None:
        """Change a key outside the groups, also in what `to_yaml` writes."""
        setattr(self.settings, key, value)
        OmegaConf.update(self._cfg, key, value)

    def given(self, group: str) -> bool:
        """Whether `group` was chosen, by default or on the command line."""
        node = self._cfg.get(group)
        return node is not None and ("name" in node or "_target_" in node)

    def title(self, group: str) -> str:
        """What people call the section: its choice in the group, or what a checkpoint says."""
        choice = self.choices.get(group, "None")
        if choice != "None":
            return choice
        node = self._cfg[group]
        return str(node.get("name") or node.get("_target_"))

    def section(self, group: str) -> Any:
        """The section as an instance of its dataclass, or as `Custom`, with interpolations resolved."""
        if group not in self._sections:
            self._sections[group] = self._section(group)
        return self._sections[group]

    def _section(self, group: str) -> Any:
        node = self._cfg[group]
        if "_target_" in node:
            return _custom(group, _resolved(self, group))
        cls = registry.section(group, node["name"])
        values = _resolved(self, group, cls)
        try:
            return _typed(cls, values, group)
        except ConfigError as error:
            if not any(OmegaConf.is_interpolation(node, key) for key in node):
                raise
            raise ConfigError(
                f"{group}={self.title(group)} does not fit data={self.title('data')}: {error.message}",
                f"{error.hint}; choose another {group}, or other data",
            ) from error

    def written(self, group: str) -> dict[str, Any]:
        """The section as plain values, its interpolations as they were written: before the data are there."""
        return plain(self._cfg.get(group))

    def fill_data(self, facts: Mapping[str, Any]) -> None:
        """Enter what only the data can tell (`num_classes` ...), which models take by interpolation."""
        for name, value in facts.items():
            given = self._cfg.data.get(name)
            if given is not None and given != value:
                raise ConfigError(
                    f"data.{name}={given}: the data have {shown(value)}",
                    f"leave data.{name} out; it is read from the data",
                )
            OmegaConf.update(self._cfg, f"data.{name}", value, force_add=True)
        self._sections.clear()

    def facts(self) -> dict[str, Any]:
        """What is known of the data so far: `features`, `outputs`, `num_classes`, `channels`, `size`."""
        names = ("features", "outputs", "num_classes", "channels", "size")
        data = self._cfg.get("data")
        return {name: data[name] for name in names if data is not None and data.get(name) is not None}

    def adopt(self, group: str, described: Mapping[str, Any]) -> None:
        """Take a section from a checkpoint's description: plain scalars, checked against our registry.

        What was typed on the command line goes before the description, and the description before
        defaults. Where the user chose something else for the group, the description is left aside.
        """
        if not _inert(described):
            raise ConfigError(f"the checkpoint's description of its {group} holds expressions, not plain values")
        node = self._cfg.get(group)
        name = described.get("name")
        if node is not None and "_target_" in node:
            if node["_target_"] != described.get("class"):
                return
        elif node is not None and "name" in node and node["name"] != name:
            return
        if node is None or not ("name" in node or "_target_" in node):
            cls = registry.section(group, str(name))
            if cls is None:
                raise ConfigError(f"the checkpoint's {group} is '{name}', which trainer does not have")
            node = OmegaConf.create(_defaults(cls) | plain(node))
        typed = {o.lstrip("+").split("=", 1)[0] for o in self.typed}
        values = {k: v for k, v in described.items() if k not in ("name", "class")}
        _check_described(group, node, values)
        for key, value in values.items():
            if f"{group}.{key}" not in typed:
                node[key] = value
        if "root" in values and not {"data.root", "data.download"} & typed:
            node["download"] = False  # a file does not say where on this machine to write
        if "_target_" not in node:
            _check(registry.section(group, str(name)), plain(node), group)
        self._cfg[group] = node
        self._sections.clear()

    def describe(self, group: str) -> dict[str, Any]:
        """The section as plain scalars for a checkpoint: what it is, without how it was got.

        What comes from the environment stays out: it may be a secret, and is not true elsewhere.
        """
        section = self.section(group)
        if isinstance(section, Custom):
            common = _public(section.common) if section.common else {}
            found = {**section.kwargs, **common, "class": section.target}  # no keyword of a call can be `class`
        else:
            found = {"name": section.name, **_public(section)}
        from_environment = self._from_environment(group)
        return {k: v for k, v in found.items() if k not in from_environment}

    def _from_environment(self, group: str) -> set[str]:
        """The keys whose values hang on an environment variable, however indirectly."""
        marker = "\0from the environment\0"
        found: set[str] = set()
        OmegaConf.register_new_resolver("oc.env", lambda *names: marker, replace=True)
        try:
            for key in self._cfg[group]:
                try:
                    value = _followed(self._cfg[group], key)
                except OmegaConfBaseException:
                    value = marker  # made of it, and not to be made of the marker
                if marker in str(value) or repr(marker)[1:-1] in str(value):
                    found.add(str(key))
        finally:
            OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
        return found

    def to_yaml(self) -> str:
        """What was composed, with `${...}` left as written: the environment's values never reach a file."""
        return OmegaConf.to_yaml(self._cfg)

    def digest(self, free: Collection[str] = ()) -> str:
        """A digest of what the results hang on: of all keys but those that say where, and with what beside it.

        Without the keys that are `free`, like `seed` or `optim.lr`, or `optim.*`: all of a section but which it is.
        """
        free = (*_BESIDE, *free)

        def bound(values: dict[str, Any], above: str = "") -> dict[str, Any]:
            kept = {k: v for k, v in values.items() if above + k not in free}
            if f"{above}*" in free:
                kept = {k: v for k, v in kept.items() if k in ("name", "_target_")}
            return {k: bound(v, f"{above}{k}.") if isinstance(v, dict) else v for k, v in kept.items()}

        found = bound(plain(self._cfg))
        return hashlib.blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=16).hexdigest()


_BESIDE = (
    *("name", "output", "device", "plots", "checkpoint", "tensorboard", "sweep", "search"),
    *(f"data.{key}" for key in ("placement", "workers", "cache", "download", "eval_batch_size")),
)


# --- Hydra --------------------------------------------------------------------------------------------


@functools.cache  # Hydra keeps what it was told for the whole process
def register() -> None:
    """Tell Hydra our declared defaults (configs start from `/ClassName@_here_`) and the user's `./configs`."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    store = ConfigStore.instance()
    declared = [cls for group in registry.GROUPS for cls in registry.sections(group).values()]
    declared += [registry.of_verb(verb) for verb in registry.verbs()]
    for cls in [*declared, *filter(None, map(registry.shared, registry.GROUPS))]:
        store.store(name=cls.__name__, node=_defaults(cls))
    # Hydra copies the places that it looks in whenever it composes; all of our defaults would be a fourth of that.
    ConfigStore.__deepcopy__ = lambda self, memo: self  # type: ignore[attr-defined]

    class LocalConfigs(SearchPathPlugin):
        """The user's own `./configs` is searched before ours."""

        def manipulate_search_path(self, search_path: Any) -> None:
            local = Path("configs").absolute()
            if local.is_dir() and local.resolve() != CONFIGS.resolve():
                search_path.prepend("local", f"file://{local}")

    Plugins.instance().register(LocalConfigs)


def group_choices(group: str) -> list[str]:
    """The choices of a config group: ours and those in `./configs`."""
    folders = [CONFIGS / group, Path("configs") / group]
    return sorted({p.stem for folder in folders for p in folder.glob("*.yaml")})


def explain(error: Exception) -> ConfigError | None:
    """Hydra's and OmegaConf's complaints about what the user typed, in one line and a hint; None: a bug."""
    import yaml
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        known = [str(o) for o in error.options or []]
        shown = f"{group}={choice}" if group else choice
        return ConfigError(f"{shown}: no such config", did_you_mean(choice, known))
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"cannot read '{error.override.lstrip('+')}'",
            "quote values with special characters: 'key=\"a, b\"'",
        )
    if isinstance(error, yaml.YAMLError):
        where = getattr(error, "problem_mark", None)
        at = f"{where.name}, line {where.line + 1}: " if where else ""
        return ConfigError(f"{at}not valid YAML", str(getattr(error, "problem", "") or ""))
    if isinstance(error, HydraException | OmegaConfBaseException):
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        return ConfigError(first_line(cause))
    return None


# --- checking -----------------------------------------------------------------------------------------


def check(verb: str, cfg: DictConfig, typed: list[str], choices: dict[str, str]) -> Composed:
    """Check every key of a composed config against its declaration.

    Raises:
        ConfigError: an unknown or missing key, a wrong type, a value out of range.
    """
    cls = registry.of_verb(verb)
    OmegaConf.set_struct(cfg, False)  # what may be in it is for the declarations to say
    values = plain(cfg)
    described = values.get("ckpt") is not None or values.get("from") is not None  # by a checkpoint
    groups = [g for g in registry.GROUPS if g in {f.name for f in dataclasses.fields(cls)}]
    root = {k: v for k, v in values.items() if k not in groups}
    _check(cls, root, "", also=groups)
    for group in groups:
        section = values.get(group)
        if section is None:
            if not (described and group in ("model", "data")):
                raise ConfigError(f"{group}= is missing", f"choose one: {group}={'|'.join(group_choices(group))}")
            continue
        if not isinstance(section, dict):
            raise ConfigError(f"{group}={section}: no such config", did_you_mean(str(section), group_choices(group)))
        _check_group(group, section, described and group in ("model", "data"))
    settings = _typed(cls, root | dict.fromkeys(groups), "")
    composed = Composed(settings, typed, choices, _cfg=cfg)
    for group in groups:
        if group != "model" and composed.given(group):  # a model's interpolations wait for the data
            composed.section(group)
    return composed


def check_sweep(cfg: DictConfig) -> None:
    """Check what says how a sweep is run: a mistake there is no job's own.

    Raises:
        ConfigError: an unknown or missing key, a wrong type, a value out of range.
    """
    for group in registry.OF_A_SWEEP:
        section = plain(cfg).get(group)
        if isinstance(section, dict):
            _check_group(group, section, from_checkpoint=False)


def _check_group(group: str, section: dict[str, Any], from_checkpoint: bool) -> None:
    if "_target_" in section:
        if not isinstance(section["_target_"], str) or "." not in section["_target_"]:
            raise ConfigError(f"{group}._target_={section['_target_']}: not of the form module.Class")
        common = registry.shared(group)
        if common:
            names = {f.name for f in dataclasses.fields(common)}
            _check(common, {k: v for k, v in section.items() if k in names}, group)
        return
    name = section.get("name")
    if name is None:
        if from_checkpoint:
            return  # overrides of a section that the checkpoint describes
        raise ConfigError(f"{group} has no name", f"choose one: {group}={'|'.join(group_choices(group))}")
    declared = registry.section(group, name)
    if declared is None:
        raise ConfigError(
            f"{group}.name={name}: trainer has no such {group}",
            did_you_mean(str(name), registry.names(group))
            + f" (a {group} of your own is named by _target_: module.Class)",
        )
    _check(declared, section, group)


_passed: set[tuple[type, str, str]] = set()  # sections that are right: the jobs of a sweep share most of them


def _check(cls: type, values: Mapping[str, Any], path: str, also: Iterable[str] = ()) -> None:
    """Check keys, types and limits of one section; interpolated values are checked once resolved."""
    section = (cls, path, repr(values))
    if section not in _passed:
        _check_keys(cls, values, path, also)
        _passed.add(section)


def _check_keys(cls: type, values: Mapping[str, Any], path: str, also: Iterable[str]) -> None:
    fields = {public(f.name): f for f in dataclasses.fields(cls)}
    hints = {public(name): hint for name, hint in typing.get_type_hints(cls).items()}
    typed = OmegaConf.structured(cls)
    for name, value in values.items():
        full = f"{path}.{name}" if path else name
        if name not in fields:
            raise UnknownKeyError(f"{full}: no such key", did_you_mean(name, [*fields, *also]))
        if dataclasses.is_dataclass(hints[name]) and isinstance(hints[name], type):
            if not isinstance(value, dict):
                raise ConfigError(f"{full}={shown(value)}: a section, not a value", f"set its keys: {full}.KEY=VALUE")
            _check(hints[name], value, full)
            continue
        if value == "???":
            raise ConfigError(f"{full}= is missing", f"give {full}=...: {fields[name].metadata['doc']}")
        if isinstance(value, str) and "${" in value:
            continue
        if hints[name] is int and isinstance(value, float) and not value.is_integer():
            raise _wrong_type(full, value, hints[name])
        try:
            typed[fields[name].name] = value
        except ValidationError as error:
            raise _wrong_type(full, value, hints[name]) from error
        _check_limits(full, typed[fields[name].name], fields[name].metadata)


def _check_limits(full: str, value: Any, limits: Mapping[str, Any]) -> None:
    if OmegaConf.is_list(value):
        if len(value) != limits.get("length", len(value)):
            raise ConfigError(f"{full}={value}: wrong length", f"it must have {limits['length']} numbers")
        for item in value:
            _check_limits(full, item, limits)
    elif isinstance(value, str) and "choices" in limits and value not in limits["choices"]:
        raise ConfigError(f"{full}={value}: no such choice", did_you_mean(value, limits["choices"]))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        tests: list[tuple[str, str, Callable[[float, float], bool]]] = [
            ("minimum", "at least", lambda v, limit: v >= limit),
            ("above", "above", lambda v, limit: v > limit),
            ("maximum", "at most", lambda v, limit: v <= limit),
            ("below", "below", lambda v, limit: v < limit),
        ]
        bounds = [(words, limits[name], holds) for name, words, holds in tests if name in limits]
        if not math.isfinite(value) or not all(holds(value, limit) for _, limit, holds in bounds):
            wanted = " and ".join(f"{words} {limit}" for words, limit, _ in bounds) or "a finite number"
            raise ConfigError(f"{full}={value}: out of range", f"it must be {wanted}")


def _wrong_type(full: str, value: Any, hint: Any) -> ConfigError:
    optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
    inner = next(t for t in typing.get_args(hint) if t is not type(None)) if optional else hint
    if typing.get_origin(inner) is list:
        wanted = "a list of texts, like [a,b]" if str in typing.get_args(inner) else "a list of numbers, like [0.5,0.5]"
    else:
        wanted = _TYPE_NAMES.get(inner, str(inner))
    return ConfigError(f"{full}={shown(value)}: wrong type", f"it must be {wanted}{' or null' if optional else ''}")


def _typed(cls: type, values: Mapping[str, Any], path: str) -> Any:
    return copy.deepcopy(_made(cls, _Same(values), path))


class _Same(dict[str, Any]):
    """Values that are looked up by what is written."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)  # 1, 1.0 and True are equal


@functools.lru_cache(maxsize=1000)
def _made(cls: type, values: _Same, path: str) -> Any:
    _check(cls, {k: v for k, v in values.items() if v is not None or path}, path)
    names = {public(f.name): f.name for f in dataclasses.fields(cls)}
    merged = OmegaConf.merge(OmegaConf.structured(cls), {names[k]: v for k, v in values.items()})
    try:
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere
        raise ConfigError(f"{error.full_key}: {first_line(error)}") from error


def _custom(group: str, values: dict[str, Any]) -> Custom:
    common = registry.shared(group)
    names = {f.name for f in dataclasses.fields(common)} if common else set()
    shared = {k: values.pop(k) for k in list(values) if k in names}
    target = values.pop("_target_")
    if common:
        shared["name"] = target
    return Custom(target, values, _typed(common, shared, group) if common else None)


def _resolved(composed: Composed, group: str, cls: type | None = None) -> dict[str, Any]:
    """The section's values, interpolations followed; says which fact of the data a model lacks."""
    node = composed._cfg[group]
    values: dict[str, Any] = {}
    for name in node:
        try:
            value = _followed(node, name)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{group}.{name}: {first_line(error)}") from error
        if value is None and OmegaConf.is_interpolation(node, name) and cls is not None:
            source = str(plain(node)[name]).strip("${}")
            data = composed._cfg.data.get("name", composed.choices.get("data", "the data"))
            what = "images" if source in ("data.channels", "data.size") else f"{source}"
            raise ConfigError(
                f"model={node.get('name')} needs {what}, which data={data} does not have ({group}.{name} is {source})",
                "model=linear and model=mlp work with any data",
            )
        values[name] = value
    return values


def _followed(node: DictConfig, key: Any) -> Any:
    """A value as plain Python, its interpolations followed."""
    value = node[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def plain(node: Any) -> dict[str, Any]:
    """A section as plain Python, its interpolations as they were written."""
    if node is None:
        return {}
    values = OmegaConf.to_container(node, resolve=False)
    assert isinstance(values, dict)
    return typing.cast(dict[str, Any], values)


def _defaults(cls: type) -> dict[str, Any]:
    """A section's defaults as plain values; groups are left out, for a defaults list fills them."""
    values = plain(OmegaConf.structured(cls))
    return {public(k): v for k, v in values.items() if k not in registry.GROUPS}


def _check_described(group: str, node: DictConfig, values: Mapping[str, Any]) -> None:
    """A file says what a section is, not how to get it; and it gives a class of the user's no keys they do not have."""
    own = "_target_" in node
    cls = registry.shared(group) if own else registry.section(group, node["name"])
    fields = {f.name: f for f in dataclasses.fields(cls)} if cls else {}
    for key in values:
        if (key in fields and fields[key].metadata.get("private")) or (own and key not in fields and key not in node):
            raise ConfigError(
                f"the checkpoint sets {group}.{key}, which a file may not", f"if you want it, type {group}.{key}=..."
            )


def _inert(value: Any) -> bool:
    """Whether a value of a file is plain: no interpolation, and no `_target_` or other key of Hydra's."""
    if isinstance(value, str):
        return "${" not in value
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and not k.startswith("_") and _inert(k) and _inert(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_inert, value))
    return True


def _public(section: Any) -> dict[str, Any]:
    """The keys that say what a section is, without its name and how it was got."""
    private = {f.name for f in dataclasses.fields(section) if f.metadata.get("private")} | {"name"}
    return {k: v for k, v in dataclasses.asdict(section).items() if k not in private}


def shown(value: Any) -> str:
    """A value as it is typed."""
    return "null" if value is None else str(value)
