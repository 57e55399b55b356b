# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The maximum match
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** why two layers have one largest match, how to find it, and how a single pass finds it for every ε
# at once.
#
# **You need first** [ε-approximate matches](matches.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Two layers have many matches. We want one number that says how much they have in common. For this number we need one
# special match. There is one: the match that contains all others.

# %% tags=["parameters"]
network = "vgg16_bn"
dataset = "cifar10"
width = 0.25
recipe = "short"
epochs = 10
layer = "relu1_1"  # a small one: its peel is drawn step by step
deep_layer = "relu5_1"
seeds = [0, 1]
epsilon = 0.4

# %% tags=["hide-input"]
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import studies
from helpers.matching import critical_epsilons, essential_neurons, maximum_match, similarity_curve
from helpers.matching.definitions import Distances, all_matches, all_neurons, is_match_by_definition, name
from helpers.pages import figures
from helpers.pages.chapters import drawings, peels
from helpers.pages.chapters.drawings import label, representatives
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check

figures.style()

# %% [markdown]
# The small example of this chapter is the [worked example](worked_example.ipynb): four neurons of
# network A and three of network B on four images. The function $r$ gives the distance of a neuron to the other side
# of a pair of groups.

# %%
x = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]])
y = np.array([[3.0, 2, 0, 0], [3, 4, 1, 0], [0, 0, 0, 1]])
r = Distances(x, y)
everyone = all_neurons(x, y)

# %% [markdown]
# ## The union of matches is a match
#
# Take the union of two matches. Is it a match? The figure shows an example. Compare the numbers: in the union, every
# distance is at most what it was in its part.

# %%
first, second = frozenset({("x", 0), ("y", 0)}), frozenset({("x", 1), ("y", 1)})
parts = [first, second, first | second]
reach = max(r.worst(first), r.worst(second))
assert all(is_match_by_definition(r, pair, reach) for pair in parts)

# %% tags=["hide-input", "shows-lem-union"] mystnb={"image": {"alt": "Three diagrams. The match x1 with y1 at distance 0.555, and the match x2 with y2 at distance 0.620. Then their union, in which the four distances have shrunk to 0.286, 0.429, 0.000 and 0.196."}, "figure": {"caption": "Two matches at one \u03b5, and their union. Every distance has become smaller.", "name": "fig-union"}}
drawings.draw_pairs(r, parts, reach, ["one match", "another", "their union"])
plt.show()

# %% [markdown]
# This is always so. Each neuron was near the {term}`span` of the other side of its own {term}`match`. In the union this
# other side is larger, and a larger span is never farther away.
#
# :::{prf:lemma} Union of matches
# :label: lem-union
# If $(X_i, Y_i)$, $i \in I$, are ε-matches, then so is $\bigl(\bigcup_i X_i, \bigcup_i Y_i\bigr)$.
# :::
#
# :::{prf:proof}
# Let $x \in \bigcup_i X_i$, say $x \in X_j$. By {prf:ref}`lem-monotone-distance` and because $(X_j, Y_j)$ is an
# ε-match,
#
# $$r\Bigl(x, \bigcup_i Y_i\Bigr) \le r(x, Y_j) \le \varepsilon .$$
#
# For $y \in \bigcup_i Y_i$ exchange the sides.
# :::
#
# So matches are closed under union. They are *not* closed under intersection ({ref}`ex-intersection`).
# Therefore one match contains all others. But there can be many matches that contain no smaller match.
#
# :::{prf:theorem} The maximum match
# :label: thm-maximum
# For every $\varepsilon \in [0, 1)$ there is exactly one ε-match $(X^*, Y^*)$ that contains every ε-match. It is the
# union of all of them.
# :::
#
# :::{prf:proof}
# There are finitely many ε-matches, and at least one, the empty pair. By {prf:ref}`lem-union` their union is an
# ε-match, and it contains them all. If two matches contain every match, each contains the other, so they are equal.
# :::
#
# :::{prf:definition} Maximum match
# :label: def-maximum
# The pair $M(\varepsilon) = (X^*, Y^*)$ of {prf:ref}`thm-maximum` is the *maximum ε-match* of $\mathcal X$ and
# $\mathcal Y$. We write $v \in M(\varepsilon)$ for $v \in X^* \cup Y^*$.
# :::
#
# With seven neurons we can check the theorem directly. We list all $2^7$ pairs of groups, keep the matches, and take
# their union. The code of this book finds the same two groups without the list.

