"""Any two networks on a folder of images: what is compared, what is left out and why, what is refused."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from helpers import __main__ as command
from helpers.errors import BadInput
from helpers.networks import architectures, training, weights
from helpers.pages import image_comparisons
from helpers.studies import two_networks
from helpers.studies.layer_choice import default_names, kind_of

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
    return weights.open_network("untrained:0", RESNET)


def sidecar(dataset, epoch):
    """What stands beside a checkpoint of this book."""
    run = asdict(training.plan("vgg8_bn", dataset, 0.125, epoch))
    data = {"classes": 10, "channels": 3, "image_size": 32, "data_sha256": "0" * 64}
    made = {"accuracy": 0.1, "loss": None, "train_seconds": 0.0, "device": "cpu", "precision": "fp32", "torch": "2"}
    return run | data | made | {"epoch": epoch}


def compared(a, b, folder, batch=4, **options):
    batches, number = two_networks.image_batches(folder, 64, batch)
    return two_networks.compare(a, b, batches, number, progress=False, **options)


def test_images_are_colour_normalised_and_all_there(folder):
    batches, number = two_networks.image_batches(folder, 64, 4)
    assert number == 10
    assert [tuple(batch.shape) for batch in batches] == [(4, 3, 64, 64), (4, 3, 64, 64), (2, 3, 64, 64)]


def test_a_network_matches_itself(folder, network):
    comparison = compared(network, network, folder, layers=STEM)
    assert (comparison.tables["critical"].query("not dead")["critical_epsilon"] == 0).all()


def test_the_batch_changes_nothing(folder, network):
    other = weights.open_network("untrained:1", RESNET)
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


def test_a_generator_gives_all_its_images(folder, network):
    batches, number = two_networks.image_batches(folder, 64, 3)
    comparison = two_networks.compare(network, network, (batch for batch in batches), number, STEM, progress=False)
    assert (comparison.tables["critical"]["samples"] == 10 * 32 * 32).all()
    with pytest.raises(BadInput, match="no images: expected at least one batch"):
        two_networks.compare(network, network, iter(()), number, STEM, progress=False)


def test_calibration_sees_all_images_of_a_generator(folder):
    batches, _ = two_networks.image_batches(folder, 64, 3)
    nets = [
        two_networks.calibrated(weights.fresh_network(RESNET, 0), given) for given in (batches, iter(list(batches)))
    ]
    assert torch.equal(nets[0].bn1.running_mean, nets[1].bn1.running_mean)
    assert int(nets[1].bn1.num_batches_tracked) == 1  # the ten images, cut anew


def test_a_layer_named_twice_is_refused(folder, network):
    with pytest.raises(BadInput, match="layer 'relu' is named twice"):
        compared(network, network, folder, layers=["relu", "relu"])


def test_layers_of_two_networks_by_their_own_names(folder, network):
    other = weights.open_network("untrained:0", "torchvision:vgg11")
    comparison = compared(network, other, folder, layers=["conv1"], layers_b=["features.4"])
    assert set(comparison.tables["critical"]["layer"]) == {"conv1"}
    with pytest.raises(BadInput, match="expected the same samples"):
        compared(network, other, folder, layers=["conv1"], layers_b=["features.0"])
    with pytest.raises(BadInput, match="1 layers of one network and 2"):
        compared(network, other, folder, layers=["conv1"], layers_b=["features.4", "features.0"])


def test_a_wrong_layer_gets_the_valid_names(folder, network):
    with pytest.raises(BadInput, match=r"did you mean 'layer1\.1'\?.*Valid: conv1"):
        compared(network, network, folder, layers=["layer1.9"])


def test_default_layers_are_activations_of_any_module():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4, 2))
    assert [(name, kind_of(name, net)) for name in default_names(net)] == [("1", "conv"), ("3", "logits")]
    assert default_names(nn.Sequential(nn.Conv2d(3, 4, 3))) == []


# ---------------------------------------------------------------- weights


def test_seeds_fix_untrained_networks():
    first, again, other = (weights.fresh_network(RESNET, seed).conv1.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_before_training_weights_are_drawn_by_the_architectures_own_rule(network, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)
    fresh = weights.untrained(str(path), RESNET, 5)
    assert torch.equal(fresh.conv1.weight, weights.fresh_network(RESNET, 5).conv1.weight)
    assert not torch.equal(fresh.conv1.weight, network.conv1.weight)
    with pytest.raises(BadInput, match="give its architecture"):
        weights.untrained(str(path))


FORMS = {
    "weights.bin": lambda s: s,
    "parallel.pt": lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
    "compiled.pt": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
    "parallel-compiled.pt": lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
    "tutorial.pt": lambda s: {"epoch": 3, "model_state_dict": s, "optimizer_state_dict": {}, "loss": 0.1},
    "lightning.ckpt": lambda s: {"epoch": 3, "state_dict": {f"model.{k}": v for k, v in s.items()}},
    "lightning-more.ckpt": lambda s: {
        "state_dict": {f"net.{k}": v for k, v in s.items()} | {"loss.weight": torch.ones(2)}
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_checkpoints_come_back(form, network, tmp_path):
    torch.save(FORMS[form](network.state_dict()), tmp_path / form)
    assert torch.equal(weights.open_network(str(tmp_path / form), RESNET).fc.weight, network.fc.weight)


def test_the_number_of_classes_is_that_of_the_file(tmp_path):
    ten = weights.fresh_network("squeezenet1_1", 3, num_classes=10)
    torch.save(ten.state_dict(), tmp_path / "ten.pt")
    opened = weights.open_network(str(tmp_path / "ten.pt"), "squeezenet1_1")
    assert torch.equal(opened.classifier[1].weight, ten.classifier[1].weight)
    small = architectures.build("vgg8_bn", 0.125, classes=7)
    torch.save(small.state_dict(), tmp_path / "seven.pt")
    assert weights.open_network(str(tmp_path / "seven.pt"), "vgg8_bn", width=0.125).logits.out_features == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s | {"extra.weight": torch.ones(1)}, "it has 'extra.weight', which"),
        (
            lambda s: {k: v for k, v in s.items() if k != "fc.bias"} | {"head.bias": s["fc.bias"]},
            "'fc.bias', but has",
        ),
        (
            lambda s: s | {"conv1.weight": torch.ones(64, 3, 3, 3)},
            r"'conv1.weight' has shape \(64, 3, 3, 3\)",
        ),
        (
            lambda s: {f"{p}.{k}": v for p in ("model", "ema") for k, v in s.items()},
            r"holds several sets of weights that fit \(ema, model\): name one, as .*other.pt#ema",
        ),
    ],
)
def test_the_key_in_the_way_is_named(change, message, network, tmp_path):
    torch.save(change(network.state_dict()), tmp_path / "other.pt")
    with pytest.raises(BadInput, match=message):
        weights.open_network(str(tmp_path / "other.pt"), RESNET)


def test_safetensors_come_back(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    assert torch.equal(weights.open_network(str(path), RESNET).fc.weight, network.fc.weight)


@pytest.mark.parametrize(
    ("name", "architecture", "message"),
    [
        ("untrained:0", "resnet51", "did you mean 'resnet5"),
        ("untrained:x", RESNET, "seed is 'x': expected a whole number from 0"),
        ("untrained:²", RESNET, "seed is '²': expected a whole number from 0"),
        (f"untrained:{2**63}", RESNET, f"seed is {2**63}: expected a whole number from 0"),
        ("untrained", RESNET, "unknown weights 'untrained': did you mean 'untrained:0'"),
        ("untrained:0", None, "give its architecture"),
        ("IMAGENET1K_V9", RESNET, "did you mean 'IMAGENET1K_V1'"),
        ("IMAGENET1K_V1", "vgg16_bn", "expected a checkpoint file"),
        ("nowhere.pt", RESNET, "no checkpoint nowhere.pt"),
    ],
)
def test_weights_that_cannot_be_had(name, architecture, message):
    with pytest.raises(BadInput, match=message):
        weights.open_network(name, architecture)


def test_a_file_may_be_called_untrained(network, tmp_path):
    path = tmp_path / "untrained_small.pt"
    torch.save(network.state_dict(), path)
    assert not two_networks.is_untrained(path.name)
    assert two_networks.is_untrained("untrained:3")
    assert torch.equal(weights.open_network(str(path), RESNET).fc.weight, network.fc.weight)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds a list: expected the weights by name"),
        ({0: torch.ones(2)}, "has a Tensor under 0: expected a tensor under each name"),
        ({"state_dict": {"fc.weight": [1.0]}}, "has a list under 'fc.weight': expected a tensor under each name"),
    ],
)
def test_files_that_hold_no_weights_by_name_are_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(BadInput, match=rf"other\.pt {message}"):
        weights.open_network(str(tmp_path / "other.pt"), RESNET)


def test_damaged_and_unfitting_files_are_named(network, tmp_path):
    for name in ("damaged.pt", "damaged.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(BadInput, match=name):
            weights.open_network(str(tmp_path / name), RESNET)
    torch.save(network.state_dict(), tmp_path / "r18.pt")
    with pytest.raises(BadInput, match=r"r18\.pt does not fit alexnet"):
        weights.open_network(str(tmp_path / "r18.pt"), "alexnet")


def test_images_that_are_not_there_or_do_not_fit(folder, network, tmp_path):
    with pytest.raises(BadInput, match="not a folder"):
        two_networks.image_batches(tmp_path / "none")
    with pytest.raises(BadInput, match="batch is 0: expected a whole number from 1"):
        two_networks.image_batches(folder, batch=0)
    grey, number = two_networks.image_batches(folder, 64, statistics="digits")
    with pytest.raises(BadInput, match="do not fit ResNet"):
        two_networks.compare(network, network, grey, number, progress=False)


@pytest.mark.parametrize(
    ("network", "size", "reason"),
    [("vit_b_16", 64, "Wrong image height"), ("inception_v3", 32, "too small|smaller|can't be greater")],
)
def test_networks_that_want_larger_images_say_so_in_one_line(network, size, reason, folder):
    with pytest.raises(BadInput, match=rf"inputs of shape .* do not fit .*({reason})") as error:
        two_networks.compare_weights(network, "untrained:0", "untrained:1", folder, size=size)
    assert "\n" not in str(error.value)


def test_a_damaged_image_is_named_when_it_comes_to_it(folder, network, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "images")
    (copied / "class1" / "7.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"7\.png cannot be read as an image"):
        compared(network, network, copied, layers=STEM)


# ---------------------------------------------------------------- command line and record


def compare_on_the_command_line(*words):
    return CliRunner().invoke(command.cli, ["compare", *words], catch_exceptions=False)


def test_command_line_compares_and_records_what_it_is(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    options = ["--images", str(folder), "--network", RESNET, "--a", "untrained:0", "--b", "untrained:1"]
    more = ["--size", "64", "--layers", "relu,avgpool", "--record", "tiny-untrained"]
    done = compare_on_the_command_line(*options, *more)
    assert done.exit_code == 0
    assert "left out: avgpool" in done.output
    known = json.loads((tmp_path / "imagenet-tiny-untrained" / "provenance.json").read_text())
    assert (known["trained"], known["images"], known["kind"]) == (False, 10, "two_networks")
    assert known["study"]["network"] == RESNET
    assert str(folder) not in json.dumps(known)
    assert list(image_comparisons.critical_by_comparison()) == ["tiny-untrained"]
    assert image_comparisons.recording_costs(100)["hours_for_100_images"].item() > 0
    assert image_comparisons.recording_costs(100)["weights"].item() == "untrained:0 and untrained:1"
    assert image_comparisons.left_out_layers()["layer"].tolist() == ["avgpool"]
    assert image_comparisons.image_counts() == "10"
    assert image_comparisons.fewest_samples(image_comparisons.critical_by_comparison()) == "tiny-untrained 160 (relu)"


def test_checkpoints_of_this_book_are_recorded_as_what_they_say_they_are(folder, tmp_path, monkeypatch):
    """Two records of the same files, too: one does not hide the other."""
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    for epoch in (0, 3):
        net = architectures.build("vgg8_bn", 0.125, seed=epoch)
        training.save(net, tmp_path / f"epoch-{epoch}.safetensors", sidecar("cifar10", epoch))
    a, b = (str(tmp_path / f"epoch-{epoch}.safetensors") for epoch in (3, 0))
    for name, other in (("first", a), ("second", a), ("start", b)):
        more = ["--size", "32", "--layers", "relu1_1", "--record", name]
        assert compare_on_the_command_line("--images", str(folder), "--a", a, "--b", other, *more).exit_code == 0
    known_of = {name: known for name, (_, known) in image_comparisons.recorded_comparisons().items()}
    assert {name: known["trained"] for name, known in known_of.items()} == {
        "first": True,
        "second": True,
        "start": False,
    }
    assert {known["study"]["network"] for known in known_of.values()} == {"vgg8_bn"}
    assert set(image_comparisons.wide_similarity(image_comparisons.critical_by_comparison(), [0.5])["network"]) == set(
        known_of
    )


def test_what_is_recorded_says_whether_it_was_trained():
    recorded = image_comparisons.recorded_comparisons()
    assert recorded
    for name, (tables, known) in recorded.items():
        fresh = any(name.startswith("untrained:") for name in known["study"]["weights"])
        assert not (fresh and known["trained"])
        assert known["trained"] != name.endswith("-untrained")
        assert set(tables["critical"]["network"]) == {known["study"]["network"]}


def test_command_line_says_what_to_distrust(folder, tmp_path):
    net = weights.fresh_network("squeezenet1_1", 0)
    net.features[0].bias.data[:32] = -1000
    torch.save(net.state_dict(), tmp_path / "net.pt")
    both = ["--a", str(tmp_path / "net.pt"), "--b", str(tmp_path / "net.pt"), "--layers", "features.1", "--size", "64"]
    done = compare_on_the_command_line("--images", str(folder), "--network", "squeezenet1_1", *both)
    assert "note: features.1: dead neurons (x: first side, y: second side), so in no match: x0, x1" in done.output


MINE = """
import torch
from torch import nn

