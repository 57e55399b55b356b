# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What a neuron is
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how a neuron becomes a vector, and why we compare two layers by the spans of these vectors. You
# also learn which changes of a network this comparison cannot see.
#
# **You need first** linear algebra (span, projection, orthogonal matrix) and what a convolutional layer is.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Train the same network twice, from two different random starts. Both give the right class for most images. Is neuron
# 7 of layer 3 doing the same thing in both? The question makes no sense in this form, because the numbers of the
# neurons depend on the random start. First we must say what a {term}`neuron` is. Then we must say when two neurons are
# the same. Only then can we ask whether two networks have learned the same thing.

# %% tags=["parameters"]
network = "vgg16_bn"
dataset = "cifar10"
width = 0.25
recipe = "short"
epochs = 10
layer = "relu1_1"
seeds = [0, 1]
images = 60

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import studies
from helpers.matching.definitions import relative_distance
from helpers.networks import architectures, datasets
from helpers.networks.activations import captured
from helpers.pages import figures
from helpers.pages.chapters import drawings
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check
from helpers.subspaces import Gram

figures.style()

# %% [markdown]
# Here is what eight neurons do to one image. The image of a handwritten digit passes through the first {term}`layer`
# of a small untrained network. Each of its eight channels has its own random filter. A channel answers with a map, and
# each map keeps a different part of the digit.

# %%
digits = datasets.load_dataset("digits")
small = architectures.build("vgg11_bn", width=0.125, channels=1, seed=0)
batch = next(datasets.batches(digits, images))
with captured(small, ["relu1_1"]) as outputs:
    small(batch)
maps = outputs["relu1_1"].numpy()

# %% tags=["hide-input"] mystnb={"image": {"alt": "A handwritten digit, and beside it the eight maps that the eight channels of an untrained convolutional layer make of it. Some show its outline, some its inside, some its background."}, "figure": {"caption": "One image and its map in each channel. A channel is one neuron; every pixel of its map is one sample.", "name": "fig-maps"}}
drawings.feature_maps(digits.images[0, ..., 0], maps[0])
plt.show()

# %% [markdown]
# In this book a neuron *is* its answers to the inputs. The next section says this exactly. The section after it returns
# to the maps.
#
# ## A neuron is what it does to the inputs
#
# Here is a layer small enough to follow by hand. It has three neurons, which read two numbers and apply a ReLU.
# Each row of `weights` is one neuron; each column of `inputs` is one input.

# %% tags=["shows-def-activation"]
weights = np.array([[1.0, 0.0], [1.0, -1.0], [2.0, -2.0]])
inputs = np.array([[1.0, 2.0, 0.0, 3.0], [1.0, 0.0, 2.0, 1.0]])
activations = np.maximum(weights @ inputs, 0)
columns = [f"input {k + 1}" for k in range(4)]
neurons = pd.DataFrame(activations, columns=columns)
neurons.insert(0, "neuron", ["v1", "v2", "v3"])
figures.table(neurons, digits=0, label="Activations")

# %% [markdown]
# The table has the neurons' {term}`activations <activation>`. Read it by rows. Neuron v1 answers 1, 2, 0, 3 to the
# four inputs. The rest of the network sees only this row. It does not see the weights that produced the row, and very
# different weights can produce the same row. So we ignore the weights and keep the row.
#
# :::{prf:definition} Activation vector
# :label: def-activation
# Let $a_1, \dots, a_d$ be a fixed list of inputs, in a fixed order. The *activation vector* of a neuron $v$ is
#
# $$z_v = \bigl(z_v(a_1), \dots, z_v(a_d)\bigr) \in \mathbb{R}^d ,$$
#
# where $z_v(a)$ is the output of $v$ on the input $a$. A neuron whose activation vector is zero is *dead*. For a set
# $V$ of neurons, $z_V$ is the family $(z_v)_{v \in V}$. (Two neurons may have the same vector.) $\operatorname{span}
# z_V$ is the set of all linear combinations of its vectors, and $\operatorname{span} z_\emptyset = \{0\}$.
# :::
#
# In code, a layer of $n$ neurons is an array of shape `(neurons, samples)`. Neurons are rows, everywhere in this book.
# Unless we say otherwise, activations are taken after the ReLU and on test images, as in the paper
# {cite}`wang2018towards`.
#
# The definition contains two decisions. The *inputs* are part of it: on other inputs the same neuron has another
# vector. And the *order* of the inputs must be the same for both networks, because we compare the $k$-th coordinate
# of one vector with the $k$-th coordinate of another.
#
# ## What is a sample in a convolutional layer?
#
# A channel of a convolutional layer applies one filter at every position of the image. Its answer to an image is a
# map, not a single number. The filter is the same at every position. So the channel is *one* neuron, and it has one
# sample per image and position. We write its maps for all images one after the other into one long vector. So $d =
# \text{images} \times \text{height} \times \text{width}$.
#
# The maps at the top of this page ({numref}`fig-maps`) are such answers, for one image. The output of that layer has
# four axes: images, channels, height, width. The channel is the neuron, so it must become the first axis. The other
# three axes together are the samples. The order of the axes matters: `reshape` alone would mix channels with images.