# %% tags=["shows-thm-maximum", "shows-def-maximum"]
matches = all_matches(x, y, epsilon=0.6)
union = frozenset().union(*matches)
match = maximum_match(x, y, epsilon=0.6)
assert union == set(match.neurons)

# %% tags=["remove-cell"]
glue("count", len(matches), display=False)
glue("reach", float(reach), display=False)
glue("epsilon", epsilon, display=False)
glue("largest", name(union), display=False)

# %% [markdown]
# At ε = 0.6 there are {glue:text}`count` matches, the empty one included, and their union is {glue:text}`largest:s`.
#
# ## One number
#
# :::{prf:definition} Maximum matching similarity
# :label: def-similarity
#
# $$s(\varepsilon) = \frac{|X^*| + |Y^*|}{|\mathcal X| + |\mathcal Y|} \in [0, 1] .$$
# :::
#
# This {term}`similarity` is the share of the neurons of both networks that are in the {term}`maximum match`. Every
# measure should pass two checks, and this one passes both. Compare a layer without dead neurons with itself, in
# another order and scale:
# $s(\varepsilon) = 1$ for every ε. Two layers that are orthogonal to each other have $s(\varepsilon) = 0$ for every
# ε. Dead neurons count in the denominator and never in the numerator, so a layer with dead neurons does not reach 1
# even against itself.

# %% tags=["shows-def-similarity"]
cases = {
    "A against its shuffled, rescaled self": (x, 3 * x[::-1]),
    "A's first two neurons against B's last": (x[:2], y[2:]),
    "A against B": (x, y),
}
sizes = [0.0, 0.3, 0.6, 0.9]
curves = np.array([similarity_curve(a, b, sizes) for a, b in cases.values()])
table = pd.DataFrame(curves, columns=[f"s({e})" for e in sizes])
table.insert(0, "layers", cases.keys())
figures.table(table)

# %% [markdown]
# In each row of the table the numbers never fall from left to right.
#
# :::{prf:lemma} The maximum match grows with ε
# :label: lem-monotone
# If $\varepsilon \le \varepsilon'$, then $M(\varepsilon) \subseteq M(\varepsilon')$, and $s(\varepsilon) \le
# s(\varepsilon')$.
# :::
#
# :::{prf:proof}
# Every ε-match is an ε′-match, because a distance of at most ε is at most ε′. So $M(\varepsilon)$ is an ε′-match, and
# $M(\varepsilon')$ contains all of them.
# :::
#
# Here are the maximum matches of the worked example at four values of ε, found by trying all pairs. Each lies inside
# the next.

# %% tags=["shows-lem-monotone"]
unions = [frozenset().union(*all_matches(x, y, e)) for e in sizes]
assert all(a <= b for a, b in pairwise(unions))
figures.table(pd.DataFrame({"ε": sizes, "maximum match": map(name, unions)}))

# %% [markdown]
# ## Finding it: delete what is too far
#
# Nobody can list all pairs of groups of two layers with 512 neurons each. But we can start with all neurons and
# delete. A neuron that is too far from the whole other side is too far from every part of it. So it is in no match:
# delete it. Now one side is smaller, and other neurons may be too far from it. Repeat.
#
# :::{prf:algorithm} Deletion
# :label: alg-max
# **Input** $\mathcal X$, $\mathcal Y$, $\varepsilon$.
#
# 1. $(X, Y) \leftarrow (\mathcal X, \mathcal Y)$.
# 2. $F \leftarrow \{x \in X : r(x, Y) > \varepsilon\} \cup \{y \in Y : r(y, X) > \varepsilon\}$.
# 3. If $F = \emptyset$, return $(X, Y)$. Otherwise delete the neurons of $F$ from $(X, Y)$ and go to 2.
# :::
#
# In code, a pair of groups is one set of named neurons, and the algorithm is a loop of two lines. The loop keeps all
# pairs for the picture. The last pair is the answer. The number `1e-9` allows for rounding.


# %% tags=["shows-alg-max"]
def deletion_rounds(r, pair, epsilon):
    """Delete all neurons that are too far, until none is: the pairs on the way."""
    rounds = [pair]
    while far := {v for v in rounds[-1] if r(v, rounds[-1]) > epsilon + 1e-9}:
        rounds.append(rounds[-1] - far)
    return rounds


rounds = deletion_rounds(r, everyone, epsilon)

