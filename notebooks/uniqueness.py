# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # When the structure is unique
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** under which conditions every neuron has only one {term}`minimal match`, and why each condition is needed.
# You also learn how far recorded networks are from these conditions, and how to check directly whether a minimal
# match is unique.
#
# **You need first** [simple matches](simple.ipynb), and orthogonal projections; angles between subspaces are
# explained here.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# In the last chapter one neuron had many minimal matches, and which one an algorithm found depended on the order of
# its trials. So a statement such as "this neuron belongs together with those seven" may depend on the order. When is
# there exactly one answer? This leads to a question of geometry: if a vector is close to two subspaces, is it close
# to their intersection?

# %% tags=["parameters"]
networks = {"resnet20": 1, "vgg16_bn": 0.25, "resnet18": 0.25}
seeds = [0, 1]
looked_at = ["stem.relu", "relu1_1", "relu_fc1", "pool", "logits"]
epsilons = [0.2, 0.3, 0.4, 0.5]
map_epsilon = 0.4
chains = 50

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Arc

from helpers import studies
from helpers.matching import essential_neurons, joint, maximum_match, minimum_matches, simple_matches, uniqueness
from helpers.matching.definitions import Distances, all_matches, all_neurons, minimal, name
from helpers.pages import figures
from helpers.pages.chapters import families, lattice
from helpers.pages.filled import glue
from helpers.pages.layer_tables import spoken
from helpers.pages.teaching.exercises import check
from helpers.subspaces import Pair

figures.style()

# %% [markdown]
# The figure shows that the answer can be no. The two lines are the spans of two sets $A$ and $B$ of neurons. They meet
# in one point only, the origin. If the angle θ between them is small, the vector $z$ is near both lines. But it is far
# from the origin.

# %% tags=["hide-input", "shows-lem-two-spans"] mystnb={"image": {"alt": "Two lines through the origin at angle theta, a vector z on the bisector, and its perpendiculars to both lines, each of length sin of half theta."}, "figure": {"caption": "z has distance sin(\u03b8/2) from each of two lines and distance 1 from all they have in common.", "name": "fig-two-lines"}}
theta = np.radians(50)
line, half = np.array([np.cos(theta / 2), np.sin(theta / 2)]), np.cos(theta / 2)
figure, ax = plt.subplots(figsize=(5.6, 3.4))
for sign, label in ((1, "span of $A$"), (-1, "span of $B$")):
    end = line * [1.15, 1.15 * sign]
    ax.plot(*zip((0, 0), end, strict=True), color="#555555")
    ax.text(end[0] + 0.02, end[1], label, va="center")
    ax.plot([1, half * line[0]], [0, sign * half * line[1]], "--", color=lattice.NOT_CLOSED)
    ax.text(1.0, 0.25 * sign, r"$\sin(\theta/2)$", color="#8f5902", va="center")
ax.annotate("", (1, 0), (0, 0), arrowprops={"arrowstyle": "->", "color": lattice.SIMPLE, "linewidth": 2.5})
ax.text(1.04, 0, "$z$", va="center")
half_degrees = np.degrees(theta / 2)
ax.add_patch(Arc((0, 0), 0.5, 0.5, theta1=-half_degrees, theta2=half_degrees, edgecolor="black"))
ax.text(0.28, 0.05, r"$\theta$", va="center")
ax.set(xlim=(-0.1, 1.5), ylim=(-0.62, 0.62), aspect="equal")
ax.set_axis_off()

# %% [markdown]
# ## What uniqueness means
#
# As before a {term}`match` is one set $S$ of neurons of both layers. Recall that a v-minimum match contains $v$ and
# lies inside every match that contains $v$ ({prf:ref}`def-minimum`). A v-minimal match contains $v$ and has no smaller
# match inside it that contains $v$ ({prf:ref}`def-minimal`).
#
# :::{prf:proposition} Three ways to say it
# :label: prp-unique
# For a pair of layers and an ε the following are equivalent.
#
# (i) The intersection of any two matches is a match.
#
# (ii) Every neuron of the maximum match has a v-minimum match.
#
# (iii) Every neuron of the maximum match has exactly one v-minimal match.
#
# If they hold, the simple matches are exactly the v-minimum matches $M_v$. If moreover there is a non-empty match,
# there are at most $|X^*| + |Y^*| - 1$ simple ones.
# :::
#
# :::{prf:proof}
# (i) ⇒ (ii): Let $v$ be in the maximum match. The intersection of all matches that contain $v$ is a match by (i),
# contains $v$, and lies inside each of them.
#
# (ii) ⇒ (i): Let $S$ and $T$ be matches. For $v \in S \cap T$ the match $M_v$ lies inside $S$ and inside $T$. So
# $S \cap T$ is the union of the $M_v$, $v \in S \cap T$, and a union of matches is a match ({prf:ref}`lem-union`).
#
# (ii) ⇔ (iii): A v-minimum match is the only v-minimal one. Conversely, if there is only one v-minimal match, every
# match that contains $v$ contains it, by {prf:ref}`lem-minimal-exists`.
#
# Simple matches are the matches that are v-minimal for some $v$ ({prf:ref}`thm-simple-minimal`); under (iii) these
# are the $M_v$. The map $v \mapsto M_v$ sends the $|X^*| + |Y^*|$ neurons of the maximum match onto the simple
# matches. It is not injective: let $S$ be a non-empty match with the fewest neurons. It has a neuron $x$ of one layer
# and a neuron $y$ of the other, because no neuron is within $\varepsilon < 1$ of the span of the empty set. $M_x$
# lies in $S$ and is not empty, so $M_x = S$, and likewise $M_y = S$. So there are fewer simple matches than neurons.
# :::
#
# Compare with the last chapter: `switches(4)` has 12 neurons and $2^4$ simple matches, so its matches cannot be
# closed under intersection. The next cell counts the pairs of matches whose intersection is no match.

# %% tags=["shows-prp-unique"]
for layers, title in ((families.twins(4), "twins"), (families.switches(4), "switches")):
    matches = all_matches(*layers, 0.0)
    print(title, len(matches), "matches,", len(lattice.broken_intersections(matches)), "broken intersections")

