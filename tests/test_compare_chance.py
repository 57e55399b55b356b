"""Chance for two networks of one's own: planted structure is above it, noise is not, and what cannot be had is said."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from helpers import MEASURES, BadInput, Comparison, compare, processes
from helpers.__main__ import cli
from helpers.measures import Compared
from helpers.measures.chance import image_orders, p_value, permuted_values, with_positions
from helpers.studies import kept_activations, layer_chance, two_networks
from tests.test_layer_products import Encoder

ORDERS = 19


def seeded(seed, make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


def dense(seed, width=5, inputs=6):
    return seeded(seed, lambda: nn.Sequential(nn.Linear(inputs, width), nn.Tanh()))


def conv(seed, width=4, kernel=3):
    return seeded(seed, lambda: nn.Sequential(nn.Conv2d(3, width, kernel), nn.ReLU()))


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **({"chance": ORDERS, "layers": "1"} | options))


# ---------------------------------------------------------------- values


def test_a_copy_with_permuted_neurons_has_the_smallest_p():
    a, b = dense(0), dense(0)
    order = torch.tensor([3, 0, 4, 2, 1])
    b[0].weight.data, b[0].bias.data = a[0].weight.data[order], a[0].bias.data[order]
    comparison = quiet(a, b, noise(200, 6))
    (row,) = comparison.tables["chance"].itertuples()
    assert (row.layer, row.measure, row.samples, row.orders) == ("1", "subspace", 200, ORDERS)
    assert row.observed == pytest.approx(1, abs=1e-5)
    assert row.p == 1 / (ORDERS + 1)
    assert row.chance < row.chance_95 < 0.5
    assert not any("chance" in flag for flag in comparison.flags)


def test_networks_that_see_independent_noise_are_not_above_chance():
    halves = [lambda batch: batch[:, :6], lambda batch: batch[:, 6:]]
    tables = [quiet(dense(0), dense(1), noise(200 + k, 12), prepare=halves).tables["chance"] for k in range(8)]
    assert np.mean([table["p"].item() for table in tables]) > 0.25
    comparison = quiet(dense(0), dense(1), noise(200, 12), prepare=halves)
    row = comparison.tables["chance"].iloc[0]
    assert row["observed"] <= row["chance_95"]
    limit = f"{row['chance_95']:.3f} of inputs in another order (95th percentile)"
    said = f"1: not above chance: {row['observed']:.3f} against {limit}, p = {row['p']:.2f}"
    assert comparison.flags == (said,)
    assert comparison.tables["layers"]["flags"].tolist() == [1]


def test_values_are_those_of_permuted_arrays_and_positions_stay_together():
    a, b, data = conv(0), conv(1), noise(40, 3, 8, 8)
    table = quiet(a, b, data, measures=["cka"]).tables["chance"].set_index("measure")
    with torch.no_grad():
        kept = [kept_activations.on_grid(net(data)).flatten(0, 1).T.numpy() for net in (a, b)]
    pair, measures = Compared.of(*kept), [MEASURES[name] for name in ("subspace", "cka")]
    chance = permuted_values(pair, measures, [with_positions(order, 9) for order in image_orders(40, ORDERS)])
    for entry in measures:
        row, values = table.loc[entry.name], chance[entry.name].to_numpy()
        assert row["samples"] == 40 * 9
        assert row["observed"] == pytest.approx(entry.function(pair), abs=1e-6)
        assert row["chance"] == pytest.approx(values.mean(), abs=1e-6)
        assert row["chance_95"] == pytest.approx(np.percentile(values, 95), abs=1e-6)
        assert row["p"] == p_value(entry.function(pair), values)


def test_batches_change_nothing_and_without_chance_nothing_changes():
    data = noise(60, 3, 8, 8)
    tables = [quiet(conv(0), conv(1), data, batch=batch).tables for batch in (60, 7)]
    pd.testing.assert_frame_equal(tables[0]["chance"], tables[1]["chance"], atol=1e-6)
    plain = quiet(conv(0), conv(1), data, batch=60, chance=0)
    assert "chance" not in plain.tables
    for name, table in plain.tables.items():
        pd.testing.assert_frame_equal(table, tables[0][name], check_exact=True)


def test_a_layer_that_is_the_same_for_all_inputs_is_not_above_chance():
    """Its values say only at which position they are, so they are the same in every order of the inputs."""

    class Places(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.places = nn.Parameter(torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 4, 6, 6))).float())
            self.last = nn.ReLU()

        def forward(self, x):
            return self.last(0 * x.mean() + self.places.expand(len(x), -1, -1, -1))

    (row,) = (
        quiet(Places(0), Places(1), noise(50, 3, 8, 8), layers="last", layouts={"last": "nchw"})
        .tables["chance"]
        .itertuples()
    )
    assert row.p == 1


def test_maps_of_other_sizes_are_compared_where_they_are_pooled():
    comparison = quiet(conv(0), conv(1, kernel=5), noise(60, 3, 8, 8), pool=True)
    assert comparison.tables["chance"]["samples"].tolist() == [60 * 4]  # 4 × 4 positions, every second one
    grid = quiet(conv(0), conv(1, kernel=5), noise(60, 3, 8, 8), grid=True, layers=["0", "1"]).tables["chance"]
    assert grid[["layer", "layer_b"]].to_numpy().tolist() == [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]


# ---------------------------------------------------------------- which samples


def test_repeated_inputs_are_kept_once():
    data = noise(60, 6)
    once = quiet(dense(0), dense(1), data).tables["chance"]
    twice = quiet(dense(0), dense(1), torch.cat([data, data])).tables["chance"]
    pd.testing.assert_frame_equal(once, twice, atol=1e-6)


def test_no_more_is_kept_than_the_limit_and_from_everywhere(monkeypatch):
    monkeypatch.setattr(kept_activations, "ENOUGH", 70)
    monkeypatch.setattr(kept_activations, "FEWEST", 70)
    kept = []
    monkeypatch.setattr(
        layer_chance.Sampled, "of", lambda values, of=layer_chance.Sampled.of: kept.append(values) or of(values)
    )
    data = torch.arange(900.0)[:, None].expand(-1, 6) + noise(900, 6)
    same = nn.Sequential(nn.Linear(6, 6), nn.Identity())
    same[0].weight.data, same[0].bias.data = torch.eye(6), torch.zeros(6)
    assert quiet(same, same, data).tables["chance"]["samples"].tolist() == [70]
    assert kept[0].shape == (6, 70)
    assert kept[0].min() < 200 < 700 < kept[0].max()
    unknown = quiet(same, same, iter(data.split(100)))
    assert unknown.tables["chance"]["samples"].tolist() == [70]
    assert kept[-1].max() < 80  # the first ones, where nobody knows how many will come


def test_a_layer_with_too_few_kept_samples_is_named_and_has_no_value(monkeypatch):
    monkeypatch.setattr(kept_activations, "ENOUGH", 70)
    monkeypatch.setattr(kept_activations, "FEWEST", 70)
    nets = [seeded(k, lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5))) for k in (0, 1)]
    comparison = quiet(*nets, noise(200, 6), layers=["1", "2"])
    assert comparison.tables["chance"]["layer"].tolist() == ["2"]
    assert "1: no chance level: 70 samples are kept and 80 are needed (10 per neuron)" in comparison.flags
    one = quiet(conv(0, 1), conv(1, 1), noise(1, 3, 8, 8), batch=1)
    assert one.tables["chance"].empty
    assert "1: no chance level: fewer than two inputs are kept" in one.flags


# ---------------------------------------------------------------- tokens


def texts(padding):
    ids = torch.randint(1, 11, (80, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[40:, 12 - padding :] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize(
    ("tokens", "padding", "samples"), [("all", 0, 80 * 6), ("class", 3, 80), ("mean", 3, 80), ("mean", 0, 80)]
)
def test_tokens_of_a_text_stay_together(tokens, padding, samples):
    nets = [seeded(k, Encoder) for k in (0, 1)]
    table = quiet(*nets, texts(padding), layers="layer", tokens=tokens).tables["chance"]
    assert table["samples"].tolist() == [samples]  # of 12 tokens every second one


def test_padding_and_inputs_of_several_sizes_are_refused():
    nets = [seeded(k, Encoder) for k in (0, 1)]
    message = "the inputs of layer layer have different numbers of positions, .*tokens='mean'.* or chance=0"
    with pytest.raises(BadInput, match=message):
        quiet(*nets, texts(3), layers="layer")
    with pytest.raises(BadInput, match="the inputs of layer 1 have different numbers of positions"):
        quiet(conv(0), conv(1), [noise(40, 3, 8, 8), noise(40, 3, 10, 6)])


def test_inputs_that_prepare_multiplies_are_refused():
    with pytest.raises(BadInput, match="prepare makes 120 inputs of 60: expected as many, or chance=0"):
        quiet(dense(0), dense(1), noise(60, 6), batch=60, prepare=lambda batch: torch.cat([batch, -batch]))


# ---------------------------------------------------------------- what is refused, kept and shown


@pytest.mark.parametrize("chance", [-1, 1.5, True, "100", None, 10**6])
def test_other_numbers_of_orders_are_refused(chance):
    with pytest.raises(BadInput, match=r"chance is .*: expected a whole number from 0 to 10000"):
        quiet(dense(0), dense(1), noise(60, 6), chance=chance)


def test_samples_that_do_not_fit_into_memory_are_refused_before_the_pass(monkeypatch):
    free = 10_000
    monkeypatch.setattr(processes.psutil, "virtual_memory", lambda: type("Memory", (), {"available": free}))
    assert quiet(dense(0), dense(1), noise(60, 6), chance=0).images == 60
    with pytest.raises(BadInput, match=r"of memory are needed .*: expected less; name fewer layers, or leave chance"):
        quiet(dense(0), dense(1), noise(60, 6))


def test_values_that_float32_does_not_hold_are_refused_by_name():
    a, b = dense(0).double(), dense(1).double()
    a[1], b[1] = nn.Identity(), nn.Identity()
    a[0].weight.data *= 1e60
    with pytest.raises(BadInput, match=r"^layer 1: .*finite"):
        quiet(a, b, noise(60, 6))


def test_it_is_saved_loaded_and_shown(tmp_path):
    comparison = quiet(dense(0), dense(1), noise(60, 6))
    again = Comparison.load(comparison.save(tmp_path / "two.zip"))
    pd.testing.assert_frame_equal(again.tables["chance"], comparison.tables["chance"], check_exact=True)
    assert "<h2>Beside chance</h2>" in comparison.to_html(tmp_path / "page.html").read_text()
    assert any("chance_95" in line for line in two_networks.spoken_result(again))
    plain = quiet(dense(0), dense(1), noise(60, 6), chance=0)
    assert "Beside chance" not in plain.to_html(tmp_path / "page.html").read_text()
    assert "chance" not in Comparison.load(plain.save(tmp_path / "two.zip")).tables


def packed(frame):
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="p"), "chance has columns layer, .*: expected layer, measure"),
        (lambda table: table.assign(p=0.0), "chance has a p that is not possible"),
        (lambda table: table.assign(p=1.5), "chance has a p that is not possible"),
        (lambda table: table.assign(p="small"), "values in column p that are no finite numbers"),
        (lambda table: table.assign(observed=np.nan), "values in column observed that are no finite numbers"),
        (lambda table: table.assign(measure=3), "chance has 3 in column measure: expected names"),
    ],
)
def test_tables_that_no_comparison_has_are_refused(tmp_path, change, message):
    path = quiet(dense(0), dense(1), noise(60, 6)).save(tmp_path / "two.zip")
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members["chance.parquet"] = packed(change(pd.read_parquet(io.BytesIO(members["chance.parquet"]))))
    with zipfile.ZipFile(path, "w") as archive:
        for member, part in members.items():
            archive.writestr(member, part)
    with pytest.raises(BadInput, match=f"two.zip is not a saved comparison: .*{message}"):
        Comparison.load(path)


MINE = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh())
"""


def test_the_command_takes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_of_chance.py").write_text(MINE)
    np.savez(tmp_path / "inputs.npz", images=noise(60, 6).numpy())
    command = ["compare", "--inputs", "inputs.npz", "--network", "mine_of_chance:net", "--layers", "1"]
    done = CliRunner().invoke(cli, [*command, "--chance", "4"], catch_exceptions=False)
    (line,) = [line for line in done.output.splitlines() if "subspace" in line]
    assert line.split()[1:4] == ["subspace", "60", "4"]
    assert line.split()[-1] == "0.200"
    assert "chance" not in CliRunner().invoke(cli, command, catch_exceptions=False).output
    assert CliRunner().invoke(cli, [*command, "--chance", "-1"]).exit_code
