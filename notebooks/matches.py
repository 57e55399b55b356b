# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # ε-approximate matches
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** what it means that a group of neurons in one network matches a group in another, exactly and up
# to ε. You will see it in two and three dimensions, and check it by hand.
#
# **You need first** [What a neuron is](neurons.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# A neuron of one network need not have a partner in the other. Perhaps several neurons of the other network express
# it together: a weighted sum of them, that is, a vector of their {term}`span`, comes near it. So we do not look for
# pairs of neurons. We look for pairs of *groups* that can express each other.

# %% tags=["parameters"]
epsilon = 0.45

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.matching.definitions import (
    Distances,
    all_matches,
    all_neurons,
    is_match_by_definition,
    name,
    relative_distance,
)
from helpers.pages import figures
from helpers.pages.chapters import cones, drawings
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check

figures.style()

# %% [markdown]
# ## Distance is an angle
#
# Take one neuron $x$ and the line spanned by another neuron $y$. Draw the perpendicular from $z_x$ to the line. It
# meets the line at the point nearest to $z_x$, its foot. Neuron, foot and origin form a right-angled triangle. The
# relative distance is the opposite side divided by the hypotenuse, so it is the sine of the angle.

# %% tags=["hide-input", "shows-prp-sine"] mystnb={"image": {"alt": "A plane with one axis per image. A blue arrow x and an orange line, the span of y. A dashed red perpendicular from the tip of x meets the line at the tip of an orange arrow."}, "figure": {"caption": "The distance from x to the span of y is the dashed side; relative to the length of x it is the sine of the angle between them.", "name": "fig-triangle"}}
drawings.right_triangle((0.6, 0.8), (1.0, 0.2))
plt.show()

# %% [markdown]
# :::{prf:proposition} Distance, projection, angle
# :label: prp-sine
# Let $S$ be a subspace, $P$ the orthogonal projection on it, and $z \neq 0$. Then $Pz$ is the one point of $S$ nearest
# to $z$, and
#
# $$r(z, S) = \frac{\lVert z - Pz\rVert}{\lVert z\rVert} = \sqrt{1 - \frac{\lVert Pz\rVert^2}{\lVert z\rVert^2}}
#   = \sin \angle(z, S) ,$$
#
# where $\angle(z, S) \in [0, \pi/2]$ is the smallest angle between $z$ and a non-zero vector of $S$ ($\pi/2$ if
# $S = \{0\}$).
# :::
#
# :::{prf:proof}
# For $s \in S$ the vectors $z - Pz$ (orthogonal to $S$) and $Pz - s$ (in $S$) are orthogonal, so by Pythagoras
# $\lVert z - s\rVert^2 = \lVert z - Pz\rVert^2 + \lVert Pz - s\rVert^2$. This is least for $s = Pz$ and only there.
# With $s = 0$ it reads $\lVert z\rVert^2 = \lVert z - Pz\rVert^2 + \lVert Pz\rVert^2$, which gives the square root.
# For a unit vector $s \in S$, $\langle z, s\rangle = \langle Pz, s\rangle \le \lVert Pz\rVert$ by Cauchy and
# Schwarz, with equality for $s = Pz/\lVert Pz\rVert$ if $Pz \ne 0$. So the largest cosine is $\lVert Pz\rVert/\lVert
# z\rVert$, and $\sin^2 = 1 - \cos^2$.
# :::
#
# The square root connects the number with regression. Use the neurons of $W$ to predict neuron $v$ without an
# intercept. Then $1 - r(v, W)^2$ is the share of $\lVert z_v\rVert^2$ that is explained. At $\varepsilon = 0.5$ three
# quarters are explained, at $\varepsilon = 0.1$ it is 99 %.
#
# :::{prf:lemma} Less span, more distance
# :label: lem-monotone-distance
# If $V \subseteq W$, then $r(v, V) \ge r(v, W)$.
# :::
#
# :::{prf:proof}
# $\operatorname{span} z_V \subseteq \operatorname{span} z_W$, so the minimum in $\operatorname{dist}(z_v, \cdot)$ runs
# over fewer points.
# :::
#
# The next chapter is built on this lemma. Here is an example with numbers. It takes the two networks of the
# [worked example](worked_example.ipynb) on the first three images. There the neurons of network A are the three axes,
# and network B has two neurons.

