# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does a match find its layer?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** a test that any measure of similarity should pass, and how well subspace match and its rivals do.
#
# **You need first** [other measures of similarity](measure.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Two networks of one architecture are trained from different seeds. **Is the layer of the second network that is most similar to
# layer *k* of the first one again layer *k*?**

# %% tags=["parameters"]
dataset = "cifar10"
networks = ["vgg16_bn", "resnet18"]
width = 1.0
seeds = [0, 1, 2]
recipes = ["paper", "short"]  # one for each network
epochs = [160, 40]
earlier = [125, 36]
compared = 3  # networks: every two of them are compared
recompute = False

# %% tags=["hide-input", "remove-stderr"]
import numpy as np
import pandas as pd

from helpers.pages import figures, measure_words, scales
from helpers.pages.claims import read_evidence
from helpers.pages.filled import glue
from helpers.pages.layer_tables import spoken
from helpers.pages.teaching.exercises import check
from helpers.studies import identification

figures.style()

# %% tags=["hide-input", "remove-stderr"]
place, runs = (dataset, width, seeds), zip(networks, recipes, epochs, earlier, strict=True)
values = scales.values_by_network(identification.KIND, place, runs, recompute, networks=compared)
accuracies = {network: identification.accuracy_table(table) for network, table in values.items()}

