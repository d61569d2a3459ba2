"""What a look has found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of `trainer check`: what was `looked_at`, what was `found`, and what to type or do about it.

    What is `wrong` spoils the training or its figures, and `trainer check` ends with exit code 1. What has advice and
    is not wrong is worth knowing. All other findings are as they should be.
    """

    looked_at: str
    found: str
    advice: str = ""
    wrong: bool = False

    def __post_init__(self) -> None:
        assert self.advice or not self.wrong, f"{self.found}: what to do about it is not said"
