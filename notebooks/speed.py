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
# **You will learn** how fast the code of this book is compared with the published algorithm, and how the time grows
# with the size of a layer.
#
# **You need first** [the algorithms](algorithms.ipynb); for the last section [numerics](numerics.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::

# %% tags=["parameters"]
neurons = 32  # per side, for the measurement this page makes itself
samples = 2000
epsilon = 0.3

# %% tags=["hide-input", "remove-stderr"]
import inspect
import json

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks import layers, published, recording, run
from benchmarks.machine import clock
from helpers import matching
from helpers.pages import figures
from helpers.pages.filled import glue
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
# A statement such as "a hundred times faster" needs two more facts. Faster *than what*? And do both programs give equal
# answers? On this page the *engine* is the fast code of this book.
#
# **Than what.** We compare with the published algorithm in its simplest form: least squares at every step, a new run
# for every ε, and nothing stored between steps. This is all of it for the maximum match:

# %% tags=["hide-input"]
print(inspect.getsource(published.relative_distances), inspect.getsource(published.maximum_match), sep="\n\n")

# %% [markdown]
# **Equal answers.** Every comparison below checks that both programs found equal sets, and stops if they did not.
#
# **How we measured.** Everything runs in one process with one thread. We count CPU seconds, so that other work on the
# machine does not matter. The layers are synthetic: ReLU mixtures of shared features with noise. They have
# {term}`cliffs <cliff>` and many {term}`critical ε`, as real layers do. "Recorded" is the geometry of a layer of two
# trained networks. The tables come from `make bench`, which ran on this machine:

# %% tags=["hide-input"]
record = json.loads(run.FILE.read_text())
tables = {name: pd.DataFrame(rows) for name, rows in record["tables"].items()}
about = record["machine"]
words = {
    "processor": f"{about['processor']}, {about['cores']} cores, {about['threads']} thread used",
    "matrix library": "; ".join(about["blas"]),
    "software": ", ".join(f"{name} {number}" for name, number in about["libraries"].items()),
    "samples": f"{record['samples']} per neuron",
    "engine": f"code {record.get('engine', '–')}",
}
figures.table(pd.DataFrame(list(words.items()), columns=["what", "value"]))

# %% [markdown]
# ## The maximum match at ten ε
#
# The engine compresses the two arrays and runs one {term}`peel`. The published algorithm runs once for each ε. The CPU
# seconds are for all ten ε, from arrays to sets. *NumPy only* is the engine without compiled code. On small arrays the
# engine uses the more exact [QR route](numerics.ipynb). Therefore the smallest layer costs more than the next.

# %%
show(tables["maximum match, ten ε"])

# %% [markdown]
# Every method that compresses must compute the {term}`Gram matrix`. How much of the engine's time is that? The column
# *beyond* is the time for everything else, divided by the time for the matrix product.

# %%
show(tables["parts of a maximum match"])

# %% [markdown]
# ## Minimal matches
#
# A {term}`minimal match` needs hundreds of maximum matches, one for every trial deletion. In the engine, trials share
# one inverse and delete without copying. They skip every neuron that the violation graph shows to be essential. The
# table is for *one* neuron v (the mean of a few neurons), and starts from a compressed pair. The compression is timed
# separately, and the last column adds all of it to the engine's time.
#
# Most of the published algorithm's time is spent on long vectors. To be fair, the column *published, compressed
# first* gives it compressed vectors, too. The difference that is left is due to the algorithm. For large sizes the
# published algorithm would run too long. There its time is estimated by its power law, and marked as an estimate.

# %%
show(tables["one minimal match"])

# %% [markdown]
# For *all* v the engine makes one ordered pass, in which neurons share their trials until a trial separates them. On
# the smallest layer the published algorithm was run for every v, and all sets were compared. For larger layers its
# time is estimated: the time for one v multiplied by the number of neurons.

# %%
show(tables["all minimal matches"])

