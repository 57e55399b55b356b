# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own networks
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to match two networks of your own, layer by layer, on your own images.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Two networks and a folder of images are all that is needed. As it stands, this page trains two small networks on the digits that
# come with scikit-learn, writes both checkpoints and the images to disk, and then uses them as if they were yours.

# %% tags=["parameters"]
checkpoint_a = None  # a file, "untrained:0", or torchvision's "IMAGENET1K_V1"; None makes an example
checkpoint_b = None
architecture = None  # "resnet50", "torchvision:vgg16", …; not needed for checkpoints of this book
images = None  # a folder with one folder of images a class
size = 32  # images are resized and cut to size × size
statistics = "digits"  # what the images are normalised by: "imagenet", "cifar10" or "digits"
layers = None  # all that can be compared
epsilons = [0.15, 0.2, 0.25, 0.3, 0.5]

# %% tags=["hide-input", "remove-stderr"]
from pathlib import Path

from myst_nb import glue

from helpers.pages import figures, layer_figures, layer_tables
from helpers.studies import cache_root
from helpers.studies import two_networks as imagenet

figures.style()
glue("enough", imagenet.ENOUGH, display=False)

# %% [markdown]
# ## Two networks
#
# A checkpoint of this book knows its architecture. For any other give the name of the architecture: this book's, or any of
# torchvision's classifiers (with `torchvision:` before names that both have).

# %% tags=["remove-stderr"]
if checkpoint_a is None:
    checkpoint_a, checkpoint_b, images = imagenet.example(cache_root() / "digits-images")
a = imagenet.open_network(str(checkpoint_a), architecture)
b = imagenet.open_network(str(checkpoint_b), architecture)

# %% [markdown]
# ## One folder of images
#
# They are streamed: their number does not change the memory that is needed. A convolutional layer has one sample for each position of
# each image. The fewer samples a neuron, the shorter distances come out: even an unrelated neuron is then at about
# √(1 − neurons/samples) from a span, and not at 1. So layers with fewer than {glue:text}`enough` samples a neuron are left out.

# %%
batches, number = imagenet.image_batches(Path(images), size, crop=1.0 if size < 64 else 0.875, statistics=statistics)
f"{number} images of {size} × {size} pixels"

# %% [markdown]
# ## Layer by layer
#
# The table has the maximum matching similarity at each ε: read down a column to see where the two networks agree.

# %% tags=["remove-stderr"]
found = imagenet.compare(a, b, batches, number, layers)
table = found.similarity(epsilons).pivot(index=["position", "layer"], columns="epsilon", values="similarity")
figures.table(table.reset_index("layer"), label="Similarity by layer and ε")

# %% [markdown]
# Layers without enough samples are left out, with the number of images they would need.

# %%
figures.table(found.left_out, label="Layers left out")

# %% [markdown]
# ## Every ε at once
#
# White: no neuron matches; dark: all do. The similarity at one ε can mislead; look at where each layer turns dark.

# %% tags=["hide-input"] mystnb={"image": {"alt": "A map with one row for each layer and \u03b5 from 0 to 1 to the right; the shade gives the similarity."}, "figure": {"caption": "The similarity of every layer of the two networks at every \u03b5.", "name": "fig-own-map"}}
curves = layer_tables.curves(found.tables["critical"])
figure = layer_figures.plot_map(curves)

# %% tags=["hide-input"]
figures.download(curves, "own-networks")

# %% [markdown]
# ## What do the numbers mean?
#
# A similarity means little alone, so set two others beside it. A network and itself: what is the highest possible score (less than 1
# where neurons are dead)? And the same two architectures before training: what do inputs and architecture bring about alone?
# Only what lies between the two can be called learned and shared.
#
# Their weights are drawn by the architecture's own rule; a checkpoint of this book says which one it started from. If
# your networks started otherwise, build them untrained yourself and give those to `imagenet.compare`.

# %% tags=["remove-stderr"]
fresh = [imagenet.untrained(str(path), architecture, seed) for seed, path in enumerate((checkpoint_a, checkpoint_b))]
fresh = [imagenet.calibrated(net, batches) for net in fresh]
untrained = imagenet.compare(*fresh, batches, number, layers, progress=False)
itself = imagenet.compare(a, a, batches, number, layers, progress=False)

# %%
at = max(epsilons)
rows = found.similarity([at])[["layer", "similarity"]].rename(columns={"similarity": f"a and b, ε = {at:g}"})
rows["a and itself"] = itself.similarity([at])["similarity"]
rows["both untrained"] = untrained.similarity([at])["similarity"]
figures.table(rows, label="The two networks beside their controls")

# %% [markdown]
# ## With your files
#
# ```bash
# .venv/bin/python -m helpers run notebooks/own_networks.py -p checkpoint_a first.pt -p checkpoint_b second.pt \
#     -p architecture resnet50 -p images ~/photos -p size 224 -p statistics imagenet
# ```
#
# or, without a page, `.venv/bin/python -m helpers compare --images ~/photos --network resnet50 --a first.pt --b second.pt`. Relative
# paths start at the root of the repository, where both run.
# In Python, `imagenet.compare(a, b, batches, number, layers=[…])` takes any two PyTorch modules.
#
# A layer that does not exist is refused with the valid names:

# %%
try:
    imagenet.compare(a, b, batches, number, layers=["relu5_9"])
except ValueError as error:
    print(str(error)[:200])

# %% [markdown]
# :::{exercise} A control of your own
# :label: ex-own-control
# Compare network a with a copy of itself to whose last hidden layer a little noise was added. How much noise does it take until the
# layer no longer matches at ε = 0.3? Predict it first: what is the relative distance of a neuron to its noisy copy?
# :::
#
# :::{solution} ex-own-control
# :class: dropdown
# If the noise has r times the norm of the neuron and is independent of everything, the neuron's relative distance to the line of its
# noisy copy is r / √(1 + r²): the sine of the angle between them. It passes 0.3 at r ≈ 0.31. The clean neurons may be nearer to the
# span of *all* noisy copies, which averages noise out. But the noise of each copy lies outside the clean span, so its distance from that
# span stays r / √(1 + r²), however redundant the layer is: at r ≈ 0.31 all copies fall, and the clean neurons with them.
# :::
