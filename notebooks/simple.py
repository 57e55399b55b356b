# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Simple matches
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how a match can be split into pieces that cannot be split further. Each piece is a match around some
# neuron that cannot be made smaller. There can be one of them, a few, or exponentially many.
#
# **You need first** [ε-approximate matches](matches.ipynb) and [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# The {term}`maximum match` answers one question: how much of the two layers can be matched at all? It does not say
# *how*. Below are two pairs of layers, with three neurons in each layer. In both pairs every neuron is matched
# exactly, so the maximum matching similarity is 1 in both. But in the first pair the two layers have equal neurons, so
# each neuron has a partner. In the second pair only all six neurons together are a match. Similarity can be *local*
# (small groups match) or *distributed* (only large groups match). This chapter shows how to distinguish the two.

# %% tags=["parameters"]
network = "resnet20"
width = 1
layer = "stem.relu"
seeds = [0, 1]
epsilon = 0.35
epsilons = [0.3, 0.4, 0.5]
orders = 20
limit = 5000

# %% tags=["hide-input"]
from math import comb

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import studies
from helpers.matching import (
    critical_epsilons,
    decompose,
    maximum_match,
    minimal_match_of_each,
    minimal_matches,
    simple_matches,
)
from helpers.matching.definitions import all_matches, minimal, name, simple
from helpers.pages import figures
from helpers.pages.chapters import families, lattice
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check

figures.style()

# %% [markdown]
# Each box below is an exact {term}`match`. It shows the names of its neurons, with the first layer in the upper line.
# A line connects a match with each match just below it. On the left (equal neurons) every choice of pairs is a match.
# On the right there are only two matches: the empty one and the one with all neurons.

# %% tags=["hide-input", "shows-prp-few"] mystnb={"image": {"alt": "Two Hasse diagrams. Left: a cube of eight matches, from the empty one over three pairs x1 y1, x2 y2, x3 y3 to all six neurons. Right: only two boxes, the empty match and the match of all six neurons."}, "figure": {"caption": "All exact matches of two pairs of layers. Both have maximum matching similarity 1. Blue boxes cannot be split.", "name": "fig-local-distributed"}}
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.9))
for ax, layers, title in zip(
    axes, (families.twins(3), families.switches(3, copies=1)), ("the same neurons", "a mixture"), strict=True
):
    lattice.draw_lattice(ax, all_matches(*layers, 0.0))
    ax.set_title(title)

# %% [markdown]
# ## A small example, all of it
#
# The next example has three neurons in one layer and four in the other. Read the rows: $x_1$ reacts to the first input
# only, and so do $y_1$ and $y_2$, which differ only in scale. The neurons $y_3$ and $y_4$ are the sum and the
# difference of $x_2$ and $x_3$.

# %%
x = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
y = np.array([[1.0, 0, 0], [3, 0, 0], [0, 1, 1], [0, 1, -1]])
matches = all_matches(x, y, epsilon=0.0)
len(matches)

# %% [markdown]
# There are $2^7 = 128$ pairs $(X, Y)$ of sets of neurons. `all_matches` checks the definition ({prf:ref}`def-match`)
# for each of them. The last line counts the matches, including the empty one. Here they are.

# %% tags=["hide-input", "shows-def-simple", "shows-prp-lattice"] mystnb={"image": {"alt": "Hasse diagram with eight boxes in four levels. The empty match is at the bottom. Above it are three blue boxes, x1 with y1, x1 with y2, and x2 x3 with y3 y4. Above these are the grey unions, and at the top all seven neurons."}, "figure": {"caption": "Every match of the example. Blue: simple. Grey: a union of smaller matches, or empty. The union of any two boxes is a box.", "name": "fig-lattice"}}
figure, ax = plt.subplots(figsize=(7.2, 4.2))
lattice.draw_lattice(ax, matches)

