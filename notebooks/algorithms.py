# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The algorithms
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to find one {term}`minimal match`, all of them, or one for every neuron. You learn why each method is
# right and what it costs. You also learn why one minimal match from one order says little about a layer.
#
# **You need first** [the maximum match](maximum.ipynb) with its {term}`peel`, and [simple matches](simple.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::

# %% tags=["parameters"]
dataset = "cifar10"
network = "vgg16_bn"
width = 0.25
recipe = "short"
small_layer = "relu1_1"  # small enough to watch every step
small_epsilon = 0.4
layer = "relu_fc2"  # where the order of the trials matters most
epsilon = 0.35
orders = 300  # random orders to try
sizes = [8, 16, 24, 32]  # neurons per network, for the measured cost

# %% tags=["hide-input", "remove-stderr"]
import inspect
import time
from itertools import permutations, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Code

from benchmarks import published
from helpers import matching, studies
from helpers.matching import Match, largest_match_inside, maximum_match, minimal_match, minimal_match_of_each
from helpers.matching.definitions import relative_distance
from helpers.pages import figures
from helpers.pages.chapters import drawings, families, traces
from helpers.pages.chapters.pseudocode import Plain, biased, dominoes, hitting_sets, reaching
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check

figures.style()


# %% [markdown]
# All algorithms of this chapter use one step: *delete a neuron, and see which other neurons are then too far from the
# other side*. We say that these neurons *fall*. In the figure neurons fall one after another, like dominoes. In each
# round the neuron in the dashed frame is too far away. Without it, another neuron is too far away.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four diagrams of five neurons in two rows. In each of the first three one neuron is dashed, too far: first x3, then y2, then x2. In the last diagram x1 and y1 are left, both at distance 0."}, "figure": {"caption": "Neurons fall one after another, at \u03b5 = 3/4. Each box has a neuron and its distance to the other side.", "name": "fig-falling"}}
example = Plain(*dominoes(5), 0.75)
falling = [example.everyone]
while far := {v for v in falling[-1] if example.r(v, falling[-1]) > example.limit}:
    falling.append(falling[-1] - far)
titles = [f"round {k + 1}" for k in range(len(falling) - 1)] + ["no neuron is too far"]
drawings.draw_pairs(example.r, falling, 0.75, titles)
plt.show()

# %% [markdown]
# There are four questions about the matches of two layers, and each has its algorithm.
#
# | Question | Algorithm | Where |
# |---|---|---|
# | Which neurons are in a match at all? | max_match, for every ε at once the peel | {prf:ref}`alg-max`, {prf:ref}`alg-peel` |
# | What is one group around the neuron $v$ that cannot be made smaller? | min_match | {prf:ref}`alg-min` |
# | What are all of them? | all_min_match | {prf:ref}`alg-all-min`, {prf:ref}`alg-split` |
# | What about every $v$ of the layer? | one ordered pass | {prf:ref}`alg-all-v` |
#
# max_match, min_match and all_min_match are from the paper {cite}`wang2018towards`; the peel, the split and the
# ordered pass are ours. This chapter first counts the steps, then makes them fast, then uses them.
#
# In this chapter $M(S)$ is the maximum ε-match inside a set $S$ of neurons. It is the result of {prf:ref}`alg-max`
# when it starts with $S$ instead of all neurons. (ε is fixed here, so we do not write it.) We use two facts. $M(S)$
# contains every match inside $S$ ({prf:ref}`thm-maximum`). And if $S \subseteq T$, then $M(S)
# \subseteq M(T)$, because a match inside $S$ is inside $T$.
#
# ## What a maximum match costs
#
# Each round of {prf:ref}`alg-max` that is not the last deletes a neuron, so $N$ neurons need at most $N + 1$ rounds
# ({prf:ref}`thm-max-correct`). Are so many
# rounds ever needed? In most layers a few rounds are enough. But dominoes, as in {numref}`fig-falling`, need many.
#
# :::{prf:proposition} Dominoes
# :label: prp-rounds
# {prf:ref}`alg-max` needs at most one round more than it deletes neurons. For every $N \ge 3$ there are two layers with
# $N$ neurons in all that need $N - 1$ rounds at $\varepsilon = 3/4$, each round but the last deleting a single neuron.
# :::
#
# :::{prf:proof}
# The first sentence holds because only the last round deletes nothing. For the second let $e_0, e_1, \dots$ be
# orthonormal and $w_k = e_k + e_{k+1}$. Take the neurons $w_1, w_1, w_2, w_3, \dots, w_{N-1}$, the first on the $x$
# side, then alternating. A neuron is orthogonal to all but its two neighbours $w_{k \pm 1}$, and $w_k$ makes an angle
# of 60° with each of them.
#
# Take $k \ge 2$. The neurons on the other side are $w_{k \pm 1}, w_{k \pm 3}, \dots$, mutually orthogonal, except that
# the side of the first $w_1$ also contains $w_2$. If both neighbours are there, each takes at least
# $\cos^2 60° = 1/4$ from $r^2$, so $r^2 \le 1/2$ and $r < 3/4$. If only $w_{k-1}$ is there, $r^2 = 3/4$, or for $k = 3$
# at least $2/3$: the part of $w_2$ orthogonal to $w_1$ is $-\tfrac12 e_1 + \tfrac12 e_2 + e_3$, of squared length
# $3/2$, and takes $1 / (\tfrac32 \cdot 2) = 1/3$. Either way $r > 3/4$. The two copies of $w_1$ are at distance 0 from
# each other.
#
# So at first only the last neuron is too far, because it has one neighbour. Without it the last but one has one
# neighbour, and so on, down to the two copies of $w_1$. So $N - 2$ neurons fall in $N - 2$ rounds, and one more round
# finds nothing.
# :::

# %% tags=["shows-prp-rounds"]
chains = {count: Plain(*dominoes(count), 0.75) for count in (4, 8, 16)}
left = {count: len(chain.max_match()) for count, chain in chains.items()}
rows = [[n, chain.deleted, left[n], chain.rounds] for n, chain in chains.items()]
columns = ["neurons", "deleted", "left", "rounds"]
figures.table(pd.DataFrame(rows, columns=columns), label="Rounds on dominoes")

