"""Training: the recipe's schedule, exact resumption, seeds apart, checkpoints that are whole or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.errors import BadInput
from helpers.networks import architectures, datasets, training


@pytest.fixture(autouse=True)
def one_thread(few_digits):
    """Train on 96 digits, on one thread so that sums have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny(**options):
    return training.plan(**{"network": "vgg8_bn", "dataset": "digits", "width": 0.06, "recipe": "digits"} | options)


def test_an_interrupted_training_ends_as_the_uninterrupted_one(monkeypatch, tmp_path):
    whole = load_file(training.train(tiny(epochs=3), progress=False))
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path / "interrupted"))
    keep = training.Training.keep

    def die_in_epoch_2(self, epoch, loss):
        if epoch == 2:
            raise KeyboardInterrupt
        return keep(self, epoch, loss)

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "keep", die_in_epoch_2)
        with pytest.raises(KeyboardInterrupt):
            training.train(tiny(epochs=3), progress=False)
    resumed = training.train(tiny(epochs=3), progress=False)
    again = load_file(resumed)
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_finished_training_is_not_repeated(monkeypatch):
    path = training.train(tiny(epochs=1), progress=False)
    monkeypatch.setattr(training.Training, "train_epoch", None)
    assert training.train(tiny(epochs=1), progress=False) == path


def test_all_epochs_are_kept_and_described():
    run = tiny(epochs=2)
    training.train(run, progress=False)
    sidecars = [training.read_sidecar(run.checkpoint(epoch)) for epoch in range(3)]
    assert [s["epoch"] for s in sidecars] == [0, 1, 2]
    assert sidecars[0]["loss"] is None
    assert sidecars[2]["data_sha256"] == datasets.load_dataset("digits", "train").sha256
    assert all(0 <= s["accuracy"] <= 1 for s in sidecars)
    network, _ = training.load_checkpoint(run.checkpoint(0))
    fresh = architectures.build("vgg8_bn", 0.06, channels=1, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), fresh.parameters(), strict=True))


def test_seeds_fix_initialisation_order_and_augmentation_apart():
    base = tiny(epochs=1)
    variants = {
        "same": base,
        "order": tiny(epochs=1, order_seed=7),
        "augmentation": tiny(epochs=1, augment_seed=7),
    }
    ends = {name: load_file(training.train(run, progress=False)) for name, run in variants.items()}
    starts = {name: load_file(run.checkpoint(0)) for name, run in variants.items()}
    key = "conv1_1.weight"
    for name in ("order", "augmentation"):
        assert torch.equal(starts["same"][key], starts[name][key])
        assert not torch.equal(ends["same"][key], ends[name][key])


def test_a_network_learns_the_digits(monkeypatch):
    monkeypatch.undo()
    run = tiny(width=0.125, epochs=3)
    sidecar = training.read_sidecar(training.train(run, progress=False))
    assert sidecar["accuracy"] > 0.8


def test_the_short_recipe_rises_then_falls_to_zero():
    recipe = training.RECIPES["short"]
    rates = [recipe.rate(x) for x in np.linspace(0, 1, 101)]
    assert np.argmax(rates) == 25
    assert max(rates) == pytest.approx(recipe.peak_rate)
    assert rates[0] == rates[-1] == 0


