"""Figures and phrases of the page on what a match sees and misses: changed layers, and constructed layers."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from ..matching import similarity_curve
from ..measures import MEASURES
from ..studies.constructions import RotatedLayers, rotation_curve
from ..studies.sensitivity import CHANGES, probe_agreement
from .alike import english_list
from .layer_tables import spoken

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
EQUAL = 0.01  # rank correlations that are nearer to one another are practically equal
ENDS = ("weak components", "strong components")
EPSILON_GRID = np.linspace(0, 0.999, 200)


def measure_title(name: str) -> str:
    """The title of a measure for readers."""
    return MEASURES[name].title if name in MEASURES else name


def agreement_rows(table: pd.DataFrame) -> pd.DataFrame:
    """One row per measure, best first: rank correlation with the probe, for both ends and for each end alone.

    It is averaged over the layers of all networks.
    """
    means = probe_agreement(table).groupby("measure", sort=False)[["both", "weak", "strong"]].mean()
    return means.sort_values("both", ascending=False).reset_index()


def other_changes(table: pd.DataFrame) -> pd.DataFrame:
    """How far each measure and the probe fall, averaged over layers, for the changes that take out no component."""
    rows = table[~table["change"].isin(ENDS)]
    wide = rows.pivot_table(index="measure", columns="change", values="fallen", sort=False)
    probe = rows.groupby("change")["lost"].mean().rename("linear probe")
    falls = pd.concat([wide, probe.to_frame().T])[[change for change in CHANGES if change in wide]]
    return falls.round(9) + 0.0  # rounding errors of either sign become 0


def place_of(table: pd.DataFrame, name: str = "subspace") -> str:
    """The place of a measure by its agreement with the probe: "third in VGG-16-BN and first in ResNet-18"."""
    places = []
    for network, rows in table.groupby("network", sort=False, observed=True):
        order = list(agreement_rows(rows)["measure"])
        place = order.index(name)
        places.append(f"{[*ORDINALS, f'number {place + 1}'][min(place, len(ORDINALS))]} in {spoken(str(network))}")
    return english_list(places)


def leaders(agreement: pd.DataFrame) -> str:
    """In words: the measures at the top of `agreement_rows`, of which those within `EQUAL` are practically equal."""
    near = agreement[agreement["both"] >= agreement["both"].iloc[0] - EQUAL]
    named = "; ".join(f"{measure_title(row['measure'])} ({row['both']:.3f})" for row in near.to_dict("records"))
    if len(near) == 1:
        return f"First on average is {named}"
    return f"On average {len(near)} measures are practically equal (they differ by at most {EQUAL:g}): {named}"


def weak_directions(table: pd.DataFrame) -> str:
    """In words: in which layer the match falls most without the weaker half, and whether it sees weak directions."""
    half = table[(table["change"] == ENDS[0]) & table["amount"].between(0.45, 0.55)]
    if half.empty:
        return "No layer was looked at without the weaker half of its components"
    own = half[half["measure"] == "subspace"].sort_values("fallen")
    row = own.iloc[-1]
    same = (half["network"] == row["network"]) & (half["layer"] == row["layer"]) & (half["measure"] == "cka")
    sees = "sees weak directions, too" if row["fallen"] > 0.05 else "hardly sees weak directions"
    return (
        f"It {sees}: in {row['layer']} of {spoken(str(row['network']))} it falls by {row['fallen']:.2f} without the "
        f"weaker half, CKA falls by {half.loc[same, 'fallen'].iloc[0]:.2f}, and the probe loses "
        f"{100 * row['lost']:.1f} points"
    )


def sensitivity_in_words(table: pd.DataFrame) -> dict[str, str]:
    """The numbers in the page's prose, as text."""
    agreement = agreement_rows(table).set_index("measure")
    ends = ("both", "weak", "strong")
    words = {f"{end}-{name}": f"{value:.2f}" for end in ends for name, value in agreement[end].to_dict().items()}
    words |= {"rank": place_of(table), "measures": str(len(agreement)), "leaders": leaders(agreement.reset_index())}
    words["weak-directions"] = weak_directions(table)
    words["layers"] = str(len(table[["network", "layer"]].drop_duplicates()))
    both = dict(zip(agreement.index, agreement["both"].to_numpy(dtype=float), strict=True))
    words["below-cka"] = "below" if both["subspace"] < both["cka"] else "not below"
    half = table[(table["change"] == "weak components") & table["amount"].between(0.45, 0.55)]
    strong = table[table["change"] == "strong components"]
    first = strong[strong["amount"] == strong.groupby(["network", "layer"], observed=True)["amount"].transform("min")]
    for place, rows in (("half", half), ("one", first)):
        values = rows.groupby("measure")["value"].mean()
        words |= {f"{place}-{name}": f"{values[name]:.2f}" for name in ("subspace", "cka")}
        words[f"{place}-lost"] = f"{100 * float(rows['lost'].mean()):.1f}"
    changes = other_changes(table)
    for change in changes.columns:
        for name in changes.index.intersection(["subspace", "cka", "rsa", "neighbours", "linear probe"]):
            words[f"{change}-{name}".replace(" ", "-")] = f"{float(changes[change].to_dict()[name]):.2f}"
    return words