# %%
rows = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
shapes = [str(maps.shape), str(rows.shape)]
figures.table(pd.DataFrame({"array": ["output of the layer", "rows"], "shape": shapes}))

# %% [markdown]
# Why is not every position a neuron? Then one filter would appear as a thousand neurons, although the
# network has learned only one filter. So the channel is the neuron, here as in the paper.
#
# ## Why directions
#
# In a ReLU layer we can rescale a neuron without changing the network. Multiply the bias and all weights that enter a
# neuron by $c > 0$. Then its activation vector is multiplied by $c$, because $\max(ct, 0) = c\max(t, 0)$. Now divide
# the weights that leave it by $c$. Every output of the network is the same as before. In the small layer above, v3 is
# v2 with doubled weights.
#
# So the length of an activation vector says nothing about what has been learned, but its direction does. The picture
# uses two of the four inputs, so that each neuron is an arrow in the plane. The arrows v2 and v3 have the same
# direction.

# %% tags=["hide-input"] mystnb={"image": {"alt": "A plane whose axes are the activations on inputs 2 and 4. Arrow v1 goes to (2, 3). Arrows v2, to (2, 2), and v3, to (4, 4), lie on one line."}, "figure": {"caption": "Neurons as vectors, on inputs 2 and 4 of the table. v2 and v3 have one direction.", "name": "fig-vectors"}}
figure, ax = drawings.plane(5)
for k, colour in ((2, drawings.COLOURS["y"]), (1, drawings.COLOURS["x"]), (0, drawings.GREY)):
    drawings.arrow(ax, activations[k, [1, 3]], colour, f"v{k + 1}", 0.1, aside=0.35)
ax.set(xlim=(-0.5, 5), ylim=(-0.5, 5), xlabel="activation on input 2", ylabel="activation on input 4")
plt.show()

# %% [markdown]
# The comparison we build must therefore give the same answer when any neuron is rescaled.
#
# ## Why spans
#
# Now take the view of the next layer. Suppose that it is fully connected, or a convolution with 1 × 1 filters. Each
# of its neurons receives a weighted sum of our layer's activations, plus a bias. Over all inputs this sum is the
# vector $\sum_v w_v z_v$, a point of the span. So everything that such a layer can read, before bias and
# nonlinearity, lies in the {term}`span` of our layer. And every point of the span is read by some choice of weights.
#
# :::{prf:proposition} Equal spans, equal readouts
# :label: prp-readout
# Let $\mathcal X$ and $\mathcal Y$ be layers of two networks, on the same inputs. The following are equivalent.
#
# 1. $\operatorname{span} z_{\mathcal X} = \operatorname{span} z_{\mathcal Y}$.
# 2. For all weights $w$ there are weights $w'$ with $\sum_{x} w_x z_x = \sum_{y} w'_y z_y$, and the other way round.
# :::
#
# :::{prf:proof}
# The span of $z_{\mathcal X}$ is by definition the set of all sums $\sum_x w_x z_x$. So the first half of (2) says
# $\operatorname{span} z_{\mathcal X} \subseteq \operatorname{span} z_{\mathcal Y}$, and the second half is the other
# inclusion.
# :::
#
# A 3 × 3 filter also reads shifted copies of the maps, so it can read more than the span. Equal spans still mean
# equal readouts. The reason: a shift of a map, with zeros at the border, is a linear operation, and it is the same
# for every channel. So a linear relation between maps also holds between the shifted maps.
#
# Here is an example of the proposition. Layer B consists of three mixtures of the three independent neurons of layer
# A. No neuron of B is a neuron of A. Yet B can give the same readout as A on every input, up to rounding error.