# %% [markdown]
# The union of any two boxes is again a box. That is the union lemma ({prf:ref}`lem-union`). Now take the intersection
# of $x_1 \mid y_1$ and $x_1 \mid y_2$. It is $x_1$ alone, and that is not a match. So matches are closed under union,
# but *not* under intersection. Still, among the matches inside any two matches there is a largest one. This makes the
# matches a *lattice*.
#
# In what follows a match $(X, Y)$ is treated as one set $S = X \cup Y$ of neurons of both layers. So $S \subseteq T$,
# $S \cup T$ and $S \cap T$ have their usual meaning, and "$v \in S$" makes sense for a neuron of either layer. The
# pair of layers $(\mathcal X, \mathcal Y)$ and $\varepsilon \in [0, 1)$ are fixed; "match" means ε-approximate match.
#
# :::{prf:proposition} The lattice of matches
# :label: prp-lattice
# Ordered by inclusion, the matches form a lattice. The smallest match that contains both $S$ and $T$ is $S \cup T$.
# The largest match inside both is the maximum match of the neurons of $S \cap T$. The bottom is the empty match, the
# top is the maximum match.
# :::
#
# :::{prf:proof}
# $S \cup T$ is a match by {prf:ref}`lem-union`, and every match that holds $S$ and $T$ holds $S \cup T$. A match lies
# inside both $S$ and $T$ exactly when it lies in $S \cap T$. Among the matches inside $S \cap T$ there is one that
# contains all others, their union. It is what one gets as the maximum match when only the neurons of $S \cap T$ are
# kept. The empty pair satisfies {prf:ref}`def-match` because it makes no demand, and the maximum match contains every
# match.
# :::
#
# ## Matches that cannot be split
#
# The match of all seven neurons is the union of three smaller ones. So these three matches are enough to describe it.
#
# :::{prf:definition} Simple match
# :label: def-simple
# A match $S \neq \emptyset$ is *simple* if it is not a union of matches that are strictly smaller, that is, of
# matches $T \subsetneq S$.
# :::
#
# The union can be of any number of matches. A simple match need not be small, and smaller matches may lie inside it.
# But all smaller matches inside it together do not contain all of its neurons. Here is the definition in code:


# %%
def is_simple_by_definition(match, matches):
    """Is the non-empty match more than the union of the strictly smaller ones?"""
    return match != frozenset().union(*(m for m in matches if m < match))


[name(m) for m in matches if is_simple_by_definition(m, matches)]

# %% [markdown]
# There is a second way to define pieces that cannot be split. Start from a neuron $v$: which other neurons are
# necessary so that
# $v$ is matched?
#
# :::{prf:definition} v-minimal match
# :label: def-minimal
# Let $v$ be a neuron of either layer. A match $S$ is *v-minimal* if it contains $v$ and no match $T \subsetneq S$
# contains $v$.
# :::
#
# :::{prf:definition} v-minimum match
# :label: def-minimum
# A match is the *v-minimum match* if it contains $v$ and lies inside every match that contains $v$.
# :::
#
# The two words mean different things. *Minimal*: inside this match no smaller match contains $v$. Elsewhere there may
# be other v-minimal matches, even with fewer neurons. *Minimum*: this match lies inside every match that contains $v$.
# If the v-minimum match exists, it is the only v-minimal match. Conversely, if there is only one v-minimal match, it
# is the v-minimum match, by the next lemma. In our example $x_1$ has two minimal matches and no minimum match.

# %% tags=["shows-def-minimal", "shows-def-minimum", "shows-lem-minimal-exists"]
everyone = [("x", i) for i in range(3)] + [("y", j) for j in range(4)]
each = {name([v]).replace("|", "").strip(): minimal(matches, v) for v in everyone}
rows = [[v, ", ".join(map(name, smallest)), len(smallest) == 1] for v, smallest in each.items()]
rows = pd.DataFrame(rows, columns=["neuron", "minimal matches", "minimum"])
figures.table(rows, label="The v-minimal matches of every neuron of the example")