# %% [markdown]
# ## Exact matches: linear independence is enough
#
# At $\varepsilon = 0$ a match is a pair of sets with the same span. The intersection of two spans can be larger than
# the span of the common vectors. For example, two planes in space, spanned by $\{a, b\}$ and $\{c, d\}$, meet in a
# line, although the sets share no vector. Among linearly independent vectors this cannot happen.
#
# :::{prf:theorem} Intersection of exact matches
# :label: thm-intersection-exact
# Let $\varepsilon = 0$, and let the neurons of each layer be linearly independent. Then the intersection of two
# matches is a match.
# :::
#
# :::{prf:proof}
# *If $z_V$ is linearly independent and $A, B \subseteq V$, then
# $\operatorname{span} z_A \cap \operatorname{span} z_B = \operatorname{span} z_{A \cap B}$.* One inclusion is clear.
# A vector in both spans has an expansion in $z_A$ and one in $z_B$. Both are expansions in $z_V$, so by independence
# they are the same one, and only neurons of $A \cap B$ occur in it.
#
# Now let $(X_1, Y_1)$, $(X_2, Y_2)$ be exact matches: $\operatorname{span} z_{X_i} = \operatorname{span} z_{Y_i}$ for
# $i = 1, 2$. Then
#
# $$
# \begin{aligned}
# \operatorname{span} z_{X_1 \cap X_2} &= \operatorname{span} z_{X_1} \cap \operatorname{span} z_{X_2} \\
# &= \operatorname{span} z_{Y_1} \cap \operatorname{span} z_{Y_2} = \operatorname{span} z_{Y_1 \cap Y_2},
# \end{aligned}
# $$
#
# so $(X_1 \cap X_2, Y_1 \cap Y_2)$ is an exact match.
# :::
#
# Both sides must be independent. One copied neuron is enough to destroy the theorem: with $z_x = z_{y_1} = z_{y_2}$,
# both $\{x, y_1\}$ and $\{x, y_2\}$ are matches, and $\{x\}$ is not.
#
# Exact matches of independent layers have more structure than the theorem says. Both sides always have equally many
# neurons, and the neurons can be paired.
#
# :::{prf:proposition} Partners
# :label: prp-partners
# Under the assumptions of {prf:ref}`thm-intersection-exact` every match $(X, Y)$ has $|X| = |Y|$. There is a
# bijection $\sigma : X^* \to Y^*$ such that every match that contains $x$ contains $\sigma(x)$, and conversely. So
# there are at most $|X^*|$ simple matches, half as many as {prf:ref}`prp-unique` allows.
# :::
#
# :::{prf:proof}
# $|X| = \dim \operatorname{span} z_X = \dim \operatorname{span} z_Y = |Y|$. In particular $|X^*| = |Y^*|$, and both
# are bases of the same space: $z_x = \sum_{y \in Y^*} a_{xy} z_y$ with an invertible square matrix $a$. Its
# determinant is a sum over bijections $\sigma$ of $\pm \prod_x a_{x \sigma(x)}$; it is not 0, so for some $\sigma$
# all $a_{x\sigma(x)}$ are non-zero. Fix it. Let $(X, Y)$ be a match and $x \in X$. The expansion of $z_x$ in the
# $z_y$ is unique and uses only $Y$, so $\sigma(x) \in Y$. Hence $\sigma(X) \subseteq Y$, and both have $|X|$
# elements: $\sigma(X) = Y$. So a match contains $x$ exactly when it contains $\sigma(x)$, and $M_x = M_{\sigma(x)}$.
# :::

# %% tags=["shows-thm-intersection-exact", "shows-prp-partners"]
y = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 2, 0], [0, 0, 1, 1]])
x = np.array([y[0], y[1] - y[0], y[2] + y[1], y[3] + y[2] - y[0]])
for v in sorted(all_neurons(x, y)):
    print(f"{v[0]}{v[1] + 1}", [name(m) for m in minimal(all_matches(x, y, 0.0), v)])

