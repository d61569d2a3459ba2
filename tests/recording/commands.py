"""What a case of the recording is made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One call of `trainer`, as it would be typed.

    `{run}` and `{sweep}` stand for the first run and the first sweep that the case has made, `{data}` for the data root
    and `{inputs}` for the folder of small files that `inputs.py` makes.
    """

    typed: str
    interrupt_at: int | None = None  # send Ctrl-C once metrics.jsonl has so many rows
    shows_config: bool = False  # the screen is YAML, and compared key by key
    at_once: bool = False  # jobs run side by side: which of them is seen to begin, and when, is chance
    environment: tuple[tuple[str, str], ...] = ()
    exits: int = 0  # with this code, or the recording does not record what it says


@dataclass(frozen=True)
class Case:
    """Commands that are run one after the other in one directory, empty at first."""

    name: str
    commands: tuple[Command, ...]

    @property
    def needs_data(self) -> bool:
        """Whether it reads MNIST or CIFAR-10."""
        return any("{data}" in command.typed for command in self.commands)


def case(name: str, *commands: str | Command) -> Case:
    """A case whose plain commands are given as text."""
    return Case(name, tuple(Command(each) if isinstance(each, str) else each for each in commands))


def exits(code: int, typed: str) -> Command:
    """A command that ends with another exit code than 0."""
    return Command(typed, exits=code)


def interrupted(typed: str) -> Command:
    """A training that gets Ctrl-C after its second row."""
    return Command(typed, interrupt_at=2, exits=130)


def at_once(typed: str) -> Command:
    """A sweep whose jobs run side by side."""
    return Command(typed, at_once=True)


def shown(typed: str) -> Command:
    """A command that shows a config."""
    return Command(typed, shows_config=True)