# %% [markdown]
# The peel ({prf:ref}`alg-peel`) makes exactly $N$ deletions, whatever the layers, and answers every ε. So the
# question is what *one deletion* costs. The straightforward way is to solve the least-squares problems again from the
# activations. The next lemma avoids this.
#
# ### A deletion is an update
#
# Scale all neurons to unit length, and let $B$ be the neurons of one side, with {term}`Gram matrix` $G_{BB}$. Let $z$
# be a neuron of the other side. Its relative distance is $r(z, B)^2 = \min_c \|z - B^\top c\|^2 + \lambda \|c\|^2$,
# with the small {term}`ridge` λ of [the chapter on numerics](numerics.ipynb) ({prf:ref}`def-ridge`). This λ is not the
# λ of stability.
#
# :::{prf:lemma} Deleting one neuron
# :label: lem-deletion-update
# Let $P = (G_{BB} + \lambda I)^{-1}$ and let $a = P g$, $g = Bz$, be the minimising coefficients. For $j \in B$
#
# $$r(z, B \setminus j)^2 = r(z, B)^2 + \frac{a_j^2}{P_{jj}},$$
#
# and the matrix of the remaining neurons is $P - P_{\cdot j} P_{j \cdot} / P_{jj}$, less row and column $j$.
# :::
#
# :::{prf:proof}
# Put $K = G_{BB} + \lambda I$. The function to minimise is quadratic with its minimum at $a$, so at $c = a + \delta$ it
# equals $r(z, B)^2 + \delta^\top K \delta$. To do without $j$ means $c_j = 0$, that is $\delta_j = -a_j$. By
# Cauchy–Schwarz, $\delta_j^2 = (e_j^\top K^{-1/2} K^{1/2} \delta)^2 \le P_{jj}\, \delta^\top K \delta$, with equality
# for δ proportional to $P e_j$. So the least possible value of $\delta^\top K \delta$ is $a_j^2 / P_{jj}$.
#
# For the matrix, let $P' = P - P_{\cdot j} P_{j \cdot} / P_{jj}$. Its row and column $j$ vanish. For $i, k \ne j$,
# $(K P')_{ik} = (KP)_{ik} - (KP)_{ij} P_{jk} / P_{jj} = 1_{i = k}$, as $(KP)_{ij} = 0$. Since row $j$ of $P'$ is
# zero, the rest of $P'$ is the inverse of the rest of $K$.
# :::
#
# Here are the updated distances of one neuron. Beside them are those that were computed again without $y_1$, without
# $y_2$, and so on.

# %% tags=["shows-lem-deletion-update"]
vectors = np.random.default_rng(0).normal(size=(6, 8))
*B, z = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
B = np.array(B)
P = np.linalg.inv(B @ B.T + 1e-12 * np.eye(5))
a = P @ B @ z
updated = np.sqrt(1 - (B @ z) @ a + a**2 / np.diag(P))
afresh = [relative_distance(z, np.delete(B, j, axis=0)) for j in range(5)]
names = [f"y{j + 1}" for j in range(5)]
rows = pd.DataFrame({"without": names, "updated": updated, "afresh": afresh})
figures.table(rows, label="Distances after a deletion")

# %% [markdown]
# With $n$ neurons on each side an update of $P$, of all coefficients and of all distances costs about $n^2$
# multiplications. A least-squares round from $d$ samples costs about $n^2 d$. **The factor saved is $d$**, which is
# about ten million for the first layers of this book's networks. (Where neurons are nearly dependent, the code of this
# book updates triangular factors instead of $P$.)
#
# ## One minimal match
#
# Which neurons does $v$ need? Try to delete each of the others, one after the other. If $v$ stays in the maximum
# match of the rest, the neuron is not needed. If $v$ falls, put the neuron back.
#
# :::{prf:algorithm} min_match
# :label: alg-min
# **Input** a neuron $v$, ε, and an order of the other neurons.
#
# 1. $S \leftarrow$ the maximum match. If $v \notin S$, stop: there is no match with $v$.
# 2. For each neuron $u \ne v$ in the given order, if $u \in S$: let $T \leftarrow M(S \setminus u)$, and if $v \in T$ set
#    $S \leftarrow T$.
# 3. Return $S$.
# :::
#
# `Plain` in `helpers/pages/chapters/pseudocode.py` has all algorithms of this chapter exactly as written here. It is
# slow, and it counts its steps:

# %%
Code(inspect.getsource(Plain.min_match), language="python")

# %% [markdown]
# :::{prf:theorem} min_match is correct
# :label: thm-min-correct
# In any order, {prf:ref}`alg-min` returns a v-minimal match, or reports rightly that no match contains $v$.
# :::
#
# :::{prf:proof}
# If $v$ is not in the maximum match, it is in none. Otherwise $S$ is always a match that contains $v$. Only its
# minimality is in doubt: each neuron is tried *once*, in a large $S$, and never again in the smaller ones that follow.
#
# A trial that fails would fail later, too. If $v \notin M(S \setminus u)$ and $S' \subseteq S$, then $M(S' \setminus u)
# \subseteq M(S \setminus u)$ does not contain $v$ either. Now let $S$ be the result, and suppose that a match $S'
# \subsetneq S$ contains $v$. Take $u \in S \setminus S'$. As $u$ is still in the result, its trial failed, so $v \notin
# M(S \setminus u)$ by what was just said. But $S'$ is a match inside $S \setminus u$, so $v \in S' \subseteq M(S
# \setminus u)$: a contradiction.
# :::
#
# Let us watch it on the first layer of two real networks. `representatives` gives two small arrays with the inner
# products of the recorded layer ({prf:ref}`prp-gram-suffices`).

# %%
study = studies.Study(dataset, network, width, (0, 1), recipe)
recorded = studies.run(study, progress=False)
small = recorded.pair(small_layer)
small_arrays = drawings.representatives(small)
members = sorted(Plain(*small_arrays, small_epsilon, small.ridge).max_match())