# %% [markdown]
# The figure shows the rounds at ε = {{epsilon}}, row by row. First $x_2$ and $x_3$ are too far away.
# Without them $y_1$ and $y_2$ are too far away. Without these, $x_1$ is too far away, although it was near at the
# start. One pair remains.

# %% tags=["hide-input", "shows-thm-max-correct"] mystnb={"image": {"alt": "Four diagrams of the seven neurons, read row by row. In the first x2 and x3 are dashed, too far. In the second y1 and y2 are. In the third x1 is, at distance 1. In the last only x4 and y3 remain, both at distance 0."}, "figure": {"caption": "The rounds of the deletion algorithm. Dashed neurons are too far and leave before the next round.", "name": "fig-rounds"}}
titles = [f"round {k + 1}" for k in range(len(rounds) - 1)] + ["the maximum match"]
drawings.draw_pairs(r, rounds, epsilon, titles)
plt.show()

# %% [markdown]
# :::{prf:theorem} Deletion is correct
# :label: thm-max-correct
# {prf:ref}`alg-max` stops after at most $|\mathcal X| + |\mathcal Y| + 1$ rounds and returns the maximum match. The
# same holds if each round deletes any non-empty part of $F$, for instance one neuron, chosen in any way.
# :::
#
# :::{prf:proof}
# Every round except the last deletes a neuron, so there are at most $|\mathcal X| + |\mathcal Y|$ rounds before the
# last one. When the algorithm stops, $F = \emptyset$, so $(X, Y)$ is an ε-match.
#
# It remains to show that no neuron of $M(\varepsilon)$ is ever deleted. At the start $M(\varepsilon) \subseteq
# (\mathcal X, \mathcal Y)$. Suppose that $M(\varepsilon) = (X^*, Y^*) \subseteq (X, Y)$ before some round, and let
# $x \in X^*$. Then $r(x, Y) \le r(x, Y^*) \le \varepsilon$ by {prf:ref}`lem-monotone-distance`, because $Y^*
# \subseteq Y$. So $x \notin F$; likewise for $y \in Y^*$. Hence $M(\varepsilon) \subseteq (X, Y)$ after the round,
# too. The match returned contains the maximum match, so it is the maximum match.
# :::
#
# The proof uses only one property of the distance: it does not become smaller when the other side becomes smaller.
# Without this property the union of two matches need not be a match, and there may be no maximum match
# ({ref}`ex-not-monotone`). This matters in practice. Many programs compute the distance to
# nearly dependent vectors by leaving out all directions below a threshold. This distance does not have the property,
# because a new neuron can move *another* direction below the threshold. [Numerics](numerics.ipynb) shows an example
# ({prf:ref}`prp-truncation`) and a better way.

# %% [markdown]
# ## A real layer
#
# The two lines above work on real networks. Two copies of a network were trained on CIFAR-10 from two seeds. One layer
# of both was recorded as a {term}`Gram matrix`. The function `representatives` turns the matrix into two small arrays
# with the same inner products. By {prf:ref}`prp-invariance` these arrays have the same distances as the millions of
# samples that were recorded.

# %%
study = studies.Study(dataset, network, width, tuple(seeds), recipe, epochs)
recorded = studies.run(study, progress=False)
pair = recorded.gram(layer).pair(0, 1)
real_x, real_y = representatives(pair)
real_r, real_everyone = Distances(real_x, real_y), all_neurons(real_x, real_y)

# %%
paper = list(studies.EPSILONS)
loop = [deletion_rounds(real_r, real_everyone, e) for e in paper]
counts = {
    "ε": paper,
    "rounds that delete": [len(rounds) - 1 for rounds in loop],
    "neurons matched": [len(rounds[-1]) for rounds in loop],
    "s(ε)": [len(rounds[-1]) / (pair.n_x + pair.n_y) for rounds in loop],
}
assert counts["neurons matched"] == [len(maximum_match(pair, e)) for e in paper]
figures.table(pd.DataFrame(counts))

# %% tags=["remove-cell"]
glue("real-samples", f"{pair.samples:,}".replace(",", " "), display=False)
glue("real-neurons", pair.n_x, display=False)