# %% tags=["shows-lem-monotone-distance"]
x = np.eye(3)
y = np.array([[3.0, 2, 0], [3, 4, 1]])
groups = {"∅": [], "{y1}": [0], "{y2}": [1], "{y1, y2}": [0, 1]}
rows = pd.DataFrame({"group": groups.keys()})
for i in range(3):
    column = [relative_distance(x[i], y[k]) for k in groups.values()]
    rows[f"r(x{i + 1}, group)"] = column
figures.table(rows)

# %% [markdown]
# In each column the first number is 1 and the last number is the smallest. You can check it by hand.
# The plane of $y_1 = (3,2,0)$ and $y_2 = (3,4,1)$ has the normal $n = (2,-3,6)/7$. The distance of a unit vector to
# the plane is the absolute value of its component along $n$. For the three axes this gives $\tfrac27, \tfrac37,
# \tfrac67$.
#
# ## The ε cone
#
# Fix $\varepsilon$. Which vectors are within $\varepsilon$ of a span? By {prf:ref}`prp-sine`, these are the vectors
# at an angle of at most $\arcsin\varepsilon$. Their length does not matter, so they form a cone.
#
# Around a line in the plane, the cone is a double wedge. The figure shows it for three values of ε. One neuron is
# drawn: it is outside the smallest wedge and inside the two others.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three nested double wedges around an orange line through the origin, for \u03b5 0.2, 0.5 and 0.8. A blue arrow x lies between the first and the second."}, "figure": {"caption": "The vectors within \u03b5 of the span of y, for \u03b5 = 0.2, 0.5 and 0.8 (from dark to light).", "name": "fig-wedges"}}
figure, ax = drawings.plane()
for size in (0.8, 0.5, 0.2):
    drawings.double_cone(ax, (1.0, 0.4), size, 0.22)
drawings.arrow(ax, np.array([1.0, 0.4]) / np.hypot(1, 0.4), drawings.COLOURS["y"], "y")
drawings.arrow(ax, (np.cos(0.75), np.sin(0.75)), drawings.COLOURS["x"], "x")
plt.show()

# %% [markdown]
# Around a line in space, it is a double cone. It contains the share $1 - \sqrt{1 - \varepsilon^2}$ of
# all directions. Around a *plane* it is the whole space without a double cone around the normal. It contains the
# share $\varepsilon$ of all directions, which is more: a larger span leaves less room outside. Move the slider. The
# neurons of A enter one by one, at $\varepsilon = \tfrac27$, $\tfrac37$ and $\tfrac67$. A blue neuron is within ε of
# the plane. A red neuron with a cross is too far away.

# %% tags=["hide-input"]
steps = np.linspace(0, 0.9, 19)
names = ["x1", "x2", "x3"]
around_plane = cones.cone_in_space(y, x, names, steps)
still = cones.cone_still(y, x, names, epsilon)
alt = (
    "Three axes x1, x2, x3 and the plane of y1 and y2 in space, with the cone that bounds what is within ε of the "
    "plane. A slider sets ε; x1 is inside from 2/7, x2 from 3/7, x3 from 6/7."
)
figures.interactive(around_plane, "fig-cone-plane", alt, still)

# %% [markdown]
# Around the line of $y_1$ alone, fewer neurons are inside at the same ε. Now $x_1$ enters only at
# $2/\sqrt{13}$ and $x_2$ at $3/\sqrt{13}$. $x_3$ is orthogonal to $y_1$ and is never inside.

# %% tags=["hide-input"]
around_line = cones.cone_in_space(y[:1], x, names, steps)
still = cones.cone_still(y[:1], x, names, epsilon)
alt = (
    "The same three axes and the line of y1 alone, with the double cone of the vectors within ε of the line. A slider "
    "sets ε; x1 is inside from 0.555, x2 from 0.832, x3 never."
)
figures.interactive(around_line, "fig-cone-line", alt, still)