# ---------------------------------------------------------------- figures


def plot_components(table: pd.DataFrame, names: Sequence[str] = ("subspace", "cka", "svcca")) -> Figure:
    """Measures and the probe's accuracy as components are taken out: one row per layer, one column per end."""
    layers = list(table.groupby(["network", "position"], sort=False, observed=True))
    figure, axes = plt.subplots(len(layers), 2, figsize=(9.0, 2.6 * len(layers)), sharey=True, squeeze=False)
    for row, ((network, _), rows) in enumerate(layers):
        layer = f"{spoken(str(network))}, {rows['layer'].iloc[0]}"
        for ax, change in zip(axes[row], ENDS, strict=True):
            part = rows[rows["change"] == change].sort_values("amount")
            for number, name in enumerate(names):
                line = part[part["measure"] == name]
                ax.plot(
                    line["amount"], line["value"], "os^v"[number % 4] + "-", label=measure_title(name), markersize=4
                )
            once = part[part["measure"] == names[0]]
            ax.plot(once["amount"], once["accuracy"], "kx--", label="probe's accuracy", markersize=5)
            ax.set(ylim=(-0.05, 1.05), xlim=(-0.02, 1.02), title=f"{layer}\n{change}")
            ax.set_xlabel("share taken out" if row == len(layers) - 1 else "")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize="small")
    return figure


def plot_probe_agreement(rows: pd.DataFrame) -> Figure:
    """Rank correlation of each measure with the probe, the best at the top: for both ends, and for each end alone."""
    figure, ax = plt.subplots(figsize=(6.8, 1.2 + 0.36 * len(rows)))
    places = np.arange(len(rows))[::-1]
    for column, mark, label in (("both", "o", "both ends"), ("weak", "<", "weak end"), ("strong", ">", "strong end")):
        ax.plot(rows[column], places, mark, label=label, alpha=0.85)
    ax.set_yticks(places, [measure_title(name) for name in rows["measure"]])
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set(xlim=(-1.05, 1.05), xlabel="rank correlation with the accuracy that a linear probe loses")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def plot_rotation(n: int, epsilon: float = 0.3) -> Figure:
    """What three measures say of the rotated layers as θ grows: a still figure for print."""
    curve = rotation_curve(n, list(np.linspace(0, 90, 181)), epsilon)
    figure, ax = plt.subplots(figsize=(6.6, 3.6))
    for number, (column, label) in enumerate(
        {"similarity": f"similarity s({epsilon:g})", "cka": "linear CKA", "mean_cca": "mean CCA"}.items()
    ):
        ax.plot(curve["degrees"], curve[column], ("-", ":", "--")[number], color=f"C{number}", label=label)
    ax.set(xlabel="θ in degrees", ylim=(-0.03, 1.03), title="The read-out is the same at every θ below 90°")
    ax.legend(fontsize="small")
    return figure


def move_rotation(n: int, steps: int = 19) -> go.Figure:
    """s(ε) of the rotated layers, with a slider for θ. CKA, mean CCA and the read-out are in the title."""
    frames = []
    for angle in np.linspace(0, 85.5, steps):
        layers = RotatedLayers(n, float(np.deg2rad(angle)))
        curve = similarity_curve(layers.x, layers.y, EPSILON_GRID)
        line = go.Scatter(x=EPSILON_GRID, y=curve, mode="lines", line={"shape": "hv"}, name="s(ε)")
        title = f"θ = {angle:.0f}°: linear CKA {layers.cka:.2f}, mean CCA {layers.mean_cca:.2f}, read-out equal"
        frames.append(go.Frame(data=[line], name=f"{angle:.0f}", layout={"title": {"text": title}}))
    figure = go.Figure(data=frames[4].data, frames=frames, layout=frames[4].layout)
    go_to = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}
    moves = [{"method": "animate", "label": frame.name, "args": [[frame.name], go_to]} for frame in frames]
    slider = {"active": 4, "steps": moves, "currentvalue": {"prefix": "θ in degrees: "}, "pad": {"t": 40}}
    figure.update_layout(sliders=[slider], showlegend=False, height=430)
    figure.update_xaxes(title="ε", range=[0, 1])
    figure.update_yaxes(title="similarity s(ε)", range=[-0.03, 1.05])
    return figure
