"""One pass over what was composed: every key is known, of its type and within its limits."""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, OmegaConf, StringNode, ValueNode
from omegaconf.errors import ValidationError

from trainer.config import named, registry, synonyms
from trainer.config.base import Config, Custom
from trainer.config.composition import group_choices
from trainer.config.keys import MISSING, public, shown
from trainer.config.written import followed, interpolated, plain
from trainer.system.errors import ConfigError, MissingKeyError, UnknownKeyError, did_you_mean

LARGEST = 2**63 - 1  # whole number that torch can hold
_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_NODES: dict[type, ValueNode] = {int: IntegerNode(), float: FloatNode(), bool: BooleanNode(), str: StringNode()}


def check(verb: str, cfg: DictConfig, typed: list[str], choices: dict[str, str]) -> Any:
    """Check a composed config; the instance of the verb's dataclass that it stands for.

    Raises:
        ConfigError: A key is unknown or missing, a value has the wrong type or is out of range.
    """

    cls = registry.of_verb(verb)
    OmegaConf.set_struct(cfg, False)  # which keys there may be is for the declarations to say
    values = plain(cfg)
    try:
        return _checked(verb, cls, cfg, values, typed, choices)
    except UnknownKeyError as error:
        from trainer.config import meant  # late: most often nothing is wrong

        error.hint = meant.explained(error, verb, values, typed)
        raise


def _checked(
    verb: str, cls: Any, cfg: DictConfig, values: dict[str, Any], typed: list[str], choices: dict[str, str]
) -> Any:
    groups = [group for group in registry.GROUPS if group in {f.name for f in dataclasses.fields(cls)}]
    root = {key: value for key, value in values.items() if key not in (*groups, *cls.NAMES)}
    config: Config = made(cls, followed(cfg, root, verb), "", groups)
    config.typed, config.choices, config._cfg = typed, choices, cfg
    described = ("model", "data") if root.get("ckpt") is not None or root.get("from") is not None else ()
    for group in groups:
        value = values.get(group)
        setattr(config, group, None)
        if value is None and group not in described:
            raise ConfigError(f"{group}= is missing", _choose(group))
        if value is not None and not isinstance(value, dict):
            known = group_choices(group)
            in_a_file = f"a file chooses it under its defaults: - override /{group}: {shown(value)}"
            hint = in_a_file if value in known else did_you_mean(shown(value), known)
            raise ConfigError(f"{group}={shown(value)}: no such config", hint)
        if config.given(group):
            take(config, group, values[group])
        elif value is not None and group not in described:  # else these are overrides of what a checkpoint describes
            raise ConfigError(f"{group} has no name", _choose(group))
    from trainer.config import own_parts  # late, for it makes sections by what is here

    own_parts.take_named(config)
    return config


def check_sweep(cfg: DictConfig) -> dict[str, Any]:
    """Check the sections that say how a sweep is run, and return them: a mistake there is no mistake of one job.

    Raises:
        ConfigError: A key is unknown or missing, a value has the wrong type or is out of range.
    """
    for group in registry.OF_A_SWEEP:
        if not isinstance(cfg.get(group), DictConfig):
            raise ConfigError(f"{group}={cfg.get(group)}: no such config", _choose(group))
    return {group: _section(group, cfg[group], plain(cfg[group])) for group in registry.OF_A_SWEEP}


def take(config: Config, group: str, written: dict[str, Any]) -> None:
    """Make the field of a group from what was composed; of a model check what does not come from the data."""
    if group != "model":
        setattr(config, group, _section(group, config._cfg[group], written))
    elif not _is_own(group, written):
        converted(declaration(group, written), {k: v for k, v in written.items() if not interpolated(v)}, group)


def model(config: Config) -> Any:
    """The section of the model, with what it takes from the data.

    Raises:
        ConfigError: The model needs what the data do not have, or cannot work with it.
    """
    node, written, data = config._cfg.model, config.written("model"), config.title("data")
    if "_target_" in written:
        return _section("model", node, written)
    waiting = {key: value for key, value in written.items() if interpolated(value)}
    for key, value in followed(node, waiting, "model").items():
        if value is None:
            source = str(waiting[key]).strip("${}")
            what = "images" if source in ("data.channels", "data.size") else source
            raise ConfigError(
                f"model={written['name']} needs {what}, which data={data} does not have (model.{key} is {source})",
                "model=linear and model=mlp work with any data",
            )
    try:
        return _section("model", node, written)
    except ConfigError as error:
        raise ConfigError(
            f"model={config.title('model')} does not fit data={data}: {error.message}",
            f"{error.hint}; choose another model, or other data",
        ) from error


