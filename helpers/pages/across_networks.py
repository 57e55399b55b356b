"""Compare recorded studies: tables and phrases by relative depth, or by the one thing in which networks differ."""

import html
import re

import numpy as np
import pandas as pd

from .. import studies
from .figures import Markup
from .layer_tables import INNER, critical_summary, layer_means, spoken, study_page

CONTRASTS: dict[str, tuple[tuple[str, float], tuple[str, float]]] = {  # what differs: two networks with widths
    "shortcuts": (("plain20", 1), ("resnet20", 1)),
    "batch norm": (("vgg16", 0.25), ("vgg16_bn", 0.25)),
    "depth": (("vgg11_bn", 0.25), ("vgg16_bn", 0.25)),
    "width (VGG-16)": (("vgg16_bn", 0.25), ("vgg16_bn", 1)),
    "width (ResNet-18)": (("resnet18", 0.5), ("resnet18", 1)),  # both trained for equally many epochs
    "family (much else too)": (("vgg16_bn", 0.25), ("resnet18", 0.25)),
}
DEPTHS = ("first layer", "0–0.2", "0.2–0.4", "0.4–0.6", "0.6–0.8", "0.8–1", "logits")


def trained_results(dataset: str = "cifar10") -> dict[str, studies.Result]:
    """Every record of trained networks on a dataset's whole test set, by its title."""
    results = {}
    for place in studies.records_of("seeds"):
        study = studies.recorded_study(place)
        last = study.epoch in (None, study.runs[0].recipe.epochs)
        if study.dataset == dataset and last and study.images is None and not study.before_relu:
            results[study_title(study)] = studies.read(study, place)
    return dict(sorted(results.items()))


def study_title(study: studies.Study) -> str:
    """The title of a study for readers: network, width, recipe and epochs."""
    recipe = study.runs[0].recipe
    return f"{spoken(study.network)}, width {study.width:g} ({recipe.name}, {recipe.epochs} epochs)"


def index_table(results: dict[str, studies.Result], epsilon: float) -> pd.DataFrame:
    """Mean similarity at ε: one row per network, one column per range of relative depth. Cells link to the pages."""
    rows = []
    for name, result in results.items():
        page = f"{study_page(result.study.id)}.html"
        means = layer_means(result, [epsilon])
        levels = means.groupby(means["depth"].map(_stretch))["mean"].mean()
        accuracy = float(result.tables["networks"]["accuracy"].mean())
        cells = {column: _link(page, f"{levels[column]:.2f}") if column in levels else "" for column in DEPTHS}
        rows.append({"network": _link(page, name), "accuracy": accuracy} | cells)
    return pd.DataFrame(rows, dtype=object)


def _link(page: str, text: str) -> Markup:
    return Markup(f'<a href="{html.escape(page, quote=True)}">{html.escape(text)}</a>')


def _stretch(depth: float) -> str:
    if depth in (0, 1):
        return DEPTHS[0] if depth == 0 else DEPTHS[-1]
    return DEPTHS[1 + min(4, int(5 * depth))]


def together(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One table from several, with their names in the first column."""
    return pd.concat(tables, names=["study"]).reset_index("study").reset_index(drop=True)


def critical_depths(results: dict[str, studies.Result]) -> pd.DataFrame:
    """Smallest critical ε, its quartiles and its median, by layer, of every network."""
    return together({name: critical_summary(result.tables["critical"]) for name, result in results.items()})


def late_matches(tables: dict[str, pd.DataFrame], epsilon: float, share: float = 0.5) -> str:
    """In words: the networks whose deeper half of convolutional layers matches on average to more than `share` at ε."""
    names = []
    for name, table in tables.items():
        rows = table[table["kind"].isin(INNER) & (table["depth"] >= 0.5) & np.isclose(table["epsilon"], epsilon)]
        names += [name] if rows["mean"].mean() > share else []
    return f"{len(names)} of {len(tables)} networks" + (f": {'; '.join(names)}" if names else "")


def highest_between(tables: dict[str, pd.DataFrame], epsilon: float) -> str:
    """In words: the largest similarity at ε of a convolutional layer after the first one and before the last stage."""
    rows = together(tables)
    rows = rows[rows["kind"].isin(INNER) & np.isclose(rows["epsilon"], epsilon)]
    stage = rows["layer"].map(_stage)
    between = rows[(rows["position"] > 0) & (stage < stage.groupby(rows["study"]).transform("max"))]
    top = between.sort_values("mean").to_dict("records")[-1]
    return f"{top['mean']:.2f} ({top['layer']} of {top['study']})" if top["mean"] else f"{top['mean']:.2f}"


def _stage(layer: str) -> int:
    """The stage of a convolutional layer is the first number in its name, such as 5 in relu5_1. A stem is stage 0."""
    matched = re.search(r"\d+", layer)
    return int(matched[0]) if matched else 0


def contrasts(results: dict[str, studies.Result]) -> pd.DataFrame:
    """Median critical ε of networks that differ mainly in one thing: means over groups of layers.

    The groups are all convolutional layers, the block outputs among them (NaN if there are none), and the layers near
    the output. A median of inf (half of a layer's neurons never match) counts as 1. Only recorded pairs of networks
    appear.
    """
    by_key = {(result.study.network, result.study.width): name for name, result in results.items()}
    rows = []
    for difference, pair in CONTRASTS.items():
        for name in (by_key[key] for key in pair if all(k in by_key for k in pair)):
            table = critical_summary(results[name].tables["critical"])
            inner, block = table["kind"].isin(INNER), table["kind"] == "block"
            median = table["median"].clip(upper=1)
            row = {"differs in": difference, "network": name, "convolutional layers": median[inner].mean()}
            rows.append(row | {"block outputs": median[block].mean(), "near the output": median[~inner].mean()})
    return pd.DataFrame(rows)
