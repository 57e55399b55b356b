"""A checkpoint is who it says: copies, swaps, damage and edits are refused by name, or trained again, never used."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_info
from torch import nn

from helpers.errors import BadInput
from helpers.files import sha256
from helpers.networks import checkpoints, training
from helpers.studies import store
from helpers.studies.kinds import KINDS
from helpers.studies.study import Study

pytestmark = pytest.mark.usefixtures("few_digits")


def tiny(seed=0, epochs=2):
    return training.plan("vgg8_bn", "digits", 0.0625, seed, "digits", epochs)


def trained(seed=0, epochs=2):
    run = tiny(seed, epochs)
    return run, training.train(run, progress=False)


def copy(source, target):
    for suffix in (".safetensors", ".json"):
        shutil.copy(source.with_suffix(suffix), target.with_suffix(suffix))


def edit(path, **changes):
    """Change the sidecar; None takes a key away."""
    side = path.with_suffix(".json")
    known = json.loads(side.read_text()) | changes
    side.write_text(json.dumps({name: value for name, value in known.items() if value is not None}))


def test_another_seeds_files_are_refused_by_name():
    (_, first), (_, second) = trained(0), trained(1)
    copy(first, second)
    with pytest.raises(BadInput, match=r"seed-1/epoch-002\.safetensors is a copy of .*seed-0/epoch-002"):
        checkpoints.load_checkpoint(second)
    with pytest.raises(BadInput, match="is a copy of"):
        training.train(tiny(1), progress=False)


def test_swapped_epochs_are_refused_by_name():
    run, last = trained()
    copy(run.checkpoint(1), last)
    with pytest.raises(BadInput, match=r"epoch-002\.safetensors is a copy of .*epoch-001"):
        checkpoints.load_checkpoint(last)


def test_an_edited_sidecar_does_not_make_a_network_another_one():
    """Everything made consistent but the identity inside the weights."""
    (_, first), (_, second) = trained(0), trained(1)
    copy(first, second)
    edit(second, seed=1, order_seed=1, augment_seed=1)
    with pytest.raises(BadInput, match="holds the weights of another run or epoch than its sidecar says"):
        checkpoints.load_checkpoint(second)


def test_weights_without_an_identity_as_older_versions_wrote_them_are_read():
    _, path = trained()
    save_file(load_file(path), path)
    edit(path, sha256=sha256(path), threads=None, target=None, fork_after=None)
    network, known = checkpoints.load_checkpoint(path)
    assert (known["target"], known["fork_after"], known["threads"]) == ("labels", 0, None)
    assert len(list(network.parameters())) > 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.compute], ids=lambda kind: kind.name)
def test_two_networks_of_a_study_with_equal_weights_are_refused_by_name(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_CACHE", str(tmp_path / "cache"))
    (_, first), (_, second) = trained(0), trained(1)
    network, _ = checkpoints.load_checkpoint(first)
    checkpoints.save(network, second, checkpoints.read_sidecar(second))
    with pytest.raises(BadInput, match=r"seed 0.* and seed 1.* have equal weights: expected two different networks"):
        store.computed_now(kind, Study(network="vgg8_bn", width=0.0625, epochs=2), progress=False)


def test_weights_are_equal_whatever_images_the_batch_norms_saw():
    state = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).state_dict()
    again = state | {"1.running_mean": torch.ones(2), "1.num_batches_tracked": torch.tensor(3)}
    other = state | {"0.bias": state["0.bias"] + 1}
    same, changed = checkpoints.weights_digest(again), checkpoints.weights_digest(other)
    with pytest.raises(BadInput, match=r"^a and b have equal weights"):
        checkpoints.check_different({"a": checkpoints.weights_digest(state), "b": same})
    checkpoints.check_different({"a": same, "b": changed})


def test_a_checkpoint_of_ones_own_may_lie_anywhere(tmp_path):
    _, path = trained()
    copy(path, tmp_path / "mine.safetensors")
    assert checkpoints.load_checkpoint(tmp_path / "mine.safetensors")[1]["seed"] == 0


SIDECARS = {
    "a list": "[]",
    "null": "null",
    "no JSON": "{",
    "a number": "3",
    "empty": "",
    "binary": b"\xff\xfe\x00",
    **{
        f"no {key}": {key: None}
        for key in ("network", "width", "recipe", "accuracy", "seed", "epoch", "sha256", "classes")
    },
    "a width in words": {"width": "wide"},
    "a width of 0": {"width": 0},
    "a seed in words": {"seed": "0"},
    "half a seed": {"seed": 0.5},
    "another seed": {"seed": 9},
    "an epoch in words": {"epoch": "2"},
    "accuracy above 1": {"accuracy": 3},
    "accuracy that is none": {"accuracy": float("nan")},
    "huge classes": {"classes": 10**9},
    "channels in words": {"channels": "three"},
    "images of no size": {"image_size": 0},
    "a recipe in words": {"recipe": "digits"},
    "a recipe without epochs": {"recipe": {"name": "digits"}},
    "a network that is not": {"network": "vgg9_bn"},
    "a hash of no length": {"sha256": "abc"},
    "threads in words": {"threads": "two"},
    "losses that are text": {"loss": "low"},
}


@pytest.mark.parametrize("damage", SIDECARS.values(), ids=SIDECARS)
def test_a_sidecar_that_is_not_one_is_refused_in_one_line(damage):
    _, path = trained(epochs=1)
    if isinstance(damage, dict):
        edit(path, **damage)
    else:
        path.with_suffix(".json").write_bytes(damage.encode() if isinstance(damage, str) else damage)
    with pytest.raises(BadInput) as caught:
        checkpoints.load_checkpoint(path)
    assert str(caught.value).isprintable()
    assert "epoch-001" in str(caught.value)
    with pytest.raises(BadInput):
        training.train(tiny(epochs=1), progress=False)


class Stop(Exception):
    """Ends a training after an epoch."""


def stopped_after(epoch, monkeypatch, epochs=3):
    run = tiny(epochs=epochs)
    keep = training.Training.keep

    def kept(self, number, loss):
        result = keep(self, number, loss)
        if number == epoch:
            raise Stop
        return result

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "keep", kept)
        with pytest.raises(Stop):
            training.train(run, progress=False)
    return run


def scale(path):
    tensors = load_file(path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        known = file.metadata()
    tensors["logits.weight"] *= 1.5
    save_file(tensors, path, known)


MOMENTA = {
    "changed": scale,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "without tensors": lambda path: save_file({}, path, {"epoch": "2"}),
    "of an epoch in words": lambda path: save_file(load_file(path), path, {"epoch": "x"}),
    "without metadata": lambda path: save_file(load_file(path), path),
    "of other shapes": lambda path: save_file(
        {k: v.flatten() for k, v in load_file(path).items()}, path, {"epoch": "2"}
    ),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", MOMENTA.values(), ids=MOMENTA)
def test_damaged_momentum_means_the_epoch_before_and_the_same_end(damage, monkeypatch, tmp_path):
    gold = sha256(trained(epochs=3)[1])
    shutil.rmtree(tmp_path / "runs")
    run = stopped_after(2, monkeypatch)
    damage(run.folder / checkpoints.MOMENTUM)
    resumed = checkpoints.resumable(
        run.folder, [name for name, _ in checkpoints.load_checkpoint(run.checkpoint(1))[0].named_parameters()]
    )
    assert resumed is not None
    assert resumed[1]["epoch"] == 1
    assert sha256(training.train(run, progress=False)) == gold


def test_momentum_of_another_run_is_not_taken(monkeypatch, tmp_path):
    gold = sha256(trained(epochs=3)[1])
    other = trained(1, 3)[0]
    shutil.rmtree(tiny(epochs=3).folder)
    run = stopped_after(2, monkeypatch)
    for name in (checkpoints.MOMENTUM, checkpoints.MOMENTUM_BEFORE):
        shutil.copy(other.folder / name, run.folder / name)
    assert checkpoints.resumable(run.folder, []) is None
    assert sha256(training.train(run, progress=False)) == gold


@pytest.fixture
def threads_used(monkeypatch):
    """The numbers of threads of PyTorch and of every other library, in each epoch that is trained."""
    used, epoch = [], training.Training.train_epoch

    def seen(self, number):
        used.append((torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())))
        return epoch(self, number)

    monkeypatch.setattr(training.Training, "train_epoch", seen)
    return used


def test_a_training_takes_one_thread_however_many_the_process_has(two_threads, threads_used):
    run, _ = trained(epochs=2)
    assert [set(each) for each in threads_used] == [{1}, {1}]
    assert torch.get_num_threads() == 2
    assert [checkpoints.read_sidecar(run.checkpoint(epoch))["threads"] for epoch in range(3)] == [1, 1, 1]


def test_a_training_goes_on_with_the_threads_it_began_with(monkeypatch, threads_used):
    run = stopped_after(1, monkeypatch)
    edit(run.checkpoint(1), threads=2)  # of an older version, which took those of the process
    training.train(run, progress=False)
    assert [each[0] for each in threads_used] == [1, 2, 2]
    assert [checkpoints.read_sidecar(run.checkpoint(epoch))["threads"] for epoch in range(4)] == [1, 2, 2, 2]


def test_what_a_killed_training_left_is_swept(monkeypatch):
    run = stopped_after(1, monkeypatch)
    left = run.folder / ".1-1-000000.new.epoch-002.safetensors"
    from helpers import files

    left = left.with_name(left.name.replace("000000", files._host()))
    left.touch()
    training.train(run, progress=False)
    assert not left.exists()
    assert not list(run.folder.parent.glob(".*"))
