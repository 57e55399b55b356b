# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Numerics
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** why one small matrix replaces all activations, and how to compute a distance to a span so that
# all theorems stay true. You also learn how exact the numbers are, and how many samples a layer needs.
#
# **You need first** [ε-approximate matches](matches.ipynb) and [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::

# %% tags=["parameters"]
dataset, network, width, recipe = "cifar10", "vgg16_bn", 0.25, "short"
layer = "relu5_2"  # the recorded layer most experiments use
seed = 0  # of the random numbers on this page

# %% tags=["hide-input", "remove-stderr"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from helpers import studies
from helpers.matching import critical_epsilons, maximum_match, minimal_match_of_each
from helpers.matching.diagnostics import GREY_RIDGES, diagnose
from helpers.matching.peeling import at_ridge, peel, slack
from helpers.pages import figures
from helpers.pages.chapters import numerics
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check
from helpers.streaming import GramAccumulator
from helpers.subspaces import QR_RIDGE, Pair, gram_ridge

figures.style()

# %% [markdown]
# The definition of a {term}`match` is exact: a distance is at most ε‖z‖ or it is not. A computer has activations of
# finite precision, on finitely many inputs. What does that change? Three things can go wrong. The *method* may make
# the theorems false. *Rounding* may move a distance across ε. *Too few samples* may make a distance too small. The
# first problem can be solved completely. The second can be checked. The third matters most.
#
# The figure shows the first problem. The vector `e2` is always in the span of the neurons `y1` and `y2`, so its
# distance to this span is 0. We add copies of `y1`, which do not change the span. The usual least-squares method
# leaves out, or
# *truncates*, directions that it takes for rounding errors (squares). Its distance jumps from 0 to nearly 1, although no
# information was lost. The method of this book adds a small {term}`ridge` (circles). Its distance stays near 0.

# %% tags=["shows-prp-truncation", "shows-def-ridge"]
cut = 1e-3
a = np.arcsin(2.05 * cut)
y1, y2, e2 = np.array([1.0, 0.0]), np.array([np.cos(a), np.sin(a)]), np.array([0.0, 1.0])
copies = np.arange(1, 9)
bases = [np.vstack([y2, *[y1] * m]) for m in copies]
truncated = [numerics.truncated_distance(e2, basis, cut) for basis in bases]
ridge = [numerics.ridge_distance(e2, basis, gram_ridge(2)) for basis in bases]

# %% tags=["hide-input", "shows-prp-ridge-monotone"] mystnb={"image": {"alt": "Distance of e2 against the number of copies of y1, one to eight. The truncated distance is 0 for one copy and jumps to almost 1 from two copies on. The ridge distance stays at 0 to the eye throughout."}, "figure": {"caption": "Adding a copy of a neuron: truncated least squares loses a direction, the ridge does not.", "name": "fig-truncation"}}
ax = plt.figure(figsize=(6.5, 3.2)).gca()
ax.plot(copies, truncated, "s-", label=f"truncated at {cut:g}")
ax.plot(copies, ridge, "o-", label="ridge")
ax.set(xlabel="copies of y1 beside y2", ylabel="distance of e2", ylim=(-0.05, 1.1))
ax.legend(loc="center right")
plt.show()

# %% tags=["hide-input"]
figures.download(pd.DataFrame({"copies": copies, "truncated": truncated, "ridge": ridge}), "truncation")

# %% [markdown]
# ## One matrix is enough
#
# A convolutional channel has one activation for every image and every position: millions on a test set. None of them
# is needed if the inner products of the neurons are known.
#
# :::{prf:proposition} The Gram matrix suffices
# :label: prp-gram-suffices
# Stack the activation vectors of all neurons of both networks as the rows of $Z \in \mathbb R^{N \times d}$, and let
# $G = ZZ^\top$ be their joint {term}`Gram matrix`.
#
# 1. Every relative distance of a neuron to the span of other neurons is a function of $G$ alone. So are all matches,
#    for every ε.
# 2. If the samples are split into parts, $Z = [Z_1 \; \dots \; Z_p]$, then $G = \sum_i Z_i Z_i^\top$.
# 3. If $Q$ has orthonormal columns, $Q^\top Q = I$, then $ZQ^\top$ has the same Gram matrix as $Z$. So the order of
#    the samples does not matter, and neither does an orthogonal change of the sample axis.
# :::
#
# :::{prf:proof}
# 1\. Let $v$ be a neuron, $S$ a set of others, $c$ any coefficients, and $w$ the vector with $w_v = 1$, $w_k = -c_k$
# for $k \in S$ and zeros elsewhere. Then $z_v - \sum_{k \in S} c_k z_k = Z^\top w$, and its squared norm is
# $w^\top Z Z^\top w = w^\top G w$. The squared distance is the minimum of this over $c$, and $\|z_v\|^2 = G_{vv}$.
# Both depend on $G$ only. Whether $(X, Y)$ is a match is a statement about these numbers.
#
# 2\. Entry $(u, v)$ of $G$ is the sum of $z_u(a)\, z_v(a)$ over the inputs $a$, and a sum may be taken in parts.
#
# 3\. $ZQ^\top (ZQ^\top)^\top = Z Q^\top Q Z^\top = ZZ^\top$.
# :::
#
# Part 2 makes it possible to use the whole test set: read a batch, add its products, and delete it. Two halves of the
# test set can be computed on two machines, and their matrices are then added.

# %% tags=["shows-prp-gram-suffices"]
rng = np.random.default_rng(seed)
x, y = rng.standard_normal((6, 5000)), rng.standard_normal((4, 5000))
halves = [GramAccumulator([6, 4]).add([x[:, part], y[:, part]]).result() for part in np.split(np.arange(5000), 2)]
whole = np.vstack([x, y]) @ np.vstack([x, y]).T
apart = np.abs(halves[0].merge(halves[1]).gram - whole).max() / np.abs(whole).max()
glue("merge-error", float(apart * 1e15), display=False)

