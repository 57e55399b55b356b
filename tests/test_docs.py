"""Every block of Python in README and the cookbook runs, in order, in one namespace per page."""

import re
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import helpers
from helpers.files import ROOT

matplotlib.use("agg")
PAGES = ["README.md", "book/cookbook.md"]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def given() -> dict:
    """What a reader has: two layers' activations, two networks, a loader."""
    rng = np.random.default_rng(0)
    models = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()) for _ in "ab"]
    loader = DataLoader(TensorDataset(torch.randn(20, 3, 8, 8), torch.zeros(20)), batch_size=5)
    x, y = rng.normal(size=(2, 3, 50))
    return {"x": x, "y": y, "model_a": models[0], "model_b": models[1], "loader": loader}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "samerep", helpers)
    space: dict = {"__name__": "page"} | given()
    for number, block in enumerate(blocks(ROOT / page)):
        exec(compile(block, f"{page}, block {number}", "exec"), space)
    assert space