# %% tags=["remove-cell"]
own = {n: table.set_index("measure").loc["subspace"] for n, table in accuracies.items()}
guessing = {n: 1 / table["layer_a"].nunique() for n, table in values.items()}
words = [f"{100 * row['accuracy']:.0f} % of the layers in {spoken(n)}" for n, row in own.items()]
glue("subspace", " and for ".join(words), display=False)
glue("near", " and ".join(f"{100 * row['near']:.0f} %" for row in own.values()), display=False)
glue("best", measure_words.best_in_words(accuracies), display=False)
fixed = {n: table.set_index("measure").loc["subspace_at_0.3", "accuracy"] for n, table in accuracies.items()}
glue("fixed", " and ".join(f"{100 * rate:.0f} %" for rate in fixed.values()), display=False)
glue("guess", f"{100 * max(guessing.values()):.0f}", display=False)
rates = [row["accuracy"] for row in own.values()]
glue("expected", scales.yes_or_no(all(0.5 <= rate <= 0.9 for rate in rates)), display=False)
plan = read_evidence()
bounds = plan.expected["identification"]
glue("knows", f"{100 * bounds['knows_layers']['at_least']:.0f}", display=False)
glue("does-not", f"{100 * bounds['does_not']['at_most']:.0f}", display=False)
glue("verdict", measure_words.known_in_words(values, plan), display=False)
glue("layers", " and ".join(str(table["layer_a"].nunique()) for table in values.values()), display=False)
glue("pairs", str(len(next(iter(values.values()))[["seed_a", "seed_b"]].drop_duplicates())), display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# With the area under s(ε) as the measure, the right layer is found for {glue:text}`subspace`. Guessing
# finds at most {glue:text}`guess` %. The right layer or its neighbour is found for {glue:text}`near`. The best
# rival is {glue:text}`best`. By the bounds that were fixed before looking, {glue:text}`verdict`.
# With s(0.3) as the measure, {glue:text}`fixed` of the layers are found.
# :::
#
# ## How we know
#
# Every measure compares all layers of one network with all layers of another one, on 2000 test images. (The networks
# have {glue:text}`layers` layers.) Convolutional layers are averaged over their positions, so that maps of different
# sizes can be compared. A layer is identified if the most similar layer of the other network is the same layer. If k
# layers are tied for the most similar one, it counts as 1/k. Both directions count. Number of pairs of networks:
# {glue:text}`pairs`. The thin lines in the figure are 95 % intervals over the networks; with one pair there are none.
# A measure *knows layers* if it identifies at least {glue:text}`knows` % of them, and does not if it identifies at most
# {glue:text}`does-not` %.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Bars, one panel per network: for each measure the share of layers that it identifies; a dashed line shows guessing."}, "figure": {"caption": "Layers identified by each measure. Orange: subspace match. Dashed: guessing. Thin lines: 95 % intervals over networks.", "name": "fig-identification"}}
figure = scales.plot_accuracies(accuracies, guessing)

# %% tags=["hide-input"]
figures.download(pd.concat([t.assign(network=n) for n, t in accuracies.items()]), "identification")

# %% [markdown]
# A measure that fails usually finds a neighbouring layer. In the maps each row is a layer of one
# network. Its coloured cell is the most similar layer of the other network. A perfect measure fills the diagonal. A
# vertical stripe is a layer that many layers are most similar to.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Confusion matrices, layers against layers: subspace match, linear CKA and mean R squared, one row of panels per network."}, "figure": {"caption": "Which layer of the other network is the most similar one: subspace match, debiased CKA, mean R\u00b2.", "name": "fig-identification-confusion"}}
figure = scales.plot_confusion(values, ("subspace", "cka_debiased", "regression"))

# %% [markdown]
# **What was expected.** We wrote down before we looked that the area under s(ε) identifies 50–90 % of
# the layers. It came out so: {glue:text}`expected`. In
# {cite:t}`kornblith2019similarity` CKA identifies 99 % of the layers of a ten-layer network, regression 45 %, and the CCA family 15–50 %.
#
# In a ResNet the pooled features are the average of the last block over its positions. Here all layers are averaged,
# so these two layers are the same, and each of them counts as one half at best.
#
# ## What would change our mind
#
# - *More pairs.* Another pair of networks may give another result. Neighbouring layers of a deep network are so
#   similar that a small difference can decide which of them is found.
# - *Positions.* Averaging over positions is needed to compare maps of different sizes. With maps of one size one could keep them.
# - *Wide layers.* A wide layer has a larger span than a narrow one. So a measure of what is explained (R², subspace
#   match) can find a wide layer instead of the right one. Look for vertical stripes at the widest layers.
#
# ## Try it
#
# The table behind the maps, for one layer: the three layers of the other network that are most similar to it.

# %%
network, layer, name = networks[0], values[networks[0]]["layer_a"].iloc[0], "subspace"
table = values[network].query("measure == @name and layer_a == @layer")
figures.table(
    table.nlargest(3, "value")[["seed_a", "seed_b", "layer_a", "layer_b", "value"]], label="Most similar layers"
)

# %% [markdown]
# ## Exercises
#
# :::{exercise} Count the hits
# :label: ex-identify-accuracy
# `similarity[i, j]` is the similarity of layer i of one network and layer j of the other. Write `identified(similarity)`: the share of
# *rows* whose largest entry is on the diagonal. If several entries are tied for the largest, the row counts as 1 divided by their number (if the
# diagonal is one of them).
# :::
#
# :::{solution-start} ex-identify-accuracy
# :class: dropdown
# :::


# %% tags=["solution"]
def identified(similarity):
    """The share of rows whose largest entry is on the diagonal; ties count in parts."""
    best = similarity == similarity.max(axis=1, keepdims=True)
    return float(np.mean(np.diag(best) / best.sum(axis=1)))


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-identify-accuracy", identified)

# %% [markdown]
# :::{exercise} A measure that ignores everything
# :label: ex-identify-linear
# Mean CCA does not change under invertible linear maps. Suppose that each layer of a network were an invertible linear map of the one before. What would mean
# CCA identify? What does this say about a measure with many invariances?
# :::
#
# :::{solution} ex-identify-linear
# :class: dropdown
# All layers of a network would have mean CCA 1 with one another. A layer of the other network would have equal mean
# CCA with all of them. So all layers are tied, and with n layers 1/n of them are identified. A measure does not see a
# difference that it is invariant to. The more it ignores, the fewer differences between layers it can use. For mean
# CCA only the nonlinear steps between layers are left.
# :::
#
# :::{exercise} Fewer images
# :label: ex-identify-images
# Layers have up to 512 neurons. Predict: which measures lose most when 600 images are used instead of 2000? Then run
# it on the digits, where layers are narrow: `.venv/bin/python -m helpers run layer_identification -p dataset digits
# -p networks "['vgg11_bn']" -p width 0.125 -p seeds "[0, 1]" -p recipes "['digits']" -p epochs "[8]" -p earlier
# "[7]"`.
# :::
#
# :::{solution} ex-identify-images
# :class: dropdown
# Measures that fit one number per neuron: CCA, regression, subspace match. With 512 neurons on 600 images a span
# explains most of an unrelated layer, so every layer looks similar to the widest layers. CKA, RSA and nearest
# neighbours compare images, so the order of the layers changes little.
# :::
