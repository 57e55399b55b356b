"""Images and labels: the right arrays from every source, a clear refusal of anything else."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from helpers.errors import BadInput
from helpers.networks import datasets

ROWS = {"train": 10, "test": 2}


@pytest.fixture(autouse=True)
def empty_data_root(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_DATA", str(tmp_path / "data"))
    datasets._cifar10.cache_clear()
    yield
    datasets._digits.cache_clear()


@pytest.fixture
def small():
    """Ten training and two test images with labels, as the four arrays and their hashes."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in ROWS.items():
        arrays[f"{split}-images"] = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[f"{split}-labels"] = rng.integers(0, 10, count)
    return arrays, {part: datasets._hash(array) for part, array in arrays.items()}


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def png(images: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(images.reshape(len(images), 1024, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def npm_files(arrays) -> dict[str, bytes]:
    files = {f"data_batch_{i}.png": png(arrays["train-images"][2 * i - 2 : 2 * i]) for i in range(1, 6)}
    files["test_batch.png"] = png(arrays["test-images"])
    labels = {f"{split}_lables.json": arrays[f"{split}-labels"].tolist() for split in ROWS}
    return files | {name: json.dumps(values).encode() for name, values in labels.items()}


def binary_records(images, labels) -> bytes:
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.column_stack([labels.astype(np.uint8), planes]).tobytes()


def binary_files(arrays) -> dict[str, bytes]:
    images, labels = arrays["train-images"], arrays["train-labels"]
    files = {
        f"data_batch_{i}.bin": binary_records(*(a[2 * i - 2 : 2 * i] for a in (images, labels))) for i in range(1, 6)
    }
    return files | {"test_batch.bin": binary_records(arrays["test-images"], arrays["test-labels"])}


@pytest.mark.parametrize("files", [npm_files, binary_files])
def test_both_sources_end_as_the_same_arrays(tmp_path, small, files):
    arrays, hashes = small
    archive = write_archive(tmp_path / "archive.tgz", files(arrays))
    datasets.store_cifar10(archive, ROWS, hashes)
    for part, array in arrays.items():
        np.testing.assert_array_equal(np.load(datasets.data_root() / "cifar10" / f"{part}.npy"), array)


def test_an_altered_archive_is_refused_and_nothing_is_kept(tmp_path, small):
    arrays, hashes = small
    arrays["train-images"][3, 5, 5, 1] ^= 1
    archive = write_archive(tmp_path / "archive.tgz", npm_files(arrays))
    with pytest.raises(BadInput, match=r"archive\.tgz: train-images differ from the published data; refused"):
        datasets.store_cifar10(archive, ROWS, hashes)
    assert not datasets.data_root().exists()


def test_a_truncated_archive_is_refused_by_name(tmp_path, small):
    arrays, hashes = small
    archive = write_archive(tmp_path / "archive.tgz", npm_files(arrays))
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(BadInput, match=r"archive\.tgz is truncated or not CIFAR-10"):
        datasets.store_cifar10(archive, ROWS, hashes)
    assert not datasets.data_root().exists()


def test_an_archive_of_something_else_is_refused(tmp_path, small):
    archive = write_archive(tmp_path / "other.tgz", {"readme.txt": b"hello"})
    with pytest.raises(BadInput, match=r"other\.tgz is truncated or not CIFAR-10"):
        datasets.store_cifar10(archive, ROWS, small[1])


def test_too_few_images_are_refused(tmp_path, small):
    arrays, hashes = small
    archive = write_archive(tmp_path / "few.tgz", npm_files(arrays))
    with pytest.raises(BadInput, match="10 train images instead of 11"):
        datasets.store_cifar10(archive, {"train": 11, "test": 2}, hashes)


def test_cifar10_that_was_never_fetched_says_how_to_fetch_it():
    with pytest.raises(BadInput, match="python -m helpers data fetch cifar10"):
        datasets.load_dataset("cifar10")


@pytest.mark.parametrize("content", [b"", b"not an array", None])
def test_a_damaged_file_is_named_and_never_used(small, content):
    arrays, _ = small
    root = datasets.data_root() / "cifar10"
    root.mkdir(parents=True)
    for part, array in arrays.items():
        np.save(root / f"{part}.npy", array)
    if content is not None:
        (root / "test-images.npy").write_bytes(content)
    with pytest.raises(BadInput, match=r"test-images\.npy is damaged or not CIFAR-10"):
        datasets.load_dataset("cifar10", "test")


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("test-images", lambda array: array.reshape(32, 2, 32, 3)),
        ("test-images", lambda array: array.view(np.int8)),
        ("test-labels", lambda array: array.view(np.uint64)),
        ("test-labels", lambda array: array[:, None]),
    ],
)
def test_the_right_bytes_in_another_shape_or_type_are_refused(small, monkeypatch, part, change):
    arrays, hashes = small
    monkeypatch.setattr(datasets, "CIFAR10_ROWS", ROWS)
    monkeypatch.setattr(datasets, "CIFAR10_SHA256", hashes)
    root = datasets.data_root() / "cifar10"
    root.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(root / f"{name}.npy", array)
    np.testing.assert_array_equal(datasets.load_dataset("cifar10").images, arrays["test-images"])
    np.save(root / f"{part}.npy", change(arrays[part]))
    with pytest.raises(BadInput, match=rf"{part}\.npy is damaged or not CIFAR-10"):
        datasets.verify("cifar10")


def test_labels_nested_in_an_archive_are_refused(tmp_path, small):
    arrays, hashes = small
    archive = write_archive(
        tmp_path / "nested.tgz", npm_files(arrays | {"test-labels": arrays["test-labels"][:, None]})
    )
    with pytest.raises(BadInput, match=r"nested\.tgz: test-labels differ from the published data; refused"):
        datasets.store_cifar10(archive, ROWS, hashes)


def test_a_pickled_array_is_not_loaded(tmp_path):
    root = datasets.data_root() / "cifar10"
    root.mkdir(parents=True)
    np.save(root / "test-images.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="damaged"):
        datasets.load_dataset("cifar10", "test")


def test_no_source_within_reach_names_them_all(monkeypatch):
    def refuse(scratch):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "download_binary", refuse)
    monkeypatch.setattr(datasets, "download_npm", refuse)
    with pytest.raises(BadInput, match="torchvision: no route to host; npm: no route to host"):
        datasets.fetch("cifar10")


def test_fetch_goes_on_to_the_next_source(tmp_path, monkeypatch, small):
    arrays, hashes = small
    archive = write_archive(tmp_path / "archive.tgz", npm_files(arrays))
    monkeypatch.setattr(datasets, "CIFAR10_ROWS", ROWS)
    monkeypatch.setattr(datasets, "CIFAR10_SHA256", hashes)

    def refuse(scratch):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "download_binary", refuse)
    monkeypatch.setattr(datasets, "download_npm", lambda scratch: archive)
    datasets.fetch("cifar10")
    np.testing.assert_array_equal(datasets.load_dataset("cifar10", "test").images, arrays["test-images"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.load_dataset("cifar"), "unknown dataset 'cifar': did you mean 'cifar10'"),
        (lambda: datasets.load_dataset("digits", "tset"), "unknown split 'tset': did you mean 'test'"),
        (lambda: datasets.fetch("mnist"), "unknown dataset 'mnist'"),
        (lambda: datasets.fetch("cifar10", "nmp"), "unknown source 'nmp': did you mean 'npm'"),
        (lambda: datasets.to_tensor(np.zeros((4, 8, 8), np.uint8)), r"images of shape \(4, 8, 8\)"),
        (lambda: datasets.normalise(torch.zeros(1, 3, 8, 8), "digits"), "images with 3 channels: digits has 1"),
        (lambda: datasets.normalise(torch.zeros(1, 3, 8, 8), "digit"), "unknown dataset 'digit'"),
        (lambda: datasets.image_folder(Path("nowhere")), "nowhere is not a folder"),
        (lambda: datasets.image_folder(Path(), 0), "size is 0: expected a whole number from 1 to 4096"),
        (lambda: datasets.image_folder(Path(), 3.5), r"size is 3\.5: expected a whole number"),
        (lambda: datasets.image_folder(Path(), crop=0), r"crop is 0: expected a number from 0.05 to 1"),
        (lambda: datasets.image_folder(Path(), crop=1.5), r"crop is 1\.5"),
        (lambda: datasets.image_folder(Path(), statistics="imagnet"), "unknown statistics 'imagnet': did you mean"),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(BadInput, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_digits_splits_are_disjoint_and_whole():
    train, test = datasets.load_dataset("digits", "train"), datasets.load_dataset("digits", "test")
    assert (train.images.shape, test.images.shape) == ((1297, 32, 32, 1), (500, 32, 32, 1))
    whole = load_digits()
    np.testing.assert_array_equal(np.concatenate([train.labels, test.labels]), whole.target)
    small = np.concatenate([train.images, test.images])[:, ::4, ::4, 0]
    np.testing.assert_allclose(small, whole.images * (255 / 16), atol=0.5)
    assert datasets.verify("digits") == {
        "train": "be1de37592ffda8bd5d9a58a04db0e71887abd330736c5e58e67095a48266b4f",
        "test": "490064d01bf009f34a4dcb19dd31d51709c0b7cb414e200093d0062bfc6eabc8",
    }


@pytest.mark.parametrize(("part", "split"), [("images", "train"), ("images", "test"), ("target", "test")])
def test_other_digits_are_refused(monkeypatch, part, split):
    changed = load_digits()
    changed[part][0 if split == "train" else -1] += 1
    monkeypatch.setattr(datasets, "load_digits", lambda: changed)
    what = "images" if part == "images" else "labels"
    with pytest.raises(BadInput, match=f"scikit-learn's digits: {split}-{what} differ from the known data"):
        datasets.verify("digits")


def test_digits_are_where_fetch_says():
    assert datasets.fetch("digits").is_file()


@pytest.mark.parametrize("name", ["digits"])
def test_normalised_training_images_have_mean_0_and_deviation_1(name):
    images = torch.cat(list(datasets.batches(datasets.load_dataset(name, "train"))))
    assert abs(float(images.mean())) < 1e-3
    assert abs(float(images.std()) - 1) < 1e-3


def test_grey_pictures_in_a_folder_become_rgb(tmp_path):
    (tmp_path / "class").mkdir()
    Image.new("L", (300, 260), 128).save(tmp_path / "class" / "grey.png")
    image, label = datasets.image_folder(tmp_path, size=64)[0]
    assert image.shape == (3, 64, 64)
    assert label == 0


@pytest.mark.parametrize("keep", [0, 60])
def test_a_damaged_picture_is_named(tmp_path, keep):
    path = tmp_path / "class" / "broken.png"
    path.parent.mkdir()
    Image.effect_noise((30, 30), 50).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInput, match=r"broken\.png cannot be read as an image") as caught:
        datasets.image_folder(tmp_path)[0]
    assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no class folder with images"):
        datasets.image_folder(tmp_path)


# ---------------------------------------------------------------- folders as people have them


RAMP = np.add.outer(np.arange(40), np.arange(40)) * 800  # 16-bit grey values


def in_class(root, array, name, label="a"):
    place = root / label / name
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(place)
    return place


def byte_ramp():
    return (RAMP >> 8).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "array"),
    [("deep.png", RAMP.astype(np.uint16)), ("float.tiff", (RAMP / 65535).astype(np.float32))],
)
def test_deep_pictures_look_as_they_do_with_8_bits(tmp_path, name, array):
    in_class(tmp_path / "deep", array, name)
    in_class(tmp_path / "byte", byte_ramp(), "8-bit.png")
    deep, right = (datasets.image_folder(tmp_path / folder, 32, 1.0)[0][0] for folder in ("deep", "byte"))
    assert (deep - right).abs().max() < 0.05  # of the standard deviation of ImageNet's pixels: three grey levels


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("int32.tiff", RAMP.astype(np.int32), "int32.tiff has whole numbers of 32 bits: white is not certain"),
        ("hot.tiff", RAMP.astype(np.float32), "hot.tiff has values from 0 to 62400: expected 0 to 1"),
        ("nan.tiff", np.full((40, 40), np.nan, np.float32), "nan.tiff has values from nan to nan"),
        ("strip.png", np.zeros((1, 60_000), np.uint8), "strip.png has 60000 × 1 pixels: too long and thin"),
    ],
)
def test_pictures_without_a_certain_look_are_refused_by_name(tmp_path, name, array, message):
    in_class(tmp_path, array, name)
    with pytest.raises(BadInput, match=message):
        datasets.image_folder(tmp_path)[0]


