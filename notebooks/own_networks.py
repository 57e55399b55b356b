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
# **You will learn** how to match two networks of your own, layer by layer, in six lines. You also learn what can
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
# pip install ".[networks]"  # in a clone of the repository
# ```
#
# ```python
# from samerep import compare                  # in a clone, without pip: from helpers import compare
#
# result = compare(model_a, model_b, loader)  # a DataLoader or an array
# print(result.wide())                        # a row per layer, a column per ε
# result.plot()                               # a line per ε
# print(*result.flags, sep="\n")              # what to distrust
# result.to_html("two-networks.html")         # all of it as one page
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
orders = 40  # of the images, to find what chance gives

# %% tags=["hide-input", "remove-stderr"]
from pathlib import Path

from IPython.display import display

from benchmarks import comparing, zoo
from helpers import compare
from helpers.networks import weights
from helpers.pages import figures
from helpers.pages.filled import glue
from helpers.studies import cache_root, two_networks

figures.style()
glue("enough", two_networks.ENOUGH, display=False)

# %% tags=["remove-stderr"]
if checkpoint_a is None:
    folder = cache_root() / "digits-images"
    checkpoint_a, checkpoint_b, images = two_networks.example(folder)
a = weights.open_network(str(checkpoint_a), architecture)
b = weights.open_network(str(checkpoint_b), architecture)
how = {"crop": 1.0 if size < 64 else 0.875, "statistics": statistics}
batches, number = two_networks.image_batches(Path(images), size, **how)
f"{number} images of {size} × {size} pixels"

# %% tags=["remove-stderr"]
comparison = compare(a, b, batches, layers=layers, chance=orders, progress=False)
figures.table(comparison.wide(epsilons), label="Similarity by layer and ε")

# %% [markdown]
# ## The picture

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the similarity by layer, from the input on, one for each \u03b5; the lines for larger \u03b5 lie higher."}, "figure": {"caption": "The similarity of the two networks, layer by layer.", "name": "fig-own-layers"}}
display(comparison.plot(epsilons=epsilons))

# %% tags=["hide-input"] mystnb={"image": {"alt": "A map with one row for each layer and \u03b5 from 0 to 1 to the right; the shade gives the similarity."}, "figure": {"caption": "The similarity of every layer of the two networks at every \u03b5.", "name": "fig-own-map"}}
display(comparison.plot("map"))

# %% [markdown]
# **How to read it.** A neuron is matched at ε if a weighted sum of matched neurons of the other network equals it up
# to a relative error of ε. This must hold in both directions. The similarity is the share of matched neurons. Follow
# one line to see where the two networks agree. Compare the lines to see how exactly they agree. The map shows every
# ε: look where the colour of each layer becomes strong.
#
# ## What can mislead
#
# - *Too few samples.* With as many neurons as samples everything matches. A layer with fewer than {glue:text}`enough`
#   samples per neuron is left out, and `comparison.left_out` says how many images it needs.
# - *Dead neurons* are in no match, so a network can match itself with less than 1. *Copies* of a neuron make a match
#   easy. *One sample* with nearly all the power makes any two networks match. `comparison.flags` reports all of these.
# - *The wrong axis.* `compare` follows through the network which axis of a layer's output holds the neurons. If this
#   is not certain, `compare` refuses and asks for `layouts={"layer": "nhwc"}`.
# - *The batch.* Some networks give an image another output beside other images. Examples are batch norm without
#   statistics, and weights quantised as they run. `comparison.flags` says so. If the output depends on an image's place in
#   the batch, `compare` refuses. Allow it with `mixed=True`. What is random is always refused.
# - *The wrong weights.* A checkpoint may hold the weights and their moving average. Then name one of them, as in
#   `net.pt#model_ema`.
# - *No control.* A similarity alone means little. So compute others. Compare a network with itself: this is the highest
#   possible score. Compare it with an earlier checkpoint of its own training: this shows how strict the measure is.
#   Compare the two architectures before training: this similarity comes from the inputs and the architecture alone.
#   Trained networks can also be *less* alike than untrained ones ([the scale](scale.ipynb)).
# - *Missing layers.* The first flags say how many layers the table lacks, and why.

# %% tags=["hide-input"]
print(*comparison.flags or ["Nothing to distrust was found."], sep="\n")

# %% tags=["hide-input"]
figures.table(comparison.left_out, label="Layers with too few samples")