def _section(group: str, node: DictConfig, written: dict[str, Any]) -> Any:
    """An instance of the dataclass that a section names, or `Custom`."""
    if not _is_own(group, written):
        return made(declaration(group, written), followed(node, written, group), group)
    return own_section(group, registry.beside(group), node, written)


def own_section(path: str, beside: Any, node: DictConfig, written: dict[str, Any]) -> Custom:
    """A section of the user's own; `beside` declares the keys in it that are trainer's."""
    target = _checked_target(path, written)
    values = followed(node, written, path)
    del values["_target_"]
    if beside is None:
        return Custom(target, values)
    names = {f.name for f in dataclasses.fields(beside)}
    shared = {key: values.pop(key) for key in list(values) if key in names}
    return Custom(target, values, made(beside, shared | ({"name": target} if "name" in names else {}), path))


def _is_own(group: str, written: Mapping[str, Any]) -> bool:
    """Whether a section is the user's own, which not all may be."""
    if "_target_" in written and group not in registry.OF_THE_USER:
        raise ConfigError(f"{group}: one of your own is not supported", _choose(group))
    return "_target_" in written and bool(_checked_target(group, written))


def _checked_target(path: str, written: Mapping[str, Any]) -> str:
    target = written["_target_"]
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(f"{path}._target_={shown(target)}: not of the form module.Class")
    return target


def declaration(group: str, values: Mapping[str, Any]) -> Any:
    """The dataclass of a section by its name."""
    name = values.get("name")
    if (cls := registry.section(group, name)) is None:
        raise ConfigError(
            f"{group}.name={shown(name)}: trainer has no such {group}",
            did_you_mean(shown(name), registry.names(group))
            + f" (a {group} of your own is named by _target_: module.Class)",
        )
    return cls


def _choose(group: str) -> str:
    return f"choose one: {group}={'|'.join(group_choices(group))}"


# --- one section ---


def made(cls: Any, values: Mapping[str, Any], path: str, also: Iterable[str] = ()) -> Any:
    """An instance of a section's dataclass from plain values; `also` are keys that are filled in later."""
    found = converted(cls, values, path, also)
    for name, (field, _) in declared(cls).items():
        if field.default == MISSING and field.name not in found and name not in also:
            raise MissingKeyError(f"{path}.{name}" if path else name, field.metadata["doc"])
    return cls(**found)


def converted(cls: Any, values: Mapping[str, Any], path: str, also: Iterable[str] = ()) -> dict[str, Any]:
    """Plain values as the fields of a dataclass have them.

    Raises:
        ConfigError: A key is unknown or missing, a value has the wrong type or is out of range.
    """
    known, found = declared(cls), {}
    for name, value in values.items():
        full = f"{path}.{name}" if path else name
        if name not in known:
            raise UnknownKeyError(full, [*known, *also])
        field, hint = known[name]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise _no_section(full, value, [field.name for field in dataclasses.fields(hint)])
            found[field.name] = made(hint, value, full)
            continue
        if value == MISSING:
            raise MissingKeyError(full, field.metadata["doc"])
        if isinstance(value, str) and value in field.metadata.get("words", ()):
            found[field.name] = value
            continue
        try:
            found[field.name] = _convert(hint, value)
        except (ValidationError, ValueError) as error:
            raise _wrong_type(full, value, hint, field.metadata.get("words", ())) from error
        except OverflowError as error:  # a whole number that no float can be
            raise ConfigError(f"{full}={shown(value)}: out of range", "it must be a finite number") from error
        _check_limits(full, found[field.name], field.metadata)
    return found


@functools.cache
def declared(cls: Any) -> dict[str, tuple["dataclasses.Field[Any]", Any]]:
    """The fields of a dataclass and their types, by the keys that people type."""
    hints = typing.get_type_hints(cls)
    return {public(field.name): (field, hints[field.name]) for field in dataclasses.fields(cls)}


