# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does a match see, and what does it miss?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to test a measure: change a layer in a known way, and compare how much the measure changes
# with how much information is lost.
#
# **You need first** [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# A thermometer is tested on ice and on boiling water, where the temperature is known. We test measures of similarity
# on layers that we changed in a known way. What do the subspace match and its rivals say?

# %% tags=["parameters"]
dataset = "cifar10"
networks = ["vgg16_bn", "resnet18"]
width = 1.0
seeds = [0, 1]
recipes = ["paper", "short"]  # one for each network
epochs = [160, 40]
images = 2000  # training images for the probe, and as many test images
steps = 8
recompute = False

# %% tags=["hide-input", "remove-stderr"]
import numpy as np
import pandas as pd

from helpers import studies
from helpers.matching import maximum_match
from helpers.pages import figures, sensed
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check
from helpers.studies import sensitivity
from helpers.studies.constructions import RotatedLayers

figures.style()

# %% tags=["remove-stderr", "remove-cell"]
settings, tables = {"images": images, "steps": steps}, []
for network, recipe, last in zip(networks, recipes, epochs, strict=True):
    study = studies.Study(dataset, network, width, seeds, recipe, epochs=last)
    tables.append(studies.find_or_compute(sensitivity.KIND, study, settings, recompute).tables["sensitivity"])
table = pd.concat(tables, ignore_index=True)
agreement = sensed.agreement_rows(table)
for key, value in sensed.sensitivity_in_words(table).items():
    glue(f"sensed-{key}", value, display=False)