# %% tags=["shows-prp-readout"]
rng = np.random.default_rng(0)
layer_a = np.maximum(rng.normal(size=(3, 50)), 0)
layer_b = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]]) @ layer_a
readout = np.array([2.0, -1.0, 0.5]) @ layer_a
copied = np.linalg.lstsq(layer_b.T, readout, rcond=None)[0]

# %% tags=["remove-cell"]
glue("readout-error", float(np.abs(copied @ layer_b - readout).max()), display=False)
glue("readout-weights", str(np.round(copied, 2).tolist()), display=False)

# %% [markdown]
# The weights {glue:text}`readout-weights:s` on B give the readout, with a largest error of
# {glue:text}`readout-error:.0e`. A measure that pairs single neurons would call these two layers different. For the
# next layer they are the same.
#
# ## How far is a neuron from the other layer?
#
# The spans of two real layers are hardly ever equal. We need a number that says how far a neuron is from what the other
# layer can express, and that does not change when the neuron is rescaled.
#
# :::{prf:definition} Relative distance
# :label: def-distance
# For a vector $z \ne 0$ and a linear subspace $S$ of $\mathbb{R}^d$,
#
# $$\operatorname{dist}(z, S) = \min_{s \in S} \lVert z - s\rVert , \qquad
#   r(z, S) = \frac{\operatorname{dist}(z, S)}{\lVert z\rVert} \in [0, 1] .$$
#
# For a neuron $v$ and a set $W$ of neurons of the other network, $r(v, W) = r(z_v, \operatorname{span} z_W)$. For a
# dead neuron $r = \infty$ by convention: it has no direction, so it is near nothing.
# :::
#
# The value is 0 when the other layer expresses the neuron exactly. It is 1 when the neuron is orthogonal to all of
# it; an empty $W$ gives 1. It cannot exceed 1, because $s = 0$ is a candidate for the minimum.
#
# ```{note}
# The paper's inequality $\operatorname{dist}(z, S) \le \varepsilon\lVert z\rVert$ holds for *every* $S$ when $z = 0$:
# taken literally, a dead neuron could join every match. So we apply the inequality only to neurons that are not dead
# ({term}`alive neurons <alive neuron>`).
# ```
#
# A distance to a span is a least-squares problem, and NumPy solves it in one line. Below, v1 against the other two
# neurons of the first table (which share one direction), and against none.


# %% tags=["shows-def-distance"]
def distance(z, basis):
    """Distance of z to the span of the rows of `basis`, over the norm of z."""
    coefficients = np.linalg.lstsq(basis.T, z, rcond=None)[0]
    return np.linalg.norm(z - coefficients @ basis) / np.linalg.norm(z)


v1 = activations[0]
groups = {"{v2}": [1], "{v2, v3}": [1, 2], "∅": []}
values = [distance(v1, activations[group]) for group in groups.values()]
figures.table(pd.DataFrame({"distance of v1 to": groups.keys(), "r": values}))