def test_hidden_copies_empty_classes_and_circles_are_not_counted(tmp_path):
    for number in range(3):
        in_class(tmp_path, np.full((40, 40, 3), 50 * number, np.uint8), f"{number}.png")
    for empty in ("b", ".ipynb_checkpoints", "a/.ipynb_checkpoints"):
        (tmp_path / empty).mkdir()
    copy = tmp_path / "a" / ".ipynb_checkpoints" / "0-checkpoint.png"
    copy.write_bytes((tmp_path / "a" / "0.png").read_bytes())
    (tmp_path / "a" / "._0.png").write_bytes(b"what macOS leaves")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "self").symlink_to(".")
    folder = datasets.image_folder(tmp_path, 32)
    assert (len(folder), folder.classes) == (3, ["a"])


def test_a_folder_of_images_without_classes_is_one_class(tmp_path):
    for number in range(2):
        in_class(tmp_path, byte_ramp(), f"{number}.png", ".")
    assert len(datasets.image_folder(tmp_path, 32)) == 2
    in_class(tmp_path, byte_ramp(), "other.png", "a")
    with pytest.raises(BadInput, match=r"holds '0.png' beside class folders: expected one or the other"):
        datasets.image_folder(tmp_path)


def test_a_linked_folder_is_read_once(tmp_path):
    in_class(tmp_path / "elsewhere", byte_ramp(), "0.png", "x")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a").symlink_to(tmp_path / "elsewhere" / "x")
    assert len(datasets.image_folder(tmp_path / "pictures", 32)) == 1
