"""Where the value of a key comes from: it was typed, a file says so, or it is the declared default."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.config.choices import called

TYPED = "typed"
DECLARED = "the default"


@dataclass(frozen=True)
class Source:
    """A file that a config is composed of, or a dataclass with declared defaults (`file` is None)."""

    file: str | None
    package: str  # where its keys are in the composed config: optim; empty: at the top
    values: DictConfig

    def has(self, name: str) -> bool:
        """Whether it gives a value to a key by its full name."""
        inner = name.removeprefix(f"{self.package}.") if self.package else name
        if self.package and inner == name:
            return False
        *above, last = inner.split(".")
        node: Any = self.values
        for word in above:
            node = node.get(word) if isinstance(node, DictConfig) else None
        return isinstance(node, DictConfig) and last in node

    def chooses(self, group: str) -> bool:
        """Whether its list of defaults chooses something in a group."""
        entries = self.values.get("defaults")
        named = OmegaConf.to_container(entries) if entries is not None else []
        assert isinstance(named, list)
        keys = [str(key) for entry in named if isinstance(entry, dict) for key in entry]
        return any(key.removeprefix("override ").removeprefix("/") == group for key in keys)


class Origins:
    """The origins of the values of the config `name` with the prepared `overrides`, which were `typed` so.

    They are asked for where `composition.ready()`.
    """

    def __init__(self, name: str, overrides: Sequence[str], typed: Iterable[str]) -> None:
        self._name, self._overrides = name, list(overrides)
        self._typed = {word.partition("=")[0] for word in typed}

    def of(self, name: str) -> str:
        """In words, where the value of a key by its full name, or the choice in a group, comes from."""
        if name in self._typed:
            return TYPED
        last = next((source for source in reversed(self._sources) if source.has(name)), None)
        return DECLARED if last is None or last.file is None else last.file

    def of_choice(self, group: str) -> str:
        """The same of what is chosen in a group."""
        if group in self._typed:
            return TYPED
        last = next((source for source in reversed(self._sources) if source.chooses(group)), None)
        return DECLARED if last is None or last.file is None else last.file

    @functools.cached_property
    def _sources(self) -> list[Source]:
        """What the config is composed of; what comes later goes before what comes earlier."""
        from hydra.core.global_hydra import GlobalHydra
        from hydra.types import RunMode

        loader = GlobalHydra.instance().config_loader()
        places = loader.get_sources()
        found = []
        for part in loader.compute_defaults_list(self._name, self._overrides, RunMode.RUN).defaults:
            path = part.config_path
            place = next((p for p in places if path is not None and p.is_config(path)), None)
            if place is None or path is None or path.startswith("hydra/"):
                continue
            values = place.load_config(path).config
            file = None if place.scheme() == "trainer" else called(Path(place.path) / f"{path}.yaml")
            if isinstance(values, DictConfig):
                found.append(Source(file, part.package or "", values))
        return found
