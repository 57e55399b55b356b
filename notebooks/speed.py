# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How fast, and against what
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** what the engine's speed is measured against, how it grows with the size of a layer, and how to
# repeat the measurement.
#
# **You need first** [the algorithms](algorithms.ipynb); for the last section [numerics](numerics.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::

# %% tags=["parameters"]
neurons = 32  # a side, for the measurement this page makes itself
samples = 2000
epsilon = 0.3

# %% tags=["hide-input", "remove-stderr"]
import inspect
import json

import matplotlib.pyplot as plt
import pandas as pd
from myst_nb import glue

from benchmarks import layers, published, run
from benchmarks.machine import clock
from helpers import matching
from helpers.pages import figures
from helpers.subspaces import Pair

figures.style()


def show(frame):
    """A table of measurements, to three significant digits."""

    def short(value):
        if value is None or value != value:
            return "–"
        return f"{float(f'{value:.3g}'):,.10g}".replace(",", "\u202f") if isinstance(value, float) else value

    return figures.table(frame.astype(object).map(short))


# %% [markdown]
# "A hundred times faster" means nothing until one knows faster *than what*, and whether the two give the same answer.
#
# **Than what.** The yardstick is the published algorithm, written plainly: least squares at every step, a new run for
# every ε, nothing remembered. This is all of it for the maximum match:

# %% tags=["hide-input"]
print(inspect.getsource(published.relative_distances), inspect.getsource(published.maximum_match), sep="\n\n")

# %% [markdown]
# **The same answer.** Every comparison below checks that both found the same sets, and stops if they did not.
#
# **How measured.** Everything in one process with one thread, in CPU seconds, so that other work on the machine does
# not count. The layers are synthetic: ReLU mixtures of shared features with a noise of their own, with cliffs and
# many critical ε, as real layers have. "Recorded" is the geometry of a layer of two trained networks. The tables come
# from `make bench`; this is the machine it ran on.

# %% tags=["hide-input"]
record = json.loads(run.FILE.read_text())
tables = {name: pd.DataFrame(rows) for name, rows in record["tables"].items()}
about = record["machine"]
words = {
    "processor": f"{about['processor']}, {about['cores']} cores, {about['threads']} thread used",
    "matrix library": "; ".join(about["blas"]),
    "software": ", ".join(f"{name} {number}" for name, number in about["libraries"].items()),
    "samples": f"{record['samples']} a neuron",
    "engine": f"code {record.get('engine', '–')}",
}
figures.table(pd.DataFrame(list(words.items()), columns=["what", "value"]))

# %% [markdown]
# ## The maximum match at ten ε
#
# The engine compresses the two arrays and peels once; the published algorithm runs once for each ε. The CPU seconds
# are for all ten, from arrays to sets. *NumPy only* is the engine without compiled code. On small arrays the engine
# takes the certifying [QR route](numerics.ipynb) by itself, since it can afford to: that is why the smallest layer
# costs more than the next.

# %%
show(tables["maximum match, ten ε"])

# %% [markdown]
# How much of the engine's time is the Gram matrix itself, which any method that compresses has to pay? The column
# *beyond* is everything else, as a share of the matrix product.

# %%
show(tables["parts of a maximum match"])

# %% [markdown]
# ## Minimal matches
#
# Here one needs not one maximum match but hundreds: every trial deletion asks for another. The engine's trials share
# one inverse, delete without copying, and skip every neuron that the violation graph already shows to be essential.
# The table is for *one* neuron v (the mean of a few), from a compressed pair; the compression is timed apart, and the
# last column charges it to the engine in full.
#
# The column *published, compressed first* gives the published algorithm the engine's first idea, so that the
# comparison is fair to it: most of its time goes into long vectors. What is left is due to the algorithm. Sizes at
# which the published algorithm would run for too long are estimated by its power law and marked so.

# %%
show(tables["one minimal match"])

# %% [markdown]
# For *all* v the engine makes one ordered pass in which neurons share their trials until a trial parts them. On the
# smallest layer the published algorithm was run for every v, and every set compared. Beyond, its time is that of one
# v times their number: an estimate, and marked as one.

# %%
show(tables["all minimal matches"])