# %% [markdown]
# The merged halves agree with the whole to {glue:text}`merge-error:.1f` × 10⁻¹⁵ of the largest entry. For the
# recorded layers of this network the table compares the activations of two networks in float32, as they come out of
# the network, with the matrix that replaces them.

# %% tags=["hide-input"]
study = studies.Study(dataset, network, width, (0, 1), recipe)
result = studies.run(study, progress=False)


def sizes(name):
    """What one layer of two networks takes as activations and as a matrix."""
    gram = result.gram(name).networks([0, 1])
    neurons = sum(gram.sizes)
    raw, small = 4 * neurons * gram.samples, 8 * neurons**2
    return [name, neurons, gram.samples, raw / 1e6, small / 1e3, round(raw / small)]


names = [
    name for name in ("relu1_1", "relu2_2", "relu3_3", "relu4_2", "relu5_2", "logits") if name in result.gram_layers
]
columns = ["layer", "neurons", "samples", "activations in MB", "matrix in kB", "times smaller"]
figures.table(pd.DataFrame([sizes(name) for name in names], columns=columns), digits=1)

# %% [markdown]
# The other direction is useful, too. Any array with the right Gram matrix can replace the activations. So the
# experiments below use the geometry of a real layer, but with few samples: `numerics.activations_with(gram, samples,
# rng)`.
#
# ## Truncation breaks the theory
#
# How does one compute the distance to a span when some neurons are nearly dependent? The usual least-squares solver,
# such as `numpy.linalg.lstsq`, *truncates*: it drops every singular direction below a cut `rcond` times the largest
# singular value. The cut is relative, and the largest singular value changes when
# neurons are added.
#
# :::{prf:proposition} Truncation is not monotone
# :label: prp-truncation
# For unit vectors $B$ with singular values $\sigma_1 \ge \sigma_2 \ge \dots$ and a cut $0 < t < 1$, let the
# *truncated span* of $B$ be the span of the right singular vectors with $\sigma_k \ge t\, \sigma_1$. For every $t$
# there are neurons such that
#
# 1. adding a neuron to $B$ raises the distance of another from 0 to more than $1/\sqrt 2$;
# 2. two pairs of sets are exact matches (distances to truncated spans are 0), but their union is not a match for any
#    $\varepsilon \le 1/\sqrt2$. There is no maximum match.
# :::
#
# :::{prf:proof}
# Work in the plane with axes $e_1, e_2$. Let $y_1 = e_1$ and $y_2 = \cos a\, e_1 + \sin a\, e_2$ with
# $0 < a < \pi/2$. For $m$ copies of $y_1$ together with $y_2$ the matrix $M = m\, e_1 e_1^\top + y_2 y_2^\top$ has
# the squared singular values as eigenvalues. Its trace is $m + 1$ and its determinant $m \sin^2 a$, so the ratio
# $q_m = \sigma_2^2 / \sigma_1^2$ satisfies $q_m / (1 + q_m)^2 = m \sin^2 a / (m+1)^2$. The left side increases with
# $q_m$ on $[0, 1]$, and $2/9 < 1/4$, hence $q_2 < q_1$. At $\sin a = 2t/(1 + t^2) < 1$ we have $q_1 = t^2$; so a
# slightly larger $a$ gives $q_2 < t^2 < q_1$.
#
# With this $a$, the truncated span of $\{y_1, y_2\}$ is the plane. Add a third neuron $y_3 = e_1$, a copy of $y_1$:
# now $\sigma_2 < t\,\sigma_1$ and only the top eigenvector of $M$ (with $m = 2$) is left. Since $M_{11} > M_{22}$, it
# makes an angle below 45° with $e_1$, so the distance of $e_2$ from it exceeds $1/\sqrt 2$. This is 1.
#
# For 2, take neurons $x_1 = e_1$ and $x_2 = e_2$ on the other side. $(\{x_1, x_2\}, \{y_1, y_2\})$ is an exact match:
# both truncated spans are the plane. $(\{x_1\}, \{y_1, y_3\})$ is an exact match: both are the line of $e_1$. In
# their union $x_2 = e_2$ is farther than $1/\sqrt 2$ from the truncated span of $\{y_1, y_2, y_3\}$.
# :::
#
# So with truncation there is no maximum match to compute. The solution is to shrink directions instead of dropping
# them.
#
# ## The ridge distance
#
# :::{prf:definition} Ridge distance
# :label: def-ridge
# Scale every neuron to unit norm, $\hat z = z / \|z\|$. For a *ridge* $\lambda = \tau^2 > 0$ the ridge distance of a
# neuron $z$ to a set $B$ of neurons is
#
# $$ r(z, B)^2 = \min_c \; \Big\| \hat z - \sum_{k \in B} c_k \hat b_k \Big\|^2 + \lambda \|c\|^2 . $$
#
# Setting the gradient to zero gives $(G_{BB} + \lambda I)\, c = g$, where $G_{BB}$ is the Gram matrix of the unit
# neurons of $B$ and $g$ their inner products with $\hat z$. Hence
# $r(z, B)^2 = 1 - g^\top (G_{BB} + \lambda I)^{-1} g$, and $r(z, ∅) = 1$.
# :::
#
# The code of this book computes this distance. So all numbers about recorded networks use it.
#
# :::{dropdown} Where the book does not use it
# The small examples of the earlier chapters, and one real layer in [the maximum match](maximum.ipynb), use plain least
# squares (`helpers.matching.definitions`). That is safe there, because their neurons are either exactly dependent or
# far from it.
# :::
#
# In the ridge distance large coefficients raise the distance a little. They occur when neurons are nearly dependent. No
# direction is dropped.
#
# :::{prf:proposition} The ridge distance is monotone and continuous
# :label: prp-ridge-monotone
# 1. $B \subseteq B'$ implies $r(z, B') \le r(z, B)$.
# 2. $r$ lies between the relative distance to the span and 1, and tends to that distance as $\lambda \to 0$.
# 3. $r$ is a continuous function of the neurons, as long as none of them is zero.
# :::
#
# :::{prf:proof}
# 1\. Coefficients for $B$, continued by zeros, are coefficients for $B'$ with the same value. The minimum over more
# choices is not larger.
#
# 2\. Without its penalty the minimum is the squared relative distance $\delta^2$; the penalty is not negative;
# $c = 0$ gives 1. If $c^*$ attains $\delta$, then $\delta^2 \le r^2 \le \delta^2 + \lambda \|c^*\|^2$, and the right
# side tends to $\delta^2$.
#
# 3\. $G_{BB}$ and $g$ depend continuously on the neurons. All eigenvalues of $G_{BB} + \lambda I$ are at least
# $\lambda$, so its inverse exists and is continuous.
# :::
#
# :::{prf:corollary} The theory holds as computed
# :label: cor-ridge-union
# Call $(X, Y)$ a ridge ε-match if $r(x, Y) \le \varepsilon$ for all $x \in X$ and $r(y, X) \le \varepsilon$ for all
# $y \in Y$. Unions of ridge ε-matches are ridge ε-matches. There is a unique maximum one, and deleting the farthest
# neuron again and again finds it for every ε.
# :::
#
# :::{prf:proof}
# If $x \in X_1$, then $r(x, Y_1 \cup Y_2) \le r(x, Y_1) \le \varepsilon$ by {prf:ref}`prp-ridge-monotone`; the same
# for the others. The union of all matches is then a match that contains all. If a neuron has $r > \varepsilon$ in a
# set that contains the maximum match, its distance within the maximum match is at least as large, so it is not in it.
# The proof of the peel uses nothing else.
# :::
#
# {numref}`fig-truncation` compares the two distances in the plane of {prf:ref}`prp-truncation`. With more copies of
# `y1` the ridge distance becomes smaller, as {prf:ref}`prp-ridge-monotone` says. The next cell takes the union of two
# exact matches. With the ridge the union is a match. With truncation `x2` is lost.

