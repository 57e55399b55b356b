# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # {{title}}
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how similar the layers of this network are between two trainings, for every ε, and how far the published
# sampling is from the full test set.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Several networks of one architecture were trained from different seeds on the same images. Every layer of each is
# compared with the same layer of every other, neuron by neuron, on the whole test set.

# %% tags=["parameters"]
network = "vgg11_bn"
dataset = "digits"
width = 0.125
seeds = [0, 1, 2]
recipe = "digits"
epochs = None  # the recipe's own
layers = None  # all
epsilons = [0.15, 0.2, 0.25, 0.3, 0.5]
look_at = 0.3  # the ε of the sentences and of the comparison with untrained networks
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from myst_nb import glue

from helpers import studies
from helpers.matching import maximum_match
from helpers.pages import figures
from helpers.pages import layers as by_layer

figures.style()

# %% [markdown]
# ## What was trained
#
# A study that is recorded in the repository is read from the record; any other is trained and matched now, and kept in a cache.

# %% tags=["remove-stderr"]
study = studies.Study(dataset, network, width, seeds, recipe, epochs=epochs, layers=layers, sampled=True)
result = studies.run(study, recompute)
name = by_layer.page_of(study.id)

# %%
figures.table(by_layer.accuracies(result), label="Networks and their test accuracy")

# %% tags=["remove-cell"]
words = by_layer.in_words(result, look_at)
for key, value in words.items():
    glue(key, value, display=False)
glue("look_at", f"{look_at:g}", display=False)

# %% [markdown]
# ## How similar is each layer?
#
# At ε = {glue:text}`look_at`, {glue:text}`empty`; the most similar layer is {glue:text}`top`. The table has the maximum
# matching similarity s(ε), averaged over all pairs of seeds. In brackets: the 95 % interval of this mean. Pairs share
# networks, so it comes from the networks: it leaves out one of them at a time and uses a t distribution. Two networks give no
# interval.

# %%
table = by_layer.layer_table(result, epsilons)
figures.table(table, label="Similarity by layer and ε")

# %% [markdown]
# ## At which ε does a layer start to match?
#
# One number for each neuron, its critical ε, holds the similarity at *every* ε. In the picture a layer is white where nothing
# matches and dark where all its neurons do: most layers go from one to the other within a narrow range, and
# {glue:text}`late`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "A map with one row for each layer and \u03b5 from 0 to 1 to the right; the shade gives the similarity."}, "figure": {"caption": "The similarity of every layer at every \u03b5, averaged over the pairs of seeds.", "name": "fig-map-{{page}}"}}
curves = by_layer.curves(result.tables["critical"])
figure = by_layer.plot_map(curves)

# %% [markdown]
# The same as curves. Hover to read a number, click a layer in the legend to hide it, double-click to see it alone.

# %% tags=["hide-input"]
moving = by_layer.moving_curves(curves)
alt = "Curves of the similarity against ε, one for each layer, each rising from 0 towards 1."
figures.interactive(moving, f"curves-{name}", alt, still=by_layer.plot_curves(curves))

# %% tags=["hide-input"]
figures.download(curves, f"curves-{name}")

# %% [markdown]
# ## Where do single neurons start?
#
# The first neuron of a layer often matches far earlier than the rest: look at the distance between the tick and the bar.
# On the right stands the share of neurons that match at no ε below 1. Dead neurons, which are zero on every image, are among them.

# %% tags=["hide-input"] mystnb={"image": {"alt": "For each layer a tick at its smallest critical \u03b5, a bar over the middle half of its neurons and a dot at the median."}, "figure": {"caption": "Critical \u03b5 of the neurons of each layer, over all pairs: smallest, middle half, median, and the share that never matches.", "name": "fig-critical-{{page}}"}}
figure = by_layer.plot_critical(result.tables["critical"])

# %% tags=["hide-input"]
figures.download(by_layer.critical_summary(result.tables["critical"]), f"critical-{name}")

# %% [markdown]
# ## Dead neurons, dimension, and a check
#
# Read three things off this table. The match of a network with its own neurons in another order must be 1 (dead ones aside): this
# checks the computation. The denominator of s(ε) counts every neuron, as the paper's does, so a layer cannot reach more than its
# share of neurons that are alive. And the dimension says how many directions the neurons really use: the effective rank of their
# centred activations, between 1 and their number.

# %%
facts = by_layer.layer_facts(result)
columns = ["layer", "neurons", "dead", "share_alive", "self_match", "dimension"]
figures.table(facts[columns], digits=2, label="Neurons, dead neurons, self-match and dimension by layer")

