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
# **You will learn** to test a measure itself: change a layer on purpose, and see whether the measure notices what a reader of the layer
# notices.
#
# **You need first** [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# A thermometer is tested on ice and on boiling water. What do the subspace match and its rivals say when we know what was done to a layer?

# %% tags=["parameters"]
dataset = "cifar10"
network = "vgg16_bn"
width = 1.0
seeds = [0, 1]
recipe = "paper"
epochs = 160
images = 2000  # training images for the probe, and as many test images
steps = 8
recompute = False

# %% tags=["hide-input", "remove-stderr"]
import numpy as np
from myst_nb import glue

from helpers import studies
from helpers.matching import maximum_match
from helpers.pages import figures, sensed
from helpers.pages.teaching.exercises import check
from helpers.studies import sensitivity
from helpers.studies.constructions import RotatedLayers

figures.style()

# %% tags=["remove-stderr", "remove-cell"]
study = studies.Study(dataset, network, width, seeds, recipe, epochs=epochs)
settings = {"images": images, "steps": steps}
table = studies.answer(sensitivity.KIND, study, settings, recompute).tables["sensitivity"]
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
# As components are taken out, the match follows a linear probe with a rank correlation of {glue:text}`sensed-both-subspace`, linear CKA with
# {glue:text}`sensed-both-cka`; among {glue:text}`sensed-measures` measures the match is number {glue:text}`sensed-rank`.
# Scaling a neuron does not change it, one extreme image does. Layers with the same linear read-out can have an empty match.
# :::
#
# ## How we know
#
# ### Components taken out, one after the other
#
# After {cite:t}`ding2021grounding` and {cite:t}`davari2023reliability`: take principal components out of a layer, the weakest first or the
# strongest first, and compare the layer with what is left. Beside it a *probe*: a linear classifier (ridge, one closed form) that is
# trained anew on what is left. The probe stands for all that a later layer could read. A good measure falls where the probe falls
# and nowhere else.
#
# Convolutional layers are averaged over positions, for the measures and for the probe. The components are those of the training images, and the
# same directions are taken out of the test images. Means stay.
#
# **What to see:** from the weak end (left) the probe and CKA barely move until few components are left. In the middle layer the match falls
# earlier: a neuron that loses weak directions is no longer quite the same neuron. From the strong end (right) probe, match and CKA fall with the
# first few components.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Panels of lines, a row per layer: value of three measures and the probe's accuracy against the share of principal components taken out, weakest first on the left, strongest first on the right."}, "figure": {"caption": "What is left of each measure and of the probe's accuracy as components are taken out.", "name": "fig-components"}}
figure = sensed.plot_components(table)

# %% tags=["hide-input"]
figures.download(table, "sensitivity")

# %% [markdown]
# With the weaker half of all components gone the match is at {glue:text}`sensed-half-subspace` and CKA at {glue:text}`sensed-half-cka`; the
# probe has lost {glue:text}`sensed-half-lost` points. With only the *strongest* component gone the match is at {glue:text}`sensed-one-subspace`,
# CKA at {glue:text}`sensed-one-cka`, the probe {glue:text}`sensed-one-lost` points lower.
#
# ### Which measure goes with the probe?
#
# **What to see:** the farther right a circle, the better the order of a measure's losses is the order of the probe's losses. Triangles are
# the two ends alone, where every measure only has to fall.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Dots per measure: rank correlation between what the measure and what the probe lost, for both ends together and each alone."}, "figure": {"caption": "Spearman's rank correlation between the fall of a measure and the accuracy that a linear probe loses, mean over layers.", "name": "fig-agreement"}}
figure = sensed.plot_agreement(agreement)

# %% [markdown]
# Expected before we looked: the match is below CKA. It is {glue:text}`sensed-below-cka` CKA: {glue:text}`sensed-both-subspace`
# against {glue:text}`sensed-both-cka`. Differences of this size between neighbours in the figure mean little.
#
# ### Three more changes
#
# The table says how far each measure falls, and what the probe loses, when the layer is exchanged for that of another seed, when one
# image is moved far out, and when one neuron is made a hundred times larger.

# %% tags=["hide-input"]
changes = sensed.other_changes(table).reset_index(names="measure")
changes["measure"] = changes["measure"].map(sensed.measure_title)
figures.table(changes, digits=2, label="How far each measure falls")

