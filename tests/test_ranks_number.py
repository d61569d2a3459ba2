"""How many ranks a command takes, and what `devices=auto` says of it."""

from collections.abc import Callable, Sequence

import pretending
import pytest
from composing import composed

from trainer.run.ranks import number
from trainer.system.errors import DeviceError

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Lets the machine have so many cores, and GPUs of these names."""

    def made(cores: int, gpus: Sequence[str] = ()) -> None:
        pretending.cores(monkeypatch, cores)
        if gpus:
            pretending.gpus(monkeypatch, *gpus)

    return made


@pytest.mark.parametrize(
    ("words", "cores", "gpus", "batch", "size", "said"),
    [
        (("model=lenet",), 4, (), 64, 4, "4, processes of one thread each"),
        (("model=lenet",), 4, (), 32, 2, "2, processes of one thread each"),
        (("model=lenet",), 4, (), 20, 1, "1, for batches of 20 are too small"),
        (("model=lenet",), 1, (), 64, 1, "1, for there is one core"),
        (("model=mlp",), 4, (), 64, 1, "1, for on a CPU only small convolutional nets"),
        (("model=mlp",), 4, ("0", "3"), 64, 2, "2, all GPUs that are visible"),
        (("model=mlp",), 4, ("3",), 64, 1, "1, the one GPU that is visible"),
        (("model=lenet", "device=cpu"), 2, ("0", "1"), 64, 2, "2, processes of one thread each"),
        (("model=lenet", "device=cuda:1"), 2, ("0", "1"), 64, 1, "1, for device=cuda:1 is one"),
        (("model=lenet",), 4, (), None, 1, "1, whose 4 threads share each batch"),
    ],
)
def test_auto_says_what_it_takes(
    machine: Machine, words: tuple[str, ...], cores: int, gpus: tuple[str, ...], batch: int | None, size: int, said: str
) -> None:
    machine(cores, gpus)
    found, visible, why = number.chosen(composed("train", *words, "devices=auto"), batch)
    assert found == size
    assert why.startswith(f"devices=auto: {said}")
    assert visible == (list(gpus) if size > 1 and "device=cpu" not in words else [])


def test_each_rank_has_a_gpu_of_its_own(machine: Machine) -> None:
    machine(4, ("2", "5", "7"))
    assert number.chosen(composed("train", "devices=2"), 64) == (2, ["2", "5"], "")


def test_a_cpu_has_as_many_ranks_as_are_asked_for(machine: Machine) -> None:
    machine(2)
    assert number.chosen(composed("train", "devices=3"), 64) == (3, [], "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("devices=3",), "devices=3: this machine has 2 GPUs"),
        (("devices=2", "device=cuda:0"), "devices=2 device=cuda:0: that is one device"),
        (("devices=2", "device=mps"), "devices=2 device=mps: that is one device"),
    ],
)
def test_devices_that_are_not_there_are_refused(machine: Machine, words: tuple[str, ...], said: str) -> None:
    machine(4, ("0", "1"))
    with pytest.raises(DeviceError, match=said):
        number.chosen(composed("train", *words), 64)