# %% [markdown]
# Every neuron has one minimal match. The eight neurons have only four different ones, and each match has as many
# neurons of one layer as of the other.
#
# ## Approximate matches: angles and gaps
#
# Real matches are never exact. At $\varepsilon > 0$ linear independence is not enough, because vectors that are
# almost dependent behave like dependent ones. ({prf:ref}`prp-many` with $\varphi > 0$ has independent sides and
# exponentially many minimal matches.) So we need to measure how independent the neurons are.
#
# :::{prf:definition} Angle between two subspaces
# :label: def-angle
# The angle $\angle(U, W) \in [0, \pi/2]$ between two subspaces $U, W \ne \{0\}$ is the smallest angle between a
# vector of one and a vector of the other:
#
# $$\cos \angle(U, W) = \max \Bigl\{ \frac{\langle u, w \rangle}{\|u\| \|w\|} : 0 \ne u \in U,\ 0 \ne w \in W \Bigr\}.$$
# :::
#
# The vector of $W$ that has the smallest angle with a given $u$ is its projection, and
# $\operatorname{dist}(u, W) = \|u\| \sin \angle(u, W)$. So for all $u \in U$
#
# $$\operatorname{dist}(u, W) \ \ge\ \|u\| \sin \angle(U, W). \qquad (1)$$
#
# :::{prf:definition} Strong linear independence
# :label: def-strong
# Let $\theta \in (0, \pi/2]$. A set of neurons is *θ-strongly linearly independent* if none is dead and any two
# disjoint non-empty subsets $A, B$ have $\angle(\operatorname{span} z_A, \operatorname{span} z_B) \ge \theta$.
# :::
#
# Orthogonal neurons have $\theta = \pi/2$. A finite set of neurons is linearly independent exactly when this holds
# for some $\theta > 0$. (Two spans at angle 0 share a line, and a vector on it has two expansions.) So
# {prf:ref}`thm-intersection-exact` is the case $\varepsilon = 0$ of the next theorem, and there stability always
# holds. Note that θ-strong independence asks for more than large angles between single neurons: three vectors of a
# plane, 60° apart, are not even independent.
#
# The second condition is about ε. If many distances are close to ε, small details decide whether a neuron is matched.
# So we ask for a gap: no distance may lie just above ε.
#
# :::{prf:definition} Stability
# :label: def-stable
# Let $0 \le \varepsilon \le \lambda$. A pair of layers is *(ε, λ)-stable* if $r(v, B) \notin (\varepsilon, \lambda]$
# for every neuron $v$ and every set $B$ of neurons of the other layer, where
# $r(v, B) = \operatorname{dist}(z_v, \operatorname{span} z_B) / \|z_v\|$ is the relative distance
# ({prf:ref}`def-distance`).
# :::
#
# Since $r(v, \emptyset) = 1$, stability is possible only with $\lambda < 1$.
#
# :::{prf:theorem} Intersection of approximate matches
# :label: thm-intersection
# Let both layers be θ-strongly linearly independent and the pair be $(\varepsilon, \lambda)$-stable with
# $\lambda = \bigl(\frac{2}{\sin\theta} + 1\bigr)\varepsilon$. Then the intersection of two ε-matches is an ε-match.
# :::
#
# :::{prf:proof}
# Let $(X_1, Y_1)$ and $(X_2, Y_2)$ be matches, and $x \in X_1 \cap X_2$; scale $z = z_x$ to norm 1, which changes no
# relative distance. Write $C = Y_1 \cap Y_2$ and $A = Y_1 \setminus Y_2$. There are
#
# $$
# \begin{aligned}
# p &= a + c, \quad a \in \operatorname{span} z_A,\ c \in \operatorname{span} z_C, & \|z - p\| &\le \varepsilon, \\
# q &\in \operatorname{span} z_{Y_2}, & \|z - q\| &\le \varepsilon .
# \end{aligned}
# $$
#
# Then $\|p - q\| \le 2\varepsilon$, and $p - q = a - (q - c)$ with $q - c \in \operatorname{span} z_{Y_2}$, because
# $C \subseteq Y_2$. The sets $A$ and $Y_2$ are disjoint, so (1) gives
#
# $$\|a\| \sin\theta \ \le\ \operatorname{dist}(a, \operatorname{span} z_{Y_2}) \ \le\ \|a - (q - c)\| \ \le\ 2 \varepsilon .$$
#
# (If $A$ or $Y_2$ is empty, then $a = 0$ or $q - c = 0$, and $\|a\| \sin\theta \le \|p - q\|$ still holds.) Therefore
#
# $$\operatorname{dist}(z, \operatorname{span} z_C) \ \le\ \|z - c\| \ \le\ \|z - p\| + \|a\| \ \le\ \varepsilon + \frac{2\varepsilon}{\sin\theta} = \lambda .$$
#
# So $r(x, Y_1 \cap Y_2) \le \lambda$, and by stability $r(x, Y_1 \cap Y_2) \le \varepsilon$. This also holds for every
# $y \in Y_1 \cap Y_2$ with the roles of the layers exchanged.
# :::
#
# This is the theorem of the paper {cite}`wang2018towards`. Its constant is not the best possible one, because the proof
# adds up several inequalities that cannot all be equalities at once.
#
# ### The best constant
#
# What is the largest distance that $z$ can have from the common span? Look again at {numref}`fig-two-lines`: $z$ is
# half-way between two lines at angle θ. Its distance to each line is $\sin(\theta/2)$ times its length. Its distance to
# what the lines have in common, the origin, is its length. The next lemma says that this is the worst case.
#
# :::{prf:lemma} Near two spans, near their common span
# :label: lem-two-spans
# Let $V$ be a θ-strongly linearly independent set of neurons, $A, B \subseteq V$, and let $z$ be a vector with
# $\operatorname{dist}(z, \operatorname{span} z_A) \le \delta$ and
# $\operatorname{dist}(z, \operatorname{span} z_B) \le \delta$. Then
#
# $$\operatorname{dist}(z, \operatorname{span} z_{A \cap B}) \ \le\ \frac{\delta}{\sin(\theta/2)} .$$
# :::
#
# :::{prf:proof}
# If one of $A$, $B$ contains the other, the intersection is the smaller one and there is nothing to prove. Otherwise
# let $C = A \cap B$, let $Q$ be the orthogonal projection onto the complement of $\operatorname{span} z_C$, and put
# $w = Qz$, $U = Q \operatorname{span} z_{A \setminus B}$, $W = Q \operatorname{span} z_{B \setminus A}$. So
# $\|w\| = \operatorname{dist}(z, \operatorname{span} z_C)$ is what we must bound.
#
# *(i) Distances.* $\operatorname{span} z_A$ is the orthogonal sum of $\operatorname{span} z_C$ and $U$. Hence
# $\operatorname{dist}(w, U) = \operatorname{dist}(z, \operatorname{span} z_A) \le \delta$, and likewise
# $\operatorname{dist}(w, W) \le \delta$.
#
# *(ii) Angles.* Let $0 \neq u = Qa \in U$ with $a \in \operatorname{span} z_{A \setminus B}$. As
# $W \subseteq \operatorname{span} z_B$, and $u - a \in \operatorname{span} z_C \subseteq \operatorname{span} z_B$,
# and $A \setminus B$ and $B$ are disjoint,
#
# $$
# \begin{aligned}
# \operatorname{dist}(u, W) &\ge \operatorname{dist}(u, \operatorname{span} z_B) = \operatorname{dist}(a, \operatorname{span} z_B) \\
# &\ge \|a\| \sin\theta \ge \|u\| \sin\theta .
# \end{aligned}
# $$
#
# So $\angle(U, W) \ge \theta$: projecting the common part away does not close the angle. (Neither space is $\{0\}$,
# by independence.)
#
# *(iii) One of two angles is at least θ/2.* Let $w \ne 0$. Choose $u \in U$ and $u' \in W$ with the smallest angles
# $\alpha$ and $\beta$ to $w$; both are at most $\pi/2$. Angles between vectors obey the triangle inequality, so
# $\theta \le \angle(u, u') \le \alpha + \beta$, and one of them, say $\alpha$, is at least $\theta/2$. Then
# $\delta \ge \operatorname{dist}(w, U) = \|w\| \sin\alpha \ge \|w\| \sin(\theta/2)$.
# :::
#
# :::{prf:theorem} The best constant
# :label: thm-sharp
# (i) {prf:ref}`thm-intersection` holds with $\lambda = \varepsilon / \sin(\theta/2)$, which is smaller.
#
# (ii) For no $\theta$ does it hold with $\lambda = K\varepsilon$ and a constant $K < 1/\sin(\theta/2)$.
#
# (iii) If $\theta < \pi/2$, this is so even if only arbitrarily small ε are admitted.
# :::
#
# :::{prf:proof}
# (i) Let $x \in X_1 \cap X_2$. {prf:ref}`lem-two-spans` with $A = Y_1$, $B = Y_2$, $z = z_x / \|z_x\|$,
# $\delta = \varepsilon$ gives $r(x, Y_1 \cap Y_2) \le \lambda$; stability makes it $\le \varepsilon$. Likewise for
# $y$. And
# $\frac{1}{\sin(\theta/2)} = \frac{2\cos(\theta/2)}{\sin\theta} \le \frac{2}{\sin\theta} < \frac{2}{\sin\theta} + 1$.
#
# (ii) Let $\mathcal X = \{x\}$ and $\mathcal Y = \{y_1, y_2\}$, unit vectors in the plane, $x$ half-way between $y_1$
# and $y_2$, which have the angle $\theta$. A single neuron is θ-strongly independent for every θ, and so is
# $\mathcal Y$ for this one. The distances are $r(x, y_i) = r(y_i, x) = \sin(\theta/2) =: \varepsilon$,
# $r(x, \mathcal Y) = 0$, and $r(\cdot, \emptyset) = 1 = \varepsilon / \sin(\theta/2)$. So the pair is
# $(\varepsilon, K\varepsilon)$-stable for every $K < 1/\sin(\theta/2)$. But $\{x, y_1\}$ and $\{x, y_2\}$
# are matches, and their intersection $\{x\}$ is not.
#
# (iii) Let $\theta < \theta' \le \pi/2$, and $c, b, d$ orthonormal. Let
# $y_{1,2} = \cos\frac{\theta'}2\, b \pm \sin\frac{\theta'}2\, d$ and $x = \cos\gamma\, c + \sin\gamma\, b$; let
# $\mathcal Y$ consist of $c, y_1, y_2$ and $\mathcal X$ of $x$ and copies of $y_1, y_2$. Then
#
# $$
# \begin{aligned}
# r(x, c) &= r(c, x) = \sin\gamma, \qquad r(x, \{c, y_i\}) = \sin\gamma\, \sin\tfrac{\theta'}2, \\ r(c, \{x, y_i\}) &=
# \frac{\sin\gamma\, \sin\frac{\theta'}2}{\sqrt{1 - \sin^2\gamma \cos^2\frac{\theta'}2}} =: \varepsilon .
# \end{aligned}
# $$
#
# A $y_i$ has distance 0 to every set that holds it, and all distances to all three neurons of the other side are 0.
# As $\gamma \to 0$, every other distance has a limit that is at least $\sin\theta'$, so for small $\gamma$ none lies
# in $(\varepsilon, \sin\gamma)$. $\mathcal Y$ is $\theta'$-strongly independent, and the angle of $\mathcal X$ tends
# to $\theta'$, so both sides are θ-strongly independent for small $\gamma$. The sets $\{x, y_1; c, y_1\}$ and
# $\{x, y_2; c, y_2\}$ are ε-matches, and their intersection $\{x; c\}$ is not, as $\sin\gamma > \varepsilon$. Finally
# $\varepsilon \to 0$ and $\sin\gamma/\varepsilon \to 1/\sin(\theta'/2)$ as $\gamma \to 0$, which is as close to
# $1/\sin(\theta/2)$ as we like.
# :::
#
# ## Dropping one assumption at a time
#
# Neither condition can replace the other. The three neurons in (ii) show this. With θ = 90° the neurons of each side
# are orthonormal, but the gap is narrow, and the conclusion is false. With a small θ the gap is wide, and the
# conclusion is false again, because a small θ asks for a still wider gap.


