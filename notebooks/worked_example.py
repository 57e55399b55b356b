# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From activations to matches
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** what this book measures: matches, the maximum match and the similarity curve. The example has
# seven neurons and four images, and you can check it by hand.
#
# **You need first** what a span and a projection are.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# This page is the short way into the book. It has no theorems. The next three chapters, from [What a neuron
# is](neurons.ipynb) on, explain the same ideas with proofs. The first use of a term leads to the
# [glossary](../glossary.md).

# %% tags=["parameters"]
epsilon = 0.5

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.matching import critical_epsilons, maximum_match
from helpers.matching.definitions import Distances, all_neurons, name
from helpers.pages import figures
from helpers.pages.chapters import cones, drawings
from helpers.pages.chapters.drawings import label
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check

figures.style()

# %% [markdown]
# ## Two networks, four images
#
# Two networks have seen the same four images. We wrote down what each {term}`neuron` of one {term}`layer` answered.
# Each row is a neuron, each column is an image. The numbers are the neurons' {term}`activations <activation>`.

# %%
x = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]])
y = np.array([[3.0, 2, 0, 0], [3, 4, 1, 0], [0, 0, 0, 1]])

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two tables of numbers. Network A has neurons x1 to x4, each active on one image: 1 on image 1, 1 on image 2, 1 on image 3, 2 on image 4. Network B has y1 = 3, 2, 0, 0; y2 = 3, 4, 1, 0; y3 = 0, 0, 0, 1."}, "figure": {"caption": "Activations of four neurons of network A and three of network B on four images.", "name": "fig-activations"}}
drawings.activation_tables(x, y)
plt.show()

# %% [markdown]
# Is there anything that both networks have learned? Look at the numbers first.
#
# - $x_4$ and $y_3$ react to image 4 and to nothing else. One answers 2, the other 1. But the next layer has weights,
#   and a weight can double a number. So for the next layer the two neurons are equally useful.
# - No other neuron of A has a partner. For example, $y_1$ reacts to images 1 and 2, but A has one neuron for each of
#   these images.
# - Yet B knows something about images 1 and 2. Could it be that $x_1$ and $x_2$ *together* hold about the same
#   information as $y_1$ and $y_2$ together?
#
# ## How much of a neuron can the other network express?
#
# The next layer reads weighted sums. So what network B can express is the set of all weighted sums of its rows. This
# set is called their {term}`span`. How near is $x_1$ to the span? Project $x_1$ onto the span, and look at what is
# left over. The length of this rest, divided by the length of $x_1$, is the {term}`relative distance` $r$. It is 0 if
# B can express the neuron exactly, and 1 if B can express nothing of it.
#
# Images 1 to 3 give a space with three dimensions, which one can draw. In it $y_1$ and $y_2$ span a plane, and the
# neurons $x_1, x_2, x_3$ are the three axes. Turn the picture with the mouse. Then move the slider, which sets ε.
# Everything between the two grey surfaces is within ε of the plane. As ε grows, $x_1$ is the first neuron inside and
# $x_3$ the last.

# %% tags=["hide-input"]
steps = np.linspace(0, 0.9, 19)
names = ["x1", "x2", "x3"]
moving = cones.cone_in_space(y[:2, :3], x[:3, :3], names, steps)
still = cones.cone_still(y[:2, :3], x[:3, :3], names, epsilon)
alt = (
    "The axes x1, x2, x3 of space, the plane spanned by y1 and y2, and two grey cones that bound what is within ε of "
    "the plane. A slider sets ε: x1 is within from 2/7, x2 from 3/7, x3 from 6/7."
)
figures.interactive(moving, "fig-plane", alt, still)

# %% [markdown]
# By hand: the vector $n = (2, -3, 6)/7$ has length 1 and is orthogonal to $(3, 2, 0)$ and to $(3, 4,
# 1)$. So it is the normal of the plane. The distance of a unit vector to the plane is the absolute value of its inner
# product with $n$. For the three axes this gives $\tfrac27$, $\tfrac37$ and $\tfrac67$. The function `Distances`
# gives the same, for every neuron:

# %%
r = Distances(x, y)
everyone = all_neurons(x, y)
table = pd.DataFrame({"neuron": [label(v) for v in sorted(everyone)]})
table["r"] = [r(v, everyone) for v in sorted(everyone)]
figures.table(table)

