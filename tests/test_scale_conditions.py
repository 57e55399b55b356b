"""Kept activations, values under the conditions of the scale, identification: planted layers with known answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers.errors import BadInput
from helpers.measures import MEASURES, Sampled
from helpers.networks.architectures import Layer
from helpers.studies import calibration, identification, kept_activations, rivals
from helpers.studies.kept_activations import (
    EARLIER,
    TRAINED,
    UNTRAINED,
    KeptActivations,
    Role,
    images_taken,
    keep_arrays,
    write_activations,
)
from helpers.studies.parts import part
from helpers.studies.scale_conditions import calibrate_values, values_under_conditions
from helpers.studies.study import Study

RNG = np.random.default_rng(0)
IMAGES, PLACES, NEURONS = 60, 4, 5


def planted(folder: Path) -> KeptActivations:
    """Three trained networks that share directions, an earlier self that is nearly the first, and two strangers."""
    shared = RNG.normal(size=(IMAGES, PLACES, 3))
    places: dict[Role, Path] = {}
    first = shared @ RNG.normal(size=(3, NEURONS)) + 0.5 * RNG.normal(size=(IMAGES, PLACES, NEURONS))
    for seed in range(3):
        values = shared @ RNG.normal(size=(3, NEURONS)) + 0.5 * RNG.normal(size=(IMAGES, PLACES, NEURONS))
        places[Role(TRAINED, seed)] = save(folder / f"t{seed}", values if seed else first)
    near = first + 0.01 * RNG.normal(size=first.shape)
    places[Role(EARLIER, 0)] = save(folder / "e0", near)
    for seed in range(2):
        places[Role(UNTRAINED, seed)] = save(folder / f"u{seed}", RNG.normal(size=first.shape))
    return KeptActivations((Layer("conv", None, "conv", 0, 0.0),), places, {}, (0, 1, 2))


def save(place: Path, values: np.ndarray) -> Path:
    arrays = {"conv.npy": values, "conv.mean.npy": values.mean(axis=1)}
    keep_arrays(place, {name: array.astype(np.float32) for name, array in arrays.items()})
    return place


@pytest.fixture(scope="module")
def at_hand(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("kept"))


class Small(nn.Module):
    """A layer of 3 × 6 × 5 maps and one of 3 units."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.units = nn.Identity(), nn.Identity()

    def forward(self, images):
        return self.units(self.conv(images).mean((2, 3)))


def test_a_grid_of_positions_and_the_mean_over_all_are_kept(tmp_path):
    images = torch.randn(7, 3, 6, 5)
    write_activations(Small(), [images[:4], images[4:]], ["conv", "units"], tmp_path / "net")
    grid = np.load(tmp_path / "net" / "conv.npy")
    assert grid.shape == (7, 9, 3)  # every second row and column
    assert grid == pytest.approx(images[:, :, ::2, ::2].flatten(2).transpose(1, 2).numpy())
    assert np.load(tmp_path / "net" / "conv.mean.npy") == pytest.approx(images.mean((2, 3)).numpy(), abs=1e-6)
    assert np.load(tmp_path / "net" / "units.npy").shape == (7, 1, 3)


def test_many_positions_take_fewer_images(tmp_path, monkeypatch):
    assert [images_taken(2000, positions) for positions in (1, 4, 16)] == [2000, 2000, 1000]
    assert images_taken(500, 16) == 500
    monkeypatch.setattr(kept_activations, "FEWEST", 5)
    monkeypatch.setattr(kept_activations, "ENOUGH", 9)
    write_activations(Small(), [torch.randn(4, 3, 4, 4), torch.randn(4, 3, 4, 4)], ["conv", "units"], tmp_path / "net")
    assert np.load(tmp_path / "net" / "conv.npy").shape == (5, 4, 3)
    assert np.load(tmp_path / "net" / "units.npy").shape == (8, 1, 3)


def test_the_ends_stand_in_order_and_chance_uses_the_first_pair(at_hand):
    measures = [entry for entry in MEASURES.values() if entry.needs == "gram"]
    values = values_under_conditions(at_hand, "conv", measures, 40, "positions")
    assert set(values["end"]) == {"observed", "untrained", "ceiling", "chance"}
    counts = values[values["measure"] == "cka"]["end"].value_counts()
    assert counts.to_dict() == {"chance": 40, "observed": 3, "untrained": 1, "ceiling": 1}
    scale = calibrate_values(values).set_index("measure")
    for name in ("subspace", "cka", "procrustes", "regression"):
        row = scale.loc[name]
        assert row["chance"] < row["observed"] < row["ceiling"]
        assert 0.2 < row["calibrated"] < 1
        assert abs(row["calibrated_untrained"]) < 0.2
        assert row["p"] == 1 / 41