# %%
def examined(title, x, y, epsilon):
    """Both conditions and the conclusion for a small pair of layers."""
    angles = [uniqueness.strong_independence(z @ z.T).upper for z in (x, y)]
    theta, pair = min(angles), Pair.from_arrays(x, y)
    gap = uniqueness.stability(pair, epsilon + 1e-6).reach
    broken = lattice.broken_intersections(all_matches(x, y, epsilon))
    return {
        "example": title,
        "θ": f"{np.degrees(theta):.0f}°",
        "ε": epsilon,
        "stable below λ/ε =": gap / epsilon if epsilon else np.nan,
        "needed": uniqueness.sharp_constant(theta) if theta > 1e-4 else np.nan,
        "closed": not broken,
    }


# %% tags=["shows-thm-intersection", "shows-thm-sharp", "shows-def-angle", "shows-def-strong", "shows-def-stable"]
right, narrow = np.pi / 2, np.radians(10)
noisy = families.switches(2, 1, 0.05)
cases = [
    ("mixture, small noise", *noisy, np.sin(0.05) + 1e-6),
    ("orthonormal, no gap", *families.bisector(right), np.sin(right / 2)),
    ("wide gap, nearly parallel", *families.bisector(narrow), np.sin(narrow / 2)),
    ("small ε", *families.hinge(1.0, 0.05), 1.001 * np.sin(0.05) * np.sin(0.5)),
    ("a duplicate", np.eye(1), np.ones((2, 1)), 0.0),
]
rows = pd.DataFrame([examined(*case) for case in cases])
figures.table(rows, digits=2, label="Conditions and conclusion")

# %% [markdown]
# In the first row the gap is wider than needed, and the matches are closed under intersection. In the next three rows
# they are not. There the gap is just too narrow: stability with any constant below $1/\sin(\theta/2)$ is not enough.
# In the last row the neurons are not strongly independent.
#
# ## What follows: a graph
#
# Under the assumptions of the theorem a directed graph describes the whole lattice. An arrow means "needs".
#
# :::{prf:proposition} Matches as the closed sets of a graph
# :label: prp-graph
# Let the assumptions of {prf:ref}`thm-intersection-exact` or of {prf:ref}`thm-sharp` (i) hold. Let $v$ be a neuron,
# $\mathcal B$ the other layer, and $r(v, \mathcal B) \le \varepsilon$. There is a set $N(v) \subseteq \mathcal B$,
# what $v$ *needs*, such that for all $B \subseteq \mathcal B$
#
# $$
# \begin{gathered}
# r(v, B) \le \varepsilon \iff N(v) \subseteq B, \\
# N(v) = \{u \in \mathcal B : r(v, \mathcal B \setminus \{u\}) > \varepsilon\} .
# \end{gathered}
# $$
#
# A set $S$ is a match if and only if every $v \in S$ has $r(v, \mathcal B) \le \varepsilon$ and $N(v) \subseteq S$.
# If $v$ is in the maximum match, its v-minimum match is the set of all neurons that can be reached from $v$ along
# arrows $v \to u$, $u \in N(v)$.
# :::
#
# :::{prf:proof}
# Let $\mathcal F$ be the family of all $B \subseteq \mathcal B$ with $r(v, B) \le \varepsilon$. It is not empty. With
# $B$ it contains every larger set, because distances fall as the set grows ({prf:ref}`lem-monotone-distance`). With
# $B_1$ and $B_2$ it contains $B_1 \cap B_2$: for $\varepsilon = 0$ because
# $\operatorname{span} z_{B_1} \cap \operatorname{span} z_{B_2} = \operatorname{span} z_{B_1 \cap B_2}$, otherwise by
# {prf:ref}`lem-two-spans` and stability. So the intersection $N(v)$ of all members is a member, and the members are
# exactly the sets that contain it. A neuron $u$ is in $N(v)$ if no member avoids $u$, that is, if the largest set
# that avoids it, $\mathcal B \setminus \{u\}$, is not a member.
#
# $(X, Y)$ is a match if and only if $r(v, S \cap \mathcal B) \le \varepsilon$ for all its $v$, which now reads $N(v)
# \subseteq S$. A set with this property that contains $v$ contains all that can be reached from $v$. If $v$ is in the
# maximum match, everything that can be reached is in it, too, and has a set of needs. The set of all that can be
# reached contains the needs of its members. So it is a match.
# :::
#
# :::{prf:theorem} Consequences of uniqueness
# :label: thm-uniqueness
# Under the assumptions of {prf:ref}`thm-intersection-exact`, {prf:ref}`thm-intersection` or {prf:ref}`thm-sharp` (i),
# every neuron of the maximum match has a v-minimum match. The simple matches are exactly these, and there are fewer
# than $|X^*| + |Y^*|$ of them if there is a non-empty match. All of them, and the maximum match, are found with
# $2 |\mathcal X| |\mathcal Y| + |\mathcal X| + |\mathcal Y|$ distances and a search in a graph, which is $O(N^3)$
# operations for $N = |\mathcal X| + |\mathcal Y|$ neurons given by their {term}`Gram matrix`.
# :::
#
# :::{prf:proof}
# Matches are closed under intersection by the theorems named; the first two claims are then {prf:ref}`prp-unique`. By
# {prf:ref}`prp-graph` the graph is known from the $r(v, \mathcal B)$ and the $r(v, \mathcal B \setminus \{u\})$. With
# $P = G_{\mathcal B \mathcal B}^{-1}$ and the coefficients $c = P g_v$ of the projection of $z_v$,
# $r(v, \mathcal B \setminus \{u\})^2 = r(v, \mathcal B)^2 + c_u^2 / P_{uu}$ for unit vectors. So one inverse per side
# and a matrix product are enough. A neuron is in the maximum match if and only if everything that can be reached from
# it has $r \le \varepsilon$. A search from one neuron looks at each of at most $N^2$ arrows once, so all searches take
# $O(N^3)$.
# :::
#
# Here is the graph of the exact example above, as a list, and the v-minimum matches that follow from it. Compare them
# with the list that was found by trying all pairs.