# %% tags=["remove-stderr"]
paths = [str(path) for path in (checkpoint_a, checkpoint_b)]
fresh = [weights.untrained(path, architecture, seed) for seed, path in enumerate(paths)]
fresh = [two_networks.calibrated(net, batches) for net in fresh]
untrained = compare(*fresh, batches, layers=layers, chance=orders, progress=False)
itself = compare(a, a, batches, layers=layers, progress=False)

# %%
at = max(epsilons)
rows = comparison.similarity(at)[["layer", "similarity"]]
rows = rows.rename(columns={"similarity": f"a and b, ε = {at:g}"})
rows["a and itself"] = itself.similarity(at)["similarity"]
rows["both untrained"] = untrained.similarity(at)["similarity"]
figures.table(rows, label="The two networks beside their controls")

# %% [markdown]
# **Chance.** Layers with many neurons and few samples are similar by chance. So `compare` with `chance=100` gives the
# inputs of network b another random order, 100 times. Then the two networks have seen nothing in common. The table
# shows the area under s(ε), which is one minus the mean critical ε. Beside it are the mean of the random orders, and the value that
# 95 % of them stay below. The value p is the share of orders that reach the observed one. The true order counts, too.

# %% tags=["hide-input"]
chance = comparison.tables["chance"]
figures.table(chance, label="The two networks beside chance")

# %% tags=["remove-cell"]
tables = {"a-b": chance, "untrained": untrained.tables["chance"]}
for name, table in tables.items():
    glue(f"tested-{name}", len(table), display=False)
    glue(f"above-{name}", int((table["observed"] > table["chance_95"]).sum()), display=False)
glue("largest-p", float(chance["p"].max()), display=False)

# %% [markdown]
# Here {glue:text}`above-a-b` of {glue:text}`tested-a-b` layers are above chance. The largest p is {glue:text}`largest-p:.3f`. A layer that is
# not above chance is in `comparison.flags`. But chance is a low bar. The untrained networks are above it in
# {glue:text}`above-untrained` of {glue:text}`tested-untrained` layers, because both see the same images. So chance does not replace the
# other controls.
#
# Vision transformers, text encoders, and a convolutional network beside a transformer have [a page of their own](tokens.ipynb).
#
# ## Which networks fit
#
# Every classifier of torchvision was tried with random weights and images of 64 × 64 pixels. Some modules say how
# many channels their output has. The table counts, by family, for how many of these outputs `compare` finds the channels as
# neurons. In {glue:text}`models` networks it was right for {glue:text}`right` of {glue:text}`known`. {glue:text}`larger` of
# the networks take no images of this size. A vision transformer has positions for one size only. The convolutions of
# Inception need a larger map. MaxVit cuts a map into windows of one size, and these must fit.

# %% tags=["hide-input"]
tried = zoo.recorded()
table = zoo.by_family(tried)
figures.table(table, label="torchvision's classifiers, by family", rows=len(table))

# %% tags=["remove-cell"]
glue("right", int(tried["neurons right"].sum()), display=False)
glue("known", int(tried["known channels"].sum()), display=False)
glue("models", len(tried), display=False)
glue("larger", int((tried["pixels"] > 64).sum()), display=False)

# %% tags=["remove-input"]
figures.download(tried, "networks-tried")

# %% [markdown]
# TorchScript and networks on the meta device are refused: the ones run without their modules, the others have no weights. Quantised and
# half-precision networks fit. Networks that torch.fx cannot trace fit as far as their layers are modules.
#
# **How long it takes.** Two ResNet-50 on {glue:text}`cost-images` images of 224 × 224 pixels took {glue:text}`cost-seconds:.0f` s of one
# processor. This is {glue:text}`cost-ratio:.2f` times the time of two forward passes and one product of matrices per layer. They held at most
# {glue:text}`cost-gib:.1f` GiB.

# %% tags=["remove-cell"]
cost = comparing.recorded()
glue("cost-images", int(cost["images"]), display=False)
glue("cost-seconds", float(cost["compare"]), display=False)
glue("cost-ratio", float(cost["compare / floor"]), display=False)
glue("cost-gib", float(cost["GiB at most"]), display=False)

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
# `mine:small` is the function `small` in your file `mine.py`: it returns the network.
# Networks of timm and transformers have names, too: `--network timm:resnet18`, `--network transformers:FOLDER`. `run --html` builds the page
# to open. Checkpoints may come from a training script, `torch.compile`, DataParallel or Lightning. For a layer that does not
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
