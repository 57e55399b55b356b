# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is it the measure?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** what other measures of similarity say about the same activations, and how to compare measures that have different
# values for strangers.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# ## Question
#
# In the middle of a network the subspace match is lowest. **Is that dip a property of the networks, or of this one measure?**

# %% tags=["parameters"]
dataset = "cifar10"
networks = ["vgg16_bn", "resnet18"]
width = 1.0
seeds = [0, 1, 2]
recipes = ["paper", "short"]  # one for each network
epochs = [160, 40]
earlier = [125, 36]  # the epoch of the first seed that is the ceiling
permutations = 5
recompute = False

# %% tags=["hide-input", "remove-stderr"]
import numpy as np
import pandas as pd
from IPython.display import display
from myst_nb import glue

from helpers.measures import MEASURES, measure
from helpers.pages import figures, scales
from helpers.pages.layer_tables import spoken
from helpers.pages.teaching.exercises import check
from helpers.studies import Study, answer, rivals
from helpers.studies.ends import calibrate_values

figures.style()

# %% tags=["hide-input", "remove-stderr"]
values = {}
for network, recipe, last, before in zip(networks, recipes, epochs, earlier, strict=True):
    study = Study(dataset, network, width, seeds, recipe, epochs=last)
    settings = {"permutations": permutations, "earlier": before}
    values[network] = answer(rivals.KIND, study, settings, recompute).tables["values"]
calibrated = {network: calibrate_values(table) for network, table in values.items()}
means = {network: scales.measure_means(network, table) for network, table in calibrated.items()}

# %% tags=["remove-cell"]
found = {network: scales.dipping(table) for network, table in means.items()}
over_images = {network: table[table["samples"] == "images"] for network, table in calibrated.items()}
least = max(float(table.loc[table["measure"].isin(scales.RIVALS), "p"].max()) for table in over_images.values())
rhos = {network: rivals.agreement(table)["subspace"].drop("subspace") for network, table in calibrated.items()}
of_rivals = pd.concat([rho[scales.RIVALS] for rho in rhos.values()])
glue(
    "dips",
    "; ".join(f"{len(names)} of {len(scales.RIVALS)} in {spoken(n)}" for n, names in found.items()),
    display=False,
)
glue("which", "; ".join(f"{spoken(n)}: {scales.listed(names)}" for n, names in found.items()), display=False)
glue("dip-expected", scales.kept_or_missed(all(len(names) >= 4 for names in found.values())), display=False)
glue("p-largest", f"{least:.3f}", display=False)
glue("chance-expected", scales.kept_or_missed(np.isclose(least, 1 / (permutations + 1))), display=False)
glue("rho-low", f"{of_rivals.min():.2f}", display=False)
glue("rho-high", f"{of_rivals.max():.2f}", display=False)
for place in ("first", "middle", "late"):
    levels = pd.concat([table.loc[scales.RIVALS, place] for table in means.values()])
    glue(f"rivals-{place}", f"{levels.mean():.2f}", display=False)
    own = np.mean([table.loc["subspace", place] for table in means.values()])
    glue(f"subspace-{place}", f"{own:.2f}", display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# On a scale from 0 (strangers) to 1 (an earlier self), these rivals are lower in the middle than in the first and the
# late layers: {glue:text}`dips`. Mean of the rivals: {glue:text}`rivals-first` in the first layer,
# {glue:text}`rivals-middle` in the middle, {glue:text}`rivals-late` late; subspace match: {glue:text}`subspace-first`,
# {glue:text}`subspace-middle`, {glue:text}`subspace-late`.
# :::
#
# ## How we know
#
# Every measure sees the same activations: 2000 test images, each layer averaged over its positions. A raw value cannot be compared
# between measures. Mean CCA of two *unrelated* layers of 512 neurons is about one half on 2000 images; linear CKA of the same two
# layers is near 0. So each measure gets its own scale, with the same four comparisons for all of them:
#
# - **chance**: the images of one network are permuted, so that nothing but accident is shared (the same {{permutations}} permutations for all);
# - **untrained**: two networks before training;
# - **observed**: two seeds, over all pairs;
# - **ceiling**: the first seed and an earlier checkpoint of the same training.
#
# *Calibrated similarity* is (observed − chance) / (ceiling − chance). At 100 another seed is as similar as an earlier self. Read a
# row from left to right: a row that is paler in the middle has the dip.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Heat maps, one per network: measures in rows, layers in columns from the input to the logits, each cell the calibrated similarity in hundredths."}, "figure": {"caption": "Calibrated similarity in hundredths of every measure in every layer. A dash: ceiling and chance are equal, so there is no scale.", "name": "fig-measure-heat"}}
figure = scales.plot_heat(calibrated)

# %% tags=["hide-input"]
everything = pd.concat([table.assign(network=network) for network, table in calibrated.items()])
figures.download(everything, "measures-calibrated")

# %% [markdown]
# Averaged over the groups of layers that were fixed before anybody looked:

# %% tags=["hide-input"]
for network, table in means.items():
    display(
        figures.table(scales.with_titles(table), digits=2, label=f"Calibrated similarity by group, {spoken(network)}")
    )

# %% [markdown]
# The measures do not agree on everything. Between subspace match and one rival the rank correlation over layers is between {glue:text}`rho-low`
# and {glue:text}`rho-high`. Blocks of dark cells are families that tell the same story.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Square maps of rank correlations between all measures, one per network."}, "figure": {"caption": "Rank correlation (Spearman, in hundredths) over layers between the calibrated values of each two measures.", "name": "fig-measure-agreement"}}
figure = scales.plot_agreement(calibrated)

# %% [markdown]
# Why they differ is no accident. A measure that ignores a change of the neurons cannot see a difference that consists of this change.
# Subspace match ignores the length of single neurons, but not rotations; CKA ignores rotations, but not lengths. Every tick below is
# tested both ways: the measure does not move where it has a tick, and does move where it has none.

# %% tags=["hide-input"]
figures.table(scales.measures_table(), label="What may be done to the neurons of one layer without changing the value")

# %% [markdown]
# **What was expected.** Written down before looking: every measure is above chance in every layer ({glue:text}`chance-expected`: the largest p is
# {glue:text}`p-largest`), and at least 4 of 7 rivals dip in the middle ({glue:text}`dip-expected`; two more rivals were added to the seven).
# Measures that dip: {glue:text}`which`. With {{permutations}} permutations p cannot be below 1 / (1 + {{permutations}}); the page on
# [the scale](scale.ipynb) has more.
#
# ## What would change our mind
#
# - Averaging over positions throws away where in the image something is. At single positions the record holds subspace match and CKA: the rows
#   with `positions` in the table that can be downloaded.
# - The ceiling is one pair: the first seed and one earlier checkpoint. A ceiling of another epoch would stretch each scale by one factor per layer.
# - A dip of *calibrated* values can come from a high ceiling in the middle. Compare the columns observed and ceiling in the same table.
#
# ## Try it
#
# Any two arrays of shape (neurons, samples) will do. Here the second layer is the first one, rotated and with noise.

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(20, 1000)) * np.linspace(1, 5, 20)[:, None]
rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
y = rotation @ x + rng.normal(size=(20, 1000))
{name: round(measure(name, x, y), 2) for name in MEASURES}