# %% tags=["shows-prp-graph", "shows-thm-uniqueness"]
graph = lattice.needs(Distances(x, y), all_neurons(x, y), 1e-7)
rows = [[name([v]).strip(" |"), name(u).strip(" |"), name(lattice.closure(graph, v))] for v, u in graph.items()]
rows = pd.DataFrame(rows, columns=["neuron", "needs", "v-minimum match"])
figures.table(rows, label="What each neuron needs, and its minimum match")

# %% [markdown]
# ## Measuring the conditions
#
# Do recorded networks satisfy the two conditions, strong independence and stability? Both are about exponentially many
# sets of neurons. For the angle θ we can compute bounds from both sides, for the gap a bound from above.
#
# :::{prf:lemma} Cuts are enough
# :label: lem-cut
# Let $A \subseteq A'$ and $B \subseteq B'$. Then
# $\angle(\operatorname{span} z_A, \operatorname{span} z_B) \ge \angle(\operatorname{span} z_{A'}, \operatorname{span} z_{B'})$.
# So the largest θ for which a set $V$ of neurons is θ-strongly independent is the smallest angle between a set $A$
# and its complement $V \setminus A$.
# :::
#
# :::{prf:proof}
# The maximum in {prf:ref}`def-angle` is taken over more vectors for the larger spans. Two disjoint sets $A$, $B$ are
# enlarged to $A$ and $V \setminus A \supseteq B$.
# :::
#
# A layer of $n$ neurons has $2^{n-1} - 1$ *cuts* into two sets. `strong_independence` tries them all for $n \le 14$.
# For larger layers it computes bounds. Any cut gives an upper bound. (The function tries each neuron against all
# others, and cuts by the signs of the eigenvectors of the Gram matrix.) The condition number gives a lower bound:
#
# :::{prf:lemma} θ from the condition number
# :label: lem-wielandt
# Let $\kappa$ be the ratio of the largest to the smallest eigenvalue of the Gram matrix $G$ of linearly independent
# neurons of norm 1. They are θ-strongly independent with
#
# $$\tan\frac{\theta}{2} = \frac{1}{\sqrt{\kappa}}, \qquad\text{and}\qquad \frac{1}{\sin(\theta/2)} = \sqrt{1 + \kappa} .$$
#
# So stability up to $\lambda = \sqrt{1 + \kappa}\;\varepsilon$ is enough for {prf:ref}`thm-sharp` (i), with $\kappa$
# the larger one of the two layers.
# :::
#
# :::{prf:proof}
# Let $u = \sum_{i \in A} a_i z_i$ and $w = \sum_{i \in B} b_i z_i$ have norm 1, $A$ and $B$ disjoint. Extend $a$ and
# $b$ by zeros. They are orthogonal as coefficient vectors, so $\|a + b\| = \|a - b\|$. With $\mu$ and $\kappa\mu$ the
# extreme eigenvalues of $G$,
#
# $$
# \begin{aligned}
# \frac{1 + \langle u, w\rangle}{1 - \langle u, w\rangle} &= \frac{\|u + w\|^2}{\|u - w\|^2} = \frac{(a+b)^\top G\, (a+b)}{(a-b)^\top G\, (a-b)} \\
# &\le \frac{\kappa\mu\, \|a+b\|^2}{\mu\, \|a-b\|^2} = \kappa .
# \end{aligned}
# $$
#
# If $\alpha$ is the angle of $u$ and $w$, the left side is $1/\tan^2(\alpha/2)$. So
# $\tan(\alpha/2) \ge 1/\sqrt\kappa = \tan(\theta/2)$ and $\alpha \ge \theta$. The second formula is
# $1/\sin^2 t = 1 + 1/\tan^2 t$.
# :::
#
# The inequality in this proof is Wielandt's. It is attained by two neurons.
#
# We know no way to prove stability in general without looking at all subsets (`stability` does so for few neurons).
# But it is easy to *refute*: one distance in $(\varepsilon, \lambda]$ is enough. The next lemma computes many
# distances at once.
#
# :::{prf:lemma} A chain of distances from one factorisation
# :label: lem-chain
# Let $y_1, \dots, y_n$ be linearly independent neurons of norm 1 with Gram matrix $G = R^\top R$, $R$ upper
# triangular (Cholesky). Let $z$ have norm 1, $g_i = \langle z_{y_i}, z\rangle$ and $c = R^{-\top} g$. Then for
# $k = 0, \dots, n$
#
# $$r(z, \{y_1, \dots, y_k\})^2 = 1 - c_1^2 - \dots - c_k^2 .$$
# :::
#
# :::{prf:proof}
# $R^\top$ is lower triangular. So the first $k$ rows of $R^\top R = G$ and of $R^\top c = g$ involve only the leading
# block $R_k$: $R_k^\top R_k = G_k$ and $R_k^\top c_{1:k} = g_{1:k}$. The squared length of the projection of $z$ onto
# the span of the first $k$ is $g_{1:k}^\top G_k^{-1} g_{1:k} = \|R_k^{-\top} g_{1:k}\|^2 = c_1^2 + \dots + c_k^2$.
# :::
#
# So a random order of the neurons of one layer gives, for every neuron of the other layer, its distances to $n + 1$
# growing sets. Along a chain the distance falls from 1 to $r(v, \mathcal B)$. If the pair is stable and
# $r(v, \mathcal B) \le \varepsilon$, then on *every* chain there is *one* neuron that takes $v$ from above $\lambda$
# to ε or below. Here are such chains for a real layer.

