"""Schemas of the files that are read back. An error is one line with the file, the place in it, and what was expected.

pydantic is strict here: text is never a number, and never a list.
"""

import json
import math
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from .errors import BadInput, shown
from .parameters import LARGEST_SEED, MOST_EPOCHS, NARROWEST, WIDEST

LARGEST_TEXT = 16 * 2**20  # bytes of a JSON or YAML file; the largest of ours has some kilobytes
MOST_VALUES = 100_000  # of a YAML file with all aliases written out; the largest of ours has some thousands

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
Epoch = Annotated[int, Field(ge=0, le=MOST_EPOCHS)]
Width = Annotated[float, Field(ge=NARROWEST, le=WIDEST)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Word = Annotated[str, Field(min_length=1, max_length=1000)]


class Strict(BaseModel):
    """Only values of the right type, no NaN, no unknown key."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class Open(Strict):
    """Like `Strict`, but other keys are allowed."""

    model_config = ConfigDict(extra="allow")


Model = TypeVar("Model", bound=BaseModel)


def read_json(path: Path, model: type[Model], mend: str) -> Model:
    """A JSON file that fits the model. Raises `BadInput` with the file, what is wrong in it, and how to `mend` it."""
    text, source = _text(path, mend), str(path)
    once = partial(_once, source=source, mend=mend)
    with suppress(json.JSONDecodeError, RecursionError):  # pydantic says better what is wrong
        no_number = partial(_no_number, source=source, mend=mend)
        json.loads(text, object_pairs_hook=once, parse_constant=no_number, parse_int=str)
    return parsed(text, model, source, mend)


def parsed(text: str, model: type[Model], source: str, mend: str) -> Model:
    """JSON text that fits the model. Raises `BadInput` if it does not."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _refused(error, source, mend) from None


def _no_number(name: str, source: str, mend: str) -> None:
    raise BadInput(f"{source} has {name}: expected finite numbers; {mend}")


def _once(pairs: list[tuple[str, Any]], source: str, mend: str) -> None:
    """Raise `BadInput` for a key that is there twice, of which readers would silently take the last."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise BadInput(f"{source} has {shown(twice)} twice: {mend}")


def _unfolded(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a YAML node stands for with all aliases written out, where each key is there once.

    Raises `YAMLError` for a key that is there twice, and if the values are more than `MOST_VALUES`.
    """
    if isinstance(node, yaml.MappingNode):
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {shown(name)} is there twice")
        parts = [part for pair in node.value for part in pair]
    else:
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
    if id(node) not in known:
        known[id(node)] = MOST_VALUES  # for an alias of what it stands in
        known[id(node)] = 1 + sum(
            _unfolded(part, known) if id(part) not in known else known[id(part)] for part in parts
        )
    if known[id(node)] > MOST_VALUES:
        raise yaml.YAMLError(f"it unfolds to more than {MOST_VALUES} values: expected fewer")
    return known[id(node)]


def read_yaml(path: Path, model: type[Model]) -> Model:
    """A YAML file that fits the model. Raises `BadInput` with the file and the first thing that is wrong in it.

    Its content is converted to JSON, so that the rules are those of `read_json`.
    """
    try:
        written = _text(path, "repair it")
        _unfolded(yaml.compose(written, yaml.SafeLoader), {})
        content = yaml.safe_load(written)
        text = json.dumps(content)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} cannot be read: {' '.join(str(error).split())[:200]}") from None
    _check_finite(path.name, content)
    if content is None:
        raise BadInput(f"{path.name} is empty: repair it")
    return parsed(text, model, path.name, "repair it")


def _check_finite(name: str, content: Any, place: str = "") -> None:
    """Raise `BadInput` for infinity and for what is no number, which YAML can hold and JSON cannot."""
    if isinstance(content, float) and not math.isfinite(content):
        raise BadInput(f"{name}: {place} is {content}: expected a finite number")
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inside:
        _check_finite(name, value, f"{place}.{key}" if place else str(key))


def _text(path: Path, mend: str) -> str:
    try:
        if path.exists() and not path.is_file():  # a folder, or a pipe that would never end
            raise BadInput(f"{path} is no file: {mend}")
        if path.stat().st_size > LARGEST_TEXT:
            raise BadInput(f"{path} has {path.stat().st_size} bytes: expected at most {LARGEST_TEXT}; {mend}")
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path} is missing: {mend}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is damaged (no text): {mend}") from None