# %% [markdown]
# :::{prf:lemma} Minimal matches exist
# :label: lem-minimal-exists
# Every match that contains $v$ contains a v-minimal match. Hence $v$ has a v-minimal match if and only if $v$ is in
# the maximum match.
# :::
#
# :::{prf:proof}
# Let $v \in S$, $S$ a match. Among the finitely many matches $T \subseteq S$ with $v \in T$ (there is one: $S$) take
# one with the fewest neurons. No match inside $T$, other than $T$, contains $v$: it would lie in $S$ too and have fewer
# neurons. So $T$ is v-minimal. If $v$ is in the maximum match, take that for $S$. If it is not, no match contains
# $v$.
# :::
#
# Compare the list of simple matches with the column of minimal matches. Both contain three sets, and these are equal.
# The next theorem says why.
#
# :::{prf:theorem} Simple means minimal for some neuron
# :label: thm-simple-minimal
# A match is simple if and only if it is v-minimal for some neuron $v$.
# :::
#
# :::{prf:proof}
# *Minimal ⇒ simple.* Let $S$ be v-minimal. It contains $v$, so it is not empty. If $S$ were a union of matches
# strictly smaller than $S$, one of them would contain $v$, against minimality.
#
# *Simple ⇒ minimal.* Let $S$ be a non-empty match that is v-minimal for no $v$. Then for every $v \in S$ there is a
# match $S_v \subsetneq S$ with $v \in S_v$. The union of all $S_v$ lies in $S$ and contains every $v \in S$, so it is
# $S$. Hence $S$ is not simple.
# :::
#
# The proof shows even more. Let $S$ be simple. Some neurons of $S$ are in no smaller match inside $S$. These are
# exactly the $v$ for which $S$ is v-minimal. They *generate* $S$. The other neurons are in $S$ because the generators
# need them.
#
# :::{prf:theorem} Decomposition
# :label: thm-decomposition
# Every match is the union of the simple matches inside it.
# :::
#
# :::{prf:proof}
# Let $S$ be a match. For each $v \in S$, {prf:ref}`lem-minimal-exists` gives a v-minimal match $S_v \subseteq S$,
# which is simple by {prf:ref}`thm-simple-minimal`. So the simple matches inside $S$ cover all of $S$, and they do not
# leave $S$. (The empty match is the union of none.)
# :::
#
# There is a similar fact about whole numbers: every whole number is the least common multiple of prime powers. Prime
# powers are to numbers what simple matches are to matches. No smaller set of matches has this property:
#
# :::{prf:corollary} The simple matches generate
# :label: cor-generators
# The matches are exactly the unions of simple matches (the empty union included). Any set of matches whose unions are
# all the matches contains every simple match. If there are $m$ simple matches, there are at most $2^m$ matches.
# :::
#
# :::{prf:proof}
# Unions of simple matches are matches by {prf:ref}`lem-union`, and all matches arise by {prf:ref}`thm-decomposition`.
# Suppose every match is a union of members of a set $G$ of matches, and let $S$ be simple. Then $S$ is a union of
# members of $G$ that lie in $S$. If $S$ itself were not among them, $S$ would be a union of strictly smaller matches.
# So $S \in G$. The last claim counts the subsets of the set of simple matches.
# :::
#
# So the list of the simple matches describes the whole lattice of a pair of layers, which may have a huge number of
# elements. `simple_matches` finds the list without trying all $2^n$ pairs ([how](algorithms.ipynb)). `decompose`
# splits a given match into simple matches.

# %% tags=["shows-thm-decomposition", "shows-thm-simple-minimal", "shows-cor-generators"]
few = {"few_samples": True}  # 4 neurons in 3 dimensions, on purpose; without this the engine refuses them
atoms = simple_matches(x, y, epsilon=0.0, **few)
parts = decompose(x, y, maximum_match(x, y, 0.0, **few), epsilon=0.0, **few)
rebuilt = lattice.unions(frozenset(m.neurons) for m in atoms)
print([name(m.neurons) for m in parts], set(rebuilt) == set(matches))

