# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do different networks learn the same representation?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** what was asked, what was found, and where to go on.
#
# **You need first** nothing.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## What was asked
#
# Train a network twice, from different random weights. Both copies end up about equally accurate. Do they also do the same
# thing *inside*? Wang et al. {cite}`wang2018towards` made the question precise. A neuron is what it does to the images: its
# vector of activations, one number per image. A group of neurons in one network **matches** a group in the other when every
# neuron of either group is a linear combination of the other group, up to a relative error ε. The largest match there is, as
# a share of all neurons, is the **maximum matching similarity** of two layers: 0 when nothing matches, 1 when everything does.

# %% tags=["hide-input"]
from myst_nb import glue

from helpers import studies
from helpers.pages import figures, layers, ledger

figures.style()

# %% tags=["hide-input"]
vgg = studies.run(studies.Study("cifar10", "vgg16_bn", 0.25, range(5), "short"))
resnet = studies.run(studies.Study("cifar10", "resnet18", 0.25, range(5), "short"))
wide_vgg = studies.run(studies.Study("cifar10", "vgg16_bn", 1, range(3), "short", epochs=5))
wide_resnet = studies.run(studies.Study("cifar10", "resnet18", 1, range(3), "short", epochs=5))

# %% tags=["remove-cell"]
inner = layers.layer_means(vgg, [0.3]).query("kind == 'conv'")
outer = layers.layer_means(vgg, [0.3]).query("kind != 'conv'")
accuracy = vgg.tables["networks"]["accuracy"]
glue("width", vgg.study.width, display=False)
glue("epochs", str(vgg.tables["networks"]["epoch"].max()), display=False)
glue("networks", f"{len(accuracy)}", display=False)
glue("accuracy-low", float(100 * accuracy.min()), display=False)
glue("accuracy-high", float(100 * accuracy.max()), display=False)
glue("zero", f"{int((inner['mean'] == 0).sum())} of {len(inner)}", display=False)
glue("outer-low", float(outer["mean"].min()), display=False)
glue("outer-high", float(outer["mean"].max()), display=False)
for name, result in (("vgg", vgg), ("resnet", resnet), ("wide-vgg", wide_vgg), ("wide-resnet", wide_resnet)):
    deep = layers.layer_means(result, [0.3]).query("kind in ('conv', 'block') and depth >= 0.5")
    glue(f"deep-{name}", float(deep["mean"].mean()), display=False)
glue("wide-epochs", str(wide_vgg.tables["networks"]["epoch"].max()), display=False)
later, blocks = layers.later_inside(resnet.tables["critical"])
glue("later-inside", f"{later} of {blocks}", display=False)

# %% [markdown]
# ## What was found
#
# {glue:text}`networks` copies of VGG-16 (width {glue:text}`width:.2f`, {glue:text}`epochs` epochs on CIFAR-10) classify between
# {glue:text}`accuracy-low:.1f` % and {glue:text}`accuracy-high:.1f` % of the test images correctly. At ε = 0.3,
# {glue:text}`zero` of their convolutional layers match **not at all** between two copies. Near the output, similarity is between
# {glue:text}`outer-low:.2f` and {glue:text}`outer-high:.2f`. In the picture each row is a layer, from the input (top) to the
# logits (bottom): white until ε reaches the value at which its neurons start to match.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Map of the maximum matching similarity of VGG-16 on CIFAR-10: rows are layers from input to logits, epsilon runs to the right. The middle convolutional layers stay empty longest; the first layer and the layers near the output fill early."}, "figure": {"caption": "Maximum matching similarity of VGG-16 with batch norm (width 1/4), mean over all pairs of seeds, for every \u03b5 at once.", "name": "fig-landing-vgg"}}
curves = layers.curves(vgg.tables["critical"])
figure = layers.plot_map(curves, "VGG-16 with batch norm, CIFAR-10")

# %% tags=["remove-input"]
figures.download(layers.layer_means(vgg), "vgg16-layers")