# %% [markdown]
# We take the neuron whose minimal matches differ most in size, and try two orders. One is the order of the index. In
# the other, the neurons of its largest minimal match come last.

# %% tags=["hide-input"]
several = {v: matching.minimal_matches(small, v, small_epsilon) for v in members}
v = max(members, key=lambda u: (len(several[u]) > 1, max(map(len, several[u])) - min(map(len, several[u]))))
target = frozenset(max(several[v], key=len).neurons)
trials = []
for order in (members, sorted(members, key=lambda u: u in target)):
    run = Plain(*small_arrays, small_epsilon, small.ridge)
    run.min_match(v, order=order)
    trials.append(run.trials)

# %% tags=["remove-cell"]
minimal_sets = [t[-1].left if t[-1].kept else t[-1].before for t in trials]
glue("trace-v", drawings.label(v), display=False)
glue("trace-members", len(members), display=False)
glue("trace-sizes", " and ".join(str(len(m)) for m in minimal_sets), display=False)
glue("trace-trials", " and ".join(str(len(t)) for t in trials), display=False)

# %% [markdown]
# In `{{small_layer}}` at ε = {{small_epsilon}}, {glue:text}`trace-members` neurons are matched. The figure shows
# min_match for $v$ = {glue:text}`trace-v` (framed), a row for each trial. A red box with − is a neuron that is tried
# and deleted, because $v$ stays. Boxes with ↓ are neurons that fall with it. A green tick means that $v$ fell, so the
# neuron was put back. On the left the neurons are tried in the order of their index. On the right in the other order.

# %% tags=["hide-input", "shows-alg-min", "shows-thm-min-correct"] mystnb={"image": {"alt": "Two grids, one row for each trial of min_match and one column for each matched neuron. In the left grid the first trials remove few neurons or many; the two orders end with different sets of neurons of different size."}, "figure": {"caption": "min_match on a real layer in two orders. \u2212 tried and deleted; \u2193 fell with it; \u2713 tried and put back. White: no longer in the match.", "name": "fig-trials"}}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.4))
for ax, steps, how in zip(axes, trials, ("in order of index", "in another order"), strict=True):
    traces.trial_grid(ax, steps, v)
    ax.set(title=how, xlabel="neurons of the maximum match")
axes[0].set_ylabel("neuron tried")
plt.show()

# %% [markdown]
# One successful trial can delete many neurons, so there are fewer trials than neurons: {glue:text}`trace-trials`. And
# the two orders end with different matches, with {glue:text}`trace-sizes` neurons.
# Both are v-minimal. So $v$ does not have a single minimal match.
#
# ## The order decides
#
# :::{prf:algorithm} Randomised min_match
# :label: alg-random-min
# **Input** a neuron $v$, ε, a source of randomness. Run {prf:ref}`alg-min` with all orders equally likely. Repeat for
# more samples.
# :::
#
# :::{prf:proposition} What random orders reach
# :label: prp-random-reach
# Let $v$ be in the maximum match, with $N$ neurons.
#
# 1. Every v-minimal match $m$ is returned for some order: any order in which the neurons of $m$ come last. So a random
#    order returns it with positive probability, at least $(|m| - 1)!\,(N - |m|)! / (N - 1)!$.
# 2. The v-minimal matches are in general not equally likely, even when there are only three.
# :::
#
# :::{prf:proof}
# 1\. Suppose that the neurons outside $m$ are tried first. As long as $m \subseteq S$, a trial of $u \notin m$ succeeds:
# $m$ is a match inside $S \setminus u$, so $v \in m \subseteq M(S \setminus u)$, and again $m \subseteq S$ afterwards.
# Once they are all tried, $S$ has no neuron outside $m$, so $S = m$. From now on $S$ is a match with $v$ inside $m$,
# which is minimal, so it stays. These orders are the stated share of all orders of $N - 1$ neurons.
#
# 2\. In the plane let $x_1 = y_1 = (1, 0)$, $x_2 = y_4 = (0, 1)$, $y_2 = y_3 = (1, 1)$, and $\varepsilon = 0$, $v = x_1$. The
# v-minimal matches are $\{x_1, y_1\}$ and $\{x_1, x_2, y_i, y_4\}$ with $i = 2$ or $3$. The neuron $y_1$ is
# deleted exactly when $x_2$, $y_4$ and one of $y_2, y_3$ are still there at its trial. The trials of $x_2$ and $y_4$
# succeed while $y_1$ is there, and if both $y_2$ and $y_3$ are tried before $y_1$, both are deleted. So the pair
# is lost exactly when $y_1$ comes before $x_2$ and $y_4$ and not after both $y_2$ and $y_3$: with probability
# $1/3 - 2!\,2!/5! = 3/10$. The pair is found with probability $7/10$, and each of the others, by symmetry, with
# $3/20$.
# :::
#
# All 120 orders of this example, counted:

# %% tags=["shows-alg-random-min", "shows-prp-random-reach"]
plain, x1 = Plain(*biased(), 0.0), ("x", 0)
others = sorted(plain.everyone - {x1})
matches = [plain.min_match(x1, order=order) for order in permutations(others)]
words = pd.Series([" ".join(map(drawings.label, sorted(m))) for m in matches])
counts = words.value_counts().rename_axis("x1-minimal match")
figures.table(counts.reset_index(name="orders of 120"), label="All orders")

# %% [markdown]
# So random orders give a sample of the minimal matches, but some matches are more likely than others. How much does
# the order matter in a real layer? Take the last hidden layer, the one closest to the output, with ε = {{epsilon}}.
# We draw a few orders for *every* matched neuron, and choose the neuron whose sizes vary most.

# %%
pair = recorded.pair(layer)
whole = maximum_match(pair, epsilon)
rngs = [np.random.default_rng(k) for k in range(orders)]
few = [minimal_match_of_each(pair, epsilon, rng) for rng in rngs[:20]]
ranges = {u: np.sort([len(search[u]) for search in few]) for u in whole.neurons}
widest = max(ranges, key=lambda u: np.ptp(ranges[u]))
sampled = [minimal_match(pair, widest, epsilon, rng) for rng in rngs]