# %% [markdown]
# All neurons of B are at distance 0. A has one neuron for each image, so it can express every vector.
#
# ## Groups that match
#
# Choose how much may be missing, and call it $\varepsilon$. An {term}`ε-match <match>` is a group of neurons of A
# together with a group of neurons of B. Each neuron of either group must be within ε of the span of the *other group*.
# So both directions count. The neurons outside the two groups do not count.
#
# The figure shows three candidates at ε = {{epsilon}}. The number in each box is the neuron's distance to the other
# group. In a coloured box the neuron is near enough. In a white box with a dashed frame it is too far away. A neuron in
# a pale box does not belong to the candidate.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three diagrams. x4 with y3, both at distance 0, a match. x1 with y1, both at 0.555, too far. x1 and x2 with y1 and y2, at 0.286, 0.429, 0.000 and 0.196, a match."}, "figure": {"caption": "Two groups that match at \u03b5 = {{epsilon}} and, in the middle, one that does not.", "name": "fig-groups"}}
exact = frozenset({("x", 3), ("y", 2)})
single = frozenset({("x", 0), ("y", 0)})
double = single | {("x", 1), ("y", 1)}
verdicts = ["a match" if r.worst(pair) <= epsilon else "no match" for pair in (exact, single, double)]
drawings.draw_pairs(r, [exact, single, double], epsilon, verdicts)
plt.show()

# %% [markdown]
# So the answer to the question above is yes: $x_1$ and $x_2$ together match $y_1$ and $y_2$ together. They are not
# copies of $y_1$ and $y_2$, but the two pairs span nearly the same plane. This is the subject of the book: two
# networks may share a *space* although they share no single
# *neuron*.
#
# ## The maximum match
#
# The union of two matches is a match, because no neuron is farther from a larger group than from a part of this group.
# So there is one largest match, and it contains all the others. We find it by deleting:
#
# 1. Start with all neurons. At ε = 0.5 only $x_3$ is too far away ($\tfrac67$). So it is in no match. Delete it.
# 2. Look again. No neuron of A reacts to image 3 any more, so $y_2 = (3,4,1,0)$ can no longer be expressed exactly.
#    It is now at distance $1/\sqrt{26}$, which is near enough. No other neuron is deleted.
#
# What is left is the {term}`maximum match`. The {term}`similarity` of the two layers is the share of their neurons that
# are in the maximum match.

# %%
match = maximum_match(x, y, epsilon)
similarity = match.similarity(len(x), len(y))

# %% tags=["remove-cell"]
glue("epsilon", epsilon, display=False)
glue("members", name(match.neurons), display=False)
glue("matched", len(match), display=False)
glue("all", len(x) + len(y), display=False)
glue("similarity", float(similarity), display=False)

# %% [markdown]
# The maximum match is {glue:text}`members:s`: {glue:text}`matched` of {glue:text}`all` neurons, a similarity of
# {glue:text}`similarity:.2f`.
#
# ## Every ε at once
#
# Why {{epsilon}}? There is no good reason for this value. So we ask for each neuron: what is the smallest ε at which
# it is in the maximum match? This number is its {term}`critical ε`. One pass gives all critical ε, and from them
# follows the similarity at every ε. On the left of the figure each neuron stands at its critical ε. The curve on the
# right shows the share of neurons whose critical ε is at most ε.

# %%
critical = critical_epsilons(x, y)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Left: pins at the critical \u03b5. One neuron of each network at 0, two of each at 3/7, x3 at 6/7. Right: a curve with steps at these three values, at heights 2/7, 6/7 and 1."}, "figure": {"caption": "Critical \u03b5 of the seven neurons, and the similarity curve. The dashed line is \u03b5 = {{epsilon}}.", "name": "fig-example-curve"}}
drawings.critical_figure(critical, epsilon)
plt.show()

# %% [markdown]
# Read the curve from the left. Below $\tfrac37$ only the pair $x_4$, $y_3$ matches, and it does so
# exactly. At $\tfrac37$ four neurons enter *together*. None of them is matched at a smaller ε, and each needs the
# other three. At $\tfrac67$ the last neuron enters, $x_3$.
#
# Real layers have hundreds of neurons, and far more inputs. The functions `maximum_match` and `critical_epsilons` work
# for them, too.
#
# ## Your own arrays
#
# You can use any two arrays. Their rows are neurons. Their columns are inputs, and both arrays need the *same* inputs
# in the same order. Use many more inputs than neurons. With too few inputs unrelated neurons match, too.