# %% [markdown]
# By hand: $z_{v_1} = (1,2,0,3)$ and $z_{v_2} = (0,2,0,2)$. The projection of the first on the second is
# $\tfrac{10}{8} z_{v_2} = (0, 2.5, 0, 2.5)$, the rest is $(1, -0.5, 0, 0.5)$, and
# $r = \sqrt{1.5/14}$. Adding v3, twice v2, adds nothing to the span.
#
# ## What the distance cannot see
#
# Every measure of similarity ignores some differences. This section says which differences the relative distance
# ignores. Everything that this book computes from relative distances ignores them, too.
#
# :::{prf:proposition} Invariances
# :label: prp-invariance
# Let the rows of $X$ and $Y$ be the activation vectors of two layers. All relative distances $r(x, W)$,
# $W \subseteq \mathcal Y$, and $r(y, V)$, $V \subseteq \mathcal X$, stay the same when
#
# 1. the neurons of either layer are **reordered** (the distances move with their neurons);
# 2. any neurons are **rescaled**, each by its own factor $c_v \neq 0$, negative ones included;
# 3. both layers are changed to $XQ$ and $YQ$ with **one and the same** matrix $Q$ with $QQ^{\mathsf T} = c\,I$, $c >
#    0$. For example, the samples are permuted, each is repeated $k$ times, or they are rotated into other
#    coordinates.
#
# More generally, they depend on nothing but the joint {term}`Gram matrix`: the inner products of all neurons of both
# layers.
# :::
#
# :::{prf:proof}
# (1) A span does not depend on an order. (2) Rescaling does not change a span, as $c_v \ne 0$; and
# $\operatorname{dist}(cz, S) = |c|\operatorname{dist}(z, S)$, as $S = cS$, so the quotient by $\lVert cz\rVert =
# |c|\lVert z\rVert$ stays. The last statement implies (3), because $(zQ)(z'Q)^{\mathsf T} = c\, z z'^{\mathsf T}$:
# the Gram matrix is multiplied by $c$, which cancels in every quotient. And it holds because
#
# $$\begin{aligned}
#   \operatorname{dist}(z, \operatorname{span} z_W)^2
#   &= \min_{w} \Bigl\lVert z - \sum_{y \in W} w_y z_y \Bigr\rVert^2 \\
#   &= \min_{w} \Bigl( \langle z, z\rangle - 2 \sum_y w_y \langle z, z_y\rangle
#     + \sum_{y, y'} w_y w_{y'} \langle z_y, z_{y'}\rangle \Bigr)
# \end{aligned}$$
#
# contains inner products only.
# :::
#
# The last statement is useful. The inner products of a layer fit into a matrix, and the number of images does not
# change its size. So this book can record a layer with millions of samples in a small file, up to rounding.
#
# ## What the distance does see
#
# One operation is missing from the list: **mixing** the neurons of a layer, $X \mapsto MX$ with an invertible matrix
# $M$. It keeps the span of the *whole* layer. So the distances from the other side to the whole layer stay. But the
# mixed neurons are other vectors and have other distances, and a part of the mixed layer spans another space.
#
# **Counter-example.** Let $x_1 = y_1 = e_1$ and let $x_2 = e_2$, $y_2 = e_3$. Neuron $x_1$ lies in the span of the
# other layer: $r(x_1, \mathcal Y) = 0$. Now mix: $x_1' = x_1 + x_2$ and $x_2' = x_1 - x_2$. The span has not changed,
# but now no neuron of A lies in the span of B. (The distances of B's neurons have not changed.)

# %% tags=["shows-prp-invariance"]
x, y = np.array([[1.0, 0, 0], [0, 1, 0]]), np.array([[1.0, 0, 0], [0, 0, 1]])
mixed = np.array([[1, 1], [1, -1]]) @ x
before = [relative_distance(z, y) for z in x]
after = [relative_distance(z, y) for z in mixed]
names = ["x₁", "x₂", "x₁ + x₂", "x₁ − x₂"]
distances = {"neuron of A": names, "distance to the span of B": before + after}
figures.table(pd.DataFrame(distances))

# %% [markdown]
# There is one exception. If the spans of the two layers are *equal*, they are equal after any mixing,
# and every distance to the whole other layer is 0 before and after. As long as no neuron is dead, before or after,
# mixing then changes neither these distances nor [the maximum match](maximum.ipynb). It still changes which small
# groups match ([Simple matches](simple.ipynb)). The farther apart the spans are, the more it matters *which* vectors
# in them are the neurons. So this measure depends on the individual neurons. There is a reason for that: the ReLU,
# too, acts on each neuron separately. Other measures, such as {term}`canonical correlation analysis <CCA>`, depend on
# the spans of the centred activations only.
#
# Now on a real layer. Two networks were trained on CIFAR-10 from different seeds; their layer was recorded as a Gram
# matrix. We look at each neuron of network A and its distance to the span of B's whole layer, three times. First as
# recorded. Then with A's neurons shuffled, rescaled at random and some of them flipped. Finally with A's neurons, at
# unit length, mixed by a random rotation. A change of neurons $X \mapsto TX$ turns a Gram matrix $G$ into
# $TGT^{\mathsf T}$.

