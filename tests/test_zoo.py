"""torchvision's classifiers: in every layer the neurons that are found are the module's channels.

The networks are on the meta device, where a pass costs nothing: which axis holds the neurons depends on shapes alone.
"""

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models import regnet

from helpers.networks.calls import heard
from helpers.studies.chosen_layers import default_names

LARGER = {"vit_b_16": 224, "vit_b_32": 224, "vit_l_16": 224, "vit_l_32": 224, "vit_h_14": 224, "maxvit_t": 224}
ALL = models.list_models(module=models)
FEW = ["alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5", "mobilenet_v3_small"]
FEW += ["regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11", "vit_b_32"]
OPTIONS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}


def channels(module):
    """How many neurons a module has by its own account, if it says so."""
    if isinstance(module, nn.LayerNorm):
        return module.normalized_shape[-1]
    names = ("out_channels", "out_features", "num_features")
    return next((count for name in names if isinstance(count := getattr(module, name, None), int)), None)


@pytest.fixture(autouse=True)
def widths_on_the_cpu(monkeypatch):
    """RegNets compute their widths with tensors, which have no values on the meta device."""
    make = regnet.BlockParams.from_init_params.__func__

    def on_the_cpu(cls, *args, **options):
        with torch.device("cpu"):
            return make(cls, *args, **options)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", classmethod(on_the_cpu))


def check(name):
    with torch.device("meta"):
        net = models.get_model(name, weights=None, **OPTIONS.get(name, {})).eval()
        size = LARGER.get(name, 96 if name == "inception_v3" else 64)
        images = torch.randn(3, 3, size, size)
    found = heard(net, [images], lambda: net(images))
    tied = {layer: one for layer, one in found.items() if one.shape[0] % 3 == 0}  # not tables that no image reaches
    known = {layer: channels(one.module) for layer, one in tied.items() if channels(one.module)}
    assert {layer: found[layer].layout and found[layer].neurons for layer in known} == known
    bases = {layer.split("#")[0].split("[")[0] for layer, one in found.items() if one.layout}
    assert set(default_names(net)) <= bases


@pytest.mark.parametrize("name", FEW)
def test_the_neurons_are_the_channels(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in FEW])
def test_the_neurons_of_all_others_are_the_channels(name):
    check(name)
