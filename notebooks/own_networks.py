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
# **You will learn** how to match two networks of your own, layer by layer, in two minutes. You also learn what can
# mislead you.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Two minutes
#
# ```bash
# pip install "samerep[networks]"
# ```
#
# ```python
# from samerep import compare
#
# found = compare(model_a, model_b, loader)   # any two nn.Modules; a DataLoader, an array, or a folder's images
# print(found.wide())                         # similarity: one row per layer, one column per ε
# found.plot()                                # similarity by layer, one line per ε
# print(*found.flags, sep="\n")               # what to distrust
# found.to_html("two-networks.html")          # all of it as one page
# ```
#
# In a clone of this repository the package is called `helpers`. This page trains two small networks on the digits
# that come with scikit-learn. Run it with your checkpoints, and it shows your networks.

# %% tags=["parameters"]
checkpoint_a = None  # a file, "untrained:0", or torchvision's "IMAGENET1K_V1"; None makes an example
checkpoint_b = None
architecture = None  # "resnet50", "torchvision:vgg16", "module:function", …; not needed for checkpoints of this book
images = None  # a folder of images, or with one folder per class
size = 32  # images are resized and cut to size × size
statistics = "digits"  # what the images are normalised by: "imagenet", "cifar10" or "digits"
layers = None  # all that can be compared
epsilons = [0.15, 0.2, 0.25, 0.3, 0.5]

# %% tags=["hide-input", "remove-stderr"]
from pathlib import Path

from IPython.display import display
from myst_nb import glue

from helpers import compare
from helpers.networks import small_models as small
from helpers.networks import weights
from helpers.pages import figures
from helpers.studies import cache_root, two_networks

figures.style()
glue("enough", two_networks.ENOUGH, display=False)

# %% tags=["remove-stderr"]
if checkpoint_a is None:
    checkpoint_a, checkpoint_b, images = two_networks.example(cache_root() / "digits-images")
a = weights.open_network(str(checkpoint_a), architecture)
b = weights.open_network(str(checkpoint_b), architecture)
crop = 1.0 if size < 64 else 0.875
batches, number = two_networks.image_batches(Path(images), size, crop=crop, statistics=statistics)
f"{number} images of {size} × {size} pixels"

# %% tags=["remove-stderr"]
found = compare(a, b, batches, layers=layers, progress=False)
figures.table(found.wide(epsilons), label="Similarity by layer and ε")

# %% [markdown]
# ## The picture

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the similarity by layer, from the input on, one for each \u03b5; the lines for larger \u03b5 lie higher."}, "figure": {"caption": "The similarity of the two networks, layer by layer.", "name": "fig-own-layers"}}
display(found.plot(epsilons=epsilons))

# %% tags=["hide-input"] mystnb={"image": {"alt": "A map with one row for each layer and \u03b5 from 0 to 1 to the right; the shade gives the similarity."}, "figure": {"caption": "The similarity of every layer of the two networks at every \u03b5.", "name": "fig-own-map"}}
display(found.plot("map"))

# %% [markdown]
# **How to read it.** A neuron is matched at ε if a weighted sum of matched neurons of the other network equals it up
# to a relative error of ε. This must hold in both directions. The similarity is the share of matched neurons. Follow
# one line to see where the two networks agree. Compare the lines to see how exactly they agree. The map shows every
# ε: look where each layer becomes dark.
#
# ## What can mislead
#
# - *Too few samples.* With as many neurons as samples everything matches. A layer with fewer than {glue:text}`enough`
#   samples per neuron is left out, and `found.left_out` says how many images it needs.
# - *Dead neurons* are in no match, so a network can match itself with less than 1. *Copies* of a neuron make a match
#   easy. *One sample* with nearly all the power makes any two networks match. `found.flags` reports all of these.
# - *The wrong axis.* `compare` follows through the network which axis of a layer's output holds the neurons. If this
#   is not certain, `compare` refuses and asks for `layouts={"layer": "nhwc"}`.
# - *No control.* A similarity alone means little. So compute two others. Compare a network with itself: this is the
#   highest possible score. Compare the two architectures before training: this similarity comes from the inputs and
#   the architecture alone. Only what lies between the two is learned and shared.

# %% tags=["hide-input"]
figures.table(found.flagged, label="What to distrust")

# %% tags=["hide-input"]
figures.table(found.left_out, label="Layers with too few samples")