# %% [markdown]
# The figure shows the three problems on logarithmic axes. The gap widens with n: a straight line's slope is the power
# with which the time grows.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three panels of CPU seconds against neurons a side, both axes logarithmic: ten maximum matches, one minimal match, all minimal matches. In each the published algorithm lies far above the engine, most for all minimal matches, and the distance grows with n. Hollow points are estimates."}, "figure": {"caption": "CPU seconds of the engine and of the published algorithm; hollow: estimated.", "name": "fig-speed"}}
shown = ("maximum match, ten ε", "one minimal match", "all minimal matches")
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.6), sharey=True)
for ax, name in zip(axes, shown, strict=True):
    frame = tables[name][tables[name]["layer"] == "mixed"]
    estimate = frame["published is"].str.startswith("estimate") if "published is" in frame else frame["n"] < 0
    ax.loglog(frame["n"], frame["engine"], "o-", color="C0", label="engine")
    ax.loglog(frame["n"], frame["published"], "s-", color="C1", mfc="white", label="published")
    ax.plot(frame["n"][~estimate], frame["published"][~estimate], "s", color="C1")
    ax.set(title=name, xlabel="neurons a side", xticks=frame["n"], xticklabels=frame["n"])
    ax.minorticks_off()
axes[0].set_ylabel("CPU seconds")
axes[0].legend()
plt.show()

# %% tags=["hide-input"]
figures.download(pd.concat([tables[name].assign(problem=name) for name in shown]), "speed")

# %% tags=["hide-input"]
show(tables["growth"])

# %% [markdown]
# ## What we had set out to reach
#
# The targets were fixed before the engine was written.

# %%
show(tables["targets"])

# %% [markdown]
# ## All v when everything matches
#
# The hard case for all v is a layer in which every neuron is matched, and only just: no trial is saved by neurons
# that were never in. The table takes the smallest such ε. It compares the shared pass with an idea that looks good:
# search for each neuron's minimal match inside the smallest match already found that holds it, so that most searches
# run in small matches. (The two make different choices among the many minimal matches.)

# %%
show(tables["all v, every neuron matched"])

# %% tags=["hide-input"]
hard = tables["all v, every neuron matched"].iloc[-1]
faster = "one shared pass" if hard["one shared pass"] < hard["nested searches"] else "nested searches"
factor = max(hard["one shared pass"], hard["nested searches"]) / min(hard["one shared pass"], hard["nested searches"])
for key, value in {"hard-n": f"{hard['n']:.0f}", "hard-faster": faster, "hard-factor": f"{factor:.1f}"}.items():
    glue(key, value, display=False)

# %% [markdown]
# At the largest size, {glue:text}`hard-n` neurons a side, the winner is {glue:text}`hard-faster`, by a factor of
# {glue:text}`hard-factor`.
#
# ## Streaming and memory
#
# Real layers have millions of samples, so the pass over the data is what one waits for. The accumulator adds a check
# for bad values, the sums, and the joining of the networks to the bare matrix product of each batch. Its memory is
# one matrix and one batch: it stays the same when the samples double.

# %%
show(tables["streaming"])

# %% [markdown]
# ## The price of compiled code
#
# The engine's loops are compiled by Numba at their first call, once per machine; later processes load them from a
# cache. CPU seconds of first and later calls on a tiny layer:

# %%
show(tables["compilation"])

# %% [markdown]
# ## Measure it yourself
#
# The same comparison, made now, on a layer small enough for a page. Change `neurons` in the parameters and run it
# again.

# %%
x, y = layers.mixed(neurons, samples)
live = pd.DataFrame([run.maximum("live", x, y)])
show(live)

# %% [markdown]
# One minimal match, and a look at where the published algorithm spends its time: it computes this many distances by
# least squares, each on full-length vectors.

# %%
pair = Pair.from_arrays(x, y)
match = matching.maximum_match(pair, epsilon)
v = match.neurons[len(match) // 2]
ours, fast = clock(lambda: matching.minimal_match(run.fresh(pair), v, epsilon), 3)
theirs, slow = clock(lambda: published.minimal_match(x, y, v, epsilon))
run.check_equal(ours, theirs, f"minimal match of {v}")
row = {"v": f"{v[0]}{v[1]}", "matched": len(match), "its minimal match": len(ours), "engine": fast, "published": slow}
show(pd.DataFrame([row | {"ratio": slow / fast}]))

# %% [markdown]
# :::{exercise} Where does the time go?
# :label: ex-where-time-goes
# Double `samples` and predict, before you run: what happens to the engine's time for the minimal match, what to the
# published time? And if you double `neurons` instead?
# :::
#
# :::{solution} ex-where-time-goes
# :class: dropdown
# The engine's search works on the compressed pair, whose size doesn't depend on the samples: its time stays. The
# published time doubles, since every least-squares problem has twice as many equations. Doubling the neurons
# multiplies the published time by about the power of n in the table of growth, that is, several times: twice as many
# trials, each with larger problems.
# :::