# %% [markdown]
# ## A match
#
# Suppose that every neuron of a group $X$ is near the span of $Y$. Then $Y$ can express $X$. That is only half of
# what we want, because a large group $Y$ can express many small groups $X$. So the paper asks for both directions.
#
# :::{prf:definition} ε-approximate match
# :label: def-match
# Let $0 \le \varepsilon < 1$, $X \subseteq \mathcal X$ and $Y \subseteq \mathcal Y$. The pair $(X, Y)$ is an
# *ε-approximate match*, in short an ε-match, if
#
# $$r(x, Y) \le \varepsilon \ \text{ for all } x \in X \qquad\text{and}\qquad
#   r(y, X) \le \varepsilon \ \text{ for all } y \in Y .$$
#
# A 0-match is called *exact*.
# :::
#
# Four remarks:
#
# - The pair $(\emptyset, \emptyset)$ is an ε-match for every ε: there is nothing to check.
# - No other match has an empty side: $r(x, \emptyset) = 1 > \varepsilon$.
# - No dead neuron is in a match, because its $r$ is $\infty$.
# - A match is a statement about two *groups*. Its parts need not be matches.
#
# For small groups a picture shows the definition. Each box is a neuron with its distance to the other group. Neurons
# in coloured boxes are within ε, neurons in white boxes with a dashed frame are not. Pale boxes are not in the pair.
# Left: all neurons. Middle: a match. Right: the match
# without $y_2$. The neurons that needed $y_2$ are now too far away.

# %%
r = Distances(x, y)
everyone = all_neurons(x, y)
pairs = [everyone, everyone - {("x", 2)}, everyone - {("x", 2), ("y", 1)}]
matches = [is_match_by_definition(r, pair, epsilon) for pair in pairs]
verdicts = ["a match" if yes else "no match" for yes in matches]

# %% tags=["hide-input", "shows-def-match"] mystnb={"image": {"alt": "Three diagrams of the neurons x1, x2, x3 above y1, y2. With all of them x3 is too far at 0.857. Without x3 all four are within \u03b5. Without y2 as well, x1 at 0.555 and x2 at 0.832 are too far."}, "figure": {"caption": "Three pairs of groups at \u03b5 = {{epsilon}}, with each neuron's distance to the other side of the pair.", "name": "fig-pairs"}}
drawings.draw_pairs(r, pairs, epsilon, verdicts)
plt.show()

# %% [markdown]
# For each pair of groups there is a smallest ε at which it is a match: the largest distance in it. So a
# list of all pairs with this number describes a small example completely. The table lists the pairs of groups of
# these five neurons that match at some ε below 1, in the order in which they become matches.

# %%
reach = {pair: r.worst(pair) for pair in all_matches(x, y, 0.999) if pair}
ordered = sorted(reach, key=reach.get)
listing = pd.DataFrame({"pair": map(name, ordered)})
figures.table(listing.assign(**{"a match from ε =": [reach[p] for p in ordered]}))

# %% tags=["remove-cell"]
glue("pairs", len(reach), display=False)
glue("pairs-all", 2 ** len(everyone), display=False)

# %% [markdown]
# Of {glue:text}`pairs-all` pairs, {glue:text}`pairs` match at some ε. The first is x1 x2 | y1 y2, at
# $\tfrac37$. No smaller pair is a match at this ε: the next one, x1 | y1, needs $2/\sqrt{13}$. So at $\tfrac37$ two
# neurons of A share something with two neurons of B *together*. Such a match is called distributed, not local. A
# measure that pairs single neurons does not see it.
#
# ## Exact matches are equal spans
#
# :::{prf:proposition} Exact matches
# :label: prp-exact
# Let no neuron of $X$ and $Y$ be dead. Then $(X, Y)$ is an exact match if and only if
# $\operatorname{span} z_X = \operatorname{span} z_Y$.
# :::
#
# :::{prf:proof}
# A subspace is closed, so $r(x, Y) = 0$ means $z_x \in \operatorname{span} z_Y$. If this holds for all $x \in X$,
# then $\operatorname{span} z_X \subseteq \operatorname{span} z_Y$, because a span is the smallest subspace that
# contains the vectors. The second half of the definition gives the other inclusion. Conversely, if the spans are
# equal, then each $z_x \in \operatorname{span} z_X = \operatorname{span} z_Y$ has $r(x, Y) = 0$, and likewise for
# each $y$.
# :::
#
# With {prf:ref}`prp-readout` this means: an exact match is a pair of groups that offer the same readouts to the next
# layer. The two groups need the same dimension, but not the same size. Below, two neurons of A and three neurons of B
# lie in one plane and match exactly. Take one neuron of A away. Then B still expresses A, but A no longer expresses
# B. This is why the definition asks for both directions.

