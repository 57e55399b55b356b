# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Are they interchangeable?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** two tests of whether layers do the same work: stitching one network onto another, and pairing
# their channels one to one.
#
# **You need first** [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Two layers may not match and still do the same work. If they do the same work, one can replace the other. Can it?

# %% tags=["parameters"]
dataset = "cifar10"
width = 1.0
networks = [
    {"name": "VGG-16-BN", "network": "vgg16_bn", "recipe": "paper", "epochs": 160},
    {"name": "ResNet-18", "network": "resnet18", "recipe": "short", "epochs": 40},
]
seeds = [0, 1, 2]  # each is compared with the next
images = None  # test images for stitching; None: all
control_images = 1000  # test images for the controls
fit = 2000  # training images that the maps are fitted on
correlate = 1000  # training images that channels are correlated on
halfway_images = 2000  # test images for the averages of weights
alphas = [0, 0.25, 0.5, 0.75, 1]  # steps on the way from one network to the other
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from dataclasses import replace

import numpy as np
import pandas as pd

from helpers import studies
from helpers.pages import evidence, figures, interchange
from helpers.pages.claims import read_evidence
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check
from helpers.studies import rebasin, stitching

figures.style()

# %% tags=["remove-stderr", "remove-cell"]
stitched, partners, paths, controls, calibrated = {}, {}, {}, {}, {}
for each in networks:
    name = each["name"]
    plan = {key: each[key] for key in ("network", "recipe", "epochs")}
    study = studies.Study(dataset, width=width, seeds=seeds, images=images, **plan)
    settings = {"fit": fit, "controls": control_images, "sources": list(stitching.SOURCES)}
    stitched[name] = studies.find_or_compute(stitching.KIND, study, settings, recompute).tables["stitching"]
    study = replace(study, images=halfway_images)
    tables = studies.find_or_compute(rebasin.KIND, study, {"correlate": correlate, "alphas": alphas}, recompute).tables
    partners[name], paths[name], controls[name] = tables["partners"], tables["path"], tables["control"]
    if scale := evidence.recorded_tables("calibration", study):
        calibrated[name] = evidence.scale_of(scale["values"])
losses = interchange.lost_by_layer(stitched, calibrated)