def test_the_paper_recipe_divides_by_ten_at_epochs_80_and_120():
    recipe = training.RECIPES["paper"]
    rates = [recipe.rate(epoch / recipe.epochs) for epoch in (0, 79, 80, 119, 120, 159)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_networks_without_batch_norm_train_at_half_the_rate():
    rates = [training.Training(tiny(network=name), torch.device("cpu"))._rate(0.25) for name in ("vgg8_bn", "vgg8")]
    assert rates[1] == rates[0] / 2


def test_crops_are_windows_of_the_padded_image():
    padded = torch.arange(2 * 10 * 10, dtype=torch.int64).reshape(2, 10, 10, 1)
    generator = torch.Generator().manual_seed(0)
    index = torch.tensor([1] * 200)
    windows = {tuple(w.flatten().tolist()) for w in training.crop(padded, index, 8, False, generator)}
    expected = {tuple(padded[1, r : r + 8, c : c + 8].flatten().tolist()) for r in range(3) for c in range(3)}
    assert windows == expected


def test_half_of_the_crops_are_mirrored_and_only_left_to_right():
    padded = torch.arange(16).reshape(1, 4, 4, 1)
    generator = torch.Generator().manual_seed(0)
    windows = training.crop(padded, torch.zeros(400, dtype=torch.int64), 4, True, generator)
    mirrored = (windows == padded.flip(2)).flatten(1).all(1)
    plain = (windows == padded).flatten(1).all(1)
    assert bool((mirrored ^ plain).all())
    assert 150 < int(mirrored.sum()) < 250


def test_a_damaged_checkpoint_is_refused_and_trained_again():
    path = training.train(tiny(epochs=1), progress=False)
    sound = path.read_bytes()
    path.write_bytes(sound[:-4] + b"\0\0\0\1")
    with pytest.raises(BadInput, match="missing or damaged"):
        training.load_checkpoint(path)
    assert training.train(tiny(epochs=1), progress=False).read_bytes() == sound


def test_a_checkpoint_without_its_sidecar_or_with_a_broken_one_is_refused():
    path = training.train(tiny(epochs=1), progress=False)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(BadInput, match=r"epoch-001\.json is damaged"):
        training.load_checkpoint(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(BadInput, match="no checkpoint"):
        training.load_checkpoint(path)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    path = training.train(tiny(epochs=1), progress=False)
    mine = tmp_path / "mine.safetensors"  # in the run's folder the sidecar would be that of another run
    mine.write_bytes(path.read_bytes())
    sidecar = json.loads(path.with_suffix(".json").read_text())
    mine.with_suffix(".json").write_text(json.dumps(sidecar | {"network": "vgg11"}))
    with pytest.raises(BadInput, match="does not hold a vgg11"):
        training.load_checkpoint(mine)


def test_a_folder_of_another_recipe_of_the_same_name_is_refused():
    path = training.train(tiny(epochs=2), progress=False)
    other = replace(tiny(epochs=2), recipe=replace(tiny(epochs=2).recipe, peak_rate=0.02))
    with pytest.raises(BadInput, match=r"peak_rate is 0.02: .* was trained with 0.1; give the recipe a new name"):
        training.train(other, progress=False)
    path.unlink()  # now it would go on after epoch 1
    momentum = path.parent / "momentum.safetensors"
    save_file(load_file(momentum), momentum, {"epoch": "1"})
    with pytest.raises(BadInput, match=r"peak_rate is 0\.02"):
        training.train(other, progress=False)


def test_the_untrained_network_of_a_finished_run_comes_back():
    final = training.train(tiny(epochs=1), progress=False)
    first = training.start(tiny(epochs=1))
    weights = first.read_bytes()
    first.unlink()
    assert training.start(tiny(epochs=1)).read_bytes() == weights
    assert training.train(tiny(epochs=1), progress=False) == final


def test_a_training_that_diverges_says_so(monkeypatch):
    monkeypatch.setitem(training.RECIPES, "digits", replace(training.RECIPES["digits"], peak_rate=1e20))
    with pytest.raises(BadInput, match="the loss is nan in epoch 1"):
        training.train(tiny(epochs=1), progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "vgg17"}, "unknown network 'vgg17'"),
        ({"dataset": "cifar"}, "unknown dataset 'cifar': did you mean 'cifar10'"),
        ({"recipe": "papers"}, "unknown recipe 'papers': did you mean 'paper'"),
        ({"epochs": 0}, "epochs is 0: expected at least 1"),
        ({"seed": -1}, "seed is -1: expected a whole number from 0"),
        ({"seed": 2**63}, r"seed is 9223372036854775808: expected .* to 2\^63 - 1"),
    ],
)
def test_bad_input_gets_one_clear_line(options, message):
    with pytest.raises(BadInput, match=message):
        tiny(**options)
