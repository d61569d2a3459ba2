"""A clock that gives each moment of an epoch to exactly one part of it, so that the parts add up to the whole."""

import time
from collections import defaultdict
from collections.abc import Callable

DATA, FORWARD, BACKWARD, OPTIMIZER = "data", "forward", "backward", "optimizer"
STEP = "step"  # the whole of a step that runs as one CUDA graph
EVALUATION, HOOKS, REST = "evaluation", "hooks", "rest"
READING, GATHERING, AUGMENTING, MIXING, NORMALISING = (
    f"{DATA}/{name}" for name in ("reading", "gathering", "augmentation", "mixing", "normalising")
)
EVALUATION_DATA, EVALUATION_MODEL = f"{EVALUATION}/data", f"{EVALUATION}/forward, loss and metrics"
LOOKS = 5  # at how long it takes to wait for nothing
OF_A_STEP = (DATA, FORWARD, BACKWARD, OPTIMIZER, STEP, REST)  # what a step of the training consists of


def kind(part: str) -> str:
    """What a part is a part of: `data` of `data/reading`."""
    return part.partition("/")[0]


class Clock:
    """Counts the seconds of the part that is being done; `to` says which comes next.

    A GPU computes while Python goes on, so that what a call takes says little. With `wait`, which waits for the device,
    the parts within a step are told apart in a sample of the steps only, in which the clock waits before each look; the
    time of all steps is then divided as that of the sample is. What the waiting itself takes is no part of the sample.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter, wait: Callable[[], object] | None = None) -> None:
        self.now, self.wait = now, wait
        self.seconds: dict[str, float] = defaultdict(float)
        self.sampled: dict[str, float] = defaultdict(float)  # of steps that are waited for
        self.running = self.sampling = False
        self.told: Callable[[str], object] | None = None  # which part begins
        self.part = REST
        self._since = self._cost = self._waited = 0.0

    def start(self) -> None:
        """Begin to count."""
        self.running, self.sampling, self.part = True, False, REST
        self._cost = self._of_waiting()
        self._begun = self._since = self._looked()

    def to(self, part: str) -> str:
        """Begin with a part; the one before it, to be gone back to."""
        before, self.part = self.part, part
        if self.running:
            if self.sampling and self.wait is not None:
                self.wait()
            now = self.now()
            spent = now - self._since
            if self.sampling:
                waited = min(self._cost, spent)
                self._waited += waited
                self.sampled[before] += spent - waited
            else:
                self.seconds[before] += spent
            self._since = now
        if self.told is not None:
            self.told(part)
        return before

    def sample(self, on: bool) -> None:
        """Wait for the device at each look from now on, or no longer; without a device to wait for nothing changes."""
        if self.wait is None or on == self.sampling or not self.running:
            return
        if on:
            self.wait()  # for all that was begun before, which belongs to steps that are not in the sample
        self.to(self.part)
        self.sampling = on

    def stop(self) -> float:
        """Count no longer; the seconds since the start."""
        self.sample(False)
        if self.wait is not None:
            self.wait()
        self.to(REST)
        self.running = False
        return self._since - self._begun

    def parts(self) -> dict[str, float]:
        """The seconds of each part: they add up to those between start and stop."""
        if not self.sampled:
            return dict(self.seconds)
        of_steps = {part for part in (*self.seconds, *self.sampled) if kind(part) in OF_A_STEP}
        whole = sum(self.seconds.get(part, 0.0) + self.sampled.get(part, 0.0) for part in of_steps) + self._waited
        sample = sum(self.sampled.get(part, 0.0) for part in of_steps)
        found = {part: seconds for part, seconds in self.seconds.items() if part not in of_steps}
        for part, seconds in self.sampled.items():
            found[part] = whole * seconds / sample if part in of_steps else found.get(part, 0.0) + seconds
        return found

    def _of_waiting(self) -> float:
        """The seconds that it takes to wait for a device that has nothing to do."""
        if self.wait is None:
            return 0.0
        self.wait()
        found = []
        for _ in range(LOOKS):
            begun = self.now()
            self.wait()
            found.append(self.now() - begun)
        return min(found)

    def _looked(self) -> float:
        if self.wait is not None:
            self.wait()
        return self.now()