# %% [markdown]
# ## One, a few, exponentially many
#
# How many simple matches can there be? There are four families for which we can count them exactly. They are in
# `helpers.pages.chapters.families`, and every fast algorithm of this book is tested on them.
#
# :::{prf:proposition} Few simple matches
# :label: prp-few
# (a) Let $\mathcal X$ and $\mathcal Y$ both consist of the same $n$ linearly independent vectors,
# $z_{x_i} = z_{y_i}$, and $\varepsilon = 0$. The simple matches are the $n$ pairs $\{x_i, y_i\}$, and there are $2^n$
# matches.
#
# (b) Let $z_{y_i} = e_i$, the unit vectors of $\mathbb R^k$, and let $z_{x_1}, \dots, z_{x_k}$ be linearly
# independent vectors in $\mathbb R^k$ without a zero entry; $\varepsilon = 0$. The only non-empty match is
# $(\mathcal X, \mathcal Y)$, and it is simple.
# :::
#
# :::{prf:proof}
# (a) A vector of a linearly independent set lies in the span of some of its members only if it is one of them. So
# $(X, Y)$ is a match if and only if $X$ and $Y$ have the same indices: $2^n$ choices. A match is the union of its
# pairs; a pair contains no other non-empty match.
#
# (b) Let $(X, Y)$ be a non-empty match. Then neither side is empty (a non-zero vector is not in
# $\operatorname{span} \emptyset = \{0\}$). Take $x \in X$. Since $z_x$ has no zero entry and lies in
# $\operatorname{span} z_Y$, which is the set of vectors supported on the indices of $Y$, all indices occur:
# $Y = \mathcal Y$. Then $\operatorname{span} z_X = \operatorname{span} z_Y = \mathbb R^k$, which takes all $k$ of the
# $x_i$.
# :::
#
# In case (b) similarity is completely distributed. Now change one thing: let every direction $e_i$ occur in *two*
# neurons of $\mathcal Y$, or in $c$ of them. Then for every $i$ a minimal match contains one of the copies, and the
# choices are independent. This is like $k$ switches with $c$ positions each.
#
# :::{prf:proposition} Exponentially many simple matches
# :label: prp-many
# Let $k, c \ge 1$ and $\varphi \in [0, \pi/2)$. In $\mathbb R^{k + kc}$ with orthonormal basis $e_1, \dots, e_k$,
# $f_{11}, \dots, f_{kc}$, let
#
# $$z_{x_i} = (e_1 + \dots + e_k) + e_i , \qquad z_{y_{ij}} = \cos\varphi\; e_i + \sin\varphi\; f_{ij}$$
#
# for $1 \le i \le k$ and $1 \le j \le c$.
#
# If $\sin^2 \varphi \le \varepsilon^2 < 1/(k+3)$, the non-empty matches are exactly the pairs $(\mathcal X, Y)$ in
# which $Y$ contains, for every $i$, at least one $y_{ij}$. So there are $(2^c - 1)^k + 1$ matches and $c^k$ simple
# ones, each with $2k$ neurons and each v-minimal for every $v \in \mathcal X$. For $\varphi > 0$ both sides are
# linearly independent.
# :::
#
# :::{prf:proof}
# *Distances of an x.* Let $Y \subseteq \mathcal Y$ contain $m_i$ of the $c$ copies of $e_i$. The spans of the copies
# of different $e_i$ are orthogonal to each other. Let $\rho_i$ be the squared distance of $e_i$ to the span of its
# own $m_i$ copies. Then the squared distance of $\sum_i a_i e_i$ to $\operatorname{span} z_Y$ is $\sum_i a_i^2
# \rho_i$. If $m_i = 0$ then $\rho_i = 1$. If $m_i \ge 1$, one copy alone leaves $\sin^2\varphi$, so $\rho_i \le
# \sin^2 \varphi$. The vector $z_{x_i}$ has squared norm $(k - 1) + 4 = k + 3$ and entries at least 1. Hence for
# *every* $x \in \mathcal X$: if all $m_i \ge 1$, then $r(x, Y)^2 \le \sin^2 \varphi \le \varepsilon^2$; if some $m_i
# = 0$, then $r(x, Y)^2 \ge 1/(k+3) > \varepsilon^2$.
#
# *Distances of a y.* Let $P$ be the orthogonal projection onto $\operatorname{span} z_X$, $X \subseteq \mathcal X$, a
# subspace of $\operatorname{span}(e_1, \dots, e_k)$. Then
# $r(y_{ij}, X)^2 = \sin^2\varphi + \cos^2 \varphi\, (1 - \|P e_i\|^2)$. The $z_{x_i}$ are linearly independent,
# because $\sum_i a_i z_{x_i} = 0$ says $a_i = -\sum_l a_l$ for every $i$, so $a_1 = \dots = a_k = a$ with $a = -ka$,
# so $a = 0$. So $r(y_{ij}, \mathcal X) = \sin\varphi \le \varepsilon$. If $X$ has fewer than $k$ neurons,
# $\sum_i \|Pe_i\|^2 = \dim \operatorname{span} z_X \le k - 1$, so for some $i$, $\|Pe_i\|^2 \le 1 - 1/k$, and all
# copies of this $e_i$ have $r(y_{ij}, X)^2 \ge \sin^2 \varphi + \cos^2\varphi / k \ge 1/k > \varepsilon^2$.
#
# *Matches.* So $(\mathcal X, Y)$ is a match when all $m_i \ge 1$. Conversely let $(X, Y)$ be a non-empty match.
# Neither side is empty, as the distance to $\operatorname{span}\emptyset$ is $1 > \varepsilon$. An $x \in X$ forces
# all $m_i \ge 1$. If $X \ne \mathcal X$, some $e_i$ has all its copies too far from $\operatorname{span} z_X$, and
# one of them is in $Y$: a contradiction.
#
# *Counting.* For each $i$ choose a non-empty set of copies: $2^c - 1$ ways; with the empty match this gives the
# number of matches. The inclusion-minimal among the non-empty matches choose one copy of each $e_i$, in $c^k$ ways.
# They all contain $\mathcal X$, so each is minimal for every $x$, hence simple. Every other match has two copies
# $y_{ij}, y_{ij'}$ of one $e_i$ and is the union of the two matches that lack one of them, so it is not simple.
#
# *Independence.* For $\varphi > 0$ each $z_{y_{ij}}$ has a direction $f_{ij}$ to itself.
# :::
#
# Something similar happens without copies, when two layers have more neurons than dimensions:
#
# :::{prf:proposition} Wide layers
# :label: prp-wide
# Let $\mathcal X$ and $\mathcal Y$ have $n$ neurons each, in $\mathbb R^k$, $1 \le k \le n$, in general position: any
# $k$ of the $2n$ vectors are linearly independent. At $\varepsilon = 0$ the non-empty matches are the pairs with at
# least $k$ neurons on each side. There are $\binom{n}{k}^2$ simple matches, and every neuron has
# $\binom{n-1}{k-1}\binom{n}{k}$ minimal ones.
# :::
#
# :::{prf:proof}
# If $|X|, |Y| \ge k$, both spans are $\mathbb R^k$: a match. Conversely let $(X, Y)$ be a non-empty match; neither
# side is empty. If $|X| < k$, take any $y \in Y$: the at most $k$ vectors of $X \cup \{y\}$ are independent, so
# $z_y \notin \operatorname{span} z_X$, a contradiction. Likewise for $Y$. So a match that contains $v$ is
# v-minimal exactly when both sides have $k$ neurons. There are $\binom{n}{k}^2$ such pairs, and for
# $v \in \mathcal X$ the side of $v$ can be completed in $\binom{n-1}{k-1}$ ways.
# :::
#
# The two propositions show why there can be many minimal matches: there are *choices*. A direction may be present
# twice, or nearly twice. Or two layers may have more neurons than dimensions. Each choice multiplies the number of
# minimal matches. In the table below the code counts them, and the right column has the numbers of the propositions.

