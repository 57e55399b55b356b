"""timm's and transformers' networks by name: tiny ones with random weights, built from their configurations, offline.

The right values come from what these packages return themselves (hidden states), without a hook.
"""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from helpers import __main__ as command
from helpers import compare, critical_epsilons
from helpers.errors import BadInput
from helpers.networks.weights import fresh_network, open_network
from helpers.studies.layer_choice import default_names

WHERE = "the extra `models` brings it"
TINY = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def timm():
    return pytest.importorskip("timm", reason=WHERE)


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason=WHERE)


@pytest.fixture
def bert(transformers, tmp_path):
    """The folder of a text encoder's configuration, as a checkpoint on disk has it."""
    config = transformers.BertConfig(vocab_size=30, max_position_embeddings=20, **TINY)
    config.save_pretrained(tmp_path / "bert")
    return f"transformers:{tmp_path / 'bert'}"


def shaken(name, seed):
    """A network whose norms have biases, as trained ones do: without, the neurons of a layer sum to zero."""
    network = fresh_network(name, seed).eval()
    generator = torch.Generator().manual_seed(seed)
    for weights in network.parameters():
        weights.data += 0.1 * torch.randn(weights.shape, generator=generator)
    return network


def texts(left=False):
    """A hundred texts of seven tokens, of which the last two, or with `left` the first two, are padding."""
    ids = torch.randint(1, 30, (100, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[:, slice(0, 2) if left else slice(5, 7)] = 0
    return {"input_ids": ids, "attention_mask": mask}


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **options)


def assert_values(comparison, layer, x, y):
    """The critical ε of a layer are those of two arrays."""
    mine = comparison.critical.query("layer == @layer")["critical_epsilon"]
    np.testing.assert_allclose(mine, np.concatenate(critical_epsilons(x, y)), atol=1e-5)


WAYS = {
    "all": lambda states, mask: states[mask.bool()],
    "class": lambda states, mask: states[torch.arange(len(states)), mask.argmax(1)],
    "mean": lambda states, mask: (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True),
}


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("tokens", WAYS)
def test_tokens_of_a_text_encoder_are_its_hidden_states(bert, tokens, left):
    nets, data = [shaken(bert, seed) for seed in (0, 1)], texts(left)
    comparison = quiet(*nets, data, tokens=tokens)
    assert set(comparison.tables["layers"]["layer"]) == {"encoder.layer.0", "encoder.layer.1", "pooler.dense"}
    with torch.no_grad():
        states = [net(**data, output_hidden_states=True).hidden_states[1] for net in nets]
    assert_values(comparison, "encoder.layer.0", *(WAYS[tokens](z, data["attention_mask"]).T.numpy() for z in states))


def test_neurons_that_sum_to_zero_are_said(bert):
    nets = [fresh_network(bert, seed).eval() for seed in (0, 1)]  # norms without biases
    assert any("depends on where the rank" in flag for flag in quiet(*nets, texts()).flags)


def test_a_vision_transformer_of_transformers(transformers, tmp_path):
    config = transformers.ViTConfig(image_size=16, patch_size=8, **TINY)
    config.save_pretrained(tmp_path)
    nets = [shaken(f"transformers:{tmp_path}", seed) for seed in (0, 1)]
    images = torch.randn(100, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    comparison = quiet(*nets, {"pixel_values": images}, layers="layers.?", tokens="class")
    with torch.no_grad():
        states = [net(images, output_hidden_states=True).hidden_states[2][:, 0].T.numpy() for net in nets]
    assert set(comparison.tables["layers"]["samples"]) == {100}
    assert_values(comparison, "layers.1", *states)


def configurations(transformers):
    """Small models of many families, and the names of their blocks."""
    text = {"vocab_size": 30, "max_position_embeddings": 20, **TINY}
    image = {"image_size": 16, "patch_size": 8, **TINY}
    return {
        "encoder.layer": transformers.RobertaConfig(**text, pad_token_id=0),
        "transformer.layer": transformers.DistilBertConfig(
            vocab_size=30, max_position_embeddings=20, dim=8, n_layers=2, n_heads=2, hidden_dim=16
        ),
        "h": transformers.GPT2Config(vocab_size=30, n_positions=20, n_embd=8, n_layer=2, n_head=2),
        "layers": transformers.LlamaConfig(**text),
        "encoder.layers": transformers.CLIPVisionConfig(**image),
    }


@pytest.mark.parametrize("blocks", ["encoder.layer", "transformer.layer", "h", "layers", "encoder.layers"])
def test_the_default_layers_are_the_blocks(transformers, blocks):
    network = transformers.AutoModel.from_config(configurations(transformers)[blocks])
    names = [name for name in default_names(network) if "pool" not in name]
    assert names == [f"{blocks}.0", f"{blocks}.1"]


@pytest.mark.parametrize(
    ("name", "first", "neurons"),
    [("test_vit", "blocks.0", 64), ("test_resnet", "conv1.2", 16), ("test_convnext", "stages.0.blocks.0.mlp.act", 96)],
)
def test_networks_of_timm(timm, name, first, neurons):
    options = {"img_size": 64} if name == "test_vit" else {}
    nets = [fresh_network(f"timm:{name}", seed, **options).eval() for seed in (0, 1)]
    images = torch.randn(40, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    comparison = quiet(*nets, images, layers=first)
    assert comparison.tables["layers"][["layer", "neurons_a"]].values.tolist() == [[first, neurons]]
    kept = []
    with torch.no_grad():
        for net in nets:
            hook = net.get_submodule(first).register_forward_hook(lambda *call: kept.append(call[2].clone()))
            net(images)
            hook.remove()
    axis = {"test_resnet": 1}.get(name, -1)
    assert_values(comparison, first, *(z.movedim(axis, 0).flatten(1).numpy() for z in kept))


def test_windows_within_stages_are_taken_and_stages_are_not(timm):
    names = default_names(timm.create_model("swin_tiny_patch4_window7_224", pretrained=False))
    assert names[:3] == ["layers.0.blocks.0", "layers.0.blocks.1", "layers.1.blocks.0"]
    assert len(names) == 12 + 1


def test_the_command_line_takes_their_names(timm, tmp_path):
    np.savez(tmp_path / "inputs.npz", images=np.random.default_rng(0).normal(size=(8, 3, 64, 64)).astype("float32"))
    words = ["compare", "--inputs", str(tmp_path / "inputs.npz"), "--network", "timm:test_resnet"]
    words += ["--a", "untrained:0", "--b", "untrained:1", "--layers", "conv1.2"]
    done = CliRunner().invoke(command.cli, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "8 images" in done.output


def test_wrong_names_are_one_line(timm, transformers, tmp_path):
    with pytest.raises(BadInput, match="unknown timm model 'resnet19': did you mean 'resnet1"):
        open_network("untrained:0", "timm:resnet19")
    with pytest.raises(BadInput, match=r"transformers:nowhere: expected a folder with config\.json") as error:
        open_network("untrained:0", "transformers:nowhere")
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_theirs_is_opened(timm, tmp_path):
    network = fresh_network("timm:test_resnet", 3, num_classes=7)
    torch.save(network.state_dict(), tmp_path / "seven.pt")
    opened = open_network(str(tmp_path / "seven.pt"), "timm:test_resnet")
    assert torch.equal(opened.get_classifier().weight, network.get_classifier().weight)


@pytest.mark.parametrize("package", ["timm", "transformers"])
def test_a_package_that_is_not_there_is_named(package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(BadInput, match=rf"{package} is not installed: pip install 'samerep\[models\]' brings it"):
        open_network("untrained:0", f"{package}:any")