# %% tags=["shows-cor-ridge-union"]
x, y = np.array([y1, e2]), np.array([y1, y2, y1])  # x1 x2 and y1 y2 y3
rows = [
    ("x1 x2 | y1 y2", numerics.truncated_distance(e2, y[:2], cut), numerics.ridge_distance(e2, y[:2], 1e-12)),
    ("x1 x2 | y1 y2 y3", numerics.truncated_distance(e2, y, cut), numerics.ridge_distance(e2, y, 1e-12)),
]
figures.table(pd.DataFrame(rows, columns=["sets", "truncated distance of x2", "ridge distance of x2"]), digits=6)

# %% [markdown]
# ## What zero looks like
#
# With the ridge no distance is exactly 0. How large is the distance of a neuron that lies *exactly* in the span?
#
# :::{prf:proposition} The floor of the ridge
# :label: prp-ridge-floor
# Let $\delta$ be the relative distance of $z$ to the span of $B$, and let $c$ be the smallest coefficients (in norm)
# that attain it. Let $\sigma$ be the smallest non-zero singular value of the unit neurons of $B$. Then
#
# $$ \delta^2 + \frac{\sigma^2}{\sigma^2 + \lambda}\, \lambda \|c\|^2 \;\le\; r(z, B)^2 \;\le\; \delta^2 + \lambda \|c\|^2 . $$
# :::
#
# :::{prf:proof}
# Let $v_k$ be the right singular vectors of the unit neurons of $B$ with $\sigma_k > 0$, and
# $\zeta_k = \langle \hat z, v_k \rangle$. Coefficients in the left singular basis, $a_k$, give
# $\hat z - \sum c_k \hat b_k$ the component $\zeta_k - \sigma_k a_k$ along $v_k$, and leave the part outside the
# span, of squared norm $\delta^2$. Without penalty the best are $a_k = \zeta_k / \sigma_k$, so
# $\|c\|^2 = \sum \zeta_k^2 / \sigma_k^2$. With it, minimising $(\zeta_k - \sigma_k a_k)^2 + \lambda a_k^2$ gives
# $a_k = \sigma_k \zeta_k / (\sigma_k^2 + \lambda)$ and the value $\zeta_k^2\, \lambda / (\sigma_k^2 + \lambda)$. So
#
# $$ r^2 = \delta^2 + \sum_k \frac{\zeta_k^2}{\sigma_k^2} \cdot \lambda \cdot \frac{\sigma_k^2}{\sigma_k^2 + \lambda} , $$
#
# where the last factor lies between $\sigma^2 / (\sigma^2 + \lambda)$ and 1.
# :::
#
# So a zero distance appears as $\tau \|c\|$. Therefore *exact* matches need a slack. The code counts a distance as 0
# when it is below ten times this floor. This threshold is at least $300\,\tau$ and at most $1000\,\tau$. From ε =
# 0.05 on, the floor has no visible effect for coefficients of usual size, because squares are added: $\sqrt{0.05^2 +
# 10^{-12}}$ is 0.05 to nine digits.
#
# ### Two routes
#
# The Gram matrix squares the singular values. Its entries are rounded at the unit roundoff u ≈ 10⁻¹⁶. So its
# eigenvalues below about n · u are noise, and λ must be larger. The code takes λ = 20 n u, and at least 10⁻¹². The
# *QR route* stores a triangular factor $R$ with $R^\top R = G$ instead of $G$, so nothing is squared. It costs a few
# times as much ([measured here](speed.ipynb)) and allows $\lambda = 10^{-16}$. In the figure we placed neurons at
# known distances from a span. Both routes follow the diagonal down to their floor τ‖c‖, and stay there.

