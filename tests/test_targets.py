"""Other targets on the same images, and forks of a training: labels, random streams, resumption, messages."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers.errors import BadInput
from helpers.networks import datasets, targets, training
from tests.test_training import one_thread, tiny  # noqa: F401


def images_of(classes, count=60):
    labels = np.arange(count, dtype=np.int64) % len(classes)
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return datasets.Dataset("cifar10", "train", images, labels, classes, "")


def streams(run, monkeypatch):
    """The random streams a training draws from, in order."""
    drawn, draw = [], training.random_stream
    with monkeypatch.context() as patch:
        patch.setattr(training, "random_stream", lambda *key: drawn.append(key) or draw(*key))
        training.train(run, progress=False)
    return drawn


def equal(a, b):
    first, second = load_file(a), load_file(b)
    return all(torch.equal(first[name], second[name]) for name in first)


def test_vehicles_are_told_from_animals():
    data = targets.retarget(images_of(datasets.CIFAR10_CLASSES), "vehicles")
    named = {datasets.CIFAR10_CLASSES[i]: data.classes[data.labels[i]] for i in range(10)}
    assert {name for name, kind in named.items() if kind == "vehicle"} == {"airplane", "automobile", "ship", "truck"}
    assert set(named.values()) == {"vehicle", "animal"}


def test_shuffled_labels_are_the_same_every_time_and_keep_the_size_of_every_class():
    data = images_of(datasets.CIFAR10_CLASSES)
    first, again = (targets.retarget(data, "shuffled") for _ in range(2))
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, data.labels)
    assert np.array_equal(np.bincount(first.labels), np.bincount(data.labels))
    assert first.images is data.images


def test_a_rotated_image_comes_back_by_the_rest_of_the_turn_and_its_label_says_which():
    data = images_of(("a", "b"))
    turned = targets.retarget(data, "rotation")
    assert set(turned.labels) == {0, 1, 2, 3}
    for image, label, before in zip(turned.images, turned.labels, data.images, strict=True):
        assert np.array_equal(np.rot90(before, label), image)


def test_labels_leave_the_data_as_it_is():
    data = images_of(("a", "b"))
    assert targets.retarget(data, "labels") is data


def test_accuracy_on_shuffled_labels_is_that_on_the_first_training_images(monkeypatch):
    monkeypatch.setattr(targets, "MEASURED_ON", 20)
    trained, tested = targets.training_set("digits", "shuffled", 40), targets.accuracy_set("digits", "shuffled", 40)
    assert len(trained.labels) == 40
    assert np.array_equal(trained.labels[:20], tested.labels)
    assert np.array_equal(trained.images[:20], tested.images)
    assert np.array_equal(
        targets.accuracy_set("digits", "labels", None).labels, datasets.load_dataset("digits", "test").labels
    )
    assert np.array_equal(
        targets.accuracy_set("digits", "labels", 40).labels, datasets.load_dataset("digits", "test").labels[:20]
    )


@pytest.mark.parametrize(("target", "classes"), [("labels", 10), ("rotation", 4), ("shuffled", 10)])
def test_a_network_for_each_target_has_its_classes_and_a_folder_of_its_own(target, classes):
    run = tiny(epochs=1, target=target)
    network, sidecar = training.load_checkpoint(training.train(run, progress=False))
    assert sidecar["target"] == target
    assert sidecar["classes"] == classes == network(torch.zeros(1, 1, 32, 32)).shape[1]
    assert run.folder.parent.name == ("digits-1" if target == "labels" else f"digits-1-{target}")


def test_every_epoch_turns_the_images_in_another_way():
    training_ = training.Training(tiny(epochs=2, target="rotation"), torch.device("cpu"))
    drawn = []
    for epoch in (1, 2, 1):
        training_.draw_rotations(epoch)
        drawn.append(training_.labels.clone())
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert set(drawn[0].tolist()) == {0, 1, 2, 3}


def test_a_recipe_can_take_the_first_images_only():
    run = tiny(epochs=1)
    few = replace(run, recipe=replace(run.recipe, name="few", images=32))
    assert len(training.Training(few, torch.device("cpu")).labels) == 32
    assert len(training.Training(run, torch.device("cpu")).labels) == 96


def test_a_fork_leaves_its_trunk_after_the_epoch_and_draws_its_own_order_from_there(monkeypatch):
    trunk, fork = tiny(epochs=3), tiny(epochs=3, order_seed=7, augment_seed=7, fork_after=1)
    training.train(trunk, progress=False)
    drawn = streams(fork, monkeypatch)
    assert drawn == [(7, stream, epoch) for epoch in (2, 3) for stream in (training.ORDER, training.AUGMENTATION)]
    assert fork.checkpoint(0) == trunk.checkpoint(0)
    assert equal(fork.checkpoint(1), trunk.checkpoint(1))
    assert not equal(fork.checkpoint(2), trunk.checkpoint(2))
    assert training.read_sidecar(fork.checkpoint(3))["fork_after"] == 1


def test_a_fork_after_epoch_0_is_the_plain_run():
    assert tiny(epochs=2, fork_after=0) == tiny(epochs=2)
    plain = tiny(epochs=2, order_seed=7, augment_seed=7)
    assert plain.folder.name == "seed-0-order-7-augment-7"  # as it was before there were forks
    training.train(plain, progress=False)
    assert equal(plain.checkpoint(0), training.start(tiny(epochs=2)))


def test_a_fork_trains_its_trunk_if_there_is_none_and_resumes_as_any_run(monkeypatch, tmp_path):
    fork = tiny(epochs=3, order_seed=7, augment_seed=7, fork_after=1)
    whole = training.train(fork, progress=False)
    assert fork.trunk.checkpoint(3).exists()
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path / "interrupted"))
    keep = training.Training.keep

    def die_in_epoch_3(self, epoch, loss):
        if epoch == 3 and self.run.fork_after:
            raise KeyboardInterrupt
        return keep(self, epoch, loss)

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "keep", die_in_epoch_3)
        with pytest.raises(KeyboardInterrupt):
            training.train(fork, progress=False)
    drawn = streams(fork, monkeypatch)
    assert {epoch for _, _, epoch in drawn} == {3}
    assert equal(whole, fork.checkpoint(3))


def test_the_untrained_network_of_a_fork_is_its_trunks():
    fork = tiny(epochs=3, order_seed=7, augment_seed=7, fork_after=2)
    path = training.start(fork)
    assert path == fork.trunk.checkpoint(0)
    assert training.read_sidecar(path)["fork_after"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "rotations"}, "unknown target 'rotations': did you mean 'rotation'"),
        ({"fork_after": -1}, "fork_after is -1: expected a whole number from 0 to 7"),
        ({"fork_after": 8}, "fork_after is 8: expected a whole number from 0 to 7"),
    ],
)
def test_bad_input_gets_one_clear_line(options, message):
    with pytest.raises(BadInput, match=message):
        tiny(**options)


def test_targets_that_a_dataset_cannot_have_are_refused():
    with pytest.raises(BadInput, match="target vehicles: digits has no classes airplane"):
        training.train(tiny(epochs=1, target="vehicles"), progress=False)
    with pytest.raises(BadInput, match="unknown target 'vehicle': did you mean 'vehicles'"):
        targets.retarget(images_of(("a", "b")), "vehicle")