# %% [markdown]
# The figure shows the three problems on logarithmic axes. The slope of a straight line is the power of n with which
# the time grows. The distance between the lines grows with n.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three panels of CPU seconds against neurons per network, both axes logarithmic: ten maximum matches, one minimal match, all minimal matches. In each the published algorithm lies far above the engine, most for all minimal matches, and the distance grows with n. Hollow points are estimates."}, "figure": {"caption": "CPU seconds of the engine and of the published algorithm; hollow: estimated.", "name": "fig-speed"}}
shown = ("maximum match, ten ε", "one minimal match", "all minimal matches")
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.6), sharey=True)
for ax, name in zip(axes, shown, strict=True):
    frame = tables[name][tables[name]["layer"] == "mixed"]
    estimate = frame["published is"].str.startswith("estimate") if "published is" in frame else frame["n"] < 0
    ax.loglog(frame["n"], frame["engine"], "o-", color="C0", label="engine")
    ax.loglog(frame["n"], frame["published"], "s-", color="C1", mfc="white", label="published")
    ax.plot(frame["n"][~estimate], frame["published"][~estimate], "s", color="C1")
    ax.set(title=name, xlabel="neurons per network", xticks=frame["n"], xticklabels=frame["n"])
    ax.minorticks_off()
axes[0].set_ylabel("CPU seconds")
axes[0].legend()
plt.show()

# %% tags=["hide-input"]
figures.download(pd.concat([tables[name].assign(problem=name) for name in shown]), "speed")

# %% tags=["hide-input"]
show(tables["growth"])

# %% [markdown]
# ## Our targets
#
# The targets were fixed before the engine was written.

# %%
show(tables["targets"])

# %% [markdown]
# ## All v when everything matches
#
# The hardest case for all v is the smallest ε at which every neuron is matched, because then every neuron must be
# tried. The table compares the shared pass with another idea: for each neuron, search inside the smallest match that
# contains it and that was already found. Then most searches run in small matches. (The two methods may find different
# minimal matches.)

# %%
show(tables["all v, every neuron matched"])

# %% tags=["hide-input"]
hard = tables["all v, every neuron matched"].iloc[-1]
faster = "one shared pass" if hard["one shared pass"] < hard["nested searches"] else "nested searches"
factor = max(hard["one shared pass"], hard["nested searches"]) / min(hard["one shared pass"], hard["nested searches"])
for key, value in {"hard-n": f"{hard['n']:.0f}", "hard-faster": faster, "hard-factor": f"{factor:.1f}"}.items():
    glue(key, value, display=False)

# %% [markdown]
# At the largest size, with {glue:text}`hard-n` neurons on each side, {glue:text}`hard-faster` is faster by a factor
# of {glue:text}`hard-factor`.
#
# ## Streaming and memory
#
# Real layers have millions of samples, so the pass over the data takes most of the time. For each batch the
# accumulator checks for bad values, joins the two networks, computes the matrix product, and adds it up. It needs
# memory for one matrix and one batch. This does not change when the number of samples doubles.

# %%
show(tables["streaming"])

# %% [markdown]
# ## Recording whole networks
#
# A recording sends images through several networks and collects all layers in one pass, with the paper's draws of
# samples. No method can avoid one forward pass of every network and one symmetric product per layer. In the table their
# time is the *floor*.
# The table has CPU seconds of one thread, for five networks. *Before* is the plain way: keep the outputs, stack, and
# multiply. It holds all activations in memory and was not tried on many images. The collector is this book's method. It
# reserves the memory of all matrices once. With few images this takes a large part of the time. With more images the
# collector comes nearer to the floor.

# %%
recorded = pd.DataFrame(json.loads(recording.FILE.read_text())["rows"])
names = recorded["networks"] + ", " + recorded["images"].astype(str) + " images"
turned = recorded.drop(columns=["networks", "images"]).set_index(names).T
show(turned.rename_axis("CPU seconds").rename_axis(None, axis=1).reset_index())

# %% [markdown]
# ## The time to compile
#
# Numba compiles the engine's loops at their first call, once per machine. Later processes load them from a cache. The
# table has the CPU seconds of first and later calls on a very small layer:

# %%
show(tables["compilation"])

# %% [markdown]
# ## Measure it yourself
#
# Here is such a comparison, made when this page was built, on a small layer. Change `neurons` in the parameters and
# run it again.

# %%
x, y = layers.mixed(neurons, samples)
live = pd.DataFrame([run.maximum("live", x, y)])
show(live)

# %% [markdown]
# Now one minimal match. The cell also counts how many distances the published algorithm computes by least squares,
# each on vectors of full length.

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
# Double `samples` and predict before you run: what happens to the engine's time for the minimal match? What happens
# to the published algorithm's time? What if you double `neurons` instead?
# :::
#
# :::{solution} ex-where-time-goes
# :class: dropdown
# The engine's search uses the compressed pair, whose size does not depend on the samples. So its time does not
# change. The published algorithm's time doubles, because every least-squares problem has twice as many equations. If
# the neurons double, the published algorithm's time grows several times, by the power of n in the table of growth. It
# has twice as many trials, and each has larger problems.
# :::