# %% [markdown]
# This is the layer {{layer}} of {{network}}, with {glue:text}`real-neurons` neurons in each network and
# {glue:text}`real-samples:s` samples, at the values of ε in the authors' code. Like all small examples so far, the
# loop computes distances by plain least squares. That is safe here, because the neurons of each side are far from
# linearly dependent. The code of this book adds a very small {term}`ridge` ([Numerics](numerics.ipynb)). It agrees
# with the loop at each ε.
#
# The table has a weakness. It says nothing about the ε between two rows, and for every new ε we must start again.
#
# ## Every ε at once: the peel
#
# By {prf:ref}`lem-monotone` a neuron that is in the maximum match at one ε is in it at every larger ε. So each neuron
# has one number: the ε at which it enters.
#
# :::{prf:definition} Critical ε
# :label: def-critical
# The *critical ε* of a neuron $v$ is
#
# $$\varepsilon_v = \min\{\varepsilon \ge 0 : v \in M(\varepsilon)\},$$
#
# and $\infty$ if there is no such $\varepsilon < 1$.
# :::
#
# Let $S$ be a pair of groups, and let $r(u, S)$ be the distance of $u \in S$ to the other side of $S$. The smallest ε
# at which $S$ is a match is $\operatorname{worst}(S) = \max_{u \in S} r(u, S)$. There are only finitely many pairs
# $S$, so the minimum in the definition exists. This gives a second description of the critical ε, which needs no
# algorithm:
#
# :::{prf:proposition} Critical ε is a bottleneck
# :label: prp-bottleneck
# $\varepsilon_v$ is the smallest $\operatorname{worst}(S)$ of all pairs $S$ that contain $v$ (and $\infty$ if that
# is not below 1).
# :::
#
# :::{prf:proof}
# By {prf:ref}`thm-maximum`, $v \in M(\varepsilon)$ holds exactly when some ε-match contains $v$, that is, when some
# $S \ni v$ has $\operatorname{worst}(S) \le \varepsilon$. The smallest such $\varepsilon$ is the smallest
# $\operatorname{worst}(S)$.
# :::
#
# So the critical ε of a neuron is decided by the best pair of groups that contains it, and this pair is decided by
# its worst neuron. We check this on the worked example: we try all pairs that contain the neuron and take the best
# one.

# %% tags=["shows-prp-bottleneck"]
worst = {pair: r.worst(pair) for pair in all_matches(x, y, 0.999) if pair}
best = []
for v in sorted(everyone):
    chosen = min((pair for pair in worst if v in pair), key=worst.get)
    best.append([label(v), name(chosen), worst[chosen]])
figures.table(pd.DataFrame(best, columns=["neuron", "best pair", "its largest distance"]))

# %% [markdown]
# Now the algorithm that finds all critical ε in one pass.
#
#
# :::{prf:algorithm} Peel
# :label: alg-peel
# **Input** $\mathcal X$, $\mathcal Y$.
#
# 1. $S \leftarrow (\mathcal X, \mathcal Y)$ and $c \leftarrow \infty$.
# 2. While $S$ is not empty: let $v$ be a neuron of $S$ with the largest $r(v, S)$; set $c \leftarrow \min(c, r(v,
#    S))$ and $\varepsilon_v \leftarrow c$; delete $v$ from $S$.
# 3. Replace every $\varepsilon_v \ge 1$ by $\infty$. Return all $\varepsilon_v$.
# :::


# %% tags=["shows-alg-peel"]
def peel(r, pair):
    """Delete the farthest neuron, again and again: who, how far, critical ε."""
    steps, lowest = [], np.inf
    while pair:
        v = max(sorted(pair), key=lambda u: r(u, pair))
        lowest = min(lowest, r(v, pair))
        steps.append((v, r(v, pair), lowest))
        pair = pair - {v}
    return steps


steps = peel(r, everyone)

# %% [markdown]
# Move the slider through the steps. The red bar is the farthest neuron. It is deleted next. Its
# critical ε (the black diamond) is the smallest of the largest distances so far (the dotted line). Look at the step
# after $x_2$ is deleted: the distance of $y_2$ jumps above the line. Still its critical ε is the value of the line,
# because $y_2$ was near as long as $x_2$ was there.

# %% tags=["hide-input", "shows-thm-peel"]
alt = (
    "Bars: the distance of each of the seven neurons to what is left of the other side, at each step of the peel. x3 "
    "leaves at 6/7, x2 at 3/7; then y2, x1 and y1 leave at distances above 3/7, still with critical ε 3/7; x4 and y3 "
    "leave last, with critical ε 0."
)
still = peels.peel_still(r, steps, [0, 1, 2])
figures.interactive(peels.peel_figure(r, steps), "fig-peel", alt, still)