# %% tags=["shows-prp-ridge-floor"]
rng = np.random.default_rng(seed)
planted = 10.0 ** np.arange(0, -12.1, -0.5)
pairs = [numerics.planted(distance, 20, 400, rng) for distance in planted]
routes = {route: [numerics.measured_distance(z, basis, route) for z, basis in pairs] for route in ("gram", "qr")}
floors = {"gram": np.sqrt(gram_ridge(20)), "qr": np.sqrt(QR_RIDGE)}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Measured against planted distance on logarithmic axes, from 1 down to 1e-12. Both routes lie on the diagonal; the Gram route levels off at about 1e-6, the QR route at about 1e-8, each at the dashed line of its floor."}, "figure": {"caption": "Planted distances, as seen on the two routes. Dashed: \u03c4.", "name": "fig-routes"}}
ax = plt.figure(figsize=(6.5, 3.6)).gca()
for colour, (route, label) in enumerate({"gram": "Gram matrix", "qr": "QR"}.items()):
    ax.loglog(planted, routes[route], "os"[colour], ms=5, color=f"C{colour}", label=label)
    ax.axhline(floors[route], ls="--", lw=1, color=f"C{colour}")
ax.plot(planted, planted, color="0.4", lw=1, zorder=0)
ax.set(xlabel="planted distance", ylabel="measured distance")
ax.legend()
plt.show()

# %% tags=["hide-input"]
figures.download(pd.DataFrame({"planted": planted} | routes), "routes")

# %% [markdown]
# Here is an exact match: four neurons that are mixtures of the other four, without noise. The raw distances are at
# the floor. The slack is larger, so the {term}`critical ε` are 0.

# %%
rng = np.random.default_rng(seed)
y = rng.standard_normal((4, 200))
x = rng.standard_normal((4, 4)) @ y
exact = {route: Pair.from_arrays(x, y, route=route) for route in ("gram", "qr")}
rows = [(r, peel(p)[0].max(), slack(p), critical_epsilons(p)[0].max()) for r, p in exact.items()]
figures.table(pd.DataFrame(rows, columns=["route", "largest raw distance", "slack", "critical ε"]), digits=9)

# %% [markdown]
# ### The grey zone of rank
#
# Do two nearly equal neurons span one direction or two? If they differ by much more than τ, they span two. If they
# differ by much less, they span one. In between the answer depends on λ. Then the critical ε of a neuron that needs
# their *difference* depends on λ, too. We put `y2` at a small step from `y1`, and let `x2` be the direction of this
# step. The figure shows the critical ε of `x2` for three ridges.

# %%
steps = 10.0 ** np.arange(-8, -0.9, 0.5)
y1, u = np.linalg.qr(rng.standard_normal((200, 2)))[0].T
near = [Pair.from_arrays(np.array([y1, u]), np.array([y1, y1 + step * u]), route="gram") for step in steps]
grey = {ridge: [critical_epsilons(at_ridge(p, ridge))[0][1] for p in near] for ridge in GREY_RIDGES}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Critical \u03b5 of x2 against the step between y1 and y2 on a logarithmic axis, for three ridges. All curves fall from 1 for tiny steps to 0 for large ones. With a larger ridge a curve falls at larger steps. So for steps between 1e-7 and 1e-4 the three disagree."}, "figure": {"caption": "Between one direction and two the answer depends on \u03bb.", "name": "fig-grey"}}
ax = plt.figure(figsize=(6.5, 3.2)).gca()
for marker, (ridge, values) in zip("os^", grey.items(), strict=True):
    ax.semilogx(steps, values, marker + "-", ms=5, label=f"λ = {ridge:.0e}")
ax.set(xlabel="step from y1 to y2", ylabel="critical ε of x2")
ax.legend()
plt.show()

# %% tags=["hide-input"]
figures.download(pd.DataFrame({"step": steps} | {f"ridge {r:.0e}": v for r, v in grey.items()}), "grey-zone")

# %% [markdown]
# No choice of λ is right here, because the data do not decide it. So the function `diagnose` peels with three ridges
# and flags every neuron whose critical ε changes. This is its answer for a step inside the grey zone, and for a
# recorded layer. (The code counts from 0: its x1 is our `x2`.)

# %%
for name, checked in (("step of 1e-5", near[6]), (layer, result.gram(layer).networks([0, 1]).pair(0, 1))):
    print(f"{name}:", "; ".join(diagnose(checked).flags) or "nothing to flag")

# %% [markdown]
# ## How exact must the matrix be?
#
# Networks run in float32, or in the 16 bits of bfloat16. Does it matter in which precision we add up the Gram matrix?
#
# :::{prf:proposition} Error of the matrix, error of the distance
# :label: prp-gram-error
# Let $G$ and $\tilde G = G + E$ be Gram matrices of the unit neurons $\{z\} \cup B$, the second with rounding errors,
# and let $\tilde G_{BB} + \lambda I$ still be positive definite. Let $r, \tilde r$ be the ridge distances of $z$ and
# $c, \tilde c$ their coefficients. Then
#
# $$ |\tilde r^2 - r^2| \le \|E\|_2 \,\big(1 + \max(\|c\|, \|\tilde c\|)^2\big), \qquad
#    |\tilde r - r| \le \frac{\|E\|_2 \,\big(1 + \max(\|c\|, \|\tilde c\|)^2\big)}{r + \tilde r} . $$
# :::
#
# :::{prf:proof}
# Let $w = (1, -c)$ and $\tilde w = (1, -\tilde c)$. Then $r^2 = w^\top G w + \lambda \|c\|^2$, and $c$ is allowed,
# but not best, for $\tilde G$:
# $\tilde r^2 \le w^\top \tilde G w + \lambda \|c\|^2 = r^2 + w^\top E w \le r^2 + \|E\|_2 (1 + \|c\|^2)$. Exchange
# the roles of $G$ and $\tilde G$ for the other direction. For the second inequality divide by $r + \tilde r$.
# :::
#
# Errors grow with the coefficients, which are large where neurons are nearly dependent. And they grow when the
# distance itself is small. The figure shows the errors for activations with the geometry of recorded layers. The
# activations are rounded to four formats: float64, float32, TF32 (on GPUs) and bfloat16. Products are in float64 for
# the first and in float32 for the others. Sums are always in float64. We compare all critical ε with those of the QR
# route in float64. Every format with fewer bits loses digits.