# %%
results = {
    net: studies.run(studies.Study("cifar10", net, wide, tuple(seeds), "short"), progress=False)
    for net, wide in networks.items()
}
first = next(iter(networks))
pair = results[first].pair(looked_at[0], *seeds)

# %% [markdown]
# Each line is one random order of the second layer's neurons. The vertical axis is the distance of one neuron of the
# first layer. For a stable pair there is a horizontal band that all lines jump across.

# %% tags=["hide-input", "shows-lem-chain"] mystnb={"image": {"alt": "Two panels of forty falling step lines from 1 down. Left, orthonormal twins: every line jumps from 1 to 0 in one step, leaving the whole band between empty. Right, a real layer: the lines fall in steps of all sizes and leave no height free between 1 and their common end."}, "figure": {"caption": "Distances along random chains. Left: a stable example. Right: one neuron of a recorded layer. There is no empty band.", "name": "fig-chains"}}
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True)
rng, cut = np.random.default_rng(0), len(pair.alive_x)
target = int(np.argmin(pair.sides[1].squares))
for ax, gram, v, basis in (
    (axes[0], np.tile(np.eye(cut), (2, 2)), 0, np.arange(cut, 2 * cut)),
    (axes[1], pair.gram, target, np.arange(cut, len(pair.gram))),
):
    for _ in range(40):
        distances = uniqueness.chain_distances(gram, rng.permutation(basis), np.array([v]))
        ax.step(range(len(distances)), distances[:, 0], color=lattice.SIMPLE, alpha=0.3, where="mid")
    ax.set(xlabel="neurons in the set", xticks=range(0, cut + 1, 4))
axes[0].set(title="orthonormal twins", ylabel="relative distance")
axes[1].set_title("a recorded layer")
plt.show()

# %% [markdown]
# ### The whole picture
#
# We may apply the theorem to the neurons of the maximum match alone, because all matches lie in it. So neurons
# outside it need not be independent or stable. The next cell measures both conditions in the maximum match, for every
# layer and ε with a non-empty match.


# %%
def measured(pair, epsilon):
    """Both conditions, and the conclusion, inside the maximum match."""
    inside = pair.keep(joint(pair, maximum_match(pair, epsilon)))
    cut = len(inside.alive_x)
    grams = inside.gram[:cut, :cut], inside.gram[cut:, cut:]
    sides = [uniqueness.strong_independence(gram) for gram in grams]
    gap = uniqueness.stability(inside, epsilon, chains)
    matches = minimum_matches(inside, epsilon).values()
    return {
        "matched": len(matches),
        "θ at least": np.degrees(min(s.lower for s in sides)),
        "θ at most": np.degrees(min(s.upper for s in sides)),
        "gap": gap.reach / epsilon,
        "all subsets": gap.exact,
        "unique": sum(match is not None for match in matches),
    }


# %%
layers = [(net, at) for net in networks for at in looked_at if at in results[net].gram_layers]
pairs = {(net, at): results[net].pair(at, *seeds) for net, at in layers}
rows = [
    {"network": net, "layer": at, "ε": e} | measured(pair, e)
    for (net, at), pair in pairs.items()
    for e in epsilons
    if len(maximum_match(pair, e))
]

# %%
frame = pd.DataFrame(rows)
angles = np.radians(frame["θ at most"])
frame["needed"] = uniqueness.sharp_constant(angles)
frame["refuted"] = frame["gap"] < frame["needed"]
frame["met"] = frame["all subsets"] & ~frame["refuted"]

# %% tags=["remove-cell"]
certain = frame[frame["unique"] == frame["matched"]]
glue("cases", len(frame), display=False)
glue("refuted", int(frame["refuted"].sum()), display=False)
glue("all-unique", len(certain), display=False)
glue("unique-refuted", int(certain["refuted"].sum()), display=False)
glue("met", int(frame["met"].sum()), display=False)
glue("met-largest", max(frame.loc[frame["met"], "matched"], default=0), display=False)
glue("largest-unique", max(certain["matched"], default=0), display=False)
glue("none-unique", int((frame["unique"] == 0).sum()), display=False)
glue("any-unique", int(frame.loc[frame["unique"] > 0, "matched"].max()), display=False)
glue("median-gap", float(frame["gap"].median()), display=False)
glue("median-needed", float(frame["needed"].median()), display=False)

# %% [markdown]
# Each dot is one layer at one ε. Farther to the right means stronger independence, higher means a wider gap. Above
# the lower curve ({prf:ref}`thm-sharp`) matches are closed under intersection. Above the upper curve this follows
# from the paper's constant, too. At every point below the lower curve there is a counter-example. Dots are drawn at
# upper bounds for both conditions. The bounds are exact where all subsets were tried. So only in these cases can a
# dot confirm the conditions; the others can only refute them. The colour shows the true result: the share of matched
# neurons that have a v-minimum match.

# %% tags=["hide-input", "shows-lem-cut", "shows-lem-wielandt"] mystnb={"image": {"alt": "Scatter plot on logarithmic axes, theta in degrees against the gap lambda over epsilon, with two falling curves. Almost all dots lie on the bottom line at a gap of one, far below both curves; two dots with large theta lie above both curves."}, "figure": {"caption": "The conditions of the uniqueness theorem, measured inside the maximum match of recorded layers. A bar joins the lower and the upper bound of \u03b8.", "name": "fig-conditions"}}
figure, ax = plt.subplots(figsize=(7.6, 4.6))
grid = np.radians(np.geomspace(0.3, 90, 200))
ax.plot(np.degrees(grid), uniqueness.paper_constant(grid), "--", color="black", label="2 / sin θ + 1 (paper)")
ax.plot(np.degrees(grid), uniqueness.sharp_constant(grid), color="black", label="1 / sin(θ/2) (best)")
ax.hlines(frame["gap"], frame["θ at least"], frame["θ at most"], color="#999999", linewidth=1)
share = frame["unique"] / frame["matched"]
dots = ax.scatter(
    frame["θ at most"], frame["gap"], c=share, cmap="cividis", vmin=0, vmax=1, edgecolor="#555555", zorder=3
)
figure.colorbar(dots, label="matched neurons with a v-minimum match")
ax.set(xscale="log", yscale="log", xlabel="θ in degrees", ylabel="gap: λ / ε", ylim=(0.9, 400), xlim=(0.3, 95))
ax.set_xticks([0.3, 1, 3, 10, 30, 90], ["0.3", "1", "3", "10", "30", "90"])
ax.set_yticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
ax.legend()
plt.show()
# %% [markdown]
# In {glue:text}`refuted` of {glue:text}`cases` cases the assumptions are refuted, and most are far from true: the
# median gap is {glue:text}`median-gap:.2f`, but {glue:text}`median-needed:.0f` would be needed. In {glue:text}`met`
# cases, with at most {glue:text}`met-largest` matched neurons, all subsets were tried and the assumptions are true.
# There the minimal matches are unique, as the theorem says.
#
# There are two reasons. A layer with many neurons has many subsets, so there are distances everywhere and no gap. And
# it has nearly dependent neurons, so θ is small. Each reason alone is enough.

