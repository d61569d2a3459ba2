"""mixup and CutMix against torchvision's, and what a training makes of them."""

from pathlib import Path

import numpy as np
import pytest
import resuming
import torch
import torch.nn.functional as F
from batching import DIGITS, both
from conftest import Trainer
from running import SILENT, rows, same, train, weights
from torch import Tensor

from trainer.config.data import Augment
from trainer.data.augment import Augmenter
from trainer.data.batches import Batches
from trainer.data.mixing import Mixer
from trainer.data.splits import Split
from trainer.engine import losses

CPU = torch.device("cpu")
COUNT, HEIGHT, WIDTH, CLASSES = 23, 8, 6, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images() -> tuple[Tensor, Tensor]:
    """Inputs (B, H, W, C) and classes."""
    return torch.randn(12, HEIGHT, WIDTH, 3, generator=generator()), torch.randint(4, (12,), generator=generator())


@pytest.mark.parametrize("number", range(8))
def test_mixup_is_torchvisions(number: int) -> None:
    from torchvision.transforms.v2 import MixUp

    inputs, targets = images()
    mixer = Mixer(0.4, None, (HEIGHT, WIDTH), CLASSES)
    row = mixer.draw(8, generator())[number : number + 1]
    found, soft = mixer.mix(inputs, targets, row)
    like, share = MixUp(num_classes=CLASSES), float(row[0, 1])
    torch.testing.assert_close(found, like.transform(inputs, {"lam": share, "labels": None, "batch_size": 12}))
    torch.testing.assert_close(soft, like._mixup_label(targets, lam=share))


@pytest.mark.parametrize("number", range(8))
def test_cutmix_is_torchvisions(number: int) -> None:
    from torchvision.transforms.v2 import CutMix

    inputs, targets = images()
    mixer = Mixer(None, 1.0, (HEIGHT, WIDTH), CLASSES)
    row = mixer.draw(8, generator())[number : number + 1]
    found, soft = mixer.mix(inputs, targets, row)
    top, left, bottom, right = map(int, row[0, 2:])
    like, share = CutMix(num_classes=CLASSES), 1 - (bottom - top) * (right - left) / (HEIGHT * WIDTH)
    asked = {"box": (left, top, right, bottom), "labels": None, "batch_size": 12}
    assert torch.equal(found, like.transform(inputs.permute(0, 3, 1, 2), asked).permute(0, 2, 3, 1))
    torch.testing.assert_close(soft, like._mixup_label(targets, lam=share))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    shares = Mixer(alpha, None, ()).draw(20_000, generator())[:, 1].double()
    beta = torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha))
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(shares.var()) == pytest.approx(float(beta.variance), rel=0.03)