# %% tags=["shows-prp-exact"]
flat_x = np.array([[1.0, 0, 0], [0, 1, 0]])
flat_y = np.array([[1.0, 1, 0], [1, -1, 0], [2, 1, 0]])
r_flat = Distances(flat_x, flat_y)
whole = all_neurons(flat_x, flat_y)
both = [whole, whole - {("x", 1)}]
widths = pd.DataFrame({"pair": map(name, both)})
for side, network in (("x", "A"), ("y", "B")):
    worst = [max(r_flat(v, p) for v in p if v[0] == side) for p in both]
    widths[f"{network} within"] = worst
figures.table(widths)

# %% [markdown]
# ## What approximate changes
#
# Equality has three properties that matches with $\varepsilon > 0$ do not have. Each has an example.
#
# **Matching is not transitive.** Let three networks have one neuron each, at angles of 0°, 25° and 50° in the plane.
# The first and the last are at distance $\sin 25^\circ$ from the middle one, but at distance $\sin 50^\circ$ from
# each other. Small errors add up.
#
# **Spans of different dimension can match.** In the plane let $x_1, x_2$ lie 20° apart, and $y$ half-way between
# them. Each is at distance $\sin 10^\circ$ from the line of $y$, and $y$ lies in their span. So (x1 x2 | y) is an
# ε-match with $\varepsilon = \sin 10^\circ$, between a plane and a line. Two nearly parallel neurons are almost one
# direction, but their span is still a plane. The chapter [When the structure is unique](uniqueness.ipynb) treats this
# under the name *strong independence*.
#
# **Every neuron is measured relative to its own length.** Let two neurons be within ε of a span. Their difference
# need not be: if the difference is short, its relative distance can be large.


# %%
def at(*degrees):
    """Unit vectors of the plane at these angles."""
    turn = np.radians(degrees)
    return np.column_stack([np.cos(turn), np.sin(turn)])


chain, fork = Distances(at(0), at(25, 50)), Distances(at(0, 20), at(10))
first, second = frozenset({("x", 0), ("y", 0)}), frozenset({("x", 0), ("y", 1)})
difference = at(0)[0] - at(20)[0]
facts = {
    "one step of 25°": chain.worst(first),
    "two steps of 25°": chain.worst(second),
    "a plane and a line": fork.worst(all_neurons(at(0, 20), at(10))),
    "difference of two neurons": relative_distance(difference, at(10)),
}
figures.table(pd.DataFrame({"case": facts.keys(), "ε": facts.values()}))