# %%
study = studies.Study(dataset, network, width, tuple(seeds), recipe, epochs)
recorded = studies.run(study, progress=False).gram(layer)
n, total = recorded.sizes[0], sum(recorded.sizes)


def changed(T):
    """The recorded layer after A's neurons X became TX."""
    whole = np.eye(total)
    whole[:n, :n] = T
    gram = whole @ recorded.gram @ whole.T
    return Gram(whole @ recorded.sums, recorded.samples, recorded.sizes, gram)


# %%
signs = rng.choice([-1.0, 1.0], size=n)
shuffled = np.eye(n)[rng.permutation(n)] * signs * rng.uniform(0.1, 10, size=n)
norms = np.sqrt(np.diag(recorded.gram)[:n])
rotation = np.linalg.qr(rng.normal(size=(n, n)))[0] / norms  # of unit neurons
changes = {
    "as recorded": np.eye(n),
    "shuffled, rescaled, flipped": shuffled,
    "mixed": rotation,
}

# %% [markdown]
# A recorded layer knows its distances: `sides[1]` takes B as the basis and A's neurons as the targets, and holds $r^2$.

# %%
distances = {}
for name, T in changes.items():
    distances[name] = np.sqrt(changed(T).pair(0, 1).sides[1].squares)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Sorted distances of the neurons of network A to the span of network B. Circles as recorded and crosses after shuffling and rescaling coincide at every neuron. Triangles after mixing lie elsewhere and are more alike."}, "figure": {"caption": "Distances of one real layer's neurons to the other network's span. Shuffling, rescaling and flipping change nothing; mixing does.", "name": "fig-invariance"}}
drawings.sorted_distances(distances)
plt.show()

# %% tags=["remove-cell"]
moved = np.sort(distances["shuffled, rescaled, flipped"]) - np.sort(distances["as recorded"])
glue("invariance-error", float(np.abs(moved).max()), display=False)
glue("invariance-samples", f"{recorded.samples:,}".replace(",", " "), display=False)
glue("invariance-spread", float(np.ptp(distances["as recorded"])), display=False)
glue("mixed-spread", float(np.ptp(distances["mixed"])), display=False)

# %% [markdown]
# Circles and crosses coincide (largest difference {glue:text}`invariance-error:.0e`, over
# {glue:text}`invariance-samples:s` samples). The mixed neurons have other distances. As recorded, the distances cover
# a range of {glue:text}`invariance-spread:.2f`: some neurons are near the span of the other network, others are far
# from it. After mixing they cover a range of {glue:text}`mixed-spread:.2f`. A mixture contains a part of every
# neuron, near or far, so all mixtures have similar distances.
#
# Three more changes are *not* invariances. Every description of an experiment should mention them:
#
# - **Another order of the inputs in one network only.** The coordinates no longer correspond.
# - **Adding a constant** to a neuron, or subtracting its mean (centring). Activations after a ReLU are never negative,
#   so all vectors of a layer share some of the direction $(1, \dots, 1)$. That alone brings them nearer to each other.
# - **Other inputs, or too few.** If $\operatorname{span} z_{\mathcal Y}$ is all of $\mathbb{R}^d$, every distance is
#   0. With $d$ samples and $n$ neurons this can happen as soon as $n \ge d$. There must be many more samples than
#   neurons.
#
# ## In short
#
# - A neuron is its **activation vector**: one number per input.
# - A channel of a convolutional layer is one neuron. Its samples are all images and all positions.
# - What a layer offers to the next one is the **span** of its neurons: everything that a linear readout can compute
#   from them.
# - The **relative distance** of a neuron to a span is 0 if the span contains the neuron and 1 if the neuron is
#   orthogonal to the span. The length of the neuron does not matter.
# - The distance does not see the order, the scale or the sign of neurons. In general it does see a mixing of neurons,
#   another order of the inputs in one network, and a constant that is added to a neuron.
#
# ## Exercises
#
# :::{exercise} Rescaling a neuron
# :label: ex-rescale
# *On paper.* A network computes $f(a) = \sum_v u_v \max(w_v \cdot a + b_v, 0)$. Show that for each neuron and each
# $c > 0$ the change $w_v, b_v, u_v \mapsto c\,w_v, c\,b_v, u_v/c$ leaves $f$ as it is and multiplies $z_v$ by $c$. Why
# does this fail for $c = -1$? The relative distance ignores signs all the same. Is that a mistake?
# :::
#
# :::{solution} ex-rescale
# :class: dropdown
# $\frac{u_v}{c} \max\bigl(c (w_v \cdot a + b_v), 0\bigr) = \frac{u_v}{c}\, c \max(w_v \cdot a + b_v, 0)$ for $c >
# 0$, and the activation $\max(c(w_v \cdot a + b_v), 0)$ is $c$ times the old one. For $c = -1$ the ReLU keeps the
# other half: $\max(-t, 0) \neq -\max(t, 0)$. It is no mistake that the distance ignores signs: the next layer can
# multiply by any number, so $z_v$ and $-z_v$ offer it the same readouts. After a ReLU the case does not arise,
# because no activation vector is negative; before the ReLU it does.
# :::
#
# :::{exercise} Channels into rows
# :label: ex-conv-rows
# *In code.* Write `channels_as_rows(output)`. It takes a layer's output of shape (images, channels, height, width) and
# returns the array (channels, images × height × width): one row per channel, image after image.
# :::
#
# :::{solution-start} ex-conv-rows
# :class: dropdown
# :::


