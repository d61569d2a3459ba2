"""What the configs of all verbs have in common, beside their keys.

OmegaConf is imported where it is needed: that takes as long as the help of a verb.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from trainer.config.keys import shown
from trainer.system.errors import ConfigError

FACTS = ("features", "outputs", "num_classes", "channels", "size")  # what models take from the data

# Keys that no result depends on: where a run lies, and what is done beside training.
BESIDE = (
    *(
        "name",
        "output",
        "device",
        "devices",
        "rank_timeout",
        "plots",
        "tables",
        "checkpoint",
        "tensorboard",
        "sweep",
        "search",
        "tracking",
    ),
    *(f"data.{key}" for key in ("placement", "workers", "cache", "cache_limit", "download", "eval_batch_size")),
)


@dataclass(frozen=True)
class Custom:
    """A section of the user's own: `_target_` names their class, which is called with `kwargs`.

    `common` holds the keys that trainer itself reads (batch size, splits, ...) where the group has such.
    """

    target: str
    kwargs: dict[str, Any]
    common: Any = None


class Config:
    """A checked config: the dataclass of a verb derives from this, and its fields are the keys.

    The field of a group, such as `config.optim`, is an instance of the dataclass that was chosen, or `Custom`. A model
    takes its shapes from the data: it is None until `fill_data`. What only a checkpoint says is None until `adopt`.
    """

    typed: list[str]  # the overrides on the command line
    choices: dict[str, str]  # the choice in each group
    NAMES: ClassVar[tuple[str, ...]] = ()  # the kinds of parts of the user's own that keys of the verb name
    own: dict[str, dict[str, Custom]]  # these parts, by kind and name
    directory: Path | None = None  # the run directory that `trainer resume` continues
    model: Any  # these two of the verbs that have them
    data: Any
    _values: dict[str, Any]  # what was composed as plain values, where no DictConfig has been made of them

    @property
    def typed_keys(self) -> set[str]:
        """The keys of what was typed."""
        return {word.lstrip("+").partition("=")[0] for word in self.typed}

    @cached_property
    def _cfg(self) -> Any:
        """What was composed as a DictConfig, with `${...}` as it is written."""
        from omegaconf import OmegaConf

        return OmegaConf.create(self._values)

    def take_over(self, values: dict[str, Any]) -> None:
        """Let these plain values be what was composed: a DictConfig takes time and memory, and is made if need be."""
        self._values = values
        vars(self).pop("_cfg", None)

    def composed(self) -> dict[str, Any]:
        """What was composed as plain values, with `${...}` as it is written; they are not to be changed."""
        from trainer.config.written import plain

        return plain(self._cfg) if "_cfg" in vars(self) else self._values

    def _section(self, group: str) -> Any:
        return (self._cfg if "_cfg" in vars(self) else self._values).get(group)

    def given(self, group: str) -> bool:
        """Whether a section was chosen for `group`, by default or on the command line."""
        node = self._section(group)
        return node is not None and ("name" in node or "_target_" in node)

    def title(self, group: str) -> str:
        """What people call the section: its choice in the group, or what a checkpoint says."""
        choice = self.choices.get(group, "None")
        if choice != "None":
            return choice
        node = self._cfg[group]
        return str(node.get("name") or node.get("_target_"))

    def called(self, group: str) -> str:
        """What a run or a table calls the section: like `title`, but a network of a library by its own name."""
        written = self.written(group)
        arch = None if "_target_" in written else written.get("arch")
        return arch if isinstance(arch, str) and "${" not in arch else self.title(group)

    def written(self, group: str) -> dict[str, Any]:
        """The section as plain values, with `${...}` as it is written: what is known before the data are read."""
        from trainer.config.written import plain

        return plain(self._section(group))

    def facts(self) -> dict[str, Any]:
        """What is known of the data so far: those of `FACTS` that have a value."""
        return {name: value for name in FACTS if (value := getattr(self.samples, name, None)) is not None}

    @property
    def samples(self) -> Any:
        """The keys that all data sets have, of ours and of the user's (`trainer.config.data.Data`)."""
        return self.data.common if isinstance(self.data, Custom) else self.data

    def fill_data(self, facts: Mapping[str, Any]) -> None:
        """Enter what only the data can tell (`num_classes` ...), and complete the model with it.

        Raises:
            ConfigError: The data contradict a key, or the model needs what they do not have.
        """
        from trainer.config import check, own_parts

        for name, value in facts.items():
            before = getattr(self.samples, name)
            if before is not None and before != value:
                raise ConfigError(
                    f"data.{name}={before}: the data have {shown(value)}",
                    f"leave data.{name} out; it is read from the data",
                )
        self.enter_data(facts)
        if self.given("model"):
            self.model = check.model(self)
        own_parts.complete(self)

    def enter_data(self, values: Mapping[str, Any]) -> None:
        """Give keys of the data other values, in what `to_yaml` writes as well."""
        from omegaconf import OmegaConf

        for name, value in values.items():
            setattr(self.samples, name, value)
            OmegaConf.update(self._cfg, f"data.{name}", value, force_add=True)

    def change(self, key: str, value: Any) -> None:
        """Give a key another value, `early_stopping.patience`, say, in what `to_yaml` writes as well."""
        from omegaconf import OmegaConf

        *above, name = key.split(".")
        setattr(functools.reduce(getattr, above, self), name, value)
        OmegaConf.update(self._cfg, key, value, force_add=True)

    def choose(self, group: str, section: Any) -> None:
        """Choose a section of ours for a group, in what `to_yaml` writes as well."""
        setattr(self, group, section)
        self.choices[group] = section.name
        self._cfg[group] = dataclasses.asdict(section)

    def describe(self, group: str) -> dict[str, Any]:
        """The section as plain values for a checkpoint: what it is, without how it was got."""
        from trainer.config import description

        return description.describe(self, group)

    def stand_in(self, name: str) -> None:
        """Let the data be some of which no more is known than their `name` and what `fill_data` gives."""
        from trainer.config import registry

        self.data = registry.shared("data")(name=name)
        self._cfg["data"] = dataclasses.asdict(self.data)

    def adopt(self, group: str, described: Mapping[str, Any], file: Path, other_data: bool = False) -> None:
        """Take a section from the description in a checkpoint `file`, where the command line does not say otherwise.

        With `other_data` a model's shapes are left to be taken from the data.

        Raises:
            ConfigError: The description is more than plain values of a section that trainer has.
        """
        from trainer.config import description

        description.adopt(self, group, described, file, other_data)

    def describe_own(self) -> dict[str, dict[str, Any]]:
        """The loss and the metrics of the user's own as plain values for a checkpoint, by kind and name."""
        from trainer.config import description

        return description.describe_own(self)

    def adopt_own(self, described: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Take these from the user's ./configs, where they are as a checkpoint says; the names of the others.

        Raises:
            ConfigError: A section has a mistake.
        """
        from trainer.config import description

        return description.adopt_own(self, described)

    def to_yaml(self) -> str:
        """What was composed, with `${...}` as it is written: no value of the environment reaches a file."""
        from omegaconf import OmegaConf

        return OmegaConf.to_yaml(self._cfg)

    def digest(self, free: Collection[str] = ()) -> str:
        """A digest of the keys that results depend on.

        It leaves out those that are `free`, like `seed`, `optim.lr` or `optim.*` (all of a section but which it is).
        """
        free = (*BESIDE, *free)

        def bound(values: dict[str, Any], above: str = "") -> dict[str, Any]:
            kept = {k: v for k, v in values.items() if above + k not in free}
            if f"{above}*" in free:
                kept = {k: v for k, v in kept.items() if k in ("name", "_target_")}
            return {k: bound(v, f"{above}{k}.") if isinstance(v, dict) else v for k, v in kept.items()}

        found = bound(self.composed())
        return hashlib.blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=16).hexdigest()