# %% [markdown]
# ## Which ε is small?
#
# The paper and its code use ε from 0.15 to 0.5. There is no threshold that separates "the same" from "different". At
# ε = 0.5 a quarter of a neuron's {term}`power` may be missing. The number of samples matters, too. Take $n$ vectors in
# $\mathbb{R}^d$ that are unrelated to a neuron. The neuron's distance to their span is about $\sqrt{1 - n/d}$
# ({prf:ref}`prp-finite-sample`). So with few samples even unrelated neurons are near. For these reasons the studies
# in this book show whole curves over ε. Beside them they show what {term}`chance` gives, and a {term}`ceiling`.
#
# ## In short
#
# - The relative distance to a span is the sine of an angle: a distance of 0.3 is an angle of about 17°.
# - A **match** is a group of neurons in each network. Every neuron of either group is within ε of the span of the other group.
# - An exact match (ε = 0) means equal spans.
# - With ε > 0 two groups can match although their spans differ. Even the dimensions can differ.
# - More neurons on one side never make a distance larger.
#
# ## Exercises
#
# :::{exercise} A match by hand
# :label: ex-by-hand
# *On paper.* Let $x_1 = (4, 3)$, $y_1 = (1, 0)$ and $y_2 = (0, 1)$. Find the smallest ε at which each of the pairs
# (x1 | y1), (x1 | y2) and (x1 | y1 y2) is a match. Which of them tells you that x1 is expressed exactly by B?
# :::
#
# :::{solution} ex-by-hand
# :class: dropdown
# $r(x_1, \{y_1\}) = 3/5$ and, with one neuron on each side, $r(y_1, \{x_1\})$ is the sine of the same angle: the pair
# matches from 0.6. In the same way (x1 | y2) matches from 0.8. In the third pair $r(x_1, \{y_1, y_2\}) = 0$, but
# $r(y_1, \{x_1\}) = 0.6$ and $r(y_2, \{x_1\}) = 0.8$. So it matches from 0.8, too. Only this pair shows, by its
# distance 0, that B expresses x1 exactly. But A does not express B. A match asks for both directions, and the worst
# neuron decides its ε.
# :::
#
# :::{exercise} Is it a match?
# :label: ex-is-match
# *In code.* Write `matched(x, y, X, Y, epsilon)`. `x` and `y` are arrays (neurons, samples), `X` and `Y` lists of row
# numbers. It returns `True` if $(X, Y)$ is an ε-match. You may use `relative_distance(z, basis)`. Allow `1e-9` for
# rounding.
# :::
#
# :::{solution-start} ex-is-match
# :class: dropdown
# :::


# %% tags=["solution"]
def matched(x, y, X, Y, epsilon):
    """Each neuron of either group is within ε of the other group's span."""
    near_x = all(relative_distance(x[i], y[Y]) <= epsilon + 1e-9 for i in X)
    near_y = all(relative_distance(y[j], x[X]) <= epsilon + 1e-9 for j in Y)
    return near_x and near_y


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-is-match", matched)

# %% [markdown]
# :::{exercise} Too few samples
# :label: ex-few-samples
# *Predict, then run.* Two networks have 20 neurons each; all activations are independent random numbers. With how many
# samples is the mean distance of A's neurons to the span of B below 0.5? And with how many above 0.95? Predict from
# $\sqrt{1 - n/d}$, then run with `samples` 10, 20, 25, 40, 100, 400 and 4000.
# :::
#
# :::{solution-start} ex-few-samples
# :class: dropdown
# :::


# %% tags=["solution"]
def mean_distance(samples, count=20):
    """Mean distance of unrelated neurons to the span of as many others."""
    a, b = np.random.default_rng(0).normal(size=(2, count, samples))
    return np.mean([relative_distance(z, b) for z in a])


counts = np.array([10, 20, 25, 40, 100, 400, 4000])
formula = np.sqrt(np.maximum(1 - 20 / counts, 0))
means = [mean_distance(d) for d in counts]
distances = pd.DataFrame({"samples": counts, "mean r": means})
figures.table(distances.assign(**{"√(1 − n/d)": formula}))

# %% [markdown]
# $\sqrt{1 - 20/d} = 0.5$ gives $d \approx 27$, and 0.95 gives $d \approx 205$. With 20 samples or
# fewer, B spans everything and every distance is 0. A similarity that was measured on too few samples tells us only
# about $n/d$.
#
# :::{solution-end}
# :::
#
# :::{exercise} Parts of a match
# :label: ex-parts
# *On paper.* Find an exact match $(X, Y)$ with two neurons on each side such that no pair with fewer neurons, other
# than the empty one, is an exact match.
# :::
#
# :::{solution} ex-parts
# :class: dropdown
# In the plane: $x_1 = (1,0)$, $x_2 = (0,1)$, $y_1 = (1,1)$, $y_2 = (1,-1)$. Both sides span the plane. A smaller pair
# would have one neuron on one side, which spans a line. The other side would have to lie on this line. But no two of
# the four directions are parallel. Such matches are called *simple*. They are the subject of [Simple
# matches](simple.ipynb).
# :::
#
# **Next:** [The maximum match](maximum.ipynb), the largest thing two layers have in common.
