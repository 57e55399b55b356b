"""What `compare` is told: options and inputs that are not possible are refused in one line, and nothing is ignored."""

import io
import zipfile
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from helpers import BadInput, Comparison, compare, critical_epsilons
from helpers.networks.inputs import expected_count, images_of


def network(seed=0, *further):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 4), *further, nn.ReLU()).eval()


def inputs(count=60):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(0))


def quiet(data, **options):
    return compare(network(0), network(1), data, layers=options.pop("layers", "1"), progress=False, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "60"}, "images is '60': expected a whole number from 1"),
        ({"batch": 0}, "batch is 0: expected a whole number from 1"),
        ({"grid": "no"}, "grid is 'no': expected"),
        ({"measures": 3}, r"measures is 3: expected a list of names, such as \['cka'\]"),
        ({"layouts": "nchw"}, "layouts is 'nchw': expected a dictionary"),
        ({"layouts": {"0": "zzzz"}}, "unknown layout of layer 0 'zzzz': Valid: nd, ntd"),  # layer 1 alone is compared
        ({"layouts": {"0": None}}, "unknown layout of layer 0"),
        ({"layouts": {"11": "nd"}}, "unknown layer of layouts '11': did you mean '1'"),
        ({"prepare": [abs]}, "prepare is .* expected a function of a batch, or two of them"),
        ({"layers": 1}, "layers is 1: expected names of layers"),
        ({"layers": []}, r"layers is \[\]: expected names of layers"),
        ({"layers_b": [1]}, r"layers_b is \[1\]: expected names of layers"),
        ({"layers": lambda name, module: False}, "the function of layers picks none of Sequential"),
    ],
)
def test_options_of_another_kind_are_refused_in_one_line(options, message):
    with pytest.raises(BadInput, match=message):
        quiet(inputs(), **options)


@pytest.mark.parametrize("network", ["resnet18", nn.Linear, len])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(BadInput, match=r"a network is .*: expected an nn\.Module"):
        compare(network, network, inputs(), progress=False)


def test_a_pattern_of_many_stars_takes_no_time():
    named = nn.Sequential(OrderedDict([("a" * 60, nn.Linear(5, 4)), ("relu", nn.ReLU())])).eval()
    with pytest.raises(BadInput, match="unknown layer"):
        compare(named, named, inputs(), layers="*a" * 20 + "*b", progress=False)


def test_a_measure_that_is_named_twice_is_measured_once():
    assert len(quiet(inputs(), measures=["cka", "cka"]).tables["measures"]) == 1


@pytest.mark.parametrize("epsilon", [np.float32(0.5), [0.5], np.array([0.5])])
def test_an_epsilon_of_numpy_is_one(epsilon):
    comparison = quiet(inputs())
    assert comparison.similarity(epsilon).similarity.tolist() == comparison.similarity(0.5).similarity.tolist()
    with pytest.raises(BadInput, match=r"epsilons is \[\]: expected numbers"):
        comparison.similarity([])


# ---------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.tensor(3.0), r"a batch has shape \(\): expected images along the first axis"),
        (inputs().to_sparse(), r"a batch is a sparse array of shape \(60, 5\): expected a dense array"),
        (np.ma.masked_array(np.ones((60, 5)), mask=True), "a batch is a masked array"),
    ],
)
def test_arrays_without_all_numbers_are_refused(data, message):
    with pytest.raises(BadInput, match=message):
        quiet(data)


def test_a_dictionary_has_as_many_inputs_as_images():
    x = inputs()
    others = {"version": 1, "classes": np.arange(3), "names": ["a", "b"]}
    comparison = quiet({**others, "image": x, "label": np.zeros(60)})
    assert comparison.images == 60
    right = critical_epsilons(*(network(seed)(x).detach().T.numpy() for seed in (0, 1)))
    np.testing.assert_allclose(comparison.critical["critical_epsilon"], np.concatenate(right), atol=1e-5)