# %% [markdown]
# ## Is it learned?
#
# The same architecture before training, its batch-norm statistics taken from the test images, says what the inputs and the
# architecture alone bring about. Where both lines agree, training added nothing that the measure can see.

# %% tags=["hide-input", "remove-stderr"]
untrained = by_layer.untrained(study)
both = {"trained": result} | ({"untrained": untrained} if untrained else {})
shown = [look_at, max(epsilons)]
compared = {name: by_layer.layer_means(found, shown) for name, found in both.items()}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels, one for each of two \u03b5: similarity by layer from the input to the logits for trained and untrained networks."}, "figure": {"caption": "Trained against untrained networks at two \u03b5, with the range over networks. Without a record of untrained networks only the trained line is drawn.", "name": "fig-untrained-{{page}}"}}
figure = by_layer.plot_compared(compared, shown)

# %% [markdown]
# ## Is 10 000 random positions enough?
#
# The paper draws 10 000 of a layer's positions 16 times and averages. Here every position of every test image is used, so the
# published protocol can be judged. It was off by {glue:text}`sampling_mean` hundredths on average over layers and ε,
# and by {glue:text}`sampling_worst` hundredths at worst. Where the average is off at all, it is too high in {glue:text}`sampling_up`
# cases: the fewer samples a neuron, the shorter distances come out, and the more matches. A single draw, without the average,
# scatters by up to {glue:text}`sampling_scatter` hundredths (the largest standard deviation over the draws of one pair, layer and ε).
# Layers with too few samples to draw from, such as pooled features and fully connected layers, are not in it.

# %% tags=["hide-input"] mystnb={"image": {"alt": "For each layer and \u03b5 the difference between the sampled and the full similarity, around zero."}, "figure": {"caption": "Mean of the paper's draws less the similarity on all positions.", "name": "fig-sampling-{{page}}"}}
errors = by_layer.sampling_error(result)
for key, value in by_layer.sampling_in_words(result).items():
    glue(key, value, display=False)
figure = by_layer.plot_sampling(errors)

# %% tags=["hide-input"]
figures.download(errors, f"sampling-{name}")

# %% [markdown]
# ## Match a layer yourself
#
# The compressed representation of these layers is in the repository. Matching one takes a moment and needs neither the images nor
# the networks. Open the notebook with the button at the top, choose another layer or ε, and run the cell again.

# %%
figures.table(by_layer.kept(result), label="Layers that can be matched here")

# %%
layer, epsilon = result.kept[0], 0.4
pair = result.pair(layer)
match = maximum_match(pair, epsilon)
f"{layer}, ε = {epsilon}: {len(match.x)} of {pair.n_x} and {len(match.y)} of {pair.n_y} neurons match"

# %% [markdown]
# ## Run this page with your own parameters
#
# ```bash
# .venv/bin/python -m helpers run notebooks/network.py -p network {{network}} -p dataset {{dataset}} -p width {{width}} \
#     -p seeds "[{{seeds}}]" -p recipe {{recipe}} -p epochs {{epochs}} -p look_at 0.4
# ```
#
# As it stands, this is the study of this page, looked at with another ε. Any network (`vgg8` to `vgg19`, with `_bn` or without;
# `resnet18`, `34`, `20` to `56`; `plain…`), width, seeds or recipe works in the same way. What is not recorded is trained first: `digits`
# takes seconds, `cifar10` minutes to hours on a CPU.
#
# :::{exercise} Another network
# :label: ex-network-{{page}}
# Predict which of this page's layers would match earlier if the networks were twice as wide. Then run the page with the
# double width and compare the maps. Where that would train for many hours, as with VGG-16 at full width, ask it the other way
# round: predict which layers match later at half the width, and run that.
# :::
#
# :::{solution} ex-network-{{page}}
# :class: dropdown
# A wider layer spans more directions, so a neuron of the other network is more easily approximated, and critical ε falls in
# nearly every convolutional layer. Even in the first one: its filters see only 27 numbers (3 × 3 pixels, 3 colours; 9 for grey
# images), so with more of them the two networks come closer to spanning the same functions of a patch. Similarity at a given ε is
# thus a property of the width, too. Fully connected layers need not follow, and can go the other way: compare `relu_fc1` of VGG-16 with
# batch norm on CIFAR-10 at width 1/4 and 1, and its dead neurons. Those two records also differ in their epochs.
# :::