# %% tags=["shows-prp-many", "shows-prp-wide"]
cases = {f"switches, k = {k}": (families.switches(k, 2, 0.2), 0.2, 2**k) for k in (2, 4, 6, 8)}
for k in (1, 2, 3):
    cases[f"wide, n = 6, k = {k}"] = families.general_position(6, k), 0.0, comb(6, k) ** 2
rows = [
    [family, len(a) + len(b), len(simple_matches(a, b, e, limit, few_samples=True)), count]
    for family, ((a, b), e, count) in cases.items()
]
rows = pd.DataFrame(rows, columns=["family", "neurons", "simple", "by proof"])
figures.table(rows, label="Number of simple matches in families of examples")

# %% [markdown]
# ## What ε does
#
# The maximum match grows with ε ({prf:ref}`lem-monotone`), and so does the whole lattice: a match at ε is a match at
# every larger ε. The simple matches do not behave so well. A match that was simple can fall apart, because smaller
# matches have become possible inside it. In the next example $x_1 \approx y_1$, while $x_2$ and $x_3$ are $y_2$ and
# $y_3$ turned in their plane by the angle with tangent ½. At a small ε the two can only be matched together, as a
# plane. At a larger ε each of them matches its neighbour.

# %%
turned = np.array([[1, 0, 0, 0, 0], [0, 1, 0.5, 0.1, 0], [0, -0.5, 1, 0, 0.1]])
straight = np.array([[1, 0, 0, 0.1, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]])

# %% [markdown]
# Move ε, with the mouse or with the arrow keys. Look at the box with the four neurons $x_2, x_3, y_2, y_3$. It is
# blue at first. It becomes grey as soon as the pairs inside it are matches, although the largest match does not
# change. At the right end almost every pair of groups is a match.

