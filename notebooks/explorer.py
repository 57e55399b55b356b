# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The ε explorer
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** to read a similarity curve as a count of neurons, and to see where two networks begin to match as
# ε grows.
#
# **You need first** [the worked example](worked_example.ipynb); for the reasons [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::

# %% tags=["parameters"]
study = "cifar10-vgg16_bn-w1-paper160"  # where the explorer opens: a folder of results/
layer = "relu_fc2"
epsilon = 0.3

# %% tags=["hide-input", "remove-stderr"]
import numpy as np
import pandas as pd
from IPython.display import HTML

from helpers.pages import figures
from helpers.pages.chapters import explorer
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check

figures.style()

# %% [markdown]
# Every pair of networks in this book was matched once. One number was recorded for each neuron: its {term}`critical ε`
# ({prf:ref}`def-critical`). It is the smallest ε at which the neuron is in the {term}`maximum match`. These numbers
# give the maximum match at every ε: it consists of the neurons whose critical ε is at most ε ({prf:ref}`thm-peel`). So
# the explorer only counts. It contains the numbers of all recorded networks, and it needs no server and no internet
# connection.

# %%
results = {result.study.id: result for result in explorer.recorded_results()}
data = explorer.explorer_data(results.values())

# %% tags=["remove-cell"]
pairs = sum(len(network["pairs"]) for network in data["networks"])
neurons = sum(len(text) // 4 for n in data["networks"] for pair in n["pairs"] for text in pair["critical"])
glue("explorer-networks", len(data["networks"]), display=False)
glue("explorer-pairs", pairs, display=False)
glue("explorer-neurons", f"{neurons:,}".replace(",", " "), display=False)

# %% tags=["remove-cell"]
opened = results[study].tables["critical"].query("seed_a == 0 and seed_b == 1")
begins = opened.groupby("position")["critical_epsilon"].min().to_numpy()
after = int(opened.loc[opened["kind"].isin(["conv", "block"]), "position"].max()) + 1
parts = {"first": (0, 1), "middle": (1, after - 3), "last": (after - 3, after), "after": (after, len(begins))}
for part, (start, stop) in parts.items():
    values = sorted({f"{f(begins[start:stop]):.2f}" for f in (np.min, np.max)})
    glue(f"begins-{part}", " to ".join(values), display=False)

# %% [markdown]
# ## Choose, and move ε
#
# Inside are {glue:text}`explorer-networks` studies with {glue:text}`explorer-pairs` pairs of networks and
# {glue:text}`explorer-neurons` critical ε. Choose a network, a layer and a pair. Then move ε: with the mouse, or,
# after a click on the slider, with the arrow keys (*Page Up* and *Page Down* for larger steps). The two buttons go
# from one step of the curve to the next. These are the steps of the {term}`peel` ({prf:ref}`alg-peel`), which deletes
# the farthest neuron again and again. At each step one neuron leaves or enters, or a group of neurons together. You
# can also choose a layer in the list at the bottom.

# %% tags=["hide-input"]
HTML(explorer.page(data, study, layer, epsilon))

# %% [markdown]
# ## What to look for
#
# - **Which neurons enter at which ε.** The curve rises by one step for each neuron whose critical ε you pass. A bar
#   below the curve is a group of neurons with nearly the same critical ε. A tall bar is a {term}`cliff` in the curve. Often
#   these neurons need each other, but not always: see [essential neurons](algorithms.ipynb).
# - **Both sides.** Compare the two counts. They need not be equal: one network may use few neurons for something, and
#   the other network many.
# - **Which neurons never enter.** Dead neurons are zero on every image and never enter. In a layer with dead neurons
#   the curve cannot reach 1.
# - **Along the network.** In the network shown at first, move ε from 0.2 to 0.8 and watch the list of layers. The first
#   neurons match at
#   - ε = {glue:text}`begins-after` in the layers after the convolutions,
#   - ε = {glue:text}`begins-first` in the first layer,
#   - ε = {glue:text}`begins-last` in the last three convolutions,
#   - ε = {glue:text}`begins-middle` in the layers between them.
#
# ## Exercises
#
# :::{exercise} The steepest cliff
# :label: ex-steepest-cliff
# Choose the network that is shown at first, and its first pair. Which layer has the steepest cliff, that is, the
# largest share of neurons that enters while ε grows by 0.01? Find it with the explorer. Then write
# `steepest_cliff(critical, step)`. It computes this share from the critical ε of all neurons of a layer (`inf` for
# those that never match). Use it to check what you saw.
# :::
#
# :::{solution-start} ex-steepest-cliff
# :class: dropdown
# :::


# %% tags=["solution"]
def steepest_cliff(critical, step):
    """The largest share of neurons whose critical ε lie in one window of length `step`; best windows start at one."""
    starts = critical[np.isfinite(critical)]
    return max((np.mean((critical >= c) & (critical <= c + step)) for c in starts), default=0.0)


# %% tags=["solution"]
table = results[study].tables["critical"]
first = table[(table["seed_a"] == table["seed_a"].iloc[0]) & (table["seed_b"] == table["seed_b"].iloc[0])]
by_layer = first.groupby(["position", "layer"], observed=True)["critical_epsilon"]
cliffs = by_layer.apply(lambda values: steepest_cliff(values.to_numpy(), 0.01)).reset_index(name="steepest cliff")
steepest = cliffs.sort_values("steepest cliff", ascending=False).head(5)
glue("explorer-cliffs", ", ".join(steepest["layer"]), display=False)
figures.table(steepest[["layer", "steepest cliff"]], label="Cliffs")

# %% [markdown]
# The five steepest cliffs are in {glue:text}`explorer-cliffs`. Use the explorer to see where they lie. If a cliff lies
# above every ε of the paper, a table like the paper's shows only zeros. If it lies between two ε of the paper, the
# table jumps from 0 to nearly 1.
#
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-steepest-cliff", steepest_cliff)

# %% [markdown]
# :::{exercise} Did training make it?
# :label: ex-explore-untrained
# Choose the first layer, `relu1_1`, of VGG-16 with batch norm at width 1/4, and note its similarity at ε = 0.3 and at
# ε = 0.5. *Predict* both numbers for the untrained networks of the same kind, then choose them. Do the same for the
# hidden layer `relu_fc2`. Which of the two layers is similar because of training?
# :::
#
# :::{solution-start} ex-explore-untrained
# :class: dropdown
# :::

# %% tags=["solution"]
rows = []
for name in ("cifar10-vgg16_bn-w0.25-short10", "cifar10-vgg16_bn-w0.25-short10-epoch0"):
    similar = (
        results[name].similarity([0.3, 0.5]).query("layer in ['relu1_1', 'relu_fc2'] and seed_a == 0 and seed_b == 1")
    )
    rows.append(similar.assign(networks="untrained" if name.endswith("epoch0") else "trained"))
wide = pd.concat(rows).pivot(index=["layer", "networks"], columns="epsilon", values="similarity").reset_index()
figures.table(wide.rename(columns={0.3: "s(0.3)", 0.5: "s(0.5)"}), label="Trained and untrained")

# %% [markdown]
# In the first layer the untrained pair matches about as well as the trained one at the larger ε. So
# this similarity existed before training. A plausible reason is the input: the sixteen filters of each network see
# the same 27 numbers at each position. In the hidden layer next to the output the untrained pair has little or no
# similarity, and training creates it. So near the input, always compare a number with the number of the untrained
# networks.
#
# :::{solution-end}
# :::