# %% [markdown]
# We compute three more things. One is the match from the order of the index. The second is the smallest match of the
# chosen neuron, with a lower bound (`smallest_match`, below). The third are the neurons that are in every match.

# %%
by_index = {u: len(m) for u, m in minimal_match_of_each(pair, epsilon).items()}
best = matching.smallest_match(pair, widest, epsilon, limit=30)
drawn = np.array([len(m) for m in sampled])
shared = frozenset.intersection(*(frozenset(m.neurons) for m in sampled))
essentials = matching.essential_neurons(pair, epsilon)
outside = [u for u in ranges if not ranges[u][0] <= by_index[u] <= ranges[u][-1]]

# %% tags=["remove-cell"]
glue("order-some", sum(len(u) > 1 for u in essentials.values()), display=False)
glue("widest", drawings.label(widest), display=False)
glue("order-matched", len(whole), display=False)
glue("order-orders", orders, display=False)
glue("order-distinct", len(set(sampled)), display=False)
glue("order-least", int(drawn.min()), display=False)
glue("order-most", int(drawn.max()), display=False)
glue("order-median", float(np.median(drawn)), display=False)
glue("order-index", by_index[widest], display=False)
glue("order-share", float((drawn >= by_index[widest]).mean() * 100), display=False)
glue("order-best", min(len(best.match), int(drawn.min())), display=False)
glue("order-bound", best.lower_bound, display=False)
glue("order-shared", len(shared), display=False)
glue("order-outside", len(outside), display=False)

# %% [markdown]
# Left: all random orders for this one neuron. Right: the range of sizes for each neuron of the layer, with a dot for
# the order of the index. What would a single run have shown?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Left: a histogram of the sizes of minimal matches of one neuron over many random orders, broad, with a line for the size found in order of index. Right: a vertical range of sizes for every matched neuron, with a dot for the order of index somewhere in or beyond the range."}, "figure": {"caption": "Sizes of minimal matches in a recorded layer. Left: one neuron, many random orders. Right: every neuron, 20 random orders each; dots: order of index.", "name": "fig-random-orders"}}
figure, (ax, right) = plt.subplots(1, 2, figsize=(10, 3.8), width_ratios=[4, 5], sharey=True)
ax.hist(drawn, bins=20, orientation="horizontal", color=drawings.COLOURS["x"])
ax.axhline(by_index[widest], color=drawings.RED, label="order of index")
ax.set(xlabel=f"orders (of {orders})", ylabel="neurons in the minimal match", title=drawings.label(widest))
ax.legend(loc="upper right")
ranked = sorted(ranges, key=lambda u: np.median(ranges[u]))
at = np.arange(len(ranked))
right.vlines(at, [ranges[u][0] for u in ranked], [ranges[u][-1] for u in ranked], color="#7fb2d6", lw=1.5)
right.plot(at, [by_index[u] for u in ranked], ".", color=drawings.RED, ms=4)
right.set(xlabel="neurons, in order of their median size", title=f"{layer}, ε = {epsilon}", xticks=[])
plt.show()

# %% [markdown]
# For {glue:text}`widest`, {glue:text}`order-orders` orders gave {glue:text}`order-distinct` *different* minimal
# matches, of {glue:text}`order-least` to {glue:text}`order-most` neurons, {glue:text}`order-median:.0f` in the median.
# The order of the index gives {glue:text}`order-index` neurons; {glue:text}`order-share:.0f` % of the random orders
# give as many or more. Is this neuron's similarity local or distributed? One order may give {glue:text}`order-least`
# neurons and the next {glue:text}`order-most`.
#
# :::{dropdown} Is the order of the index like a random order?
# No, because it tries one whole network first. For {glue:text}`order-outside` of the {glue:text}`order-matched`
# neurons its size lies outside the range of 20 random orders. Another random order would lie outside for at most 2 of
# 21 neurons, on average.
# :::
#
# **One order is one arbitrary sample.** A histogram of "sizes of simple matches" from a single pass depends on the
# numbers of the neurons, which have no meaning. You can report these instead:
#
# - The *spread* over many orders, with the order or the seeds published.
# - The *smallest* match found, with a bound. Here it has {glue:text}`order-best` neurons, and a search (below) proves
#   that no match with this neuron has fewer than {glue:text}`order-bound`.
# - What *does not depend on the order*: {term}`critical ε`, the maximum match, and the neurons that are in every match with
#   $v$.
#
# ## What does not depend on the order
#
# :::{prf:definition} Violation, essential
# :label: def-violation
# Let $S$ be a match. For $u, w \in S$ write $u \to w$ if $w$ is farther than ε from the other side of $S \setminus u$:
# to delete $u$ alone is to make $w$ fall. The arrows are the *violation graph* of $S$. A neuron $u$ is *essential* to
# $v \in S$ if every match inside $S$ that contains $v$ contains $u$.
# :::
#
# By {prf:ref}`lem-deletion-update` the matrix that we already have gives the whole graph: $u \to w$ exactly when
# $r_w^2 + a_{uw}^2 / P_{uu} > \varepsilon^2$. No deletion is necessary.
#
# :::{prf:proposition} The violation graph
# :label: prp-essential
# 1. If a path of arrows leads from $u$ to $v$, then $u$ is essential to $v$.
# 2. The converse is false.
# 3. In {prf:ref}`alg-min`, once the trial of $u$ has failed, every neuron with a path to $u$ or to $v$ would fail, too,
#    then and later. Its trial can be skipped.
# :::
#
# :::{prf:proof}
# 1\. Let $u = u_0 \to u_1 \to \dots \to u_k = v$, and let $T \subseteq S$ be a match without $u$. If $u_i \notin T$, then
# $T \subseteq S \setminus u_i$, so $u_{i+1}$ is farther than ε from the other side of $T$ ({prf:ref}`lem-monotone-distance`)
# and not in $T$. So none of the $u_i$ is in $T$, and neither is $v$.
#
# 2\. In the plane let $x_1 = (1, 0)$, $x_2 = (0, 1)$, $y_1 = (1, 1)$, $y_2 = (1, 2)$, $y_3 = (0, 1)$, and $\varepsilon = 0$. All five are
# matched. Any two of the $y$ span the plane, so no single deletion makes $x_1$ fall, and no arrow leads to it. But
# without $x_2$ no $y$ is left in the span of $x_1$: all three fall, and then $x_1$. So $x_2$ is essential to $x_1$.
#
# 3\. A path to $v$ is part 1. A failed trial says that $v \notin M(S \setminus u)$: every match inside $S$ that contains $v$ contains $u$. By 1, a
# match with $u$ contains every $t$ with a path to $u$; so $v$ is in no match without $t$. And
# $M(S' \setminus t) \subseteq M(S \setminus t)$ for all later $S' \subseteq S$.
# :::
#
# All essential neurons, not only those the arrows show, are found with one trial for each $u$: $u$ is essential to $v$
# in $S$ exactly when $v \notin M(S \setminus u)$. ([The chapter before](uniqueness.ipynb) used this: a v-minimum match
# exists exactly when the essential neurons of $v$ are themselves a match, {prf:ref}`prp-certificate`.)