by_hand = RotatedLayers(50, np.deg2rad(20))
glue("sensed-hand-critical", f"{by_hand.critical:.2f}", display=False)
glue("sensed-hand-cka", f"{by_hand.cka:.2f}", display=False)
glue("sensed-hand-cca", f"{by_hand.mean_cca:.2f}", display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# We remove components from {glue:text}`sensed-layers` layers and watch a linear probe. The fall of the match and the
# loss of the probe have a rank correlation of {glue:text}`sensed-both-subspace`; for linear CKA it is
# {glue:text}`sensed-both-cka`, for RSA {glue:text}`sensed-both-rsa`, for mutual neighbours
# {glue:text}`sensed-both-neighbours`. Of {glue:text}`sensed-measures` measures the match ranks
# {glue:text}`sensed-rank`. {glue:text}`sensed-leaders`. The match does not change when a neuron is scaled, but
# one extreme image changes it. Layers with equal linear readouts can have an empty match.
# :::
#
# ## How we know
#
# ### Components taken out, one after the other
#
# This test follows {cite:t}`ding2021grounding` and {cite:t}`davari2023reliability`. Remove principal components from
# a layer, the weakest first or the strongest first. Then compare the layer with what is left. A *probe* is a linear
# classifier (ridge regression) that is trained again on what is left. It stands for everything that a later layer
# could read linearly. A good measure falls where the probe falls, and nowhere else.
#
# Convolutional layers are averaged over positions, for the measures and for the probe. The components are computed
# from the training images, and these directions are removed from the test images. Means are not removed.
#
# **What to see:** when weak components are removed first (left), the probe and CKA barely change until few components
# are left. In the middle layer the match falls earlier, because each neuron also contains weak directions. When
# strong components are removed first (right), probe, match and CKA fall with the first few components.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Panels of lines, one row per layer: value of three measures and the probe's accuracy against the share of principal components removed. On the left the weakest are removed first, on the right the strongest."}, "figure": {"caption": "What is left of each measure and of the probe's accuracy as components are taken out.", "name": "fig-components"}}
figure = sensed.plot_components(table)

# %% tags=["hide-input"]
figures.download(table, "sensitivity")

# %% [markdown]
# Without the weaker half of all components the match is {glue:text}`sensed-half-subspace` and CKA is
# {glue:text}`sensed-half-cka`. The probe has lost {glue:text}`sensed-half-lost` points of accuracy. Without the
# single *strongest* component the match is {glue:text}`sensed-one-subspace` and CKA is {glue:text}`sensed-one-cka`.
# The probe has lost {glue:text}`sensed-one-lost` points.
#
# ### Which measure goes with the probe?
#
# **What to see:** a circle farther to the right means that the losses of the measure and the losses of the probe have
# a more similar order. The triangles show the weak end and the strong end alone. There every measure only has to
# fall.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Dots per measure: rank correlation between what the measure and what the probe lost, for both ends together and each alone."}, "figure": {"caption": "Spearman's rank correlation between the fall of a measure and the accuracy that a linear probe loses, mean over layers.", "name": "fig-agreement"}}
figure = sensed.plot_probe_agreement(agreement)

# %% [markdown]
# We expected that a match sees only strong directions. {glue:text}`sensed-weak-directions`.
#
# We also expected that the match is below CKA. It is {glue:text}`sensed-below-cka` CKA:
# {glue:text}`sensed-both-subspace` against {glue:text}`sensed-both-cka`. A small difference between two measures in
# the figure means little.
#
# ### Three more changes
#
# The table shows three changes. The layer is replaced by the one of another seed. The activations of one image are
# made very large. One neuron is multiplied by 100. The columns say how far each measure falls and what the probe
# loses.

# %% tags=["hide-input"]
changes = sensed.other_changes(table).reset_index(names="measure")
changes["measure"] = changes["measure"].map(sensed.measure_title)
figures.table(changes, digits=2, label="How far each measure falls")

# %% [markdown]
# A larger neuron contains no new information. The match does not change
# ({glue:text}`sensed-one-neuron-subspace`), because every neuron is scaled to unit length. CKA falls by
# {glue:text}`sensed-one-neuron-cka`. The extreme image changes the match by {glue:text}`sensed-one-image-subspace`
# and CKA by {glue:text}`sensed-one-image-cka`, because one sample with large values dominates sums of squares. RSA
# and mutual neighbours fall by {glue:text}`sensed-one-image-rsa` and {glue:text}`sensed-one-image-neighbours`: they
# compare the directions of images, and an image that only grows keeps its direction.
# Another seed lowers the match by
# {glue:text}`sensed-other-seed-subspace`, CKA by {glue:text}`sensed-other-seed-cka`, and the probe by {glue:text}`sensed-other-seed-linear-probe`.
#
# ### Constructed layers: equal readouts, no match
#
# {cite:t}`johnson2019subspace` objected that two networks can compute the same function although their layers do not match. Here is a family of layers that shows it exactly.
#
# :::{prf:proposition} Rotated layers
# :label: prp-rotated
# Let $s_1, \dots, s_n$ be the corners of a regular simplex: unit vectors with $\sum s_i = 0$ that span $n - 1$
# dimensions. Let $p$ and $q$ be unit vectors orthogonal to them and to one another, and $0 < \theta < 90°$. Consider
# the layers $x_i = \cos\theta\, s_i + \sin\theta\, p$ and $y_i = \cos\theta\, s_i + \sin\theta\, q$. One linear map
# reads $s$ from both. Of their $n$ canonical correlations all but one are 1, and one is 0. Every neuron has the
# critical ε $\sin\theta$. So the maximum match is empty below $\sin\theta$, and from there on it contains all
# neurons.
# :::
#
# :::{prf:proof}
# The mean of the $x_i$ is $\sin\theta\, p$, that of the $y_i$ is $\sin\theta\, q$. So $W = (I - \tfrac1n
# \mathbf{1}\mathbf{1}^\top)/\cos\theta$ gives $Wx = Wy = s$. The means also show that $p$ lies in the span of $x$,
# and $q$ in the span of $y$. So the spans are $S \oplus p$ and $S \oplus q$, where $S$ is the span of the $s_i$. The
# common part has $n - 1$ dimensions, and $p \perp q$. So the canonical correlations are $1, \dots, 1, 0$. The part of
# $x_i$ outside $S \oplus q$ is $\sin\theta\, p$, of length $\sin\theta$, and $x_i$ has length 1; the same holds for
# $y_i$. So below $\sin\theta$ no neuron is near the whole other layer, nor near a part of it. At $\sin\theta$ all
# neurons are near the whole other layer.
# :::
#
# With 50 neurons and θ = 20° every neuron has critical ε {glue:text}`sensed-hand-critical`: nothing matches at 0.3. The mean canonical correlation is
# {glue:text}`sensed-hand-cca`, linear CKA {glue:text}`sensed-hand-cka`. The layers differ in one direction only, and all neurons of a layer contain it.
#
# **What to see:** move θ. The similarity is a step that moves to the right. The readout is the same at every θ.

# %% tags=["hide-input", "shows-prp-rotated"]
moving, still = sensed.move_rotation(50), sensed.plot_rotation(50)
alt = "A step function: similarity against epsilon for rotated layers, with a slider for the angle."
figures.interactive(moving, "fig-rotation", alt, still)

# %% [markdown]
# Nobody has trained such layers. They show that equal readouts are possible although the similarity is
# low. [Stitching](interchangeable.ipynb) tests what is true for trained networks. The page on [causes](causes.ipynb)
# has another such family, made of recorded layers.
#
# ## What would change our mind
#
# - A probe that is not linear could read more. Then weak components might matter, and the match would be right to
#   fall when they are removed.
# - In other layers or networks the measures might have another order. Here are {glue:text}`sensed-layers` layers.
#
# ## Try it

# %%
layers = RotatedLayers(n=8, theta=np.deg2rad(20))
for epsilon in (0.3, 0.35):
    print(f"ε = {epsilon}: {len(maximum_match(layers.x, layers.y, epsilon))} of 16 neurons match")

# %% [markdown]
# :::{exercise} Why the mean?
# :label: ex-rotated-mean
# In {prf:ref}`prp-rotated` subtract from each neuron the mean over all *neurons* of its layer. What are the critical
# ε now? Why does this not help for real layers?
# :::
#
# :::{solution} ex-rotated-mean
# :class: dropdown
# The mean over neurons is $\sin\theta\, p$, so what is left is $\cos\theta\, s_i$ in both layers: everything matches
# at ε = 0. In real layers the part that differs is not a single direction with equal weight in all neurons, so the
# mean over neurons does not remove it.
# :::
#
# :::{exercise} The blind angle
# :label: ex-blind-angle
# Write `blind_angle(epsilon)`: the angle θ in degrees from which the rotated layers no longer match at ε.
# :::
#
# :::{solution-start} ex-blind-angle
# :class: dropdown
# :::


# %% tags=["solution"]
def blind_angle(epsilon):
    """The angle whose sine is ε, in degrees."""
    return np.rad2deg(np.arcsin(epsilon))


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-blind-angle", blind_angle)

# %% [markdown]
# :::{exercise} More neurons
# :label: ex-rotated-neurons
# Predict what happens to linear CKA and to the mean canonical correlation of the rotated layers at θ = 20° when n grows from 8 to 500. Then
# look: `RotatedLayers(500, np.deg2rad(20)).cka` and `.mean_cca`.
# :::
#
# :::{solution} ex-rotated-neurons
# :class: dropdown
# CKA falls. All neurons of a layer contain its private direction ($p$ or $q$), so the power of this direction grows
# with their number. The signal is spread over more and more directions. The result is $\cos^4\theta / (\cos^4\theta +
# (n - 1)\sin^4\theta)$. The mean canonical correlation rises to 1: it gives every direction the same weight. The
# critical ε stays.
# :::