def test_parts_of_a_batch_of_text_are_as_many():
    with pytest.raises(BadInput, match="a batch has 8 input_ids and 1 position_ids: expected as many"):
        images_of({"input_ids": torch.zeros(8, 4).long(), "position_ids": torch.zeros(1, 4).long()})


class Batches(Dataset):
    """Three batches of 20 inputs."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return inputs()[20 * number : 20 * number + 20]


def test_what_a_loader_will_give_is_not_guessed_from_its_dataset():
    assert quiet(DataLoader(Batches(), batch_size=None)).images == 60
    many = torch.utils.data.RandomSampler(inputs(), replacement=True, num_samples=200)
    assert expected_count(DataLoader(inputs(), batch_size=7, sampler=many)) == 200


class Vanishing(Dataset):
    """Its files are gone from the number 20 on."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 60

    def __getitem__(self, number):
        if number >= 20:
            raise self.error
        return inputs()[number]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "20.png"), r".*No such file or directory: '20\.png'$"),
        (OSError(), ".*OSError"),
    ],
)
def test_a_batch_that_cannot_be_read_is_named_with_the_reason(error, reason, workers):
    loader = DataLoader(Vanishing(error), batch_size=8, num_workers=workers)
    with pytest.raises(BadInput, match=rf"^batch 3 \(the first is 1\) cannot be read: {reason}") as caught:
        quiet(loader)
    assert isinstance(caught.value.__cause__, OSError)
    assert len(str(caught.value).splitlines()) == 1


# ---------------------------------------------------------------- results


def test_one_epsilon_is_enough_for_a_figure():
    assert len(quiet(inputs()).plot(epsilons=0.5).axes[0].lines) == 1


def packed(frame):
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("critical.parquet", None, "has no critical: expected critical, layers"),
        ("layers.parquet", None, "has no layers: expected critical, layers"),
        ("critical.parquet", packed(pd.DataFrame({"layer": [1]})), "critical has no column side"),
        ("comparison.json", b'{"images": "many", "seconds": 1.0, "peak_memory_gib": 1, "device": "cpu"}', "images is"),
        ("comparison.json", b"[1]", r"comparison.json: it is \[1\]: expected an object"),
    ],
)
def test_files_that_hold_something_else_are_no_comparisons(tmp_path, name, change, message):
    path = quiet(inputs()).save(tmp_path / "two.zip")
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members = members | {name: change} if change else {key: part for key, part in members.items() if key != name}
    rewritten(path, members)
    with pytest.raises(BadInput, match=f"two.zip is not a saved comparison: .*{message}"):
        Comparison.load(path)


@pytest.mark.parametrize(
    ("member", "old", "new"),
    [("comparison.json", b'"images": 60', b'"images": 61'), ("layers.parquet", None, None)],
)
def test_a_value_that_was_changed_after_saving_is_refused_though_it_is_possible(tmp_path, member, old, new):
    path = quiet(inputs()).save(tmp_path / "two.zip")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    table = pd.read_parquet(io.BytesIO(members["layers.parquet"]))
    table["samples"] += 1
    members[member] = members[member].replace(old, new) if old else packed(table)
    rewritten(path, members)
    with pytest.raises(BadInput, match=r"two.zip is not a saved comparison: it has changed since it was saved: comp"):
        Comparison.load(path)
    del members["sha256"]  # as earlier versions wrote it
    rewritten(path, members)
    assert Comparison.load(path).images in (60, 61)


def rewritten(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in members.items():
            archive.writestr(name, part)


def test_a_damaged_file_is_refused_wherever_the_damage_is(tmp_path):
    path = quiet(inputs()).save(tmp_path / "two.zip")
    whole = path.read_bytes()
    for start in range(0, len(whole), 97):
        path.write_bytes(whole[:start] + bytes(255 - part for part in whole[start : start + 9]) + whole[start + 9 :])
        with suppress(BadInput):  # nothing else is raised; damage between the members does no harm
            assert Comparison.load(path).images == 60