# %% tags=["hide-cell"]
shown = frame.drop(columns="refuted")
figures.table(shown, digits=2, label="Conditions and uniqueness by layer and ε")

# %% [markdown]
# ## A certificate that needs no assumption
#
# The theorem gives a sufficient condition. But we can also check directly, and fast, whether the minimal match of a
# given neuron is unique.
#
# :::{prf:proposition} Certificate of uniqueness
# :label: prp-certificate
# Let $v$ be in the maximum match. A neuron $u \ne v$ is *essential* to $v$ if $v$ is not in the maximum match of all
# neurons but $u$. Let $E(v)$ be the set of all neurons essential to $v$, and $v$ itself. Then
#
# (i) $E(v)$ is the intersection of all matches that contain $v$;
#
# (ii) $v$ has a v-minimum match if and only if $E(v)$ is a match, and then it is $E(v)$.
#
# So $|X^*| + |Y^*|$ maximum matches decide for all $v$. Without any assumption $|E(v)|$ is a lower bound for the size
# of every match that contains $v$.
# :::
#
# :::{prf:proof}
# (i) Let $u \ne v$. The maximum match of all neurons but $u$ contains all matches without $u$. So a match that
# contains $v$ but not $u$ exists if and only if $v$ is in this maximum match. So $u \in E(v)$ if and only if every
# match that contains
# $v$ contains $u$.
#
# (ii) If $E(v)$ is a match, it contains $v$ and lies in every match that does: it is the v-minimum match. Conversely
# the v-minimum match $M$ is one of the matches that are intersected, and it lies in all of them. So $E(v) = M$ is a
# match.
#
# For every $u$ in the maximum match one maximum match (of all but $u$) decides about $u \in E(v)$ for all $v$.
# Neurons outside the maximum match are in no match. The last claim is (i).
# :::
#
# Read the map by rows. The grey squares in the row of $v$ are the neurons that are in every match with $v$. An orange
# name means that these neurons are a match: the minimal match of this neuron is unique. In the other rows more
# neurons are needed, and there are several choices. The map need not be symmetric: $u$ may be essential to $v$
# although $v$ is not essential to $u$.

# %%
pair = pairs[first, looked_at[0]]
essential = essential_neurons(pair, map_epsilon)
minimum = minimum_matches(pair, map_epsilon)
order = sorted(essential, key=lambda v: (len(essential[v]), min(essential[v])))

# %% tags=["hide-input", "shows-prp-certificate"] mystnb={"image": {"alt": "Square map with one row and one column for each matched neuron; dark squares mark essential neurons. The diagonal is dark; the upper rows have at most one more dark square, the lower rows are dark over most of their length. About half of the row names are orange."}, "figure": {"caption": "Essential neurons of a recorded layer. Row: the neuron v; grey: the neurons essential to it. Orange names: v has a v-minimum match.", "name": "fig-essential"}}
figure, ax = plt.subplots(figsize=(6.2, 5.6))
table = np.array([[u in essential[v] for u in order] for v in order])
ax.pcolormesh(table, cmap="Greys", vmax=1.3, edgecolors="#dddddd", linewidth=0.5)
names = [f"{s}{i + 1}" for s, i in order]
middle = np.arange(len(names)) + 0.5
ax.set_xticks(middle, names, rotation=90, fontsize=9)
ax.set_yticks(middle, names, fontsize=9)
ax.invert_yaxis()
for text, v in zip(ax.get_yticklabels(), order, strict=True):
    text.set(color="#b35c00" if minimum[v] else "#555555", weight="bold" if minimum[v] else "normal")
ax.set(xlabel="u", title=f"ε = {map_epsilon:g}")
ax.set_ylabel("v", rotation=0)
ax.grid(visible=False)

# %% [markdown]
# The last figure shows how uniqueness depends on ε, for layers with at most {glue:text}`largest-side` neurons per
# network. Left: the share of matched neurons whose minimal match is unique. Right: the number of simple matches
# divided by $|X^*| + |Y^*|$. If the minimal matches are unique, this is below 1. We stop counting at
# {glue:text}`stop` simple matches.

# %%
stop, largest_side, fine = 300, 32, np.arange(0.2, 0.51, 0.025)


def unique_and_simple(pair, epsilon):
    """The share of unique minimal matches, and simple matches per neuron."""
    matches = minimum_matches(pair, epsilon).values()
    count = len(simple_matches(pair, epsilon, limit=stop))
    return np.mean([match is not None for match in matches]), count / len(matches)


# %%
curves = [
    [f"{spoken(net)}, {at}", e, *unique_and_simple(pair, e)]
    for (net, at), pair in pairs.items()
    for e in fine
    if pair.n_x <= largest_side and len(maximum_match(pair, e))
]
curves = pd.DataFrame(curves, columns=["layer", "ε", "share", "ratio"])

# %% tags=["remove-cell"]
glue("stop", stop, display=False)
glue("largest-side", largest_side, display=False)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two line plots against epsilon, a line for each layer. Left: the share of neurons with a unique minimal match falls from 1 at small epsilon towards 0 at 0.5. Right: the number of simple matches over the number of matched neurons rises from below one to far above one."}, "figure": {"caption": "Uniqueness is lost as more neurons match. Left: share of matched neurons with a v-minimum match. Right: simple matches per matched neuron; above the dashed line uniqueness is impossible.", "name": "fig-uniqueness"}}
figure, axes = plt.subplots(1, 2, figsize=(7.6, 4.2))
markers = "osD^vPX*hd<>"
for marker, (title, line) in zip(markers, curves.groupby("layer", sort=False), strict=False):
    axes[0].plot(line["ε"], line["share"], marker=marker, markersize=5)
    axes[1].plot(line["ε"], line["ratio"], marker=marker, markersize=5, label=title)