# %%
needs = matching.essential_neurons(small, small_epsilon)
plain = Plain(*small_arrays, small_epsilon, small.ridge)
edges = plain.violations(frozenset(members))
shown = {u: len(reaching(edges, [u])) for u in members}
complete = max(members, key=lambda u: (shown[u] == len(needs[u]), shown[u]))
hidden = max(members, key=lambda u: len(needs[u]) - shown[u])

# %% tags=["remove-cell"]
exact = sum(shown[u] == len(needs[u]) for u in members)
glue("graph-exact", exact, display=False)
glue("graph-complete", drawings.label(complete), display=False)
glue("graph-complete-size", shown[complete], display=False)
glue("graph-hidden", drawings.label(hidden), display=False)
glue("graph-hidden-shown", shown[hidden], display=False)
glue("graph-hidden-needs", len(needs[hidden]), display=False)

# %% [markdown]
# The same layer as before, twice. Above for {glue:text}`graph-complete`: red arrows lead to it from all
# {glue:text}`graph-complete-size` neurons that are essential to it (thick frames), itself included. Below for
# {glue:text}`graph-hidden`: the arrows show {glue:text}`graph-hidden-shown`, but {glue:text}`graph-hidden-needs`
# neurons are essential. So the converse fails on a real layer, too.

# %% tags=["hide-input", "shows-def-violation", "shows-prp-essential"] mystnb={"image": {"alt": "Two drawings of the same graph with x neurons above and y neurons below and arrows between them. In the upper one most neurons are full and framed, joined by red arrows. In the lower one more neurons are framed than full: some essential neurons are not reached by arrows."}, "figure": {"caption": "The violation graph of a real layer. An arrow from u to w: without u alone, w falls. Full: a path leads to the chosen neuron. Thick frame: essential to it.", "name": "fig-violations"}}
figure, axes = plt.subplots(2, 1, figsize=(8.4, 5.6))
for ax, u in zip(axes, (complete, hidden), strict=True):
    traces.violation_graph(ax, edges, u, needs[u])
    ax.set_title(f"essential to {drawings.label(u)}", loc="left")
plt.show()