# %% tags=["solution"]
def channels_as_rows(output):
    """One row per channel; its maps on all images one after the other."""
    channels_first = output.transpose(1, 0, 2, 3)
    return channels_first.reshape(output.shape[1], -1)


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-conv-rows", channels_as_rows)

# %% [markdown]
# :::{exercise} A constant in common
# :label: ex-shift
# *Predict, then run.* Two neurons have independent random activation vectors of mean 0 and variance
# 1, with very many samples. Predict $r(x, \{y\})$. Then add the same constant, 3, to all activations of both.
# Predict again: will the distance grow, shrink or stay? Then run it with `shift` 0, 1, 3 and 10.
# :::
#
# :::{solution-start} ex-shift
# :class: dropdown
# :::


# %% tags=["solution"]
def shifted_distance(shift, samples=10_000):
    """Distance of two unrelated neurons to which a constant was added."""
    x, y = np.random.default_rng(1).normal(size=(2, samples)) + shift
    return relative_distance(x, y[None])


results = {shift: shifted_distance(shift) for shift in (0, 1, 3, 10)}
figures.table(pd.DataFrame({"shift": results.keys(), "r": results.values()}))

# %% [markdown]
# Without the constant the two vectors are almost orthogonal and $r$ is almost 1. The constant $c$ adds the same long
# vector $c\,(1, \dots, 1)$ to both, and the angle between them shrinks: $\cos\alpha \approx c^2/(1 + c^2)$, so $r
# \approx \sqrt{1 + 2c^2}/(1 + c^2)$. So the distance is small although the two neurons have nothing in common but their mean. When you see a small distance between activations with large means, look at the centred activations, too.
#
# :::{solution-end}
# :::

# %% [markdown]
# :::{exercise} Which mixings are harmless?
# :label: ex-harmless-mixing
# *On paper.* For which invertible matrices $M$ does $X \mapsto MX$ leave *every* relative distance $r(x, W)$ and
# $r(y, V)$ as it was, up to the names of the neurons, whatever $X$ and $Y$ are?
# :::
#
# :::{solution} ex-harmless-mixing
# :class: dropdown
# Exactly those with one entry different from 0 in each row and each column: a reordering and a rescaling, invariances
# (1) and (2). For suppose that row $i$ of $M$ has two such entries, in columns $j$ and $k$. Let the rows of $X$ be
# orthonormal and let $\mathcal Y$ consist of copies of them. Before the mixing, every neuron of $\mathcal X$ is at
# distance 0 from a single neuron of $\mathcal Y$. The mixed neuron $i$ is at distance 0 from no single neuron of
# $\mathcal Y$. So each row has one such entry only, and as $M$ is invertible, so has each column.
# :::
#
# **Next:** [ε-approximate matches](matches.ipynb), where distances become a relation between two groups of neurons.