# %% tags=["hide-input"]
alt = "Lattice of the matches of six neurons with a slider for epsilon: the four-neuron match is simple at small epsilon only."
still, axes = plt.subplots(1, 3, figsize=(7.8, 3.6), width_ratios=[2, 3, 3])
for ax, e in zip(axes, (0.2, 0.5, 0.9), strict=True):
    lattice.draw_lattice(ax, all_matches(turned, straight, e))
    ax.set_title(f"ε = {e:g}")
moving = lattice.lattice_figure(turned, straight, np.arange(0.05, 0.96, 0.05), start=3)
figures.interactive(moving, "fig-lattice-epsilon", alt, still)

# %% [markdown]
# So always read the size of simple matches together with ε. At a large ε small simple matches are easy to get.
#
# ## A real layer
#
# Now the first layer of two networks of the same architecture, trained on CIFAR-10 from different random starts.
# Their activations on the 10 000 test images are recorded in this repository as one small matrix.

# %%
study = studies.Study("cifar10", network, width, tuple(seeds), "short")
pair = studies.run(study, progress=False).pair(layer, *seeds)
largest = maximum_match(pair, epsilon)
atoms = simple_matches(pair, epsilon, limit)
assert atoms.complete
matches = lattice.unions(frozenset(m.neurons) for m in atoms)

# %% tags=["remove-cell"]
sizes = sorted(len(m) for m in atoms)
choices = {v: len(minimal_matches(pair, v, epsilon)) for v in largest.neurons}
choosy = max(choices, key=lambda v: choices[v])
glue("simple-n", pair.n_x + pair.n_y, display=False)
glue("simple-epsilon", f"{epsilon:g}", display=False)
glue("simple-matched", len(largest), display=False)
glue("simple-atoms", len(atoms), display=False)
glue("simple-matches", len(matches), display=False)
glue("simple-sizes", ", ".join(map(str, sizes)), display=False)
glue("simple-several", sum(count > 1 for count in choices.values()), display=False)
glue("simple-choosy", f"{choosy[0]}{choosy[1] + 1}", display=False)
glue("simple-choices", choices[choosy], display=False)

# %% [markdown]
# At ε = {glue:text}`simple-epsilon`, {glue:text}`simple-matched` of the {glue:text}`simple-n` neurons of layer
# `{{layer}}` are matched. There are {glue:text}`simple-atoms` simple matches, with {glue:text}`simple-sizes` neurons,
# and {glue:text}`simple-matches` matches in all. This is a complete list: no match of these two layers at this ε is
# missing from the figure.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The Hasse diagram of all matches of a recorded convolutional layer at the chosen epsilon. At the bottom is the empty match, above it a row of small blue boxes, then grey unions, and near the top larger blue boxes."}, "figure": {"caption": "All matches of a real layer: two networks that differ in their seed. Small blue boxes at the bottom are local similarity; blue boxes high up are distributed.", "name": "fig-lattice-real"}}
figure, ax = plt.subplots(figsize=(7.6, 6.4))
lattice.draw_lattice(ax, matches, labels=True)

# %% [markdown]
# The figure shows three things. There is local similarity: pairs with one neuron of each network, at the bottom.
# There is distributed similarity: blue boxes that need many neurons together. And there are choices:
# {glue:text}`simple-several` of the {glue:text}`simple-matched` matched neurons have more than one minimal match. The
# neuron with the most is {glue:text}`simple-choosy`, with {glue:text}`simple-choices`. Follow the lines down from the
# blue boxes that contain it, and see which of the pairs at the bottom each of them uses. So this neuron does not have
# one fixed set of partners.
#
# ### The distribution of their sizes
#
# The paper {cite}`wang2018towards` asks whether similarity is local or distributed by looking at the sizes of simple
# matches. Here is this distribution for the same layer at three ε. The dashed line is the size of the maximum match.

