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
# **You will learn** what other measures of similarity say about the same activations. You also learn how to compare
# measures, although unrelated layers get a different value from each of them.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
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
permutations = 200
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from fractions import Fraction

import numpy as np
import pandas as pd
from IPython.display import display

from helpers.measures import MEASURES, measure
from helpers.pages import evidence, figures, measure_words, scales
from helpers.pages.filled import glue
from helpers.pages.layer_tables import few_samples, spoken
from helpers.pages.teaching.exercises import check
from helpers.studies import Study, find_or_compute, rivals
from helpers.studies.scale_conditions import calibrate_values

figures.style()

# %% tags=["hide-input", "remove-stderr"]
place, runs = (dataset, width, seeds), list(zip(networks, recipes, epochs, earlier, strict=True))
values = scales.values_by_network(rivals.KIND, place, runs, recompute, permutations=permutations)
calibrated = {network: calibrate_values(table) for network, table in values.items()}
means = {network: scales.measure_means(network, table) for network, table in calibrated.items()}

# %% tags=["remove-cell"]
dips = {network: scales.dipping(table) for network, table in means.items()}
asked = Fraction(4, 7)  # of the rivals: written down before anybody looked
orders = sorted({evidence.rests_on(table)[1] for table in values.values()})
everywhere = pd.concat([table.assign(network=network) for network, table in calibrated.items()])
p = everywhere.loc[(everywhere["samples"] == "images") & everywhere["measure"].isin(scales.RIVALS), "p"]
rhos = {network: rivals.agreement(table)["subspace"].drop("subspace") for network, table in calibrated.items()}
of_rivals = pd.concat([rho[scales.RIVALS] for rho in rhos.values()])
glue("dips", measure_words.dips_in_words(means), display=False)
glue("small-dips", measure_words.small_dips_in_words(means), display=False)
glue("depths", measure_words.depths_in_words(means), display=False)
glue("answer", measure_words.is_it_the_measure(means), display=False)
glue("fixed", measure_words.fixed_in_words(calibrated), display=False)
glue("asked", f"{asked.numerator} of {asked.denominator} ({float(100 * asked):.0f} %)", display=False)
glue("compared", max(evidence.rests_on(table)[0] for table in values.values()), display=False)
glue("rivals", len(scales.RIVALS), display=False)

# %% tags=["remove-cell"]
one = Study(dataset, networks[0], width, tuple(seeds), recipes[0], epochs=epochs[0])
one = find_or_compute(rivals.KIND, one, {"permutations": permutations, "earlier": earlier[0]})
images = one.provenance["images"]
widest = max(measure_words.widest_layer(network, width) for network in networks)
glue("images", images, display=False)
glue("few", few_samples("The widest layers", images, widest), display=False)
glue("averaged", scales.averaged_in_words(calibrated), display=False)
at_one = everywhere[everywhere["measure"] == "subspace_at_0.3"]
glue("flat", f"{(at_one['p'] > 0.05).sum()} of {len(at_one)}", display=False)
glue("which", "; ".join(f"{spoken(n)}: {scales.listed(names)}" for n, names in dips.items()), display=False)
glue("dip-expected", scales.yes_or_no(measure_words.enough_dips(means, asked)), display=False)
glue("orders", " and ".join(map(str, orders)), display=False)
glue("p-largest", f"{p.max():.3f}", display=False)
glue("p-smallest", f"{1 / (max(orders) + 1):.3f}", display=False)
glue("above-chance", f"{(p <= 0.05).sum()} of {len(p)}", display=False)
glue("chance-expected", scales.yes_or_no(np.isclose(p.max(), 1 / (max(orders) + 1))), display=False)
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
# {glue:text}`answer`. We compared the subspace match with {glue:text}`rivals` other measures, its rivals, on a scale
# from 0 (chance) to 1 (an earlier self). A measure *dips* if it is lower in the middle than in the first and in the
# late layers. Rivals that dip: {glue:text}`dips`. Depth of the dip, for the subspace match and for the median rival:
# {glue:text}`depths`. (Below 0 there is no dip.) These numbers come from {glue:text}`compared` networks of each
# architecture and have no interval.
#
# Here each layer is averaged over its positions, which makes layers more alike. {glue:text}`averaged` At ε = 0.3 the
# middle layers have a similarity of {glue:text}`fixed`. So do not compare these numbers with those of
# [the scale](scale.ipynb), which uses single positions.
# :::
#
# ## How we know
#
# Every measure gets the same activations: {glue:text}`images` test images, each layer averaged over its positions.
# {glue:text}`few` Raw values of two
# measures cannot be compared. For example, take two *unrelated* layers of 512 neurons on 2000 images. Their mean CCA
# is about one half, but their linear CKA is near 0. So each measure gets its own scale, made from four comparisons:
#
# - **chance**: the images of one network are permuted, so that the two layers are unrelated
#   ({glue:text}`orders` permutations, used for all measures);
# - **untrained**: two networks before training;
# - **observed**: two networks from two seeds, over all pairs;
# - **ceiling**: the first seed and an earlier checkpoint of the same training.
#
# *Calibrated similarity* is (observed − chance) / (ceiling − chance). The figure shows it in hundredths. At 100 a
# network from another seed is as similar as an earlier checkpoint of the first one. Read a row from left to right. A
# row whose colour is weaker in the middle has the dip.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Heat maps, one per network: measures in rows, layers in columns from the input to the logits, each cell the calibrated similarity in hundredths."}, "figure": {"caption": "Calibrated similarity in hundredths of every measure in every layer. A dash: ceiling and chance are equal, so there is no scale.", "name": "fig-measure-heat"}}
figure = scales.plot_heat(calibrated)

