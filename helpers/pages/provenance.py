"""How the numbers were made: tables of the provenance of everything in results/."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from .. import studies
from ..networks import training
from ..studies.kinds import KINDS
from ..studies.records import all_records, kind_name, study_of
from ..studies.store import Kind
from ..studies.study import Study

WORDS = {
    "epochs": "epochs",
    "peak_rate": "highest learning rate",
    "milestones": "learning rate divided by 10 at",
    "warmup": "linear warm-up over",
    "momentum": "momentum",
    "nesterov": "Nesterov",
    "weight_decay": "weight decay",
    "batch": "batch",
    "pad": "random crop of images padded by",
    "flip": "random mirroring",
    "initialisation": "initialisation of fully connected layers",
}


def networks() -> pd.DataFrame:
    """One row per trained network of a recorded study: recipe, epochs, accuracy, training time, device, precision."""
    parts = []
    for place in studies.records_of("seeds"):
        table = pd.read_parquet(place / "networks.parquet")
        parts.append(table[table["epoch"] == table["epochs"]])
    rows = pd.concat(parts).drop_duplicates(["network", "dataset", "width", "recipe", "epochs", "seed"])
    return rows.sort_values(["network", "width", "epochs", "seed"], ignore_index=True)


def accuracies() -> pd.DataFrame:
    """One row per study: seeds, recipe, epochs, test accuracy (lowest, mean, highest), minutes of training each."""
    by = ["network", "dataset", "width", "recipe", "epochs", "device", "precision"]
    groups = networks().groupby(by, observed=True)
    summary = groups.agg(
        networks=("seed", "size"),
        lowest=("accuracy", "min"),
        mean=("accuracy", "mean"),
        highest=("accuracy", "max"),
        minutes_each=("train_seconds", lambda seconds: seconds.mean() / 60),
    )
    return summary.reset_index().rename(columns={"mean": "mean_accuracy"})


def apart() -> pd.DataFrame:
    """One row per trained network that only records of causes or simple matches used, but no study of seeds."""
    known = {checkpoint["sha256"] for place in studies.records_of("seeds") for checkpoint in _checkpoints(place)}
    rows = [
        {"record": place.name} | checkpoint
        for place in [*studies.records_of("causes"), *studies.records_of("simple_matches")]
        for checkpoint in _checkpoints(place)
        if checkpoint["sha256"] not in known
    ]
    table = pd.DataFrame(rows, columns=["record", "seed", "accuracy", "sha256"])
    return table.drop_duplicates("sha256", ignore_index=True).drop(columns="sha256")


def _checkpoints(place: Path) -> list[dict[str, Any]]:
    """Seed, hash and accuracy of a record's networks, one per seed: those of the last epoch come first."""
    known = studies.read_provenance(place)
    return known["checkpoints"][: len(known["study"]["seeds"])]


def record_table() -> pd.DataFrame:
    """One row per record: its kind, images, seconds (if known), code, commit, and its size on disk.

    `made_by` says whether the code of its kind is still the code that made it, or whether older code made it.
    """
    return pd.DataFrame([_row(place) for place in all_records()])


def _row(place: Path) -> dict[str, Any]:
    known = studies.read_provenance(place)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    study = known.get("study", {})
    seeds, code = study.get("seeds"), KINDS[kind_name(known)].code_for(study.get("network"))
    return {
        "record": place.name,
        "kind": kind_name(known),
        "seeds": len(seeds) if seeds else "",
        "images": known.get("images", ""),
        "seconds": known.get("seconds", ""),
        "device": known.get("device", ""),
        "code": known.get("code", ""),
        "made_by": "this code" if known.get("code") == code else "older code",
        "commit": known.get("commit", ""),
        "kilobytes": round(size / 1000),
    }


def commands() -> pd.DataFrame:
    """One row per record that the command `record` makes: its name, and the command."""
    known = [(place.name, studies.read_provenance(place), str(place)) for place in all_records()]
    rows = [
        {"record": name, "command": record_command(KINDS[kind_name(record)], study_of(record, source), record)}
        for name, record, source in known
        if KINDS[kind_name(record)].compute
    ]
    return pd.DataFrame(rows, columns=["record", "command"])


def record_command(kind: Kind, study: Study, known: Mapping[str, Any]) -> str:
    """The command line that makes a record with this provenance, from `record` on."""
    words = ["record", "--dataset", study.dataset, "--network", study.network, "--width", f"{study.width:g}"]
    words += ["--seeds", _commas(study.seeds), "--recipe", study.recipe]
    for name in ("epochs", "epoch", "images"):
        value = getattr(study, name)
        words += [] if value is None else [f"--{name}", str(value)]
    for name in ("layers", "keep"):
        value = getattr(study, name)
        words += [f"--{name}", _commas(value)] if value else []
    words += ["--sampled"] if study.sampled else []
    words += ["--what", kind.name] if kind.name != "seeds" else []
    for name, value in known.get("settings", {}).items():
        if name in kind.defaults and value != _as_list(kind.defaults[name]):
            words += ["--setting", name, str(value)]
    return shlex.join(words)


def _commas(values: Any) -> str:
    return ",".join(map(str, values))


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def libraries() -> pd.DataFrame:
    """Versions of the libraries by record, one row for each set of versions."""
    rows: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for place in all_records():
        known = studies.read_provenance(place)
        if "libraries" in known:
            versions = {"python": str(known.get("python", ""))} | known["libraries"]
            rows.setdefault(tuple(versions.items()), []).append(place.name)
    return pd.DataFrame([dict(versions) | {"records": len(names)} for versions, names in rows.items()])


def settings() -> pd.DataFrame:
    """The authors' training and the recipes used here, one row per setting."""
    table = pd.DataFrame({"setting": list(WORDS.values())})
    for name, recipe in training.RECIPES.items():
        values = asdict(recipe)
        column = "authors (recipe paper)" if name == "paper" else f"recipe {name}"
        table[column] = [_setting(key, values, recipe.epochs) for key in WORDS]
    return table


def _setting(key: str, values: dict[str, Any], epochs: int) -> str:
    value = values[key]
    if key == "milestones":
        return " and ".join(f"epoch {share * epochs:g}" for share in value) if value else "never: falls linearly to 0"
    if key == "warmup":
        return "none" if values["milestones"] else f"{value:.0%} of the training"
    if key == "initialisation":
        return {"authors": "normal, standard deviation 0.01", "kaiming": "He's normal distribution"}[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