# %%
def in_precisions(name, samples=1000):
    """A recorded layer by the QR route in float64, and with its Gram matrix summed in each precision."""
    gram = result.gram(name).networks([0, 1])
    n = gram.sizes[0]
    z = numerics.activations_with(gram.gram, samples, np.random.default_rng(seed))
    exact = Pair.from_arrays(z[:n], z[n:], route="qr")
    return exact, {p: Pair.from_gram(numerics.gram_in(z, p), n, n, samples) for p in numerics.BITS}


# %% tags=["shows-prp-gram-error"]
def largest_error(exact, computed):
    """Largest difference of a critical ε between two versions of a pair."""
    exact, computed = (np.concatenate(critical_epsilons(pair)) for pair in (exact, computed))
    both = np.isfinite(exact) & np.isfinite(computed)
    return np.abs(computed - exact)[both].max()


versions = {name: in_precisions(name) for name in names}
errors = [(name, p, largest_error(exact, by_pair[p])) for name, (exact, by_pair) in versions.items() for p in by_pair]
errors = pd.DataFrame(errors, columns=["layer", "precision", "error"])

# %% tags=["hide-input"] mystnb={"image": {"alt": "Largest error of a critical \u03b5 on a logarithmic axis for six recorded layers in four precisions. The format float64 lies between 1e-13 and 1e-11, float32 near 1e-7 to 1e-6, TF32 near 1e-5, bfloat16 near 1e-4."}, "figure": {"caption": "Largest error of a critical \u03b5, by the precision of the entries.", "name": "fig-precision"}}
ax = plt.figure(figsize=(6.8, 3.6)).gca()
sns.stripplot(errors, x="precision", y="error", hue="layer", size=7, jitter=False, dodge=True, ax=ax)
ax.set(yscale="log", xlabel="", ylabel="largest error of a critical ε")
ax.legend(loc="upper left", ncols=2, fontsize="small")
plt.show()

# %% tags=["hide-input"]
figures.download(errors, "precision")

# %% [markdown]
# Do the matches change? The table compares the maximum matches of these layers at every ε of the paper. For `{{layer}}`
# it also compares the minimal match of each neuron, found in the order of the index, a little above the ε where most of
# the layer enters.

# %%
exact, shorter = versions.get(layer) or in_precisions(layer)
above = float(np.median(np.concatenate(critical_epsilons(exact)))) + 0.02
smallest = minimal_match_of_each(exact, above)
rows = []
for p in numerics.BITS:
    largest = [maximum_match(a, e) == maximum_match(b[p], e) for a, b in versions.values() for e in studies.EPSILONS]
    of_each = minimal_match_of_each(shorter[p], above)
    rows.append((p, len(largest) - sum(largest), sum(of_each.get(v) != m for v, m in smallest.items())))
figures.table(pd.DataFrame(rows, columns=["precision", "other maximum matches", "other minimal matches"]))

# %% tags=["remove-cell"]
glue("precision-maximum", len(largest), display=False)
glue("precision-worst", max(row[1] for row in rows), display=False)
glue("precision-minimal", len(smallest), display=False)
glue("precision-shortest", rows[-1][2], display=False)

# %% [markdown]
# In each format at most {glue:text}`precision-worst` of the {glue:text}`precision-maximum` maximum matches change.
# Minimal matches change more often: in the shortest format {glue:text}`precision-shortest` of
# {glue:text}`precision-minimal` neurons get another one. A minimal match needs many decisions, and some of them
# depend on differences that the short formats cannot see.
#
# ## Dead neurons and duplicates
#
# A *dead* neuron is zero on every input. Taken literally, the paper's definition lets it join every match, because its
# distance 0 is at most ε · 0. But a neuron that matches everything says nothing. So in this book dead neurons are in
# no match, and their number is reported. They still count in the denominator of the similarity, as in the paper,
# unless a page says that only {term}`alive neurons <alive neuron>` count. (So a layer with dead neurons has a
# similarity below 1 with itself.)
#
# *Duplicates*, neurons that are multiples of each other, are the simplest exact dependence. They make $G_{BB}$
# singular and plain inverses useless. For the ridge they are harmless:
#
# :::{prf:proposition} Duplicates
# :label: prp-duplicates
# Let $B'$ come from $B$ by replacing the neuron $b$ by $k$ non-zero multiples of itself. The span is the same, and
#
# $$ r(z, B')^2 = \min_c \; \Big\| \hat z - \sum_{j \in B} c_j \hat b_j \Big\|^2 + \lambda \Big( \sum_{j \ne b} c_j^2 +
#    \frac{c_b^2}{k} \Big) : $$
#
# the penalty on that one coefficient is divided by $k$. Two neurons of the same side that are multiples of each other
# have the same ridge distance to every set, and the same critical ε.
# :::
#
# :::{prf:proof}
# The unit vectors of the copies are $\pm \hat b$. Coefficients $s_1, \dots, s_k$ on them, with signs absorbed,
# contribute $(\sum s_i)\, \hat b$ and cost $\lambda \sum s_i^2$. For a fixed sum $c_b$ the cost is least when all
# $s_i = c_b / k$ (Cauchy–Schwarz), and then it is $\lambda c_b^2 / k$. For the second statement, $r(z, B)$ depends on
# $\hat z$ only up to sign, so multiples $b, b'$ have the same distances. If $(X, Y)$ is a match with $b \in X$, then
# $(X \cup \{b'\}, Y)$ is one too: $r(b', Y) = r(b, Y) \le \varepsilon$, and the distances of the $y$ can only fall
# ({prf:ref}`prp-ridge-monotone`).
# :::