# %% tags=["hide-input"]
figures.download(everywhere, "measures-calibrated")

# %% [markdown]
# The next tables have averages over groups of layers, one table per network. The groups were fixed before anybody looked.
# Mean of the rivals in the first, middle and late layers: {glue:text}`rivals-first`, {glue:text}`rivals-middle`,
# {glue:text}`rivals-late`. Subspace match: {glue:text}`subspace-first`, {glue:text}`subspace-middle`,
# {glue:text}`subspace-late`.

# %% tags=["hide-input"]
for network, table in means.items():
    named = scales.with_titles(table).rename(columns={"name": spoken(network)})
    display(figures.table(named, digits=2, label=f"Calibrated similarity by group, {spoken(network)}"))

# %% [markdown]
# The measures do not agree on everything. The rank correlation over layers between subspace match and a
# single rival lies between {glue:text}`rho-low` and {glue:text}`rho-high`. A block of strong colour is a
# group of measures that order the layers in nearly the same way.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Square maps of rank correlations between all measures, one per network."}, "figure": {"caption": "Rank correlation (Spearman, in hundredths) over layers between the calibrated values of each two measures.", "name": "fig-measure-agreement"}}
figure = scales.plot_agreement(calibrated)

# %% [markdown]
# There is a reason for the differences. If a measure ignores a change of the neurons, it cannot see two
# layers that differ by this change only. Subspace match ignores the length of single neurons, but not rotations. CKA
# ignores rotations, but not lengths. The table shows what each measure ignores. Tests check every cell: a change with
# a tick does not change the value, and a change without a tick does.
#
# - *permutation*: the neurons get another order;
# - *isotropic*: all neurons are multiplied by one factor;
# - *shift*: a constant is added to each neuron;
# - *per-neuron*: each neuron is multiplied by a positive factor of its own;
# - *orthogonal*: the neurons are rotated or reflected;
# - *linear*: the neurons are replaced by any invertible linear map of them.

# %% tags=["hide-input"]
figures.table(scales.measures_table(), label="What may be done to the neurons of one layer without changing the value")

# %% [markdown]
# **What was expected.** We wrote this down before we looked. Every rival is above chance in every
# layer: {glue:text}`chance-expected`. The largest p is {glue:text}`p-largest`, and {glue:text}`above-chance` values of
# rivals have p ≤ 0.05. The similarity at the fixed ε = 0.3 is not above chance in {glue:text}`flat` layers, because there one ε is
# too small for most pairs. At least {glue:text}`asked` of the rivals dip in the
# middle: {glue:text}`dip-expected`. We found {glue:text}`dips`. {glue:text}`small-dips`. Measures that dip:
# {glue:text}`which`. With {glue:text}`orders` permutations p cannot be below {glue:text}`p-smallest`.
#
# ## What would change our mind
#
# - Averages over positions lose the information where in the image something is. For subspace match and CKA the
#   record also has values at single positions. They are the rows with `positions` in the table that can be
#   downloaded.
# - The ceiling is one pair: the first seed and one earlier checkpoint. An earlier checkpoint from another epoch would
#   multiply the calibrated values of a layer by one factor.
# - A dip of *calibrated* values can come from a high ceiling in the middle. Compare the columns `observed` and
#   `ceiling` in the table.
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
# Change the noise, or multiply one neuron of `y` by 100. Which values change? To add a measure of your
# own, write one module with a function of two compared layers, one line in the registry and one test.
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
# The squared canonical correlations sum to $\|Q_x^\top Q_y\|^2$ for orthonormal bases $Q_x, Q_y$ of the two spans.
# Each of the $n$ columns of $Q_y$ is a random unit vector in $N$ dimensions. The part of it inside the
# $n$-dimensional span of $x$ has an expected squared length of $n/N$. The sum is about $n \cdot n/N$, so the mean
# square is $n/N = 0.26$. The mean correlation is at most $\sqrt{0.26} \approx 0.5$, and near it. So unrelated layers get
# nearly one half. Without chance as the lower end of the scale this would look like similarity.
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
# A much earlier checkpoint is less similar, so the ceiling falls and calibrated values rise. They rise most in layers
# that still change late in the training. There the value of another seed can even be above 1. A ceiling is useful
# only if it is well above the observed value.
# :::