# %% [markdown]
# For {glue:text}`graph-exact` of the {glue:text}`trace-members` neurons the arrows show all there is. `{{layer}}` is
# different. Of its {glue:text}`order-matched` matched neurons, {glue:text}`order-some` have an essential neuron other
# than themselves. The {glue:text}`order-distinct` sampled minimal matches of {glue:text}`widest` have
# {glue:text}`order-shared` in common, including {glue:text}`widest`. Here hardly any single neuron is necessary, but
# some group of neurons is.
#
# ## All minimal matches
#
# To find a *new* minimal match, make all known ones impossible: delete one neuron from each. If $v$ survives, there is
# a match that contains none of these neurons.
#
# :::{prf:algorithm} all_min_match
# :label: alg-all-min
# **Input** a neuron $v$ of the maximum match $S$, ε.
#
# 1. $\mathcal M \leftarrow \{m\}$, where $m$ is the v-minimal match that {prf:ref}`alg-min` finds.
# 2. For each smallest set $D$ that contains a neuron other than $v$ of every $m \in \mathcal M$, not tested before: let $T
#    \leftarrow M(S \setminus D)$. If $v \in T$, add the minimal match that {prf:ref}`alg-min` finds inside $T$ to $\mathcal M$, and
#    begin step 2 again.
# 3. Return $\mathcal M$.
# :::
#
# :::{dropdown} What *smallest* means, and where the method comes from
# "Smallest" means that no part of $D$ does the same. The paper takes one neuron from each $m$ in every combination.
# This includes the smallest sets. In data mining the same scheme is known as *dualize and advance* (Gunopulos,
# Khardon, Mannila and Toivonen, 1997).
# :::
#
# :::{prf:theorem} all_min_match is correct
# :label: thm-all-min-correct
# {prf:ref}`alg-all-min` stops and returns exactly the v-minimal matches.
# :::
#
# :::{prf:proof}
# What it returns are v-minimal matches: a v-minimal match inside $T$ is v-minimal inside $S$, since a smaller match
# with $v$ would lie in $T$ as well. Each is new: it misses $D$, and every known $m$ meets $D$. There are finitely
# many, so it stops.
#
# Suppose that a v-minimal $m^*$ is not in $\mathcal M$ at the end. No $m \in \mathcal M$ lies inside $m^*$, for then
# it would be
# $m^*$. So each $m$ has a neuron $u_m \notin m^*$, and $u_m \ne v$. The set of the $u_m$ contains a smallest set $D$ as in step
# 2. It misses $m^*$, so $m^* \subseteq M(S \setminus D)$ and $v$ survived the test of $D$. But then step 2 added a match and began
# again, against the assumption that it had ended with this $\mathcal M$. (If $D$ was tested earlier and $v$ survived,
# the match added then misses $D$, but $D$ meets all of $\mathcal M$: impossible.)
# :::
#
# The weak point is the list of sets $D$. For $k$ known matches of $s$ neurons there may be $s^k$ of them. The list
# changes with every new match, and all sets must be tested before the end. The code of this book uses another method.
# It *splits* the search at a known match $m = \{v, u_1, u_2, \dots\}$. Any other minimal match misses some $u_i$. Let
# $u_i$ be the *first* that it misses. Then it lies in $S \setminus u_i$ and holds $u_1, \dots, u_{i-1}$. These cases
# exclude each other, so no match comes out twice.
#
# :::{prf:algorithm} Split
# :label: alg-split
# **Input** $v$, a set $S$ of neurons, a set $H$ of neurons to hold. **Call** split($v$, all neurons, ∅).
#
# 1. $T \leftarrow M(S)$. If $H \cup \{v\} \not\subseteq T$, return.
# 2. $m \leftarrow$ a v-minimal match inside $T$: one met before, or one from {prf:ref}`alg-min`. If $H \subseteq m$, output $m$.
# 3. For each $u \in m \setminus (H \cup \{v\})$ in order: split($v$, $T \setminus u$, $H$), then add $u$ to $H$.
# :::
#
# :::{prf:theorem} Splitting is correct
# :label: thm-split-correct
# {prf:ref}`alg-split` outputs every v-minimal match that lies inside $S$ and contains $H$, each exactly once.
# :::
#
# :::{prf:proof}
# By induction on $|S|$. Let $m^* \subseteq S$ be v-minimal with $H \subseteq m^*$. It is a match, so
# $m^* \subseteq T$, and step 1 does not return. If $m^* = m$, step 2 outputs it, and no call of step 3 does, because
# each lacks a neuron of $m$. If $m^* \ne m$, then $m \not\subseteq m^*$, as $m^*$ is minimal. Since
# $H \cup \{v\} \subseteq m^*$, there is a first $u_i \in m \setminus (H \cup \{v\})$, in the order of step 3, that is
# not in $m^*$. In the call for $u_i$ the set is $T \setminus u_i \supseteq m^*$, smaller than $S$, and the held
# neurons are $H \cup \{u_1, \dots, u_{i-1}\} \subseteq m^*$; by induction $m^*$ is output there once. An earlier call
# lacks some $u_j \in m^*$, $j < i$; a later one holds $u_i \notin m^*$. Neither outputs $m^*$. And what is output in
# any call is v-minimal, lies inside $S$ and contains $H$.
# :::
#
# We run both methods on families in which the number of minimal matches is known: the switches of {prf:ref}`prp-many`,
# with $2^k$, and the wide layers of {prf:ref}`prp-wide`. The table counts the $x_1$-minimal matches, the rounds of
# {prf:ref}`alg-max` that each method needs, and the sets $D$ that {prf:ref}`alg-all-min` must test before it stops.

# %% tags=["shows-alg-all-min", "shows-thm-all-min-correct", "shows-alg-split", "shows-thm-split-correct"]
e = np.sin(0.2) + 1e-3
cases = {f"switches, k = {k}": (*families.switches(k, 2, 0.2), e) for k in (2, 3, 4)}
cases |= {f"wide, n = {n}": (*families.general_position(n, 2), 1e-6) for n in (3, 4)}
rows = []
for name, case in cases.items():
    one, two, x1 = Plain(*case), Plain(*case), ("x", 0)
    matches = one.all_min_match(x1)
    assert set(matches) == set(two.split(x1))
    failing = hitting_sets(matches, x1)
    rows.append([name, len(matches), one.rounds, two.rounds, len(failing)])
columns = ["family", "minimal", "rounds, by sets", "rounds, by split", "failing sets"]
figures.table(pd.DataFrame(rows, columns=columns), label="Two ways to list all")

# %% tags=["remove-cell"]
glue("split-more", float(100 * max(split / sets - 1 for _, _, sets, split, _ in rows)), display=False)

# %% [markdown]
# :::{dropdown} Why we split all the same
# The split needs up to {glue:text}`split-more:.0f` % more rounds here. It has three advantages. It needs no list of
# sets. Matches come out one by one, so one may stop at any time. And for each part that is still to be searched we
# know neurons $H$ that all its matches contain. If we always search the part with the smallest $H$ first, the size of
# $H$ is a *lower bound* for all matches that are still to come. `smallest_match` uses this bound.
# :::
#
# :::{dropdown} How long does the list take?
# The time to list all matches grows with their number, and {prf:ref}`prp-many` and {prf:ref}`prp-wide` say how large
# it can be. `minimal_matches(x, y, v, epsilon, limit=...)` stops at a limit and says so in `.complete`. If the
# structure is unique ({prf:ref}`thm-uniqueness`), one run of min_match for each neuron is enough.
# :::
#
# ## Every neuron in one ordered pass
#
# A histogram of sizes needs a minimal match for *every* $v$. Separate runs for $v$ and $w$ repeat work. As long as
# each trial had equal results for both, they work on equal sets $S$. So we process a whole set $V$ of targets
# together, and branch only where a trial has different results for them.
#
# :::{prf:algorithm} One ordered pass
# :label: alg-all-v
# **Input** a match $S$, targets $V \subseteq S$, an order $u_1, u_2, \dots$ of trials. **Call** pass($S$, $V$, 1) with the maximum match.
#
# pass($S$, $V$, $i$): for $k = i, i + 1, \dots$, if $u_k \in S$ and $V \ne \{u_k\}$:
#
# 1. $T \leftarrow M(S \setminus u_k)$. The targets in $T$ survive, the others fall.
# 2. If all survive, $S \leftarrow T$. If all fall, leave $S$ as it is.
# 3. Otherwise return pass($T$, $V \cap T$, $k + 1$) together with pass($S$, $V \setminus T$, $k + 1$).
#
# When the trials are used up: $S$ is the match of every $v \in V$.
# :::
#
# :::{prf:proposition} One pass equals separate passes
# :label: prp-all-v
# {prf:ref}`alg-all-v` gives every $v$ the same match as {prf:ref}`alg-min` does in the same order, with at most as
# many trials in all.
# :::
#
# :::{prf:proof}
# Follow one $v$. In {prf:ref}`alg-min` its state after $k$ trials is a set $S_k(v)$, and the next trial replaces it by
# $T = M(S_k(v) \setminus u)$ if $v
# \in T$ and keeps it otherwise. This depends on $S_k(v)$ and $u$ only, not on other targets. In the pass, $v$ always belongs to one branch. By induction its set is $S_k(v)$: this is true at the start, and in each of the three cases the set of $v$ changes as in {prf:ref}`alg-min`. One
# difference remains. {prf:ref}`alg-min` never tries $u = v$, while the pass may try a target $u \in V$ when there are
# other targets. Then $u$ itself falls, so it goes to the branch that keeps $S$, as if there had been no trial. For the
# count: each trial of the pass serves at least one target other than $u$, for which {prf:ref}`alg-min` makes the same
# trial; assign it to that target. No two trials of the pass are assigned to the same trial.
# :::