# %%
rng = np.random.default_rng(0)
shared = rng.normal(size=(5, 1000))
noise = 0.3 * rng.normal(size=(22, 1000))
both = np.maximum(rng.normal(size=(22, 5)) @ shared + noise, 0)
layer_a, layer_b = both[:12], both[12:]
sizes = [0.5, 0.6, 0.7, 0.8]
curve = [maximum_match(layer_a, layer_b, e).similarity(12, 10) for e in sizes]
figures.table(pd.DataFrame({"ε": sizes, "similarity": curve}))

# %% [markdown]
# ## In short
#
# - A neuron is its row of activations: one number for each input.
# - The relative distance says how much of a neuron the other network cannot express: 0 is nothing, 1 is all of it.
# - A match is a group of neurons in each network. Every neuron of either group is within ε of the span of the other
#   group.
# - The maximum match contains all other matches. The similarity is the share of all neurons that are in it.
# - The critical ε of a neuron is the smallest ε at which it is in the maximum match. All critical ε together give the
#   similarity at every ε.
#
# ## Exercises
#
# :::{exercise} By hand at a smaller ε
# :label: ex-smaller-epsilon
# *On paper.* Find the maximum match of the example at ε = 0.4 by deleting. Which neurons are deleted in the first
# round? Which in the second, and why not earlier?
# :::
#
# :::{solution} ex-smaller-epsilon
# :class: dropdown
# First round: $x_2$ ($\tfrac37 > 0.4$) and $x_3$ are deleted. $x_1$, $x_4$ and all of B are left. Second round: no
# neuron of A reacts to images 2 and 3 any more. So $y_1$ is at distance $2/\sqrt{13}$ and $y_2$ at distance
# $\sqrt{17/26}$, and both are deleted. They were at distance 0 as long as $x_2$ and $x_3$ were there. Third round:
# only $y_3$ is left in B, and it reacts only to image 4. So $x_1$ is deleted. The maximum match is x4 | y3.
# :::
#
# :::{exercise} Change one number
# :label: ex-change-one
# *Predict, then run.* Change one number: let $y_1 = (3, 0, 0, 0)$. Which neurons have critical ε 0 now? What happens
# to $x_2$? Predict the whole curve, then change `y` in the cell that defines it and run the page.
# :::
#
# :::{solution-start} ex-change-one
# :class: dropdown
# :::

# %% tags=["solution"]
changed = y.copy()
changed[0] = [3, 0, 0, 0]
values = np.concatenate(critical_epsilons(x, changed))
figures.table(table[["neuron"]].assign(critical_epsilon=values))

# %% [markdown]
# $y_1$ is now three times $x_1$: both have critical ε 0, as have $x_4$ and $y_3$. The part of $y_2$
# that $y_1$ does not explain is $(0, 4, 1, 0)$. The distance of $x_2$ to it is $1/\sqrt{17}$. The distance of $y_2$
# is smaller, because $x_1$ helps to express it. So $x_2$ and $y_2$ enter at $1/\sqrt{17}$. Finally $x_3$ enters at
# $4/\sqrt{17}$, the distance of image 3 to $(0,4,1,0)$.
#
# :::{solution-end}
# :::
#
# :::{exercise} The relative distance
# :label: ex-relative-distance
# *In code.* Write `distance(z, basis)`, the relative distance of the vector `z` to the span of the rows of `basis`.
# NumPy's `lstsq` finds the nearest point.
# :::
#
# :::{solution-start} ex-relative-distance
# :class: dropdown
# :::


# %% tags=["solution"]
def distance(z, basis):
    """Length of what the projection leaves over, over the length of z."""
    coefficients = np.linalg.lstsq(basis.T, z, rcond=None)[0]
    return np.linalg.norm(z - coefficients @ basis) / np.linalg.norm(z)


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-relative-distance", distance)

# %% [markdown]
# **Next.** If you have half an hour in all, go on to [the explorer](explorer.ipynb), [the paper's
# experiment](paper_experiment.ipynb) and [the scale](scale.ipynb). If you have more time,
# [What a neuron is](neurons.ipynb) and the two pages after it explain these ideas with proofs.