def small(width=4):
    torch.manual_seed(width)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())

def large():
    return small(6)

def loader():
    return [(torch.randn(9, 3, 8, 8), torch.zeros(9))]
"""


def test_command_line_takes_import_paths_and_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_of_test.py").write_text(MINE)
    np.savez(tmp_path / "inputs.npz", images=np.random.default_rng(0).normal(size=(20, 3, 8, 8)).astype(np.float32))
    both = ["--network", "mine_of_test:small", "--network-b", "mine_of_test:large", "--layers", "1", "--grid"]
    done = compare_on_the_command_line("--inputs", "inputs.npz", *both, "--html", "page.html", "--save", "two.zip")
    assert done.output.split()[-2:] == ["page.html", "two.zip"]
    assert "<h2>Similarity</h2>" in (tmp_path / "page.html").read_text()
    done = compare_on_the_command_line("--loader", "mine_of_test:loader", *both, "--measures", "cka")
    assert "9 images" in done.output
    assert "cka" in done.output
    for wrong, message in [("mine_of_test:smal", "did you mean 'small'"), ("nowhere:f", "module nowhere cannot be")]:
        with pytest.raises(BadInput, match=message):
            two_networks.compare_named(inputs=Path("inputs.npz"), network=wrong)
    with pytest.raises(BadInput, match="expected one source of inputs"):
        two_networks.compare_named(network="mine_of_test:small")
    with pytest.raises(BadInput, match="no weights for resnet18: expected a checkpoint file, or untrained:SEED"):
        two_networks.compare_named(inputs=Path("inputs.npz"), network="resnet18")


def test_own_checkpoints_bring_their_own_statistics(tmp_path):
    net = architectures.build("vgg8_bn", 0.125, seed=0)
    for name in ("cifar10", "digits"):
        training.save(net, tmp_path / f"{name}.safetensors", sidecar(name, epoch=1))
    paths = [str(tmp_path / f"{name}.safetensors") for name in ("cifar10", "digits")]
    assert [weights.statistics_of(path) for path in (*paths, "untrained:0")] == ["cifar10", "digits", "imagenet"]
    with pytest.raises(BadInput, match="trained on cifar10 and digits: say which statistics to use"):
        weights.statistics_of(*paths)