# %% tags=["shows-alg-all-v", "shows-prp-all-v"]
rows = []
for name in (small_layer, "relu1_2", "logits"):
    part = recorded.pair(name)
    arrays = drawings.representatives(part)
    apart, together = (Plain(*arrays, 0.5, part.ridge) for _ in range(2))
    match = apart.max_match()
    separate = {u: apart.min_match(u, match) for u in sorted(match)}
    assert together.min_match_of_each(match, match, sorted(match)) == separate
    rows.append([name, len(match), len(apart.trials), len(together.trials)])
columns = ["layer", "targets", "trials apart", "trials together"]
figures.table(pd.DataFrame(rows, columns=columns), label="Trials saved")

# %% [markdown]
# ## What it costs
#
# :::{prf:proposition} Trials and deletions
# :label: prp-cost
# Let the two sides have at most $n$ neurons each, $d$ samples, and let the maximum match have $s$ neurons.
#
# 1. The peel makes $n_x + n_y$ deletions and gives the maximum match for every ε.
# 2. {prf:ref}`alg-min` makes at most $s - 1$ trials with at most $s (s - 1)$ deletions, of which at most $s - 1$ are final.
# 3. With {prf:ref}`lem-deletion-update`, after one pass over the data of $O(n^2 d)$, the peel costs $O(n^3)$, and once the maximum
#    match is known, one minimal match costs $O(s^2 n^2)$. With least squares from the samples in every round, one maximum match
#    may cost $O(n^3 d)$, and once it is known, one minimal match $O(s^2 n^2 d)$.
# :::
#
# :::{prf:proof}
# 1 is {prf:ref}`alg-peel` and {prf:ref}`thm-peel`. For 2: each of the $s - 1$ neurons other than $v$ is tried at most
# once, and a trial deletes at most the $s$ neurons of $S$. The final deletions take distinct neurons from $S$, and
# never $v$. For 3: the Gram matrix takes $O(n^2 d)$, its inverse $O(n^3)$, and a deletion updates $O(n^2)$ numbers.
# For least squares, a round costs $O(n^2 d)$. It deletes at least one neuron or is the last ({prf:ref}`prp-rounds`).
# So there are at most $2n + 1$ rounds in a maximum match, and at most $s^2$ rounds in the trials of a minimal one.
# :::
#
# These are bounds for the worst case. What happens in practice? The cell runs the straightforward algorithms and the
# code of this book on two layers in which every neuron is matched. It checks that both find equal matches.