# %% tags=["remove-stderr"]
fresh = [weights.untrained(str(path), architecture, seed) for seed, path in enumerate((checkpoint_a, checkpoint_b))]
fresh = [two_networks.calibrated(net, batches) for net in fresh]
untrained = compare(*fresh, batches, layers=layers, progress=False)
itself = compare(a, a, batches, layers=layers, progress=False)

# %%
at = max(epsilons)
rows = found.similarity(at)[["layer", "similarity"]].rename(columns={"similarity": f"a and b, ε = {at:g}"})
rows["a and itself"] = itself.similarity(at)["similarity"]
rows["both untrained"] = untrained.similarity(at)["similarity"]
figures.table(rows, label="The two networks beside their controls")

# %% [markdown]
# ## Transformers
#
# A transformer's layer returns one vector per token. With `tokens="all"` every token that is not padding is a sample.
# `tokens="class"` takes the class token only, and `tokens="mean"` the mean over tokens. Here are two small vision
# transformers, trained from different seeds.

# %% tags=["remove-stderr"]
train, test = small.digit_images("train"), small.digit_images("test")[0]
vits = [small.fitted(small.seeded_model(small.SmallViT, seed), *train, epochs=6, seed=seed) for seed in (0, 1)]
figures.table(compare(*vits, test, progress=False).wide(epsilons), label="Two vision transformers, all tokens")

# %% [markdown]
# Now a CNN and a vision transformer. Their layers have different names and sizes. So every layer of one is compared
# with every layer of the other, and both are averaged to the lower resolution.

# %% tags=["remove-stderr"] mystnb={"image": {"alt": "A heat map with the layers of a convolutional network below each other and the blocks of a vision transformer to the right; the shade gives the similarity."}, "figure": {"caption": "Every layer of a CNN beside every block of a vision transformer.", "name": "fig-own-grid"}}
cnn = small.fitted(small.seeded_model(small.SmallCNN, 0), *train, epochs=6, seed=0)
stages = ["stages.0", "stages.1", "stages.2"]
crossed = compare(cnn, vits[0], test, layers=stages, layers_b="blocks.?", grid=True, progress=False)
display(crossed.plot("grid", epsilons))

# %% [markdown]
# Here are two small text encoders. They were trained to recognise from which description of a dataset a piece of text
# comes. Inputs are dictionaries with `input_ids`, as a tokenizer returns them.

# %% tags=["remove-stderr"]
pieces = small.text_pieces("train")
texts = [small.fitted(small.seeded_model(small.SmallTextEncoder, k), *pieces, epochs=2, seed=k) for k in (0, 1)]
letters = {"input_ids": small.text_pieces("test")[0]}
figures.table(compare(*texts, letters, progress=False).wide(epsilons), label="Two text encoders, all letters")

# %% [markdown]
# ## On the command line
#
# ```bash
# python -m helpers compare --images photos --network resnet50 --a first.pt --b second.pt --html two-networks.html
# python -m helpers compare --inputs inputs.npz --network mine:small --network-b mine:large --grid
# python -m helpers run own_networks -p checkpoint_a first.pt -p checkpoint_b second.pt -p architecture resnet50 \
#     -p images photos -p size 224 -p statistics imagenet
# ```
#
# Checkpoints may come from a training script, `torch.compile`, DataParallel or Lightning. For a layer that does not
# exist the error message lists the valid names:

# %%
try:
    compare(a, b, batches, layers=["relu5_9"], progress=False)
except ValueError as error:
    print(str(error)[:200])

# %% [markdown]
# The [cookbook](../cookbook.md) has more examples.
#
# :::{exercise} A control of your own
# :label: ex-own-control
# Add a little noise to the last hidden layer of a copy of network a, and compare the two. How much noise does it take
# until the layer no longer matches at ε = 0.3? Predict it first: what is the relative distance of a neuron to its
# noisy copy?
# :::
#
# :::{solution} ex-own-control
# :class: dropdown
# Let the noise be independent of everything, with r times the norm of the neuron. Then the relative distance of the
# neuron to the line of its noisy copy is r / √(1 + r²), the sine of the angle between them. It reaches 0.3 at r ≈
# 0.31. The clean neurons may be nearer to the span of *all* noisy copies, which averages noise out. But the noise of
# each copy lies outside the clean span. So the distance of a copy to the clean span is r / √(1 + r²), even in a
# redundant layer. At r ≈ 0.31 no copy matches any more, and so no clean neuron does.
# :::