def test_with_both_each_batch_gets_one_of_them() -> None:
    drawn = Mixer(0.2, 1.0, (HEIGHT, WIDTH), CLASSES).draw(4_000, generator())
    cuts = drawn[:, 0] > 0
    assert float(cuts.double().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(drawn[~cuts, 1].var()) > float(drawn[cuts, 1].var())  # Beta(0.2, 0.2) lies at the ends


def test_rectangles_lie_in_the_image_and_their_area_is_the_share_of_the_other() -> None:
    drawn = Mixer(None, 1.0, (HEIGHT, WIDTH), CLASSES).draw(1_000, generator()).double()
    top, left, bottom, right = drawn[:, 2:].T
    assert bool(((top >= 0) & (top <= bottom) & (bottom <= HEIGHT)).all())
    assert bool(((left >= 0) & (left <= right) & (right <= WIDTH)).all())
    area = (bottom - top) * (right - left) / (HEIGHT * WIDTH)
    torch.testing.assert_close(drawn[:, 1], 1 - area, rtol=0, atol=1e-6)


def test_draws_are_a_function_of_the_generator() -> None:
    mixer = Mixer(0.2, 1.0, (HEIGHT, WIDTH), CLASSES)
    first, again, other = (mixer.draw(9, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("cutmix", [None, 1.0])
def test_the_jobs_of_a_team_are_mixed_each_within_itself(cutmix: float | None) -> None:
    mixer = Mixer(0.4, cutmix, (HEIGHT, WIDTH), CLASSES)
    (one, of_one), drawn = images(), mixer.draw(2, generator(1))
    other, of_other = one.flip(1) + 1, of_one.flip(0)
    found, targets = mixer.mix(torch.cat([one, other]), torch.cat([of_one, of_other]), drawn)
    alone = [mixer.mix(one, of_one, drawn[:1]), mixer.mix(other, of_other, drawn[1:])]
    assert torch.equal(found, torch.cat([inputs for inputs, _ in alone]))
    assert torch.equal(targets, torch.cat([soft for _, soft in alone]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixed_classes_is_that_of_both_by_their_shares(smoothing: float) -> None:
    inputs, targets = images()
    mixer = Mixer(1.0, None, (HEIGHT, WIDTH), CLASSES)
    row = mixer.draw(1, generator(3))
    _, soft = mixer.mix(inputs.double(), targets, row)
    outputs, share = torch.randn(12, CLASSES, dtype=torch.float64, generator=generator()), float(row[0, 1])
    loss = losses.make("cross_entropy", smoothing)
    each = [F.cross_entropy(outputs, of, label_smoothing=smoothing) for of in (targets, targets.roll(1))]
    expected = share * each[0] + (1 - share) * each[1]
    torch.testing.assert_close(loss.training_function(outputs, soft), expected)
    stacked = torch.stack([outputs, 2 * outputs])
    for given in (soft, soft.expand(2, *soft.shape)):
        found = loss.of_each(stacked, given, training=True)
        torch.testing.assert_close(found[0], expected)
        torch.testing.assert_close(found[1], loss.training_function(2 * outputs, soft))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_classes_count_each_by_its_own_weight(smoothing: float) -> None:
    inputs, targets = images()
    mixer = Mixer(1.0, None, (HEIGHT, WIDTH), CLASSES)
    row = mixer.draw(1, generator(3))
    _, soft = mixer.mix(inputs.double(), targets, row)
    weights = torch.tensor([1.0, 5.0, 0.0, 0.2], dtype=torch.float64)
    outputs, share = torch.randn(12, CLASSES, dtype=torch.float64, generator=generator()), float(row[0, 1])
    loss = losses.make("cross_entropy", smoothing, weights)
    each = [
        F.cross_entropy(outputs, of, label_smoothing=smoothing, reduction="none") * weights[of]
        for of in (targets, targets.roll(1))
    ]
    expected = (share * each[0] + (1 - share) * each[1]).mean()
    torch.testing.assert_close(loss.training_function(outputs, soft), expected)
    (found,) = loss.of_each(outputs[None], soft, training=True)
    torch.testing.assert_close(found, expected)


def test_values_of_a_regression_are_mixed_and_so_are_features() -> None:
    features, targets = torch.randn(5, 3, generator=generator()), torch.randn(5, 2, generator=generator())
    mixer = Mixer(0.5, None, ())
    row = mixer.draw(1, generator())
    share = float(row[0, 1])
    for found, whole in zip(mixer.mix(features, targets, row), (features, targets), strict=True):
        torch.testing.assert_close(found, share * whole + (1 - share) * whole.roll(1, 0))


def batches(workers: int | None, size: int | None, seed: int = 3) -> Batches:
    pixels = np.random.default_rng(0).integers(256, size=(COUNT, 3, HEIGHT, WIDTH)).astype(np.uint8)
    split = Split(torch.from_numpy(pixels), torch.arange(COUNT) % CLASSES)
    changes, mixer = Augmenter(Augment("strong"), HEIGHT, WIDTH), Mixer(0.2, 1.0, (HEIGHT, WIDTH), CLASSES)
    return Batches(split, size, CPU, torch.float32, (0.4,) * 3, (0.2,) * 3, changes, seed, workers, mixer=mixer)


@pytest.mark.parametrize("size", [5, 1, None])
@pytest.mark.parametrize("start", [0, 1])
def test_streamed_batches_are_mixed_as_those_on_the_device(size: int | None, start: int) -> None:
    there, streamed = batches(None, size), batches(0, size)
    pairs = list(zip(there.epoch(4, start), streamed.epoch(4, start), strict=True))
    assert len(pairs) == len(there) - start
    for (inputs, targets), (same_inputs, same_targets) in pairs:
        assert torch.equal(inputs, same_inputs)
        assert torch.equal(targets, same_targets)
        assert inputs.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(targets.sum(1), torch.ones(len(targets)))


def test_a_batch_from_the_middle_of_an_epoch_is_the_same_and_another_epochs_is_not() -> None:
    whole, rest = list(batches(None, 5).epoch(2)), list(batches(None, 5).epoch(2, start=3))
    for (inputs, targets), (again, targets_again) in zip(whole[3:], rest, strict=True):
        assert torch.equal(inputs, again)
        assert torch.equal(targets, targets_again)
    other = next(iter(batches(None, 5).epoch(3)))
    assert not torch.equal(whole[0][0], other[0])


def test_evaluation_is_not_mixed() -> None:
    assert all(targets.dtype == torch.int64 for _, targets in batches(None, 5))


@pytest.mark.parametrize(
    "keys",
    [
        ("data.augment.mixup=0.4", "seed=0,1"),
        ("data.augment.mixup=0.4", "optim.lr=0.001,0.01", "label_smoothing=0.1", "accumulate=2"),
        ("data.augment=standard", "data.augment.mixup=0.2", "data.augment.cutmix=1", "seed=0,1"),
        ("data.augment.mixup=0.4", "seed=0,1", "data.batch_size=null", "epochs=3"),
    ],
    ids=["seeds", "shared", "both", "whole"],
)
def test_jobs_as_one_program_are_mixed_as_if_alone(trainer: Trainer, keys: tuple[str, ...]) -> None:
    both(trainer, "model=mlp", "optim=adam", *DIGITS, "data.size=8", *keys)


def test_a_table_is_mixed_and_a_team_of_regressions_is_as_if_alone(trainer: Trainer) -> None:
    args = (*SILENT, "data=diabetes", "precision=float64", "optim=sgd", "epochs=2", "data.augment.mixup=0.3")
    both(trainer, "model=linear", *args, "optim.lr=0.001,0.01", "seed=0,1")


def test_a_training_resumed_after_every_step_is_mixed_as_if_never_interrupted(trainer: Trainer) -> None:
    asked = ("plots=false", "model=mlp", "data.size=8", "data.limit=96", "data.batch_size=20", "epochs=2")
    asked = (*asked, "data.augment.mixup=0.2", "data.augment.cutmix=1", "data.augment=strong", "accumulate=2")
    whole = train(trainer, *asked, "output=whole")
    run, codes = resuming.in_parts(trainer, asked, lambda state: True)
    assert codes[-1] == 0
    assert resuming.differences(whole, run) == []
    assert len(rows(run)) == 2


def test_what_diverges_is_drawn_with_the_class_of_the_larger_share(trainer: Trainer) -> None:
    asked = ("tensorboard.enabled=false", "model=linear", "data.size=8", "data.limit=64", "optim=sgd", "optim.lr=1e38")
    ran = trainer("train", *asked, "data.augment.mixup=0.2", "epochs=3", "output=out")
    assert ran.code == 1
    (run,) = Path("out").glob("*/*")
    assert (run / "plots" / "diverged.png").is_file()
    assert torch.load(run / "diverged.pt", weights_only=True)["targets"].dim() == 2


def test_without_it_nothing_is_drawn_and_targets_stay_classes() -> None:
    split = Split(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6))
    plain = Batches(split, 2, CPU)
    assert all(raw[-2:] == (None, None) for raw in plain.raw(0))
    assert all(targets.dtype == torch.int64 for _, targets in plain.epoch(0))


def test_mixing_changes_a_training_from_its_first_step(trainer: Trainer) -> None:
    asked = (*SILENT, "model=linear", "data.limit=64", "data.size=8", "epochs=1")
    plain, mixed = train(trainer, *asked, "output=a"), train(trainer, *asked, "data.augment.mixup=1", "output=b")
    assert not same(weights(plain), weights(mixed))


def test_on_a_device_of_its_own_nothing_waits_for_what_was_drawn() -> None:
    mixer = Mixer(0.2, 1.0, (HEIGHT, WIDTH), CLASSES)
    drawn, targets = mixer.draw(1, generator()).to("meta"), torch.empty(12, dtype=torch.int64, device="meta")
    inputs, soft = mixer.mix(torch.empty(12, HEIGHT, WIDTH, 3, device="meta"), targets, drawn)
    assert (inputs.shape, soft.shape) == ((12, HEIGHT, WIDTH, 3), (12, CLASSES))