# %% tags=["hide-input"]
order = pd.DataFrame(steps, columns=["leaves", "at distance", "critical_epsilon"])
figures.table(order.assign(leaves=[label(v) for v in order["leaves"]]))

# %% [markdown]
# :::{prf:theorem} One peel gives every ε
# :label: thm-peel
# {prf:ref}`alg-peel` returns the critical ε of every neuron, however ties are broken. So for every $\varepsilon \in
# [0, 1)$
#
# $$M(\varepsilon) = \{v : \varepsilon_v \le \varepsilon\} .$$
# :::
#
# :::{prf:proof}
# Let $v_1, \dots, v_N$ be the neurons in the order in which they leave, $S_k = \{v_k, \dots, v_N\}$ the pair from
# which $v_k$ leaves, $m_k = r(v_k, S_k) = \operatorname{worst}(S_k)$, and $c_k = \min(m_1, \dots, m_k)$ the number
# that $v_k$ gets. Fix $\varepsilon < 1$, and let $K$ be the first index with $m_K \le \varepsilon$ ($K = N + 1$ and
# $S_K = \emptyset$ if there is none).
#
# *$S_K$ is an ε-match*, because its largest distance is $m_K \le \varepsilon$. So $S_K \subseteq M(\varepsilon)$.
#
# *$M(\varepsilon) \subseteq S_K$.* We show $M(\varepsilon) \subseteq S_k$ for $k = 1, \dots, K$ by induction. It
# holds for $k = 1$. Let it hold for some $k < K$. If $v_k$ were in $M(\varepsilon)$, then by
# {prf:ref}`lem-monotone-distance` $m_k = r(v_k, S_k) \le r(v_k, M(\varepsilon)) \le \varepsilon$, against the choice
# of $K$. So $v_k \notin M(\varepsilon)$, and $M(\varepsilon) \subseteq S_k \setminus \{v_k\} = S_{k+1}$.
#
# Hence $M(\varepsilon) = S_K = \{v_k : k \ge K\}$. And $k \ge K$ holds exactly when one of $m_1, \dots, m_k$ is at
# most ε, that is, when $c_k \le \varepsilon$. So $v_k \in M(\varepsilon)$ if and only if $c_k \le \varepsilon$, for
# every ε in $[0, 1)$: $c_k$ is the critical ε of $v_k$, if it is below 1.
# :::
#
# Why do we take the *smallest value so far*, and not the distance at which the neuron is deleted? The last neuron of a
# peel has distance 1 when it is deleted, because the other side is empty. Yet it may belong to an exact match. What
# counts is whether the pair was a match at some step while the neuron was in it.
#
# There is a similar algorithm for graphs. Delete the vertex of smallest degree again and again: this gives the *core
# number* of every vertex {cite}`seidman1983network`. It works for the same reason. The degree of a vertex cannot grow
# when other vertices are deleted, and the distance of a neuron cannot shrink.
#
# A peel of $N$ neurons has $N$ steps. It would be slow to solve all least-squares problems again in each step. The
# code of this book keeps one factorisation per side and updates it at each deletion. So the whole peel costs about as
# much as a few single least-squares problems. [The algorithms](algorithms.ipynb) explains how.
#
# ## The curve is a count
#
# {prf:ref}`thm-peel` says that $s(\varepsilon)$ is the share of neurons whose critical ε is at most ε. The whole curve
# is the distribution function of the critical ε, and one number per neuron is enough to draw it. The figure shows both
# for the real layer. On the left each neuron is a pin at its critical ε. The curve on the right has a step at each of
# these values.

# %% tags=["hide-input", "shows-def-critical"] mystnb={"image": {"alt": "Left: pins at the critical \u03b5 of the neurons of both networks, sorted, from 0.28 up. Right: the similarity as a step curve that rises from 0 at the smallest critical \u03b5 to 1."}, "figure": {"caption": "Critical \u03b5 of every neuron of {{layer}} and the similarity curve that follows from them.", "name": "fig-critical"}}
critical = critical_epsilons(pair)
drawings.critical_figure(critical)
plt.show()

# %% [markdown]
# This is the peel that found them, computed by the ten lines of code on this page. Near the end of the
# slider the distances go up and the line stays. Here a group of neurons that need each other falls apart. All its
# members have the same critical ε: the one at which the group was complete.