# %% tags=["remove-cell"]
words = interchange.interchange_in_words(stitched, paths, partners)
words |= interchange.loss_and_similarity_in_words(losses)
reduced = pd.concat([interchange.barriers_reduced(path) for path in paths.values()])
words["reduced"] = interchange.from_to(100 * reduced, 0) if reduced.notna().all() else "–"
words["beside-plan"] = interchange.correlations_beside_plan(partners, read_evidence())
words["mean-of"] = f"mean of {len(seeds) - 1} pairs" if len(seeds) > 2 else "one pair"
words["middle"] = interchange.lost_in_the_middle(stitched, {each["name"]: each["network"] for each in networks})
words["control"] = f"{max(table['largest_critical'].max() for table in controls.values()):.1g}"
words["logits"] = f"{max(table['logits_differ'].max() for table in controls.values()):.0e}"
tested = [table["images"] for table in stitched.values()]
counts = {"images": max(map(max, tested)), "control-images": min(map(min, tested)), "pairs": len(seeds) - 1, "fit": fit}
words |= {key: f"{count:,}".replace(",", " ") for key, count in counts.items()}
for key, value in words.items():
    glue(f"interchange-{key}", value, display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# Through a linear map: {glue:text}`interchange-opening`. A network with a stitched layer loses
# {glue:text}`interchange-lost-trained` points of accuracy on average, and in the worst layer
# {glue:text}`interchange-worst-trained` ({glue:text}`interchange-mean-of`). In the middle layers it is {glue:text}`interchange-middle` on average. A network that is stitched onto itself loses
# {glue:text}`interchange-lost-identity`. {glue:text}`interchange-unlike` layers have a similarity of at most 0.05,
# and {glue:text}`interchange-unlike-stitched` of these lose less than 5 points. One to one, channels correlate only at
# {glue:text}`interchange-matched`. The average of the weights of two paired networks, recalibrated, loses
# {glue:text}`interchange-barrier-matched-recalibrated` points.
# :::
#
# ## How we know
#
# ### Stitching: one network continues the other
#
# Take a layer of network A, multiply it by a matrix, add an intercept, and put the result into network B, which
# computes the output. The matrix is the least-squares solution: it makes A's layer as similar to B's layer as a
# linear map can. It is the same at every position of an image (a 1 × 1 convolution). It is computed from the joint
# Gram matrix of {glue:text}`interchange-fit` training images, without labels and without a loss. Other work trains
# the map for the task {cite}`lenc2015understanding,bansal2021revisiting`. A trained map can learn something new, but
# our map cannot.
#
# Four decisions matter. First, the map has an intercept, so means do not matter. Second, its output may be negative,
# although B's layer follows a ReLU, because we ask about spans, as a match does. Third, the batch-norm statistics of
# B after the stitch are measured again on training images. Fourth, inside a residual block the inner layer and the
# input of the block both come from A. Otherwise B's own shortcut would carry the image around the stitch.
#
# **What to see:** the blue line stays near the dotted line, even where the similarity (grey bars) is zero. Layers of
# an untrained network (orange) can be stitched only near the input.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One panel per network: test accuracy against the layer at which the other network was stitched in, with the similarity of the two layers as grey bars."}, "figure": {"caption": "Test accuracy after a stitch at each layer. Grey: similarity s(0.3) of the two layers.", "name": "fig-stitching"}}
figure = interchange.plot_stitching(stitched)

# %% tags=["hide-input"]
rows = interchange.stitching_rows(stitched)
figures.download(rows, "stitching")

# %% [markdown]
# There are three controls. With the activations of an *untrained* network
# {glue:text}`interchange-lost-untrained` points are lost on average, and up to
# {glue:text}`interchange-worst-untrained`. So the map alone does not give the answer: the other network must have
# learned something that B can use. A network that is stitched onto *itself* loses
# {glue:text}`interchange-lost-identity` points on average: that is what the fit and the recalibration cost. If A sees
# *other images* than those that B is asked about, B only guesses and loses {glue:text}`interchange-lost-other-images`
# points. The controls use one pair of networks and {glue:text}`interchange-control-images` test images. The others
# use {glue:text}`interchange-pairs` pairs and {glue:text}`interchange-images`.
#
# ### Does a low similarity mean that a layer cannot be used?
#
# This decides claim C6 of the paper: the measure may not capture all kinds of similarity of meaning. We fixed the
# bound before we looked: of the layers with s(0.3) at most 0.05, at least 80 % lose less than 5 points. We found
# {glue:text}`interchange-unlike-share`. The claim **{glue:text}`interchange-verdict`**.
#
# **What to see:** in the shaded field nothing matches. A point below the dotted line is a layer that can be stitched all the same. On the right is the
# [calibrated similarity](scale.ipynb), which also distinguishes the layers in that field. The rank correlation over the layers of a network
# of what a stitch loses is {glue:text}`interchange-rank-similarity` with s(0.3) and
# {glue:text}`interchange-rank-calibrated` with the calibrated similarity.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Points, one per layer: accuracy lost by a stitch against similarity at 0.3 and against calibrated similarity; the field of similarity below 0.05 is shaded, a line marks 5 points."}, "figure": {"caption": "Accuracy lost by a stitch against the similarity of the two layers (left) and their calibrated similarity (right), one point per layer.", "name": "fig-lost"}}
figure = interchange.plot_lost(losses)

# %% [markdown]
# How can both be true? A neuron matches at ε = 0.3 if at least 91 % of its power lies in the other span
# (1 − 0.3²). A stitch needs less: the part that the map misses must not matter to the later layers. The worst map
# explains {glue:text}`interchange-least-explained` of the variance of its layer, and there B loses
# {glue:text}`interchange-lost-there` points. So *a low similarity says that two layers contain different things. It
# does not say that the useful things in them are different.*
#
# ### Channel for channel: one partner each
#
# The order of hidden channels has no meaning: if the channels are permuted in the weights, the network computes the
# same function. We used this as a control. We permuted one network and matched it with the original. The logits
# differ by {glue:text}`interchange-logits` of the largest logit, and the largest critical ε of any alive neuron is
# {glue:text}`interchange-control`. Both are zero up to rounding.
#
# Are two *seeds* the same up to the order? For each layer we take the one-to-one pairing with the largest sum of
# correlations {cite}`entezari2022role,ainsworth2023git`. Channels that are added in a residual stream need one common
# pairing. Correlations do not change when other layers are permuted. So one assignment problem per group of layers
# gives the exact optimum.
#
# **What to see:** partners correlate (blue) far better than chance (red), but far from perfectly. The critical ε of a
# channel with its one partner (orange) is larger than with the whole layer (green). So a neuron of one network is
# expressed by many neurons of the other.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One panel per network, lines over layers: correlation of partners, the same by chance, and critical epsilon of a partner and of the whole layer."}, "figure": {"caption": "Channels paired one to one: mean correlation, and the median critical \u03b5 of a channel with its one partner and with the whole layer.", "name": "fig-partners"}}
figure = interchange.plot_partners(partners)

# %% [markdown]
# On average over layers partners correlate at {glue:text}`interchange-matched`. Before pairing, channels with equal
# numbers correlate at {glue:text}`interchange-before`, and the best pairing with a network that sees other images
# gives {glue:text}`interchange-chance`. {glue:text}`interchange-beside-plan`.
#
# ### Halfway between two networks
#
# Suppose that two networks were the same up to the order of channels. Then the average of the weights of A and of the
# permuted B would work, too. Averaging channels that are not exactly equal reduces their variance. So we also measure
# the batch-norm statistics again; for these networks this is the method REPAIR {cite}`jordan2023repair`. The fully
# connected layers of VGG have no batch norm, so nothing is corrected there.
#
# **What to see:** without matching, most of the accuracy is lost in the middle. With matching and recalibration most of
# it is there. Matching alone is not enough in networks with batch norm.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One panel per network: test accuracy along the line between two networks' weights, for four ways: as trained or matched, recalibrated or not."}, "figure": {"caption": "Test accuracy of the weights between A and B.", "name": "fig-paths"}}
figure = interchange.plot_paths(paths)

# %% tags=["hide-input"]
barriers = {name: rebasin.barriers(path).assign(network=name) for name, path in paths.items()}
table = pd.concat(barriers.values())[["network", "path", "loss_barrier", "accuracy_barrier"]]
figures.table(table, label="Barriers: how far the way lies above the straight line in loss, below it in accuracy")

# %% [markdown]
# The barrier is the accuracy that is lost on the way, at the worst point. It is
# {glue:text}`interchange-barrier-before-matching` points before matching and
# {glue:text}`interchange-barrier-matched-recalibrated` after matching and recalibration. The barrier in loss is
# reduced by {glue:text}`interchange-reduced` %, from pair to pair. Matched but not recalibrated networks lose
# {glue:text}`interchange-barrier-matched` points. For ResNet-18 we expected at least 60 %.
#
# ## What would change our mind
#
# - Stitches might fail in most layers for other pairs, other data or harder tasks. Here are
#   {glue:text}`interchange-pairs` pairs of each family, ten classes and one recipe.
# - A measure of spans might weigh directions by their use and agree with stitching. Then the low similarity would
#   come from how we count, and not from the layers.
# - A pairing might reach correlations near 1. Then the two representations would differ only in the order of the
#   channels.
#
# ## Try it
#
# ```bash
# .venv/bin/python -m helpers run interchangeable -p dataset digits -p width 0.125
# ```
#
# :::{exercise} Cut at zero
# :label: ex-stitch-clamp
# B's layer comes out of a ReLU, so it has no negative entry. Show that replacing the negative entries of a stitched layer by 0 never makes
# its squared distance to B's layer larger. Why did we not do it?
# :::
#
# :::{solution} ex-stitch-clamp
# :class: dropdown
# Take one entry: $y \ge 0$ in B, $z$ from the map. If $z \ge 0$ nothing changes. If $z < 0$, then $|y - 0| = y$,
# and this is at most $y - z = |y - z|$. Sum the squares over all entries. We left it out because the map would no longer be linear: we ask
# what the *span* of A's layer holds, as a match does. So the true losses may be smaller than those on this page.
# :::
#
# :::{exercise} The map
# :label: ex-stitch-map
# Write `stitch(x, y)`: the weights $W$ (neurons of y × neurons of x) and the intercept $b$ that minimise
# $\sum \|y - Wx - b\|^2$ over the samples. Rows are neurons.
# :::
#
# :::{solution-start} ex-stitch-map
# :class: dropdown
# :::


# %% tags=["solution"]
def stitch(x, y):
    """Weights and intercept of the least-squares map from x to y."""
    mean_x, mean_y = x.mean(axis=1), y.mean(axis=1)
    weights = np.linalg.lstsq((x.T - mean_x), (y.T - mean_y), rcond=None)[0].T
    return weights, mean_y - weights @ mean_x


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-stitch-map", stitch)

# %% [markdown]
# :::{exercise} Fewer images
# :label: ex-stitch-images
# Predict: which layers suffer first when the maps are fitted on 200 images instead of {glue:text}`interchange-fit`? Then run the page with
# `-p fit 200` on digits.
# :::
#
# :::{solution} ex-stitch-images
# :class: dropdown
# The pooled and the fully connected layers. They have one sample per image, and a map from 512 neurons has more
# unknowns per neuron than there are images. So it fits noise. A convolutional layer has a sample at each position:
# 200 images of 32 × 32 positions are 204 800 samples.
# :::