# %% tags=["shows-prp-duplicates"]
rng = np.random.default_rng(seed)
x = rng.standard_normal((5, 300))
y = x + np.array([[0.1], [0.2], [0.3], [0.4], [0.5]]) * rng.standard_normal((5, 300))
doubled = np.vstack([x, -3 * x[0], np.zeros(300)])  # one more neuron is a multiple of x1, one is dead
rows = zip(["x1", "x2", "x3", "x4", "x5", "−3 x1", "dead"], critical_epsilons(doubled, y)[0], strict=True)
figures.table(pd.DataFrame(rows, columns=["neuron", "critical ε"]), digits=6)

# %% [markdown]
# ## Samples versus neurons
#
# The next error is much larger than rounding. With as many neurons as samples, *every* vector is in the span,
# so everything matches at ε = 0. With more samples the distances are still too small.
#
# :::{prf:proposition} Finite samples
# :label: prp-finite-sample
# Let $z = \sum_k c_k b_k + \sigma e$, where the entries of $e \in \mathbb R^d$ are independent of the $b_k$ and of
# each other, with mean 0 and variance 1, and let $b_1, \dots, b_n$ span $n \le d$ dimensions. Then the squared
# distance of $z$ to their span has the expectation $\sigma^2 (d - n)$, while the noise $\sigma e$ itself has expected
# squared norm $\sigma^2 d$. So a neuron that is fitted on $d$ samples by $n$ others appears too close. In the root
# mean square the factor is
#
# $$ \sqrt{1 - n/d} . $$
# :::
#
# :::{prf:proof}
# Let $P$ be the orthogonal projection onto the span. What is left of $z$ is $(I - P) \sigma e$, since
# $(I - P) b_k = 0$. Given the $b_k$,
# $\mathbb E\, \|(I - P) e\|^2 = \mathbb E\, e^\top (I - P) e = \operatorname{tr}(I - P) = d - n$, because
# $\mathbb E\, e e^\top = I$. And $\mathbb E \|e\|^2 = d$.
# :::
#
# We take the Gram matrix of a recorded layer as the truth. We draw $d$ independent samples with these covariances,
# and compute the distances of the x neurons to the span of all y neurons. Their medians lie on the curve of the
# proposition. The critical ε are too small as well, but less so: when a neuron is deleted, fewer neurons are left on
# the other side.


# %% tags=["shows-prp-finite-sample"]
def sampled_ratio(root, samples, rng):
    """Median ratio of measured to true distance, and the same for critical ε, for one draw of the samples."""
    z = root @ rng.standard_normal((len(root), samples))
    n = len(root) // 2
    drawn = Pair.from_gram(z @ z.T, n, n, samples)
    distances = np.sqrt(drawn.sides[1].squares / truth.sides[1].squares)
    return np.median(distances), np.median(critical_epsilons(drawn)[0] / critical_epsilons(truth)[0])


gram = result.gram(layer).networks([0, 1])
n = gram.sizes[0]
truth = gram.pair(0, 1)
root = np.linalg.cholesky(truth.gram + 1e-12 * np.eye(2 * n))

# %% tags=["hide-input"]
rng = np.random.default_rng(seed)
shares = np.array([0.9, 0.75, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.01])  # n/d
draws = [(share, *sampled_ratio(root, round(n / share), rng)) for share in np.repeat(shares, 3)]
draws = pd.DataFrame(draws, columns=["n/d", "distance to the whole other side", "critical ε"])
tenth = draws.loc[draws["n/d"] == 0.1, "distance to the whole other side"].mean()
glue("tenth", float(100 * (1 - tenth)), display=False)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Ratio of measured to true distance against neurons per sample n/d from 0.01 to 0.9. Points follow the curve square root of 1 minus n over d, from 1 at the left down to about 0.3 at 0.9; the critical \u03b5 follow it less closely."}, "figure": {"caption": "Too few samples make neurons look close. Line: \u221a(1 \u2212 n/d).", "name": "fig-finite-sample"}}
ax = plt.figure(figsize=(6.8, 3.6)).gca()
grid = np.linspace(0, 0.95, 100)
ax.plot(grid, np.sqrt(1 - grid), color="0.4", lw=1.5, label="√(1 − n/d)")
for marker, column in zip("os", draws.columns[1:], strict=True):
    ax.plot(draws["n/d"], draws[column], marker, ms=6, alpha=0.8, label=column)
ax.set(xlabel="neurons of the other side per sample, n/d", ylabel="measured / true", ylim=(0, 1.15))
ax.legend(loc="lower left")
plt.show()

# %% tags=["hide-input"]
figures.download(draws, "finite-samples")

# %% [markdown]
# At ten samples per neuron the distances are {glue:text}`tenth:.0f` % too small. So keep n/d far below 1, or correct.
# For this book's recorded layers the samples are all images times all positions.
#
# ### 10 000 positions or all of them
#
# The paper compares convolutional layers on 10 000 positions drawn at random, sixteen times over, and averages the
# similarity. Our records have both this average and the similarity on the whole test set. Most points of the figure
# lie on the diagonal, many of them at its two ends. A few are far above or below it. Some of these have long bars:
# their draws lie on both sides of a cliff. Others have short bars: their error is a bias.

# %% tags=["hide-input"]
by = ["width", "layer", "seed_a", "seed_b", "epsilon"]
tables = []
for place in (place for place in studies.records_of("seeds") if (place / "sampled.parquet").exists()):
    sampled, full = (pd.read_parquet(place / f"{name}.parquet") for name in ("sampled", "similarity"))
    mean = sampled.groupby(by, observed=True)["similarity"].agg(sampled="mean", spread="std")
    tables.append(mean.join(full.set_index(by)["similarity"].rename("full")).assign(study=place.name))