# %%
counts = {e: simple_matches(pair, e, limit) for e in epsilons}
simple_sizes = {e: np.array([len(m) for m in counts[e]]) for e in epsilons}
whole = {e: len(maximum_match(pair, e)) for e in epsilons}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Histograms of the number of neurons in simple matches at three values of epsilon. At the smallest there are a few pairs; at the largest hundreds of simple matches, most of them with many neurons."}, "figure": {"caption": "Sizes of all simple matches of one real layer at three \u03b5. Dashed: the size of the maximum match.", "name": "fig-simple-sizes"}}
figure, axes = plt.subplots(1, len(epsilons), figsize=(7.6, 3.0), sharex=True)
for ax, e in zip(axes, epsilons, strict=True):
    ax.hist(simple_sizes[e], bins=np.arange(1.5, pair.n_x + pair.n_y + 1), color=lattice.SIMPLE)
    ax.axvline(whole[e], color="black", linestyle="--")
    listed = "all" if counts[e].complete else "the first"
    ax.set(title=f"ε = {e:g}: {listed} {len(simple_sizes[e])}", xlabel="neurons")
    ax.yaxis.get_major_locator().set_params(integer=True)
axes[0].set_ylabel("simple matches")
plt.show()

# %% [markdown]
# With a larger ε the pairs do not disappear, but the number of simple matches grows very fast, and nearly all of the
# new ones are large. In such a histogram, neurons with many choices count very often, once for each combination
# ({prf:ref}`prp-many`). So "the typical simple match" says more about the number of combinations than about the
# neurons. It is better to look at each neuron.
#
# ### One neuron, many answers
#
# The algorithm min_match ({prf:ref}`alg-min`) finds *one* minimal match of a neuron: it tries to delete the other
# neurons, one at a time, in some order. Which one it finds depends on the order. We draw {glue:text}`orders` random
# orders and look at every neuron of the maximum match.

# %% tags=["remove-cell"]
glue("orders", orders, display=False)

# %%
e = max(epsilons)
rngs = [np.random.default_rng(k) for k in range(orders)]
ordered = [minimal_match_of_each(pair, e, rng) for rng in rngs]
spread = {v: [len(of_order[v]) for of_order in ordered] for v in ordered[0]}
names = sorted(spread, key=lambda v: np.mean(spread[v]))
different = [len({of_order[v] for of_order in ordered}) for v in names]

# %% tags=["remove-cell"]
glue("largest-e", f"{e:g}", display=False)
glue("different-median", f"{np.median(different):g}", display=False)
glue("different-one", sum(d == 1 for d in different), display=False)
glue("different-of", len(names), display=False)

# %% [markdown]
# Each column is one neuron. Each dot is the size of the minimal match from one order. A column with one dot may still
# stand for several matches of one size.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Dot plot: one column for each matched neuron, dots at the sizes of the minimal matches found with random orders. Some columns have a single dot at two neurons; most spread over a range of sizes."}, "figure": {"caption": "Sizes of the v-minimal matches of each neuron, found in random orders. The number on top: how many different matches they were.", "name": "fig-orders"}}
figure, ax = plt.subplots(figsize=(7.6, 3.8))
for k, v in enumerate(names):
    size, count = np.unique(spread[v], return_counts=True)
    ax.scatter(np.full(len(size), k), size, s=12 * count, color=lattice.SIMPLE, alpha=0.7)
    ax.text(k, whole[e] + 1, different[k], ha="center", fontsize=8)
ax.set_xticks(range(len(names)), [f"{s}{i + 1}" for s, i in names], rotation=90, fontsize=8)
ax.set(ylabel="neurons in a minimal match", ylim=(0, whole[e] + 3), title=f"{orders} random orders, ε = {e:g}")
ax.grid(axis="x", visible=False)