# %% [markdown]
# One large neuron says nothing new, and the match does not notice it ({glue:text}`sensed-one-neuron-subspace`): every neuron is scaled to unit length. CKA
# falls by {glue:text}`sensed-one-neuron-cka`. One image far out moves the match by {glue:text}`sensed-one-image-subspace` and CKA by
# {glue:text}`sensed-one-image-cka`: one sample with large values dominates sums of squares. Another seed lowers the match by
# {glue:text}`sensed-other-seed-subspace`, CKA by {glue:text}`sensed-other-seed-cka`, and the probe by {glue:text}`sensed-other-seed-linear-probe`.
#
# ### Layers made by hand: one read-out, no match
#
# {cite:t}`johnson2019subspace` objected that networks may do the same and have layers that do not match. Here is the objection as one exact family.
#
# :::{prf:proposition} Rotated layers
# :label: prp-rotated
# Let $s_1, \dots, s_n$ be the corners of a regular simplex: unit vectors with $\sum s_i = 0$ that span $n - 1$ dimensions. Let $p$ and $q$ be unit vectors
# orthogonal to them and to one another, and $0 < \theta < 90°$. The layers $x_i = \cos\theta\, s_i + \sin\theta\, p$ and
# $y_i = \cos\theta\, s_i + \sin\theta\, q$ have the same linear read-out of $s$; of their $n$ canonical correlations all but one are 1 and one is 0; and
# every neuron has the critical ε $\sin\theta$, so the maximum match is empty below $\sin\theta$ and holds everything from there on.
# :::
#
# :::{prf:proof}
# The mean of the $x_i$ is $\sin\theta\, p$, that of the $y_i$ is $\sin\theta\, q$. So $W = (I - \tfrac1n \mathbf{1}\mathbf{1}^\top)/\cos\theta$ gives $Wx = Wy = s$. The means also show
# that $p$ lies in the span of $x$ and $q$ in that of $y$: the spans are $S \oplus p$ and $S \oplus q$ with $S$ the span of the $s_i$. The common part has $n - 1$ dimensions, and
# $p \perp q$: the canonical correlations are $1, \dots, 1, 0$. The part of $x_i$ outside $S \oplus q$ is $\sin\theta\, p$, of length $\sin\theta$, and $x_i$ has length 1; the same holds
# for $y_i$. So below $\sin\theta$ no neuron is near the whole other layer, let alone a part of it; and at $\sin\theta$ all of them are near the whole.
# :::
#
# With 50 neurons and θ = 20° every neuron has critical ε {glue:text}`sensed-hand-critical`: nothing matches at 0.3. The mean canonical correlation is
# {glue:text}`sensed-hand-cca`, linear CKA {glue:text}`sensed-hand-cka`. All that separates the layers is one direction, the same in all neurons of a layer.
#
# **What to see:** move θ. The similarity is a step that moves to the right; the read-out is the same at every θ.

# %% tags=["hide-input", "shows-prp-rotated"]
moving, still = sensed.move_rotation(50), sensed.plot_rotation(50)
alt = "A step function: similarity against epsilon for rotated layers, with a slider for the angle."
figures.interactive(moving, "fig-rotation", alt, still)

# %% [markdown]
# Nobody has trained such layers. They show what a low similarity does not exclude. [Stitching](interchangeable.ipynb) tests what is true of trained networks.
# A family with more private company, made of recorded layers, stands on [the page of causes](causes.ipynb).
#
# ## What would change our mind
#
# - A probe that reads more than a linear one: then weak components might matter, and the match would be right to hear them.
# - Other layers or networks in which the order of the measures turns round: here are three layers of one network.
#
# ## Try it

# %%
layers = RotatedLayers(n=8, theta=np.deg2rad(20))
for epsilon in (0.3, 0.35):
    print(f"ε = {epsilon}: {len(maximum_match(layers.x, layers.y, epsilon))} of 16 neurons match")

# %% [markdown]
# :::{exercise} Why the mean?
# :label: ex-rotated-mean
# In {prf:ref}`prp-rotated` subtract from each neuron the mean over all *neurons* of its layer. What are the critical ε now? Why is this no
# remedy for real layers?
# :::
#
# :::{solution} ex-rotated-mean
# :class: dropdown
# The mean over neurons is $\sin\theta\, p$, so what is left is $\cos\theta\, s_i$ in both layers: everything matches at ε = 0. In real layers the private part is not one
# direction that all neurons share with equal weight, and the mean over neurons is a mix like any other.
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
# CKA falls, because the private direction is shared by all neurons of a layer and its power grows with their number, while the signal spreads over ever more
# directions: $\cos^4\theta / (\cos^4\theta + (n - 1)\sin^4\theta)$. The mean canonical correlation rises to 1: it gives every direction the same weight. The critical ε stays.
# :::