def _convert(hint: Any, value: Any) -> Any:
    """A value of the type that is declared, as OmegaConf converts it: "3" is a number where one is declared."""
    inner, optional = _unwrapped(hint)
    if hint is Any or (optional and value is None):
        return value
    if isinstance(value, list) and (several := _list_in(hint)) is not None:
        (item,) = typing.get_args(several)
        return [_convert(item, v) for v in value]
    if typing.get_origin(inner) is list:
        raise ValueError
    if value is None or (inner is int and isinstance(value, float) and not value.is_integer()):
        raise ValueError
    if inner is int and isinstance(value, float):
        value = int(value)  # epochs=1e2
    if inner is bool and isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError
    if inner is str and isinstance(value, bool):
        return str(value).lower()  # as it is written in YAML
    return _NODES[inner].validate_and_convert(value)


def _unwrapped(hint: Any) -> tuple[Any, bool]:
    """The first type of `T | None`, or of several, and whether None is allowed."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    within = typing.get_args(hint)
    return next(t for t in within if t is not type(None)), type(None) in within


def _list_in(hint: Any) -> Any:
    """The list among the types of a hint: `list[int]` of `int | list[int]`; None if there is none."""
    return next((t for t in (hint, *typing.get_args(hint)) if typing.get_origin(t) is list), None)


def _check_limits(full: str, value: Any, limits: Mapping[str, Any]) -> None:
    if isinstance(value, list):
        if len(value) != limits.get("length", len(value)):
            raise ConfigError(f"{full}={shown(value)}: wrong length", f"it must have {limits['length']} numbers")
        for item in value:
            _check_limits(full, item, limits)
    elif isinstance(value, str) and "choices" in limits and value not in limits["choices"]:
        own = named.names(limits["kind"]) if "kind" in limits else []
        if value not in own:
            near = synonyms.among(value, synonyms.NEARLY.get(full, {}))
            hint = near or did_you_mean(value, [*limits["choices"], *own])
            raise ConfigError(f"{full}={value}: no such choice", hint)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        tests: list[tuple[str, str, Callable[[float, float], bool]]] = [
            ("minimum", "at least", lambda v, limit: v >= limit),
            ("above", "above", lambda v, limit: v > limit),
            ("maximum", "at most", lambda v, limit: v <= limit),
            ("below", "below", lambda v, limit: v < limit),
        ]
        bounds = [(words, limits[name], holds) for name, words, holds in tests if name in limits]
        sane = math.isfinite(value) if isinstance(value, float) else -LARGEST <= value <= LARGEST
        if not sane or not all(holds(value, limit) for _, limit, holds in bounds):
            wanted = " and ".join(f"{words} {limit}" for words, limit, _ in bounds) or "a finite number"
            raise ConfigError(f"{full}={shown(value)}: out of range", f"it must be {wanted}")


def _no_section(full: str, value: Any, names: Sequence[str]) -> ConfigError:
    hint = f"its keys are {', '.join(f'{full}.{name}' for name in names[:4])}"
    if full == "checkpoint" and isinstance(value, str):
        hint = f"it says when checkpoints are written; to start from one: from={value}"
    if isinstance(value, bool):
        hint = f"did you mean {full}.enabled={str(value).lower()}?" if "enabled" in names else hint
        value = str(value).lower()
    return ConfigError(f"{full}={shown(value)}: a section, not a value", hint)


def _wrong_type(full: str, value: Any, hint: Any, words: tuple[str, ...]) -> ConfigError:
    inner, optional = _unwrapped(hint)
    if typing.get_origin(inner) is list:
        wanted = "a list of texts, like [a,b]" if str in typing.get_args(inner) else "a list of numbers, like [0.5,0.5]"
    else:
        wanted = _TYPE_NAMES.get(inner, str(inner)) + (", or a list of such" if _list_in(hint) else "")
    also = "".join(f" or {word}" for word in (*words, *(["null"] if optional else [])))
    several = isinstance(value, list) and len(value) > 1 and _list_in(hint) is None
    sweep = f"; several are a sweep: -m {full}={','.join(map(shown, value))}" if several else ""
    return ConfigError(f"{full}={shown(value)}: wrong type", f"it must be {wanted}{also}{sweep}")
