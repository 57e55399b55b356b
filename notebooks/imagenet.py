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
# **You will learn** how to compare two ImageNet networks on a folder of images, what it costs, and how similar
# untrained networks are.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# :::{admonition} Untrained networks only
# :class: warning
# The paper compares *trained* ImageNet networks. That needs the weights of one architecture from two seeds, and we
# did not have such weights. Recorded here are pairs of **untrained** networks on real ImageNet images (with
# batch-norm statistics from these images). They show that the code runs at this size. They are also the baseline for
# every trained pair. They say nothing about learning, and [the verdicts](ledger.ipynb) count ImageNet as *not
# attempted*.
#
# Each recorded pair used only {glue:text}`images` images. Deep layers then have few samples per neuron, so their
# distances are too small. The fewest samples per neuron in a layer: {glue:text}`fewest`.
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

from helpers.pages import across_networks, figures, image_comparisons, layer_figures, layer_tables
from helpers.pages.filled import glue
from helpers.studies import two_networks

figures.style()

# %% [markdown]
# ## What is compared

# %% tags=["remove-stderr"]
if images is None:
    tables = image_comparisons.critical_by_comparison()
else:
    own = two_networks.compare_weights(network, weights_a, weights_b, Path(images), layers)
    tables = {f"{network}: {weights_a} and {weights_b}": own.tables["critical"]}
glue("images", image_comparisons.image_counts(), display=False)
glue("fewest", image_comparisons.fewest_samples(image_comparisons.critical_by_comparison()), display=False)
glue("enough", two_networks.ENOUGH, display=False)
glue("deeper", image_comparisons.beyond_first(tables, max(epsilons)), display=False)
list(tables)

# %% [markdown]
# ## Similarity by layer
#
# The first layers of a pair have few parameters and see the same pixels, so even untrained networks are similar
# there. After the first layer the similarity at the largest ε has this range: {glue:text}`deeper`.
#
# Some untrained pairs have a high similarity in deep layers, for example VGG-16, although nothing was learned. A
# likely reason, which we did not test: without batch norm the mean of the activations grows from layer to layer,
# compared with the differences between images. The paper's matching does not centre, so this common direction counts
# as shared. So compare a trained pair with an untrained pair, layer by layer.

# %%
figures.table(image_comparisons.wide_similarity(tables, epsilons), label="Similarity by network, layer and ε")

# %% [markdown]
# The figure shows every ε at once. A lower line means that half of the neurons match at a smaller ε. Where the line
# of an untrained pair is low, a low line of a trained pair would say little.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the median critical \u03b5 against relative depth, one for each network."}, "figure": {"caption": "Median critical \u03b5 of a layer's neurons against relative depth.", "name": "fig-imagenet-depth"}}
depths = across_networks.together({name: layer_tables.critical_summary(table) for name, table in tables.items()})
figure = layer_figures.plot_critical_depths(depths)

# %% tags=["hide-input"]
figures.download(depths, "imagenet")

# %% [markdown]
# ## What it costs
#
# We measured the cost on one thread of a busy machine. From this we estimated the cost for the validation set
# (parameter `validation_images`). Images are read in batches, so more images need more time but not more memory. A
# GPU runs the networks much faster. Then the sums in float64 take most of the time.

# %%
figures.table(
    image_comparisons.recording_costs(validation_images), digits=1, label="Time and memory measured, and time expected"
)

# %% [markdown]
# Layers with fewer than {glue:text}`enough` samples per neuron are left out, because their distances would be much
# too small. The table says how many images they need:

# %%
out = image_comparisons.left_out_layers() if images is None else own.left_out
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
# The two sets of weights that torchvision has for one architecture come from *different recipes*. So they are not a
# pair of seeds as in the paper.
#
# :::{exercise} The first layer
# :label: ex-imagenet-first
# The first layer of an untrained ResNet has 64 filters of 7 × 7 × 3 numbers. Why can two random sets of them match at all? Would you expect
# the same of random filters of 3 × 3 × 3, as VGG has?
# :::
#
# :::{solution} ex-imagenet-first
# :class: dropdown
# Natural images are smooth, so a 7 × 7 patch varies in only a few directions, far fewer than 147. On such patches
# random filters differ only in these few directions, and 64 filters nearly span them. With 3 × 3 × 3 there are at
# most 27 directions, and patches use even fewer. So one should expect a match that is at least as good, apart from
# the effect of the ReLU.
# :::
