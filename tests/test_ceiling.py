"""The ceiling: checkpoints of one training matched with its end; which ones, in which columns, and what is refused."""

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.networks import datasets
from helpers.networks.activations import activations
from helpers.studies import ceiling, store, study
from helpers.studies.study import Study, network_at
from helpers.studies.tables import critical_rows
from helpers.subspaces import Gram
from tests.test_causes import kept

STUDY = Study(network="vgg8_bn", seeds=(3, 1), epochs=9, images=100, layers=("relu1_1", "logits"))


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name))


def test_each_end_is_compared_with_the_epochs_that_were_kept(folders):
    kept(STUDY, (3, 9), (3, 8), (3, 7), (3, 4), (1, 9), (1, 5))
    members, pairs = ceiling.checkpoints(STUDY)
    assert [(members[a], members[b]) for a, b in pairs] == [((3, 9), (3, 8)), ((3, 9), (3, 7)), ((1, 9), (1, 5))]


def test_a_record_of_the_ceiling(folders, monkeypatch):
    kept(STUDY, (3, 9), (3, 6), (1, 9))
    monkeypatch.setattr(study, "network_at", _other_epochs)
    place = store.record(ceiling.KIND, STUDY, progress=False)
    assert place.name == f"ceiling-{STUDY.id}"
    result = store.find_or_compute(ceiling.KIND, STUDY)
    critical = result.tables["critical"]
    assert set(zip(critical["seed_a"], critical["epoch_a"], critical["seed_b"], critical["epoch_b"], strict=True)) == {
        (3, 9, 3, 6)
    }
    data = datasets.load_dataset("digits")
    nets = [_other_epochs(STUDY.runs[0], epoch, data)[0] for epoch in (9, 6)]
    batches = list(datasets.batches(data))[:1]
    z = np.vstack([activations(net, [batches[0][:100]], "relu1_1") for net in nets])
    expected = critical_rows(Gram(z.sum(1), z.shape[1], (len(z) // 2,) * 2, z @ z.T), 0, 1)
    ours = critical.query("layer == 'relu1_1'")
    np.testing.assert_allclose(ours["critical_epsilon"], expected["critical_epsilon"], atol=1e-4)
    np.testing.assert_allclose(ours["power"], expected["power"], atol=1e-6)
    assert set(result.tables["similarity"]["layer"]) == {"relu1_1", "logits"}
    assert result.tables["networks"]["epoch"].tolist() == [9, 6]


def _other_epochs(run, epoch, data, progress=False):
    """An untrained checkpoint that stands for an epoch; its weights are moved a little by the epoch."""
    network, sidecar = network_at(run, epoch, data, progress)
    for parameter in network.parameters():
        parameter.data *= 1 + 0.01 * epoch * parameter.data.sign()
    return network, sidecar


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (STUDY, "kept no epoch before epoch 9: expected one at least"),
        (Study(network="vgg8_bn", epochs=9, epoch=0), "epoch is 0: the ceiling compares the last epoch with earlier"),
    ],
)
def test_what_has_no_ceiling(folders, study, message):
    kept(study, *((seed, 9) for seed in study.seeds))
    with pytest.raises(BadInput, match=message):
        ceiling.compute(study, progress=False)