# %% tags=["hide-input"]
real_steps = peel(real_r, real_everyone)
alt = (
    "The peel of the real layer, a bar per neuron of both networks. The largest bar leaves at each step; the running "
    "minimum falls in steps to the smallest critical ε, and late in the peel the remaining bars rise above it."
)
still = peels.peel_still(real_r, real_steps, [0, len(real_steps) // 2, len(real_steps) - 3])
figures.interactive(peels.peel_figure(real_r, real_steps), "fig-peel-real", alt, still)

# %% tags=["remove-cell"]
own = {v: c for v, _, c in real_steps}
engine = {(side, i): c for side, values in zip("xy", critical, strict=True) for i, c in enumerate(values)}
gap = max(abs(own[v] - c) for v, c in engine.items() if np.isfinite(c))
glue("peel-gap", float(gap), display=False)
glue("first", float(min(map(np.min, critical))), display=False)

# %% [markdown]
# The critical ε from the code of this book differ from these by at most {glue:text}`peel-gap:.0e`. Nothing matches
# below ε = {glue:text}`first:.3f`.
#
# A deep layer of the same network looks different. Many neurons share *one* critical ε, so the curve has one very
# high step, a {term}`cliff`. On the left these neurons form the long flat part.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Left: pins of the neurons of a deep layer; most of both networks stand at exactly the same height. Right: the similarity curve is 0, then jumps to most of its height at one \u03b5."}, "figure": {"caption": "Critical \u03b5 and similarity curve of {{deep_layer}}: a cliff.", "name": "fig-cliff"}}
deep_pair = recorded.gram(deep_layer).pair(0, 1)
deep = critical_epsilons(deep_pair)
drawings.critical_figure(deep)
plt.show()

# %% tags=["remove-cell"]
together = pd.Series(np.round(np.concatenate(deep), 9)).value_counts()
glue("cliff-size", int(together.iloc[0]), display=False)
glue("cliff-all", int(together.sum()), display=False)
at = float(together.index[0])
glue("cliff-at", at, display=False)
entered = np.concatenate(deep)
glue("cliff-below", float((entered < at - 1e-6).mean()), display=False)
glue("cliff-above", float((entered < at + 0.01).mean()), display=False)

# %% tags=["remove-cell"]
needs = essential_neurons(deep_pair, at + 1e-8)
sides = dict(zip("xy", deep, strict=True))
block = [(s, i) for s in "xy" for i in np.flatnonzero(np.abs(sides[s] - at) < 1e-8)]
glue("cliff-least", min(len(needs[v]) for v in block), display=False)

# %% [markdown]
# {glue:text}`cliff-size` of the {glue:text}`cliff-all` neurons enter together, at ε = {glue:text}`cliff-at:.3f`. Just
# below this ε the similarity of the layer is {glue:text}`cliff-below:.2f`. Just above it (at ε + 0.01) the similarity
# is {glue:text}`cliff-above:.2f`. Every match at this ε that contains one of these neurons has at least
# {glue:text}`cliff-least` neurons. The other neurons of the layer enter later. So a table of similarities at five
# values of ε is misleading for such a layer: the result depends on whether the five values lie below or above the
# cliff. Look at the critical ε instead.
#
# ## In short
#
# - Unions of matches are matches, so one match contains all others: the maximum match. This follows from one fact: when
#   the other side becomes larger, no distance grows.
# - Deletion finds it: delete the neurons that are too far away, and look again, until no neuron is.
# - The similarity $s(\varepsilon)$ is the share of neurons in the maximum match. It never falls as ε grows.
# - Each neuron has a critical ε. One peel finds them all, and from them follows the maximum match at every ε.
# - A critical ε depends on a group of neurons, not on one neuron alone. If many neurons need each other, they enter
#   together, and the similarity has a cliff.
#
# ## Exercises
#
# :::{exercise} Not closed under intersection
# :label: ex-intersection
# *On paper.* Find two exact matches with the same single neuron of A whose intersection is not a match. How many
# neurons do you need in all?
# :::
#
# :::{solution} ex-intersection
# :class: dropdown
# Three. Let $y_1 = x_1$ and $y_2 = 2x_1$. Then $(\{x_1\}, \{y_1\})$ and $(\{x_1\}, \{y_2\})$ are exact matches, and
# their intersection $(\{x_1\}, \emptyset)$ is not a match, because $r(x_1, \emptyset) = 1$. With two neurons there
# is only one match that is not empty.
# :::
#
# :::{exercise} The maximum match
# :label: ex-max-match
# *In code.* Write `largest(x, y, epsilon)` with nothing but `relative_distance(z, basis)`. It takes two arrays
# (neurons, samples) and returns two lists of row numbers. Use at most ten lines, and allow `1e-9` for rounding.
# :::
#
# :::{solution-start} ex-max-match
# :class: dropdown
# :::

# %% tags=["solution"]
from helpers.matching.definitions import relative_distance


def largest(x, y, epsilon):
    """Delete every neuron that is too far, and look again until none is."""
    epsilon = epsilon + 1e-9
    X, Y = list(range(len(x))), list(range(len(y)))
    while True:
        near_x = [i for i in X if relative_distance(x[i], y[Y]) <= epsilon]
        near_y = [j for j in Y if relative_distance(y[j], x[X]) <= epsilon]
        if (near_x, near_y) == (X, Y):
            return X, Y
        X, Y = near_x, near_y


# %% [markdown]
# The loop is necessary. A single pass would keep neurons that are near only because of neurons that
# were just deleted.
#
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-max-match", largest)

# %% [markdown]
# :::{exercise} The first match
# :label: ex-first-epsilon
# *In code.* Write `first_epsilon(x, y)`, the smallest ε at which anything matches. You may use `critical_epsilons`.
# :::
#
# :::{solution-start} ex-first-epsilon
# :class: dropdown
# :::


# %% tags=["solution"]
def first_epsilon(x, y):
    """The smallest ε at which the maximum match is not empty."""
    return min(np.concatenate(critical_epsilons(x, y)))


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-first-epsilon", first_epsilon)

# %% [markdown]
# :::{exercise} One neuron less
# :label: ex-one-less
# *Predict, then run.* Remove one neuron from network A of the real layer: the one that entered the match first.
# Predict for the other neurons: can a critical ε fall? Which can rise? Then run it for each neuron
# of A in turn. Which removal does the most harm?
# :::
#
# :::{solution-start} ex-one-less
# :class: dropdown
# :::


# %% tags=["solution"]
def harm(i):
    """Mean rise of the others' critical ε when neuron i of A is removed."""
    less = critical_epsilons(np.delete(real_x, i, axis=0), real_y)
    before = np.concatenate([np.delete(critical[0], i), critical[1]])
    rise = np.minimum(np.concatenate(less), 1) - np.minimum(before, 1)
    assert rise.min() > -1e-6
    return rise.mean()


harms = [harm(i) for i in range(len(real_x))]
removed = pd.DataFrame({"removed": [f"x{i + 1}" for i in range(len(real_x))]})
removed["its own critical ε"], removed["mean rise"] = critical[0], harms
figures.table(removed)

# %% [markdown]
# No critical ε can fall. The pairs that are left have the same distances as before, and there are fewer pairs
# ({prf:ref}`prp-bottleneck`). A critical ε can rise only if the best pair of its neuron contained the removed neuron.
# It does rise if every best pair contained it. A neuron that enters late is not in the best pair of a neuron that
# entered earlier. So its removal can only change neurons that entered together with it or later.
#
# :::{solution-end}
# :::
#
# :::{exercise} Where the distance is not monotone
# :label: ex-not-monotone
# *On paper.* A careless program takes the distance to the *mean direction* of a group instead of its span: $r'(v, W)
# = r\bigl(z_v, \operatorname{span}\{\sum_{w \in W} z_w\}\bigr)$. Find two matches in this sense whose union is not
# one. Which line of the proof of {prf:ref}`lem-union` fails?
# :::
#
# :::{solution} ex-not-monotone
# :class: dropdown
# Let $x_1 = y_1 = e_1$ and $x_2 = y_2 = e_2$. The pairs (x1 | y1) and (x2 | y2) are exact. In the union the mean
# direction of either side is $e_1 + e_2$, and all four neurons are at $\sin 45^\circ$ from it. The first inequality
# of the proof fails: a larger group can be farther away. Then there is no maximum match in general, and the result of
# a deletion algorithm depends on the order.
# :::
#
# **Next:** move ε yourself in [the ε explorer](explorer.ipynb), or see [the paper's
# experiment](paper_experiment.ipynb). The theory goes on with [Simple matches](simple.ipynb), the
# pieces of which every match is made.