both = pd.concat(tables).reset_index()
both["difference"] = both["sampled"] - both["full"]
worst = both.loc[both["difference"].abs().idxmax()]
off = both[both["difference"].abs() > 0.02]
biased = off["difference"].abs() > 3 * off["spread"] / 4  # sixteen draws: a standard error is a quarter of the spread

# %% tags=["remove-cell"]
glue("worst-sampled", float(worst["sampled"]), display=False)
glue("worst-full", float(worst["full"]), display=False)
glue("compared", len(both), display=False)
glue("off", len(off), display=False)
glue("biased", int(biased.sum()), display=False)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Similarity on 10 000 sampled positions, mean of sixteen draws, against similarity on all positions, for every recorded layer, pair and \u03b5. Most points are on the diagonal; a few dozen lie off it, some by more than 0.2, above and below."}, "figure": {"caption": "Sampling 10 000 positions against the whole test set; bars: standard deviation over the draws.", "name": "fig-sampled"}}
ax = plt.figure(figsize=(5.6, 4.6)).gca()
ax.plot([0, 1], [0, 1], color="0.6", lw=1)
for colour, (width_, part) in enumerate(both.groupby("width")):
    ax.errorbar(part["full"], part["sampled"], part["spread"], fmt="os^"[colour], ms=4, lw=1, label=f"width {width_:g}")
ax.set(xlabel="similarity on all positions", ylabel="similarity on 10 000 positions", ylim=(-0.05, 1.05))
ax.legend(loc="upper left")
plt.show()

# %% tags=["hide-input"]
figures.download(both.drop(columns="width"), "sampled-positions")

# %% [markdown]
# Of {glue:text}`compared` comparisons {glue:text}`off` have an error of more than 0.02. The worst is
# {glue:text}`worst-sampled:.2f` instead of {glue:text}`worst-full:.2f`. In {glue:text}`biased` comparisons the
# difference exceeds three standard errors of the mean of the draws. That is a bias, and more draws would not remove
# it. Why can an error of a few per cent in a distance change the similarity so much?
#
# ## Margins and cliffs
#
# :::{prf:proposition} Margins
# :label: prp-margin
# Suppose two sets of ridge distances differ by at most $\eta$: $|r'(v, S) - r(v, S)| \le \eta$ for every neuron $v$
# and set $S$. Then the critical ε of every neuron differ by at most $\eta$ (∞ counted as 1). If no critical ε lies
# within $\eta$ of ε, the maximum match at ε is the same.
# :::
#
# :::{prf:proof}
# A neuron is in the maximum match at ε exactly when some match at ε holds it. So its critical ε, $\varepsilon_v$, is
# the minimum, over all pairs of sets $S$ that hold it, of $\max_{u \in S} r(u, S)$, with ∞ counted as 1 (which $S =
# \{v\}$ gives). If every $r$ moves by at most $\eta$, so does a maximum of them, and so does a minimum of such maxima.
# A neuron with $|\varepsilon_v - \varepsilon| > \eta$ is therefore on the same side of ε both times. Dead neurons are
# in no match either time.
# :::
#
# So the *margin*, the smallest $|\varepsilon_v - \varepsilon|$, says how large an error may be without changing the
# similarity. But often many neurons have one common critical ε. When the farthest neuron is deleted, the others lose
# a part of their basis, and many become too far at the same time. This is a {term}`cliff`. The figure counts matched
# neurons as ε grows. A tall vertical step is a cliff. If there is a cliff at the ε that you report, the third digit
# of a distance decides whether a large part of the layer matches.

# %% tags=["hide-input"]
critical = result.tables["critical"]
pair = critical[(critical["seed_a"] == 0) & (critical["seed_b"] == 1)]
shown = pair[pair["layer"].astype(str).isin(["relu1_1", "relu3_3", "relu4_2", "relu5_2", "logits"])]
shown = shown.assign(layer=shown["layer"].astype(str))

# %% tags=["hide-input", "shows-prp-margin"] mystnb={"image": {"alt": "Share of matched neurons against \u03b5 for five layers. relu1_1 and logits rise in many small steps, the deep convolutional layers in one large step and many small ones."}, "figure": {"caption": "Cliffs: the share of matched neurons as \u03b5 grows, for five layers of one pair of networks.", "name": "fig-cliffs"}}
ax = plt.figure(figsize=(6.8, 3.6)).gca()
sns.ecdfplot(shown, x="critical_epsilon", hue="layer", lw=2, ax=ax)
ax.set(xlim=(0, 1), xlabel="ε", ylabel="share of neurons matched")
plt.show()

# %% tags=["hide-input"]
figures.download(shown[["layer", "side", "neuron", "critical_epsilon"]], "critical-epsilons")


# %% tags=["hide-input"]
def cliff(values):
    """The most neurons within 10⁻³ of one another's critical ε, as a share, and where they are."""
    values = np.sort(values[np.isfinite(values)])
    counts = np.searchsorted(values, values + 1e-3, side="right") - np.arange(len(values))
    return counts.max() / len(values), values[counts.argmax()]


rows = []
for name, part in shown.groupby("layer", sort=False):
    values = part["critical_epsilon"].to_numpy()
    margins = [np.abs(np.minimum(values, 1) - epsilon).min() for epsilon in (0.25, 0.5)]
    rows.append((name, *cliff(values), *margins))
columns = ["layer", "share in the largest cliff", "its ε", "margin at 0.25", "margin at 0.5"]
figures.table(pd.DataFrame(rows, columns=columns), digits=4)

