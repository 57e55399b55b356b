"""Records, Gram matrices and the grid that are something else: one line that names the file, never used."""

import hashlib
import json
import os
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers import studies
from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.pages import grid
from helpers.studies import records, store
from helpers.studies.kinds import KINDS
from helpers.studies.study import Study
from helpers.subspaces import Gram, GramAccumulator, Pair

NAME = "cifar10-vgg16_bn-w0.25-short10"
STUDY = Study("cifar10", "vgg16_bn", 0.25, (0, 1), "short")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A copy of one record, alone."""
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    return shutil.copytree(ROOT / "results" / NAME, tmp_path / NAME)


def change(place, edit):
    """Edit the provenance; what the edit returns, if anything, takes its place."""
    path = place / "provenance.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps(edit(known) or known))


def sign(place):
    """Renew the hashes of the files that the provenance names."""
    change(
        place, lambda d: d.update(files={n: hashlib.sha256((place / n).read_bytes()).hexdigest() for n in d["files"]})
    )


def unfolding(path):
    """A table of one column whose 200 million equal entries take some kilobytes."""
    pd.DataFrame({"layer": np.zeros(2 * 10**7)}).to_parquet(path, compression="zstd")


PROVENANCES = {
    **{f"without {key}": lambda d, key=key: d.pop(key) and None for key in ("files", "study")},
    **{
        f"study without {key}": lambda d, key=key: d["study"].pop(key) and None for key in ("seeds", "network", "width")
    },
    "files is a list": lambda d: d.update(files=list(d["files"])),
    "a new key of the study": lambda d: d["study"].update(new=1),
    "seeds in words": lambda d: d["study"].update(seeds="01"),
    "a seed twice": lambda d: d["study"].update(seeds=[0, 0]),
    "a width in words": lambda d: d["study"].update(width="1/4"),
    "epochs of 10^22": lambda d: d["study"].update(epochs=10**22),
    "another network": lambda d: d["study"].update(network="resnet18"),
    "a file outside": lambda d: d["files"].update({"../../etc/hostname": "0" * 64}),
    "an absolute file": lambda d: d["files"].update({"/etc/hostname": "0" * 64}),
    "a hidden file": lambda d: d["files"].update({".a.parquet": "0" * 64}),
    "a hash that is none": lambda d: d["files"].update({"critical.parquet": "abc"}),
    "a table in no list": lambda d: d["files"].pop("critical.parquet") and None,
    "a missing table": lambda d: d["files"].update({"other.parquet": "0" * 64}),
    "grams is a list": lambda d: d.update(grams=list(d["grams"])),
    "a Gram matrix in no list": lambda d: d["files"].pop("grams/pool.npz") and None,
    "checkpoints in words": lambda d: d.update(checkpoints="five"),
    "accuracy that is none": lambda d: d["checkpoints"][0].update(accuracy=7),
    "seconds below 0": lambda d: d.update(seconds=-1),
    "a kind that is a list": lambda d: d.update(kind=["seeds"]),
    "libraries in words": lambda d: d.update(libraries="torch 2"),
    "images in words": lambda d: d.update(images="all"),
    "a commit that is a table": lambda d: d.update(commit={}),
    "a list": lambda d: [1],
    "a text": lambda d: "provenance",
    "a number": lambda d: 3,
}
FILES = {
    "empty": b"",
    "no JSON": b"{",
    "binary": bytes(range(256)),
    "deep": b"[" * 100_000,
    "a key twice": b'{"study": {}, "files": {}, "study": {}}',
    "NaN": b'{"study": {}, "files": {}, "other": NaN}',
    "many digits": b'{"study": {}, "files": {}, "other": ' + b"9" * 5000 + b"}",
    "huge number": b'{"study": {}, "files": {}, "seconds": 1e999}',
}


def one_line(caught, place) -> bool:
    text = str(caught.value)
    return text.isprintable() and place.name in text and len(text) < 1000


@pytest.mark.parametrize("edit", PROVENANCES.values(), ids=PROVENANCES)
def test_a_provenance_that_is_not_one_is_refused(place, edit):
    change(place, edit)
    with pytest.raises(BadInput) as caught:
        studies.find_record(studies.SEEDS, STUDY)
    assert one_line(caught, place)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_provenance_that_cannot_be_read_is_refused(place, content):
    (place / "provenance.json").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        studies.find_record(studies.SEEDS, STUDY)
    assert one_line(caught, place)
    with pytest.raises(BadInput):
        records.records_of("seeds")


TABLES = {
    "not parquet": lambda path: path.write_bytes(b"PAR1xxxxPAR1"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "unfolding": unfolding,
}


@pytest.mark.parametrize("damage", TABLES.values(), ids=TABLES)
def test_a_table_that_is_none_is_refused_although_its_hash_is_right(place, damage, monkeypatch):
    monkeypatch.setattr(records, "LARGEST_TABLE", 10**7)
    damage(place / "critical.parquet")
    sign(place)
    with pytest.raises(BadInput) as caught:
        studies.find_record(studies.SEEDS, STUDY)
    assert one_line(caught, place)


def test_a_record_under_another_name_is_refused(place):
    other = place.rename(place.with_name("cifar10-resnet18-w0.25-short10"))
    with pytest.raises(BadInput, match=f"holds the seeds record {NAME}: expected the record of its own name"):
        studies.find_record(studies.SEEDS, Study("cifar10", "resnet18", 0.25, (0, 1), "short"))
    with pytest.raises(BadInput, match=f"{other.name} holds a record of {NAME}"):
        store.recorded_study(other)


def test_a_gram_matrix_changed_after_the_tables_were_read_is_refused(place):
    result = studies.find_record(studies.SEEDS, STUDY)
    gram = Gram.load(place / "grams" / "pool.npz")
    Gram(gram.sums, gram.samples, gram.sizes, gram.gram * 1.0000001).save(place / "grams" / "pool.npz")
    with pytest.raises(BadInput, match=r"pool\.npz has changed since it was written"):
        result.gram("pool")


def test_hidden_folders_never_count_as_records(place):
    shutil.copytree(place, place.with_name(f".{place.name}.123.part"))
    shutil.copytree(place, place.with_name(".old"))
    assert records.all_records() == [place]


def test_every_record_of_the_repository_is_read_and_has_its_own_name():
    places = records.all_records()
    for where in places:
        known = records.read_provenance(where)
        records.read_tables(where)
        kind = KINDS[records.kind_name(known)]
        if kind.compute and known["study"]:
            store.check_name(kind, known, where)
            assert store.recorded_study(where).id in where.name
    assert len(places) > 20


# ---------------------------------------------------------------- Gram matrices


def sound():
    rng = np.random.default_rng(0)
    return GramAccumulator([3, 4]).add([rng.random((3, 50)), rng.random((4, 50))]).result()


def saved(path, **changes):
    """A saved Gram matrix with some arrays changed."""
    gram = sound()
    upper = gram.gram[np.triu_indices(7)]
    known = {"upper": upper, "sums": gram.sums, "samples": gram.samples, "sizes": gram.sizes}
    np.savez_compressed(path, **{k: v for k, v in (known | changes).items() if v is not None})
    return path


def times(position, factor):
    upper = sound().gram[np.triu_indices(7)]
    upper[position] *= factor
    return upper


GRAMS = {
    **{f"{samples} samples": {"samples": samples} for samples in (0, -1, 2.5, np.inf)},
    **{f"no {name}": {name: None} for name in ("upper", "sums", "samples", "sizes")},
    "another array": {"other": [1]},
    "sizes that do not add up": {"sizes": [3, 5]},
    "sizes below 0": {"sizes": [10, -3]},
    "sizes of 0": {"sizes": [7, 0]},
    "sizes that are no whole numbers": {"sizes": [3.5, 3.5]},
    "sizes in words": {"sizes": ["3", "4"]},
    "too few entries": {"upper": np.ones(27)},
    "too many entries": {"upper": np.ones(29)},
    "a matrix of entries": {"upper": np.ones((7, 4))},
    "NaN": {"upper": np.full(28, np.nan)},
    "infinite": {"upper": times(3, np.inf)},
    "complex": {"upper": np.ones(28) * 1j},
    "objects": {"upper": np.array([None] * 28)},
    "text": {"upper": np.array(["a"] * 28)},
    "a square below 0": {"upper": times(0, -1)},
    "a cosine of 5": {"upper": times(1, 20)},
    "not semidefinite": {"upper": times(1, -1)},
    "sums too large": {"sums": sound().sums * 100},
    "a dead neuron with products": {"upper": times(0, 0), "sums": sound().sums * [0, 1, 1, 1, 1, 1, 1]},
}


@pytest.mark.parametrize("changes", GRAMS.values(), ids=GRAMS)
def test_a_gram_matrix_that_no_activations_have_is_refused(tmp_path, changes):
    path = saved(tmp_path / "layer.npz", **changes)
    with pytest.raises(BadInput) as caught:
        Gram.load(path)
    assert str(caught.value).isprintable()
    assert "layer.npz" in str(caught.value)


def test_what_would_unfold_to_gigabytes_is_refused_from_its_headers(tmp_path, monkeypatch):
    path = tmp_path / "layer.npz"
    saved(path, sums=np.zeros(20_000), upper=np.zeros(4))
    monkeypatch.setattr(np, "load", lambda *given, **options: pytest.fail("it was unfolded"))
    with pytest.raises(BadInput, match="at most 16384 neurons"):
        Gram.load(path)
    with zipfile.ZipFile(saved(path), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", bytes(10**7))
    with pytest.raises(BadInput, match="arrays more, samples"):
        Gram.load(path)
    lying = tmp_path / "lying.npz"
    with zipfile.ZipFile(saved(path)) as source, zipfile.ZipFile(lying, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry) + bytes(10**6) * (entry.filename == "upper.npy"))
    with pytest.raises(BadInput, match=r"lying\.npz: unfolds to more than its arrays need"):
        Gram.load(lying)


def test_every_recorded_gram_matrix_is_taken():
    for path in sorted((ROOT / "results").glob("cifar10-*short5/grams/*.npz"))[:12]:
        assert Gram.load(path).samples > 0


@pytest.mark.parametrize(
    ("gram", "samples", "message"),
    [
        ([[1.0, 5], [5, 1]], 9, "two neurons have the cosine 5: expected a Gram matrix"),
        ([[1.0, 0], [0, 1]], -1, "samples is -1: expected a whole number from 1"),
        ([[1.0, 0], [0, 1]], 2.5, "samples is 2.5"),
    ],
)
def test_a_pair_is_made_of_nothing_but_a_gram_matrix(gram, samples, message):
    with pytest.raises(BadInput, match=message):
        Pair.from_gram(np.array(gram), 1, 1, samples)


# ---------------------------------------------------------------- the grid


def page(**entry):
    return [{"caption": "A", "pages": [{"notebook": "network"} | entry]}]


GRIDS = {
    **{
        f"page {name!r}": page(page=name)
        for name in ("../../x", "/tmp/x", "a/b", "", ".", "a b", "a\nb", 3, ["a"], "x" * 300)
    },
    **{
        f"notebook {name!r}": page(notebook=name)
        for name in ("../network", "/tmp/network", "nope", 3, None, "network.py")
    },
    **{
        f"depends {value!r}": page(depends=value)
        for value in ("notebooks/*.py", ["../x"], ["/etc/*"], [3], {"a": 1}, None)
    },
    **{f"parameters {value!r}": page(parameters=value) for value in ("a", [1], {"a b": 1}, 3, None)},
    **{f"smoke {value!r}": page(smoke=value) for value in ("a", [1], 3)},
    **{f"title {value!r}": page(title=value) for value in (3, "", ["a"])},
    "unknown key": page(pages="x"),
    "notebook and prose": page(prose="api"),
    "neither": [{"caption": "A", "pages": [{"page": "x"}]}],
    "prose that is not": [{"caption": "A", "pages": [{"prose": "nope"}]}],
    "twice": [{"caption": "A", "pages": [{"notebook": "network"}, {"notebook": "network"}]}],
    "no pages": [{"caption": "A", "pages": []}],
    "pages in words": [{"caption": "A", "pages": "network"}],
    "no caption": [{"pages": [{"notebook": "network"}]}],
    "numbered in words": [{"caption": "A", "numbered": "no", "pages": [{"notebook": "network"}]}],
    "empty list": [],
    "a mapping": {"caption": "A"},
    "a number": 3,
}
TEXTS = {
    "empty": "",
    "a comment": "# nothing",
    "no YAML": "[{",
    "binary": "\x00",
    "an object": "!!python/object:os.system {}",
}


@pytest.mark.parametrize("content", GRIDS.values(), ids=GRIDS)
def test_a_grid_that_is_not_one_is_refused(tmp_path, content):
    path = tmp_path / "grid.yml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(BadInput) as caught:
        grid.read_grid(path)
    assert str(caught.value).isprintable()
    assert "grid.yml" in str(caught.value)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_grid_that_cannot_be_read_is_refused(tmp_path, text):
    path = tmp_path / "grid.yml"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"grid\.yml"):
        grid.read_grid(path)
    os.remove(path)
    with pytest.raises(BadInput, match=r"grid\.yml is missing"):
        grid.read_grid(path)