# %%
def rotations(n, samples=1000, seed=0):
    """Two layers that rotate the same n features, with 2 % noise: all matched."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, samples))
    turn = [np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in "xy"]
    turned = [rotation @ features for rotation in turn]
    return [side + 0.02 * rng.standard_normal(side.shape) for side in turned]


def seconds(work, least=0.05):
    """CPU time of one call, the mean over `least` seconds of calls; and the answer."""
    start, count = time.process_time(), 0
    while count == 0 or time.process_time() - start < least:
        answer, count = work(), count + 1
    return (time.process_time() - start) / count, answer


# %% tags=["shows-prp-cost"]
def compare(n, v=("x", 0), e=0.3):
    """CPU seconds of each way with n neurons per network; the matches must agree."""
    x, y = rotations(n)
    work = {
        "published, one ε": lambda: published.maximum_match(x, y, e),
        "engine, every ε": lambda: matching.critical_epsilons(x, y),
        "published, one v": lambda: Match(*published.minimal_match(x, y, v, e)),
        "engine, one v": lambda: minimal_match(x, y, v, e),
        "engine, every v": lambda: minimal_match_of_each(x, y, e)[v],
    }
    timed = {name: seconds(call) for name, call in work.items()}
    kept, critical = (timed[name][1] for name in list(work)[:2])
    assert all(np.array_equal(k, np.flatnonzero(c <= e)) for k, c in zip(kept, critical, strict=True))
    assert len({timed[name][1] for name in list(work)[2:]}) == 1
    return {name: took for name, (took, _) in timed.items()}


minimal_match_of_each(*rotations(4), 0.3)  # compiles, once
measured = pd.DataFrame([compare(n) for n in sizes], index=sizes)

# %% [markdown]
# Both axes are logarithmic.

# %% tags=["hide-input"] mystnb={"image": {"alt": "CPU seconds against neurons per network on logarithmic axes. The published minimal match rises steeply and lies orders of magnitude above the engine, whose curve for every neuron at once lies below the published curve for a single neuron."}, "figure": {"caption": "Measured CPU time with 1000 samples. Dashed: minimal matches. The engine finds one for every neuron v in less time than the straightforward algorithm takes for one v.", "name": "fig-cost"}}
figure, ax = plt.subplots(figsize=(7.6, 4.2))
for name, mark, line in zip(measured, "osos^", ("-", "-", "--", "--", "--"), strict=True):
    colour = drawings.COLOURS["y" if "published" in name else "x"]
    ax.loglog(sizes, measured[name], marker=mark, linestyle=line, label=name, color=colour)
ax.set(xlabel="neurons per network", ylabel="CPU seconds", xticks=sizes, xticklabels=sizes)
ax.minorticks_off()
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% tags=["remove-cell"]
slope = np.polyfit(np.log(sizes), np.log(measured["published, one v"]), 1)[0]
glue("cost-slope", float(slope), display=False)
glue("cost-n", sizes[-1], display=False)
glue("cost-ratio", float(measured["published, one v"].iloc[-1] / measured["engine, one v"].iloc[-1]), display=False)
glue("cost-max", float(measured["published, one ε"].iloc[-1] / measured["engine, every ε"].iloc[-1]), display=False)

# %% [markdown]
# With {glue:text}`cost-n` neurons on each side, our code finds one minimal match {glue:text}`cost-ratio:.0f` times
# faster than the straightforward algorithm. The time of the straightforward algorithm grows like $n$ to the power
# {glue:text}`cost-slope:.1f` here. Its maximum match for a single ε takes {glue:text}`cost-max:.1f` times as long as
# our peel for every ε. The factors
# grow with the layers ([measured here](speed.ipynb)).
#
# ## In short
#
# - All algorithms use one step: delete a neuron and see which others fall. As an update it costs $n^2$ and needs no
#   samples.
# - min_match needs one trial per neuron, because a trial that failed once would always fail. Each order gives a
#   minimal match, and different orders can give different ones.
# - One order is an arbitrary sample. Report the range of sizes, the smallest size with a bound, essential neurons,
#   and critical ε.
# - All minimal matches can be listed without repetition. The time depends on their number.
# - For all $v$ at once, process the targets together until a trial separates them. Each gets the match of a separate
#   run.
#
# ## Exercises
#
# :::{exercise} What all minimal matches share
# :label: ex-share
# 1. Show that $u$ is essential to $v$ exactly when $u$ is in every v-minimal match.
# 2. A thousand random orders gave v-minimal matches that have only $v$ in common. What does that prove?
# 3. Suppose instead that they all contained $u$. What does that prove? How would you settle it with one trial?
# :::
#
# :::{solution} ex-share
# :class: dropdown
# 1\. v-minimal matches are matches that contain $v$, so an essential neuron is in all of them. Conversely let $u$ be in every v-minimal match, and let
# $T$ be any match that contains $v$. There is a v-minimal match inside $T$ ({prf:ref}`lem-minimal-exists`), so $u \in T$.
#
# 2\. It proves that no neuron but $v$ itself is essential to $v$: a sample is enough to refute.
#
# 3\. It proves nothing. There may be a minimal match without $u$ that is very unlikely. By
# {prf:ref}`prp-random-reach` its probability is positive, but it may be tiny. One trial settles it: $u$ is essential
# exactly when $v \notin M(S \setminus u)$.
# :::

# %% [markdown]
# :::{exercise} min_match in code
# :label: ex-min-match
# Write `min_match(x, y, v, epsilon, order)` for two arrays of activations: a `Match` that is v-minimal, or `None`. Try
# the neurons of `order` one by one. `largest_match_inside(x, y, match, epsilon)` is $M(S)$; `match.neurons` lists a
# match's neurons, and `Match.of(list)` makes one.
# :::
#
# :::{solution-start} ex-min-match
# :class: dropdown
# :::


# %% tags=["solution"]
def min_match(x, y, v, epsilon, order):
    """A v-minimal match, the neurons tried in the given order; None when v is in no match."""
    match = maximum_match(x, y, epsilon)
    if v not in match:
        return None
    for u in order:
        if u != v and u in match:
            rest = Match.of([w for w in match.neurons if w != u])
            smaller = largest_match_inside(x, y, rest, epsilon)
            match = smaller if v in smaller else match
    return match


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-min-match", min_match)

# %% [markdown]
# :::{exercise} The next sets to test
# :label: ex-smallest-sets
# Write `smallest_sets(matches, v)` for step 2 of {prf:ref}`alg-all-min`: all smallest sets $D$ that contain a neuron
# other than $v$ of every match in the list `matches`. Neurons are named `("x", 0)`, matches are frozensets of neurons.
# Few matches, few neurons: it need not be fast.
# :::
#
# :::{solution-start} ex-smallest-sets
# :class: dropdown
# :::


# %% tags=["solution"]
def smallest_sets(matches, v):
    """One neuron of each match in every combination, less those that contain another."""
    picks = {frozenset(pick) for pick in product(*(match - {v} for match in matches))}
    return [pick for pick in picks if not any(other < pick for other in picks)]


# %% [markdown]
# Why is every smallest set among the combinations? A smallest $D$ contains a neuron $u_m$ of each match $m$. The set
# of these $u_m$ already meets every match, so it is all of $D$.
#
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-smallest-sets", smallest_sets)

# %% [markdown]
# :::{exercise} A larger ε
# :label: ex-larger-epsilon
# At ε = {{epsilon}} the minimal matches of `{{layer}}` are large. Predict before you run the cell: at ε = 0.5, will
# the maximum match grow? Will the *smallest* minimal match of a neuron grow or shrink? Will the one found in the order
# of the index always do the same?
# :::
#
# :::{solution-start} ex-larger-epsilon
# :class: dropdown
# :::

# %% tags=["solution"]
larger = {u: len(m) for u, m in minimal_match_of_each(pair, 0.5).items()}
print("maximum match:", len(whole), "→", len(maximum_match(pair, 0.5)))
print("median size in order of index:", np.median(list(by_index.values())), "→", np.median(list(larger.values())))
print("neurons whose match in this order grew:", sum(larger[u] > by_index[u] for u in by_index), "of", len(by_index))

# %% [markdown]
# The maximum match grows ({prf:ref}`lem-monotone`). A match at ε is also a match at every larger ε, so it contains a
# v-minimal match of the larger ε: the *smallest* size can only shrink. For one fixed order there is no such rule: the
# trials meet other sets and may end in a larger match than before. In deep layers most matches become much smaller,
# because at a larger ε fewer directions must be explained.
#
# :::{solution-end}
# :::