# %% [markdown]
# Compare a margin with two kinds of errors. One is rounding ({numref}`fig-precision`). The other comes from the
# number of samples ({numref}`fig-finite-sample`). It changes a distance by a share of about n/2d, and a critical ε by
# less, as the figure shows. Every margin in the table is larger than the rounding errors of float64. Not every margin
# is larger than the error from 10 000 positions: by {prf:ref}`prp-margin`, at each point off the diagonal of
# {numref}`fig-sampled` sampling moved a critical ε across ε. So this book has four rules: use the whole test set, use
# float64, record the critical ε of each neuron, and give a margin for every similarity that decides something.
#
# ## In short
#
# - All distances follow from one small matrix, the Gram matrix of both layers.
# - Truncated least squares is not monotone, so there may be no maximum match. With a small **ridge** every theorem
#   stays true.
# - The matrix must be summed in float64. Its error gives a bound for the error of every distance.
# - Dead neurons match nothing. Duplicates are exact and harmless with the ridge.
# - Few samples make layers look similar. With all images and positions a convolutional layer has so many samples that
#   this error is small. With 10 000 random positions it matters at a cliff.
#
# ## Exercises
#
# :::{exercise} One neuron, by hand
# :label: ex-ridge-by-hand
# A neuron $z$ makes the angle φ with the only neuron $b$ of the other side. Compute $r(z, \{b\})$ for a ridge λ, and
# for $\{b, b, \dots, b\}$ with $k$ copies. What is the limit for $k \to \infty$, and what is $r$ for φ = 0?
# :::
#
# :::{solution} ex-ridge-by-hand
# :class: dropdown
# With one coefficient, $G_{BB} = 1$ and $g = \cos φ$, so $r^2 = 1 - \cos^2 φ / (1 + λ)$. By
# {prf:ref}`prp-duplicates`, $k$ copies divide λ by $k$: $r^2 = 1 - \cos^2 φ / (1 + λ/k)$. It decreases to
# $1 - \cos^2 φ = \sin^2 φ$, the plain distance. For φ = 0 and one copy $r = \sqrt{λ/(1 + λ)} ≈ τ$: the floor of
# {prf:ref}`prp-ridge-floor` with $\|c\| = 1$.
# :::
#
# :::{exercise} Distance from a Gram matrix
# :label: ex-distance-from-gram
# Write `ridge_from_gram(gram, target, basis, ridge)`: the ridge distance of neuron `target` to the neurons in the
# list `basis`, from the *raw* Gram matrix alone. Do not forget to scale the neurons.
# :::
#
# :::{solution-start} ex-distance-from-gram
# :class: dropdown
# :::


# %% tags=["solution"]
def ridge_from_gram(gram, target, basis, ridge):
    """r(z, B) of the ridge distance, from the raw Gram matrix."""
    norms = np.sqrt(np.diag(gram))
    unit = gram / np.outer(norms, norms)
    inner, g = unit[np.ix_(basis, basis)], unit[basis, target]
    return np.sqrt(1 - g @ np.linalg.solve(inner + ridge * np.eye(len(basis)), g))


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-distance-from-gram", ridge_from_gram)

# %% [markdown]
# :::{exercise} Enough samples
# :label: ex-enough-samples
# Write `samples_needed(n, bias)`: the smallest whole number of samples at which distances to `n` neurons are too
# small by at most the share `bias` (0.01 is one per cent). Allow `1e-9` for rounding.
# :::
#
# :::{solution-start} ex-enough-samples
# :class: dropdown
# Solve $\sqrt{1 - n/d} \ge 1 - \text{bias}$ for $d$. Without the `1e-9`, rounding may add one sample where the quotient
# is a whole number.
# :::


# %% tags=["solution"]
def samples_needed(n, bias):
    """The smallest d with √(1 − n/d) ≥ 1 − bias."""
    return int(np.ceil(n / (bias * (2 - bias)) - 1e-9))


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-enough-samples", samples_needed)

# %% [markdown]
# :::{exercise} Move the cut
# :label: ex-move-the-cut
# Look at the cell of {numref}`fig-truncation`. The angle `a` between `y1` and `y2` is such that $σ_2/σ_1$ is just
# above the cut with one copy, and just below it with two. Change `cut` to `1e-4` and nothing else. Predict: does the
# jump disappear, move, or stay? Then replace `2.05 * cut` by `4 * cut` and predict where the jump is now. Run it.
# :::
#
# :::{solution} ex-move-the-cut
# :class: dropdown
# With a smaller cut the jump stays where it is, because the angle shrinks with it: for every cut there are bad
# neurons ({prf:ref}`prp-truncation`). With four times the cut, $m$ copies give $σ_2/σ_1 ≈ 4 t \sqrt m / (m + 1)$.
# This falls below $t$ when $4 \sqrt m < m + 1$, that is, from $m = 14$ on: outside the figure, until you raise the
# number of copies. A smaller cut only moves the problem to other neurons.
# :::
#
# :::{exercise} On the edge of the cliff
# :label: ex-edge-of-the-cliff
# Look at {numref}`fig-cliffs`. Choose the ε where `layer` has its largest cliff, and predict the similarity 0.002
# below and 0.002 above it. Then run `maximum_match(truth, epsilon).similarity(n, n)` for both. Which of the errors of
# this chapter is large enough to matter here?
# :::
#
# :::{solution-start} ex-edge-of-the-cliff
# :class: dropdown
# The difference is the share of the largest cliff. An error of 0.002 is larger than rounding in every precision used
# here. It is about as large as the bias of 10 000 positions, which is n/2d relative to ε by
# {prf:ref}`prp-finite-sample`.
# :::

# %% tags=["solution"]
share, edge = cliff(np.concatenate(critical_epsilons(truth)))
[maximum_match(truth, edge + step).similarity(n, n) for step in (-0.002, 0.002)]

# %% [markdown]
# :::{solution-end}
# :::
