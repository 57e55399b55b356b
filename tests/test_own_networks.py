"""The page for one's own networks: its example is made, opened and compared as a user's files would be."""

import numpy as np
import pytest
import torch

from helpers.errors import BadInput
from helpers.networks import architectures, datasets, training, weights
from helpers.networks.families.vgg import VGG
from helpers.studies import two_networks


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    patch, root = pytest.MonkeyPatch(), tmp_path_factory.mktemp("own")
    patch.setenv("SAMEREP_RUNS", str(root / "runs"))
    yield two_networks.example(root / "images", "vgg8_bn")
    patch.undo()


def test_the_folder_holds_the_dataset_itself(made):
    """Image for image what `datasets.batches` gives, so a folder of one's own is treated as the book's data are."""
    batches, number = two_networks.image_batches(made[2], 32, 500, crop=1.0, statistics="digits")
    (images,) = list(batches)
    data = datasets.load_dataset("digits", "test")
    order = np.argsort(data.labels, kind="stable")
    (expected,) = list(datasets.batches(data, 500))
    assert number == 500
    torch.testing.assert_close(images, expected[order])


def test_its_checkpoints_say_what_they_are(made):
    a, b = (weights.open_network(str(path)) for path in made[:2])
    assert isinstance(a, VGG)
    assert not torch.equal(a.logits.weight, b.logits.weight)


def test_before_training_they_are_what_they_started_from(made):
    for seed, path in enumerate(made[:2]):
        start, _ = training.load_checkpoint(path.with_name("epoch-000.safetensors"))
        before = weights.untrained(str(path), seed=seed)
        assert all(torch.equal(value, before.state_dict()[name]) for name, value in start.state_dict().items())


def test_two_checkpoints_and_a_folder(made):
    a, b = (weights.open_network(str(path)) for path in made[:2])
    batches, number = two_networks.image_batches(made[2], 32, crop=1.0, statistics="digits")
    comparison = two_networks.compare(a, b, batches, number, progress=False)
    assert set(comparison.tables["critical"]["layer"]) | set(comparison.left_out["layer"]) == {
        x.name for x in architectures.layers(a)
    }
    itself = two_networks.compare(a, a, batches, number, progress=False)
    assert itself.similarity([0.0])["similarity"].min() > comparison.similarity([0.0])["similarity"].max()


def test_a_wrong_layer_gets_the_valid_names(made):
    a = weights.open_network(str(made[0]))
    batches, number = two_networks.image_batches(made[2], 32, crop=1.0, statistics="digits")
    with pytest.raises(BadInput, match=r"unknown layer 'relu5_9': did you mean 'relu5_1'\? Valid: conv1_1"):
        two_networks.compare(a, a, batches, number, layers=["relu5_9"])


def test_a_damaged_checkpoint_is_named(made, tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(made[0].read_bytes()[:-10])
    copy.with_suffix(".json").write_text(made[0].with_suffix(".json").read_text())
    with pytest.raises(BadInput, match=r"mine\.safetensors is missing or damaged"):
        weights.open_network(str(copy))