def test_permuting_images_keeps_positions_together(at_hand):
    """What depends on the position alone survives a permutation of the images; what depends on the image does not."""
    values = np.zeros((IMAGES, PLACES, 2))
    values[:, :, 0] = np.arange(PLACES)
    values[:, :, 1] = RNG.normal(size=(IMAGES, 1))
    both = KeptActivations(at_hand.layers, {}, {}, (0, 1))
    for seed in range(2):
        place = at_hand.places[Role(TRAINED, 0)].parent / f"p{seed}"
        both.places[Role(TRAINED, seed)] = save(place, values)
    both.places[Role(EARLIER, 0)] = both.places[Role(UNTRAINED, 0)] = both.places[Role(UNTRAINED, 1)] = place
    rows = values_under_conditions(both, "conv", [MEASURES["soft_match"]], 30, "positions")
    chance = rows.loc[rows["end"] == "chance", "value"]
    assert chance.mean() == pytest.approx(0.5, abs=0.1)  # one of two neurons matches exactly


def test_calibration_from_a_table_by_hand():
    base = {"layer": "l", "position": 0, "depth": 0.0, "kind": "conv", "samples": "images", "measure": "cka"}
    rows = [
        base | {"end": "observed", "seed_a": a, "seed_b": b, "value": v}
        for a, b, v in ((0, 1, 0.6), (0, 2, 0.5), (1, 2, 0.4))
    ]
    rows += [base | {"end": "chance", "seed_a": 0, "seed_b": 1, "value": v} for v in (0.1, 0.2, 0.7, 0.2)]
    rows += [
        base | {"end": end, "seed_a": 0, "seed_b": 1, "value": v} for end, v in (("untrained", 0.3), ("ceiling", 0.9))
    ]
    scale = calibrate_values(pd.DataFrame(rows)).iloc[0]
    assert scale["chance"] == pytest.approx(0.3)
    assert scale["calibrated"] == pytest.approx((0.5 - 0.3) / 0.6)
    assert scale["calibrated_untrained"] == pytest.approx(0)
    assert scale["calibrated_high"] - scale["calibrated"] == pytest.approx((scale["high"] - 0.5) / 0.6)
    assert scale["p"] == 2 / 5  # of pair (0, 1), which one permutation reaches


def test_dips_and_agreement():
    table = pd.DataFrame({"layer": list("abcd") * 2, "measure": ["m"] * 4 + ["n"] * 4, "samples": "images"})
    table["calibrated"] = [0.9, 0.2, 0.4, 0.8, 0.1, 0.3, 0.2, 0.9]
    groups = pd.DataFrame({"first": [0.9, 0.1], "middle": [0.3, 0.2], "late": [0.8, 0.9]}, index=["m", "n"])
    assert rivals.dips(groups).to_dict() == {"m": True, "n": False}
    assert rivals.agreement(table).loc["m", "n"] == pytest.approx(1 - 6 * 14 / (4 * 15))


def test_identification_finds_planted_layers_and_shares_ties():
    rng = np.random.default_rng(1)
    layers = {name: rng.normal(size=(4, 50)) for name in "abc"}
    x = {name: Sampled.of(z) for name, z in layers.items()}
    y = {name: Sampled.of(np.linalg.qr(rng.normal(size=(4, 4)))[0] @ z) for name, z in layers.items()}
    y["c"] = y["b"]  # b and c of y are one layer
    values = identification.similarities(x, y).assign(seed_a=0, seed_b=1)
    table = identification.accuracy_table(values).set_index("measure")
    # x's a is found, b is shared with c (½), c is not there (0, or ½ of a tie); y's a and b are found, y's c is b
    assert float(table.loc["cka", "accuracy"]) in (pytest.approx(3.5 / 6), pytest.approx(4 / 6))
    matrix = identification.confusion(values, "cka")
    assert matrix.loc["a", "a"] == 1
    assert matrix.loc["b"].to_numpy() == pytest.approx([0, 0.75, 0.25])
    assert (matrix.sum(axis=1) == 1).all()


def test_nearest_shares():
    shares = identification.nearest_shares(np.array([[0.9, 0.1, 0.2], [0.5, 0.5 + 1e-9, 0.1], [0.0, 0.0, 0.0]]))
    assert shares == pytest.approx(np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]))


def test_a_finished_part_is_not_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_CACHE", str(tmp_path))
    table = pd.DataFrame({"a": [1]})
    assert part(["k"], "l", lambda: table)["a"].tolist() == [1]
    assert part(["k"], "l", lambda: pytest.fail("computed twice"))["a"].tolist() == [1]
    assert part(["other"], "l", lambda: table.assign(a=2))["a"].tolist() == [2]


def test_the_three_kinds_on_a_tiny_study(tmp_path, monkeypatch):
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name))
    study = Study(network="vgg8_bn", epochs=2, seeds=(0, 1), layers=("relu1_1", "relu_fc2", "logits"))
    few = {"images": 120, "permutations": 4}
    scale = calibrate_values(calibration.compute(study, progress=False, **few).tables["values"])
    assert set(scale["measure"]) == set(calibration.NAMES)
    assert (scale["ceiling"] >= scale["chance"]).all()
    rows = rivals.compute(study, progress=False, **few).tables["values"]
    assert set(rows["measure"]) == set(MEASURES)
    values = identification.compute(study, progress=False, images=120).tables["values"]
    assert len(values) == len(MEASURES) * 9
    with pytest.raises(BadInput, match="earlier is 2: expected an epoch from 1 to 1"):
        calibration.compute(study, progress=False, earlier=2, **few)