def _refused(error: ValidationError, source: str, mend: str) -> BadInput:
    """The first error of pydantic in the words of this project."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "it"
    if first["type"] == "extra_forbidden":
        return BadInput(f"unknown key in {source} '{first['loc'][-1]}' (at {place}): {mend}")
    if first["type"] == "missing":
        return BadInput(f"{source} has no {place}: {mend}")
    if first["type"] == "json_invalid":
        return BadInput(f"{source} is damaged (not JSON): {mend}")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("String should ")
    return BadInput(f"{source}: {place} is {shown(first['input'])}: expected {message}; {mend}")


def dumped(model: BaseModel) -> dict[str, Any]:
    """The values by name, in the form that JSON holds."""
    return model.model_dump(mode="json")


# ---------------------------------------------------------------- checkpoints


class RecipeOf(Open):
    """The recipe in a sidecar."""

    name: Word
    epochs: Epochs
    initialisation: Word = "kaiming"


class Sidecar(Open):
    """The sidecar of a checkpoint. Sidecars of older versions lack the keys that have a default here."""

    network: Word
    dataset: Word
    width: Width
    seed: Seed
    recipe: RecipeOf
    order_seed: Seed
    augment_seed: Seed
    target: Word = "labels"
    fork_after: Epoch = 0
    epoch: Epoch
    accuracy: Share
    loss: float | None
    train_seconds: Seconds | None
    classes: Annotated[int, Field(ge=1, le=100_000)]
    channels: Annotated[int, Field(ge=1, le=64)]
    image_size: Annotated[int, Field(ge=32, le=4096)]
    data_sha256: Hash
    device: Word
    precision: Word
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    torch: Word
    sha256: Hash


# ---------------------------------------------------------------- records

FileName = Annotated[str, Field(pattern=r"^(grams/)?[^./\\][^/\\]*\.(parquet|npz)$", max_length=200)]


class CheckpointOf(Open):
    """One network of a record."""

    seed: Seed
    sha256: Hash
    accuracy: Share


class Provenance(Open):
    """The provenance of a record. A kind of study may add keys; the keys of all kinds are checked."""

    study: dict[str, Any]
    files: dict[FileName, Hash]
    grams: dict[Word, list[Seed]] = {}
    checkpoints: list[CheckpointOf] = []
    settings: dict[str, Any] = {}
    seconds: Seconds = 0.0
    kind: Word = "seeds"
    code: Word = ""
    commit: Word = ""
    device: Word = ""
    python: Word = ""
    images: Annotated[int, Field(ge=1)] | None = None
    libraries: dict[Word, Word] = {}


class Saved(Strict):
    """The numbers of a saved comparison."""

    images: Annotated[int, Field(ge=1)]
    seconds: Seconds
    peak_memory_gib: Annotated[float, Field(ge=0)]
    device: Word


class Written(RootModel[dict[str, list[Hash]]]):
    """The hashes of files that a program has written into a folder, by path below it."""

    @model_validator(mode="after")
    def _below_the_folder(self) -> "Written":
        for name in self.root:
            if not name or name.startswith("/") or "\\" in name or ".." in name.split("/"):
                raise ValueError(f"paths below the folder, not {shown(name)}")
        return self


# ---------------------------------------------------------------- the grid of the book

Name = Annotated[str, Field(pattern=r"^[\w-]+$", max_length=100)]
Pattern = Annotated[str, Field(pattern=r"^[\w*][\w*.-]*(/[\w*][\w*.-]*)*$", max_length=200)]


class Entry(Strict):
    """One page: made from a notebook, or a page of prose."""

    page: Name | None = None
    prose: Name | None = None
    notebook: Name | None = None
    title: Word | None = None
    parameters: dict[Name, Any] = {}
    smoke: dict[Name, Any] = {}
    depends: list[Pattern] = []
    lists: Literal["statements", "course"] | None = None
    search: list[Word] = []

    @property
    def name(self) -> str:
        """The name of the page."""
        return self.page or self.prose or self.notebook or ""

    @model_validator(mode="after")
    def _of_one_source(self) -> "Entry":
        if (self.prose is None) == (self.notebook is None):
            raise ValueError("either a notebook or prose")
        return self


class PartOf(Strict):
    """Some pages under one caption."""

    caption: Word
    numbered: bool = False
    pages: Annotated[list[Entry], Field(min_length=1)]


class Grid(RootModel[Annotated[list[PartOf], Field(min_length=1)]]):
    """The whole book."""


# ---------------------------------------------------------------- the slides


class Slide(Open):
    """One slide of the lecture; `teaching.slides` says what the keys mean."""

    statement: Word | None = None
    proof: Word | None = None
    exercise: Word | None = None
    figure: Word | None = None
    text: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    title: Word | None = None
    minutes: Annotated[int, Field(ge=0, le=600)] | None = None
    note: Annotated[str, Field(max_length=10_000)] | None = None


class Slides(RootModel[Annotated[list[Slide], Field(min_length=1)]]):
    """The whole lecture."""


# ---------------------------------------------------------------- the claims

Epsilon = Annotated[float, Field(ge=0, lt=1)]


class Control(Strict):
    """The late checkpoint with which a network of a study is compared: its ceiling."""

    seed: Seed
    epoch: Epoch


class Decider(Strict):
    """A study that decides claims."""

    name: Word
    recipe: Word
    epochs: Epochs
    width: Width
    seeds: Annotated[list[Seed], Field(min_length=2)]
    control: Control


class ClaimOf(Strict):
    """A claim with its bounds; what a bound is: `claims.read_bound`."""

    id: Name
    text: Word
    holds: Word
    bounds: Annotated[dict[Name, Any], Field(min_length=1)]
    expected: Word
    beside: dict[Name, Any] = {}


class Evidence(Strict):
    """The file of claims: what decides, and what was expected."""

    epsilon: Epsilon
    epsilons: Annotated[list[Epsilon], Field(min_length=1)]
    studies: Annotated[dict[Name, Decider], Field(min_length=1)]
    groups: dict[Name, Annotated[dict[Name, Annotated[list[Word], Field(min_length=1)]], Field(min_length=1)]]
    claims: Annotated[list[ClaimOf], Field(min_length=1)]
    expected: dict[str, Any]

    @model_validator(mode="after")
    def _of_the_same_networks(self) -> "Evidence":
        if set(self.groups) != set(self.studies):
            raise ValueError(f"groups of the networks {', '.join(self.studies)}, not of {', '.join(self.groups)}")
        return self