# %% [markdown]
# At ε = {glue:text}`largest-e` the median neuron gets {glue:text}`different-median` different minimal matches from
# {glue:text}`orders` orders. {glue:text}`different-one` of {glue:text}`different-of` neurons get one and the same
# match every time. A single order gives one random dot of each column. So publish the order, or use many orders and
# show the spread. The next chapter asks when the minimal match is unique.
#
# ## In short
#
# - Every match is a union of simple matches, and no smaller set of matches has this property
#   ({prf:ref}`thm-decomposition`, {prf:ref}`cor-generators`).
# - A match is simple exactly when it is v-minimal for some neuron v ({prf:ref}`thm-simple-minimal`).
# - Small simple matches mean local similarity, large ones distributed similarity.
# - There may be exponentially many simple matches ({prf:ref}`prp-many`, {prf:ref}`prp-wide`). In the layer shown here
#   their number grows very fast with ε.
# - One neuron can have many minimal matches. So publish the order of the trials, or show the spread over many orders.
#
# ## Exercises
#
# :::{exercise} A lattice by hand
# :label: ex-hand-lattice
# Let $z_{x_1} = (1, 0)$, $z_{x_2} = (0, 1)$ and $z_{y_1} = (1, 0)$, $z_{y_2} = (0, 1)$, $z_{y_3} = (1, 1)$,
# $\varepsilon = 0$. List all matches, draw the lattice, and mark the simple ones. Which neurons have more than one
# minimal match, and of which sizes?
# :::
#
# :::{solution} ex-hand-lattice
# :class: dropdown
# An exact match is a pair with equal spans. Span of dimension 0: the empty match. Dimension 1: $x_1 \mid y_1$ and
# $x_2 \mid y_2$; the line through $(1, 1)$ is the span of $y_3$ but of no $X$. Dimension 2: $X = \{x_1, x_2\}$ with
# any two or all three $y$: four matches. Seven in all.
#
# Simple: $x_1 \mid y_1$, $x_2 \mid y_2$, and also $x_1 x_2 \mid y_1 y_3$ and $x_1 x_2 \mid y_2 y_3$: the only smaller
# non-empty match inside $x_1x_2 \mid y_1 y_3$ is $x_1 \mid y_1$. Not simple: $x_1 x_2 \mid y_1 y_2$, the union of the
# two pairs, and the match of all five.
#
# $y_3$ has two minimal matches with four neurons each. $x_1$ has two, with two and with four neurons: $x_1 \mid y_1$
# and $x_1 x_2 \mid y_2 y_3$; $x_2$ likewise. So minimal matches of one neuron may differ in size. Check with
# `[name(m) for m in all_matches(np.eye(2), np.array([[1, 0], [0, 1], [1, 1]]), 0.0)]`.
# :::
#
# :::{exercise} What a match is minimal for
# :label: ex-generators
# Write `generators(match, matches)`: the set of neurons $v$ for which `match` is v-minimal, where `matches` is the
# list of *all* matches and matches are frozensets of neurons. By {prf:ref}`thm-simple-minimal` it is empty unless
# `match` is simple.
# :::
#
# :::{solution-start} ex-generators
# :class: dropdown
# :::


# %% tags=["solution"]
def generators(match, matches):
    """The neurons of the match that no strictly smaller match contains."""
    smaller = [m for m in matches if m < match]
    return {v for v in match if not any(v in m for m in smaller)}


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-generators", generators)

# %% [markdown]
# :::{exercise} More positions for each switch
# :label: ex-switches
# `families.switches(3, copies=3)` has 12 neurons. Predict, from {prf:ref}`prp-many`, the number of matches, the
# number of simple matches, and how many of the simple ones are minimal for $y_1$. Then change the cell and run it.
# What would the last number be if $e_1$ had three copies and $e_2$, $e_3$ two each?
# :::

# %%
switched = all_matches(*families.switches(3, copies=2), epsilon=0.0)
len(switched), len(simple(switched)), len(minimal(switched, ("y", 0)))

# %% [markdown]
# :::{solution} ex-switches
# :class: dropdown
# With `copies=3`: $(2^3 - 1)^3 + 1 = 344$ matches and $3^3 = 27$ simple ones. A simple match holds $y_1$, one of the
# copies of $e_1$, in a third of all choices: the other two switches are free, so 9 are minimal for $y_1$. (The cell
# as it stands has 28, 8 and 4.) The copies of $e_1$ other than $y_1$ do not matter for matches that hold $y_1$: with
# three copies of $e_1$ and two of $e_2$ and $e_3$ it is still $2 \cdot 2 = 4$.
# :::
#
# :::{exercise} The other seed
# :label: ex-other-seed
# Seeds 0 and 2 have the architecture, the recipe and the images of seeds 0 and 1. Predict: will the number of matched
# neurons and of simple matches at this ε be about the same? Then set `seeds = [0, 2]` at the top, run the page again,
# and explain what you see by the {term}`critical ε` of the neurons:
# :::

# %%
np.round(np.sort(np.concatenate(critical_epsilons(pair))), 3)

# %% [markdown]
# :::{solution} ex-other-seed
# :class: dropdown
# It can change a lot. Suppose that a group of neurons enters the maximum match just below ε in one pair and just
# above ε in the other. Then the number of matched neurons differs, and with it the number of combinations. The
# lattice at one ε describes one pair well, but not an architecture. Use averages only for quantities that change
# slowly, such as the critical ε.
# :::