# %% [markdown]
# ResNet-18 shows the same band of layers that share nothing until ε is large. In {glue:text}`later-inside` residual blocks the inner
# layer (`relu1`) starts to match later than the block's output (`relu2`), going by the ε at which half of the neurons match.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The same map for ResNet-18: rows are layers from the stem to the logits. Layers of the middle stages stay empty until epsilon is large; pooled features and logits fill early."}, "figure": {"caption": "The same for ResNet-18 (width 1/4).", "name": "fig-landing-resnet"}}
figure = layers.plot_map(layers.curves(resnet.tables["critical"]), "ResNet-18, CIFAR-10")

# %% tags=["remove-input"]
figures.download(layers.layer_means(resnet), "resnet18-layers")

# %% [markdown]
# ## Does width change it?
#
# The authors' networks have four times as many channels. Ours of that width were trained for {glue:text}`wide-epochs` epochs only. Take the
# convolutional layers of the deeper half: at ε = 0.3 the mean similarity of VGG-16 is {glue:text}`deep-vgg:.2f` at width 1/4 and
# {glue:text}`deep-wide-vgg:.2f` at full width; that of ResNet-18 is {glue:text}`deep-resnet:.2f` and {glue:text}`deep-wide-resnet:.2f`. In
# the picture, full width: compare its lower half with the first picture's.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The map of VGG-16 at full width: rows are layers from input to logits, epsilon runs to the right."}, "figure": {"caption": "Maximum matching similarity of VGG-16 at full width, averaged over pairs of seeds.", "name": "fig-wide-vgg"}}
figure = layers.plot_map(layers.curves(wide_vgg.tables["critical"]), "VGG-16 with batch norm, CIFAR-10, full width")

# %% tags=["remove-input"]
figures.download(layers.layer_means(wide_vgg), "vgg16-wide-layers")

# %% [markdown]
# ## Does the paper hold?
#
# Each claim of the paper has measurements that would settle it, with bounds that were committed before the recorded studies were read for
# this ledger (a small pilot was known); checks added later are marked and do not count. The verdicts are computed from the recorded results. A claim is
# "partly" reproduced when some of its measurements agree and others do not. That can be nearly all of them or few, so read
# the counts; [the ledger](ledger.ipynb) shows each of them. Row P is no claim of the paper but our own test of its published protocol,
# and row I waits for trained ImageNet networks.

# %% tags=["remove-input"]
figures.table(ledger.summary(), label="Claims of the paper and our verdicts")

# %% [markdown]
# ## What is new here
#
# - **Exact, not sampled.** Every distance follows from one small matrix, accumulated over the whole test set. The paper draws
#   10 000 positions at random; [the numerics chapter](numerics.ipynb) shows what that does to the result.
# - **Every ε at once.** [One peel](maximum.ipynb) gives each neuron a *critical ε*, the smallest at which it is matched. A whole
#   curve costs less than one value did; [the measured ratios](speed.ipynb).
# - **Controls.** Untrained networks, two checkpoints of one training, images permuted within their classes: [causes](causes.ipynb).
# - **You can try it.** The compressed layers are in the repository: drag ε in [the explorer](explorer.ipynb), or match real
#   CIFAR-10 layers in a notebook without data and without a GPU.
#
# ## Where to go on
#
# | you want to … | start with |
# |---|---|
# | understand the idea in ten minutes | [From activations to matches](worked_example.ipynb) |
# | see one network, layer by layer | [VGG-16 on CIFAR-10](cifar10-vgg16-bn-w0-25-short10.ipynb), [ResNet-18](cifar10-resnet18-w0-25-short10.ipynb) |
# | play with ε | [The ε explorer](explorer.ipynb) |
# | follow the theory with proofs | [What a neuron is](neurons.ipynb) |
# | compare your own networks | [Your own networks](own_networks.ipynb) |
# | teach it | [For teachers](teaching.ipynb) |
# | run it with other parameters | [How to use this book](../how-to-use.md) |
