"""Any two networks on a folder of images: what is compared, what is left out and why, what is refused."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from helpers import __main__ as command
from helpers import imagenet, studies
from helpers.errors import BadInput

RESNET = "torchvision:resnet18"
STEM = ["relu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten random images of two classes, of different shapes, one of them grey."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(10):
        shape = (70 + number, 80) if number == 3 else (70 + number, 80, 3)
        place = root / f"class{number % 2}" / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(place)
    return root


@pytest.fixture(scope="module")
def network():
    return imagenet.open_network("untrained:0", RESNET)


def compared(a, b, folder, batch=4, **options):
    batches, number = imagenet.image_batches(folder, 64, batch)
    return imagenet.compare(a, b, batches, number, progress=False, **options)


def test_images_are_colour_normalised_and_all_there(folder):
    batches, number = imagenet.image_batches(folder, 64, 4)
    assert number == 10
    assert [tuple(batch.shape) for batch in batches] == [(4, 3, 64, 64), (4, 3, 64, 64), (2, 3, 64, 64)]


def test_a_network_matches_itself(folder, network):
    found = compared(network, network, folder, layers=STEM)
    assert (found.tables["critical"].query("not dead")["critical_epsilon"] == 0).all()


def test_the_batch_changes_nothing(folder, network):
    other = imagenet.open_network("untrained:1", RESNET)
    small, large = (compared(network, other, folder, batch, layers=STEM).tables["critical"] for batch in (3, 10))
    np.testing.assert_allclose(small["critical_epsilon"], large["critical_epsilon"], rtol=1e-5)
    assert small["critical_epsilon"].max() > 0


def test_layers_with_few_samples_are_left_out_with_the_number_they_need(folder, network):
    out = compared(network, network, folder, layers=["relu", "layer1.0", "avgpool"]).left_out.set_index("layer")
    assert out.loc["avgpool"].tolist() == [512, 10, 5120]
    assert "relu" not in out.index


def test_with_no_layer_left_it_says_how_many_images_are_needed(folder, network):
    with pytest.raises(BadInput, match="expected at least 5120"):
        compared(network, network, folder, layers=["avgpool"])


def test_layers_of_two_networks_by_their_own_names(folder, network):
    other = imagenet.open_network("untrained:0", "torchvision:vgg11")
    found = compared(network, other, folder, layers=["conv1"], layers_b=["features.4"])
    assert set(found.tables["critical"]["layer"]) == {"conv1"}
    with pytest.raises(BadInput, match="expected the same samples"):
        compared(network, other, folder, layers=["conv1"], layers_b=["features.0"])
    with pytest.raises(BadInput, match="1 layers of one network and 2"):
        compared(network, other, folder, layers=["conv1"], layers_b=["features.4", "features.0"])


def test_a_wrong_layer_gets_the_valid_names(folder, network):
    with pytest.raises(BadInput, match=r"did you mean 'layer1\.1'\?.*Valid: conv1"):
        compared(network, network, folder, layers=["layer1.9"])


def test_default_layers_are_activations_of_any_module():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4, 2))
    assert [(layer.name, layer.kind) for layer in imagenet.layers_of(net)] == [("1", "conv"), ("3", "logits")]
    with pytest.raises(BadInput, match="no activation modules"):
        imagenet.layers_of(nn.Sequential(nn.Conv2d(3, 4, 3)))


# ---------------------------------------------------------------- weights


def test_seeds_fix_untrained_networks():
    first, again, other = (imagenet.build(RESNET, seed).conv1.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_before_training_weights_are_drawn_by_the_architectures_own_rule(network, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)
    fresh = imagenet.untrained(str(path), RESNET, 5)
    assert torch.equal(fresh.conv1.weight, imagenet.build(RESNET, 5).conv1.weight)
    assert not torch.equal(fresh.conv1.weight, network.conv1.weight)
    with pytest.raises(BadInput, match="give its architecture"):
        imagenet.untrained(str(path))


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}}])
def test_checkpoints_come_back(wrap, network, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(wrap(network.state_dict()), path)
    assert torch.equal(imagenet.open_network(str(path), RESNET).fc.weight, network.fc.weight)


def test_safetensors_come_back(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    assert torch.equal(imagenet.open_network(str(path), RESNET).fc.weight, network.fc.weight)


@pytest.mark.parametrize(
    ("weights", "architecture", "message"),
    [
        ("untrained:0", "resnet51", "did you mean 'resnet5"),
        ("untrained:x", RESNET, "expected untrained:SEED"),
        ("untrained:0", None, "give its architecture"),
        ("IMAGENET1K_V9", RESNET, "did you mean 'IMAGENET1K_V1'"),
        ("IMAGENET1K_V1", "vgg16_bn", "expected a checkpoint file"),
        ("nowhere.pt", RESNET, "no checkpoint nowhere.pt"),
    ],
)
def test_weights_that_cannot_be_had(weights, architecture, message):
    with pytest.raises(BadInput, match=message):
        imagenet.open_network(weights, architecture)


def test_damaged_and_unfitting_files_are_named(network, tmp_path):
    for name in ("damaged.pt", "damaged.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(BadInput, match=name):
            imagenet.open_network(str(tmp_path / name), RESNET)
    torch.save(network.state_dict(), tmp_path / "r18.pt")
    with pytest.raises(BadInput, match=r"r18\.pt does not fit a alexnet"):
        imagenet.open_network(str(tmp_path / "r18.pt"), "alexnet")


def test_images_that_are_not_there_or_do_not_fit(folder, network, tmp_path):
    with pytest.raises(BadInput, match="not a folder"):
        imagenet.image_batches(tmp_path / "none")
    with pytest.raises(BadInput, match="did you mean 'imagenet'"):
        imagenet.image_batches(folder, statistics="imagnet")
    grey, number = imagenet.image_batches(folder, 64, statistics="digits")
    with pytest.raises(BadInput, match="do not fit ResNet"):
        imagenet.compare(network, network, grey, number, progress=False)


# ---------------------------------------------------------------- command line and record


def test_command_line_compares_and_records_what_it_is(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    options = ["--images", str(folder), "--network", RESNET, "--a", "untrained:0", "--b", "untrained:1"]
    more = ["--size", "64", "--layers", "relu,avgpool", "--record", "tiny-untrained"]
    done = CliRunner().invoke(command.cli, ["compare", *options, *more], catch_exceptions=False)
    assert done.exit_code == 0
    assert "left out: avgpool" in done.output
    known = json.loads((tmp_path / "imagenet-tiny-untrained" / "provenance.json").read_text())
    assert (known["trained"], known["images"], known["kind"]) == (False, 10, "imagenet")
    assert str(folder) not in json.dumps(known)
    assert list(imagenet.recorded()) == ["resnet18: untrained:0 and untrained:1"]
    assert imagenet.costs(100)["hours_for_100_images"].item() > 0
    assert imagenet.left_out()["layer"].tolist() == ["avgpool"]
    assert imagenet.image_counts() == "10"
    assert imagenet.fewest_samples(imagenet.recorded()) == "resnet18 160 (relu)"


def test_what_is_recorded_is_labelled_untrained():
    for place in studies.records("imagenet"):
        assert not studies.read_provenance(place)["trained"]
        assert place.name.endswith("-untrained")