# %% [markdown]
# Change the noise, or scale one neuron of `y` by 100: which values move? A measure of your own is one module with a function of two
# compared layers, one line in the registry and one test.
#
# ## Exercises
#
# :::{exercise} Linear CKA
# :label: ex-measure-cka
# Write `cka(x, y)` for two arrays (neurons, samples): take the mean of each neuron away, then return
# $\|X Y^\top\|^2 / (\|X X^\top\|\,\|Y Y^\top\|)$ with Frobenius norms.
# :::
#
# :::{solution-start} ex-measure-cka
# :class: dropdown
# :::


# %% tags=["solution"]
def cka(x, y):
    """Linear centred kernel alignment."""
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
    return np.linalg.norm(x @ y.T) ** 2 / (np.linalg.norm(x @ x.T) * np.linalg.norm(y @ y.T))


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-measure-cka", cka)

# %% [markdown]
# :::{exercise} Strangers by CCA
# :label: ex-measure-strangers
# Two independent layers have $n$ neurons each, on $N$ images. The mean of the *squared* canonical correlations is about $n/N$. Why? What
# follows for mean CCA with 512 neurons and 2000 images?
# :::
#
# :::{solution} ex-measure-strangers
# :class: dropdown
# The squared canonical correlations sum to $\|Q_x^\top Q_y\|^2$ for orthonormal bases $Q_x, Q_y$ of the two spans. Each of the $n$ columns of
# $Q_y$ is a random unit vector in $N$ dimensions, and the part of it inside the $n$-dimensional span of $x$ has an expected squared length of $n/N$. The
# sum is about $n \cdot n/N$, so the mean square is $n/N = 0.26$. The correlations themselves are near $\sqrt{0.26} \approx 0.5$ or below: strangers get
# nearly half. Without chance as the lower end of the scale this would look like similarity.
# :::
#
# :::{exercise} Another ceiling
# :label: ex-measure-ceiling
# Predict: if the ceiling is a much earlier checkpoint, do calibrated values rise or fall? In which layers most? Then run the page with your own
# networks: `.venv/bin/python -m helpers run measure -p dataset digits -p networks "['vgg11_bn']" -p width 0.125 -p seeds "[0, 1]" -p recipes "['digits']" -p epochs "[8]" -p earlier "[2]"`.
# :::
#
# :::{solution} ex-measure-ceiling
# :class: dropdown
# An earlier self is less similar, so the ceiling falls and calibrated values rise, most in the layers that are still moving: there even another seed can
# come out above 1. A ceiling is useful only while it is well above what another seed gets.
# :::
