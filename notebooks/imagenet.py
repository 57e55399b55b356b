# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # ImageNet networks
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to compare two ImageNet networks on a folder of images, what it costs, and what untrained pairs look like.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# :::{admonition} Untrained networks only
# :class: warning
# The paper compares *trained* ImageNet networks. That takes the weights of one architecture from two seeds, which were not to be had
# where this book was made. What is recorded here are pairs of **untrained** networks on real ImageNet images (batch-norm statistics
# taken from those images). They show that the code runs at this size, and they are the baseline that any trained pair must be
# held against. They say nothing about learning, and the [ledger](ledger.ipynb) counts ImageNet as *not attempted*.
#
# Behind each recorded pair are only {glue:text}`images` images. Deep layers then have few samples a neuron, which makes distances come
# out too small; the fewest in a layer are: {glue:text}`fewest`.
# :::

# %% tags=["parameters"]
images = None  # a folder of class folders, such as ImageNet's validation set; None reads the recorded untrained pairs
network = "resnet50"  # any of torchvision's classifiers; torchvision:resnet18 where this book has one of that name
weights_a = "IMAGENET1K_V1"  # torchvision's weights, a checkpoint file, or untrained:0
weights_b = "IMAGENET1K_V2"
layers = None
epsilons = [0.15, 0.2, 0.25, 0.3, 0.5]
validation_images = 50_000  # what the expected time is worked out for

# %% tags=["hide-input", "remove-stderr"]
from pathlib import Path

from myst_nb import glue

from helpers.pages import across_networks, figures, layer_figures, layer_tables
from helpers.studies import two_networks as imagenet

figures.style()

# %% [markdown]
# ## What is compared

# %% tags=["remove-stderr"]
if images is None:
    tables = imagenet.recorded()
else:
    own = imagenet.compare_weights(network, weights_a, weights_b, Path(images), layers)
    tables = {f"{network}: {weights_a} and {weights_b}": own.tables["critical"]}
glue("images", imagenet.image_counts(), display=False)
glue("fewest", imagenet.fewest_samples(imagenet.recorded()), display=False)
glue("enough", imagenet.ENOUGH, display=False)
glue("deeper", imagenet.beyond_first(tables, max(epsilons)), display=False)
list(tables)

# %% [markdown]
# ## Similarity by layer
#
# Both networks of a pair see the same pixels through few parameters in their first layer, so even untrained ones are similar there. Beyond
# the first layer the similarity at the largest ε ranges over: {glue:text}`deeper`.
#
# Where an untrained pair scores high in deep layers, as VGG-16 does, nothing was learned. A likely reason, not tested here: without batch
# norm the mean of the activations grows, from layer to layer, against the differences between images. Matching, as the paper
# defines it, does not centre, so it counts that common direction as shared. This is why a trained pair has to be held against an untrained
# one, layer by layer.

# %%
figures.table(imagenet.wide(tables, epsilons), label="Similarity by network, layer and ε")

# %% [markdown]
# For every ε at once: the lower a line, the smaller the ε at which half of the layer's neurons match. Look for where it lies low without
# any training: there, a low line of a trained pair would say little.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the median critical \u03b5 against relative depth, one for each network."}, "figure": {"caption": "Median critical \u03b5 of a layer's neurons against relative depth.", "name": "fig-imagenet-depth"}}
depths = across_networks.together({name: layer_tables.critical_summary(table) for name, table in tables.items()})
figure = layer_figures.plot_critical_depths(depths)

# %% tags=["hide-input"]
figures.download(depths, "imagenet")

# %% [markdown]
# ## What it costs
#
# Measured on one thread of a busy machine, and worked out from that for the validation set (parameter `validation_images`). Images are
# streamed, so the memory stays as it is; more images take more time, and nothing else. A GPU runs the networks far faster, but the sums in
# float64 then decide.

# %%
figures.table(imagenet.costs(validation_images), digits=1, label="Time and memory measured, and time expected")

# %% [markdown]
# Layers with fewer than {glue:text}`enough` samples a neuron are left out, since their distances would come out far too small. The number
# of images they would need:

# %%
out = imagenet.left_out() if images is None else own.left_out
figures.table(out, label="Layers that need more images")

# %% [markdown]
# ## Compare a trained pair
#
# With a folder of images and two sets of weights, on the command line
#
# ```bash
# .venv/bin/python -m helpers compare --images ~/imagenet/val --network resnet50 --a IMAGENET1K_V1 --b IMAGENET1K_V2
# .venv/bin/python -m helpers compare --images ~/imagenet/val --network torchvision:vgg16 --a seed-0.pt --b seed-1.pt --record vgg16
# ```
#
# or as this page:
#
# ```bash
# .venv/bin/python -m helpers run notebooks/imagenet.py -p images ~/imagenet/val -p network resnet50
# ```
#
# Relative paths start at the root of the repository, where both run.
#
# torchvision's two sets of weights of one architecture come from *different recipes*, so they are no pair of seeds in the paper's sense.
#
# :::{exercise} The first layer
# :label: ex-imagenet-first
# The first layer of an untrained ResNet has 64 filters of 7 × 7 × 3 numbers. Why can two random sets of them match at all? Would you expect
# the same of random filters of 3 × 3 × 3, as VGG has?
# :::
#
# :::{solution} ex-imagenet-first
# :class: dropdown
# Natural images are smooth, so a 7 × 7 patch varies in only a few directions, far fewer than 147. Random filters, seen through such
# patches, differ in those few directions only, and 64 of them nearly span them. With 3 × 3 × 3 there are at most 27 directions, and even fewer
# in use; one should expect a match at least as good, less what the ReLU adds.
# :::