axes[0].set(xlabel="ε", ylabel="share with a v-minimum match", ylim=(-0.03, 1.05))
axes[1].set(xlabel="ε", ylabel="simple matches per neuron", yscale="log")
axes[1].axhline(1, color="black", linestyle="--")
figure.legend(loc="outside lower center", ncols=2, fontsize=9)
plt.show()

# %% [markdown]
# The table has {glue:text}`cases` cases. In {glue:text}`all-unique` of them the minimal match of every neuron is
# unique. The largest of these has {glue:text}`largest-unique` matched neurons. In {glue:text}`unique-refuted` of them
# the assumptions of the theorem are refuted. In {glue:text}`none-unique` cases no neuron has a v-minimum match. These
# include every case with more than {glue:text}`any-unique` matched neurons. So the theorem explains only a part of
# the unique matches; for the others we need the certificate. And where many neurons match, minimal matches are not
# unique. So a study of simple matches in real networks must deal with many minimal matches per neuron. [The next
# chapter](algorithms.ipynb) has the algorithms.
#
# ## In short
#
# - Three things are equivalent: unique minimal matches, v-minimum matches, and closure under intersection
#   ({prf:ref}`prp-unique`).
# - At $\varepsilon = 0$ linear independence of each layer is enough for them ({prf:ref}`thm-intersection-exact`).
# - At $\varepsilon > 0$ a large angle θ and a gap above ε are enough ({prf:ref}`thm-intersection`). The best constant for
#   the gap is $1/\sin(\theta/2)$ ({prf:ref}`thm-sharp`).
# - Under these conditions a graph of needs describes all matches, and they can be computed fast ({prf:ref}`prp-graph`,
#   {prf:ref}`thm-uniqueness`).
# - When many neurons of a real layer match, these conditions are far from true. The certificate
#   ({prf:ref}`prp-certificate`) says for each neuron whether its minimal match is unique.
#
# ## Exercises
#
# :::{exercise} The bisector at every ε
# :label: ex-bisector
# Three neurons in the plane: $x$ half-way between $y_1$ and $y_2$, which have the angle $\theta < \pi/2$. For each
# $\varepsilon \in [0, 1)$, what are the matches? For which ε is there a non-empty match, and for which is $x$'s
# minimal match unique? Note that $r(x, \{y_1, y_2\}) = 0$ at every ε; why does it not help?
# :::
#
# :::{solution} ex-bisector
# :class: dropdown
# $r(y_i, x) = r(x, y_i) = \sin(\theta/2)$. If $\varepsilon < \sin(\theta/2)$, no $y_i$ can be in a match: the other
# side offers at most $x$, and $x$ is too far. Without a $y$ there is no $x$. So only the empty match.
# $r(x, \{y_1, y_2\}) = 0$ does not help because a match asks both ways: $x$ lies in the plane of the $y$, but the
# plane does not lie in the line of $x$.
#
# If $\varepsilon \ge \sin(\theta/2)$: $x \mid y_1$, $x \mid y_2$ and their union, and the empty match. $x$ has two
# minimal matches at each of these ε, so it is never unique; $y_1$ and $y_2$ have one each.
# :::
#
# :::{exercise} Three neurons at 60°
# :label: ex-equiangular
# Three neurons in space have norm 1 and pairwise angles of 60°, so $G = \frac12 (I + J)$ with $J$ the matrix of ones.
# Why is θ smaller than 60°? Compute θ by {prf:ref}`lem-cut`, the bound that {prf:ref}`lem-wielandt` gives, and how
# far the pair must be stable in both cases.
# :::
#
# :::{solution} ex-equiangular
# :class: dropdown
# θ is about spans, and the plane of two of the neurons comes closer to the third than either of the two. By symmetry
# there is one kind of cut, one neuron against two. With $g = (\frac12, \frac12)$ and the Gram matrix of the two,
#
# $$\sin^2\theta = 1 - g^\top \begin{pmatrix} 1 & \frac12 \\ \frac12 & 1 \end{pmatrix}^{-1} g = 1 - \frac13 = \frac23, \qquad \theta \approx 54.7° .$$
#
# The eigenvalues of $G$ are $2, \frac12, \frac12$, so $\kappa = 4$, $\tan(\theta/2) \ge \frac12$ and
# $\theta \ge 53.1°$: not far off. Needed are $\lambda = 2.18\,\varepsilon$ by the exact θ and
# $\sqrt{5}\,\varepsilon \approx 2.24\,\varepsilon$ by the condition number. (The paper's constant asks for
# $3.45\,\varepsilon$.)
# :::
#
# :::{exercise} Follow the needs
# :label: ex-follow-needs
# Write `minimum_match(needs, v)`: `needs` maps each neuron to the set of neurons it needs, as in
# {prf:ref}`prp-graph`. Return the v-minimum match as a set.
# :::
#
# :::{solution-start} ex-follow-needs
# :class: dropdown
# :::


# %% tags=["solution"]
def minimum_match(needs, v):
    """All neurons that can be reached from v, v included."""
    reached, waiting = {v}, [v]
    while waiting:
        new = set(needs[waiting.pop()]) - reached
        reached |= new
        waiting += new
    return reached


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-follow-needs", minimum_match)

# %% [markdown]
# :::{exercise} Copies that are nearly copies
# :label: ex-nearly-copies
# The switches of {prf:ref}`prp-many` have independent sides as soon as $\varphi > 0$. Predict how θ of $\mathcal Y$
# depends on $\varphi$. Can the gap that {prf:ref}`thm-sharp` asks for exist at $\varepsilon = \sin\varphi$? Then run
# the cell with other angles.
# :::

# %%
phi = 0.1
copied = families.switches(2, 2, phi)[1]
angle = uniqueness.strong_independence(copied @ copied.T).upper
np.degrees(angle), np.sin(phi) * uniqueness.sharp_constant(angle)

# %% [markdown]
# :::{solution} ex-nearly-copies
# :class: dropdown
# Two copies have the inner product $\cos^2\varphi$, so $\cos\theta \ge \cos^2\varphi$ and $2\sin^2(\theta/2) = 1 -
# \cos\theta \le \sin^2\varphi$. (Different switches are orthogonal, so this is the worst cut and equality holds.)
# Then $\lambda = \varepsilon/\sin(\theta/2) = \sqrt 2 > 1$ at every $\varphi$. No pair is stable beyond 1, because
# every neuron has distance 1 to the empty set. So {prf:ref}`thm-sharp` never applies at this ε, for any $\varphi$.
# While $\sin^2\varphi < 1/(k+3)$, {prf:ref}`prp-many` shows that the structure is not unique. And at an ε below
# $\sin\varphi$ nothing matches.
# :::
