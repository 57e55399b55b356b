# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A scale: from chance to an earlier self
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** why a similarity can only be read on a scale with two ends, and where the layers of two trained
# networks lie on this scale.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# A median critical ε of 0.5: is that similar? **What would two unrelated layers get by chance, and what would a network get with itself a little earlier?**

# %% tags=["parameters"]
dataset = "cifar10"
networks = ["vgg16_bn", "resnet18"]
width = 1.0
seeds = [0, 1, 2, 3, 4]
recipes = ["paper", "short"]  # one for each network
epochs = [160, 40]
earlier = [125, 36]  # the epoch of the first seed that is the ceiling
permutations = 200
look_at = "subspace_median"  # 1 less the median critical ε; "subspace" is the area under s(ε)
recompute = False

# %% tags=["hide-input", "remove-stderr"]
import pandas as pd

from helpers.measures import MEASURES
from helpers.measures.scale import on_scale
from helpers.pages import figures, scales
from helpers.pages.filled import glue
from helpers.pages.layer_tables import spoken
from helpers.pages.teaching.exercises import check
from helpers.studies import calibration
from helpers.studies.scale_conditions import calibrate_values

figures.style()

# %% tags=["hide-input", "remove-stderr"]
place, runs = (dataset, width, seeds), zip(networks, recipes, epochs, earlier, strict=True)
values = scales.values_by_network(calibration.KIND, place, runs, recompute, permutations=permutations)
calibrated = {network: calibrate_values(table) for network, table in values.items()}
groups = scales.group_means(calibrated, look_at)

# %% tags=["remove-cell"]
untrained = scales.group_means(calibrated, look_at, "calibrated_untrained")
rows = {n: table[table["measure"] == look_at] for n, table in calibrated.items()}
largest = max(float(table["p"].max()) for table in rows.values())


def each(table, group):
    """One group's value of every network that has it, as a page says it."""
    shown = table.dropna(subset=[group]) if group in table else table.iloc[:0]
    return " and ".join(f"{row[group]:.2f} ({row['network']})" for _, row in shown.iterrows()) or "nothing"


for group in ("first", "early", "middle", "late", "pool", "logits"):
    glue(group, each(groups, group), display=False)
glue("untrained-middle", each(untrained, "middle"), display=False)
most_untrained = max(float(table["calibrated_untrained"].max()) for table in rows.values())
glue("untrained-most", f"{most_untrained:.2f}", display=False)
above = [t.loc[t["untrained"] >= t["observed"], "layer"] for t in rows.values()]
glue("untrained-above", ", ".join(pd.concat(above)) or "none", display=False)
glue("untrained-above-count", f"In {sum(map(len, above))} of {sum(map(len, rows.values()))}", display=False)
glue("own-zeros", scales.unlike_itself(rows) if look_at == "subspace_median" else "", display=False)
glue("ceilings", " and ".join(f"{at} ({spoken(n)})" for n, at in zip(networks, earlier, strict=True)), display=False)
glue("measure", MEASURES[look_at].title, display=False)
glue("p-largest", f"{largest:.3f}", display=False)
glue("p-expected", scales.yes_or_no(abs(largest - 1 / (permutations + 1)) < 1e-9), display=False)
glue("middle-expected", scales.yes_or_no(bool(groups["middle"].between(0.3, 0.6).all())), display=False)
glue("late-expected", scales.yes_or_no(bool(groups["late"].iloc[0] > 0.85)), display=False)
glue("pool-expected", scales.yes_or_no(bool((groups["pool"] > 0.9).all())), display=False)
glue("untrained-expected", scales.yes_or_no(most_untrained < 0.25), display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# The calibrated similarity goes from 0 (chance) to 1 (the network itself, some epochs earlier). First layer:
# {glue:text}`first`. Middle:
# {glue:text}`middle`. Late: {glue:text}`late`. Pooled features: {glue:text}`pool`. The largest p of any layer is {glue:text}`p-largest`; a small p means above chance.
# {glue:text}`untrained-above-count` layers the value of two untrained networks is at least as high as that of two trained
# ones. {glue:text}`own-zeros`
# :::
#
# ## How we know
#
# Four comparisons are made for every layer, on the same test images. **Chance**: one of the two networks sees the
# images in another order. We took one trained pair and {{permutations}} random orders, the same in all layers.
# **Untrained**: two networks before training. **Observed**: two networks after training, from two seeds. **Ceiling**:
# the network of the first seed and an earlier checkpoint of its own training, after epoch {glue:text}`ceilings`. The measure is {glue:text}`measure`. A
# larger value is more similar.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One panel per network: by layer, four lines for chance, untrained, another seed and an earlier self."}, "figure": {"caption": "The four comparisons by layer. The band around the observed line is its 95 % interval over networks.", "name": "fig-scale-ends"}}
figure = scales.plot_ends(calibrated, look_at, MEASURES[look_at].title.rpartition(", ")[2])

# %% tags=["hide-input"]
everything = pd.concat([table.assign(network=network) for network, table in calibrated.items()])
figures.download(everything, "calibrated-similarity")

# %% [markdown]
# Where the chance line is high, a high value means little: there even unrelated layers match, for example
# because all activations have a common mean. Where the ceiling is low, a low value means little: there a network does
# not even match its own earlier state. So each layer gets its own scale:
#
# :::{prf:definition} Calibrated similarity
# :label: def-calibrated
# Let $c$ be the mean over the permutations, $t$ the ceiling and $s$ the observed value. The calibrated similarity is $(s - c) / (t - c)$; it is not defined
# where $t \le c$. A distance and its similarity, $d = 1 - s$, give the same value.
# :::
#
# In the middle layers it is {glue:text}`middle`. Untrained networks are put on the scale of the trained ones. They reach
# {glue:text}`untrained-middle` there. Their own chance was not measured. Untrained layers often share a large common
# mean, so their own chance may be higher ([causes](causes.ipynb)). These layers match at least as well untrained as
# trained: {glue:text}`untrained-above`.

# %% tags=["hide-input", "shows-def-calibrated"] mystnb={"image": {"alt": "One panel per network: by layer, the calibrated similarity of two seeds with its interval, and that of untrained twins; lines at 0 and 1."}, "figure": {"caption": "Calibrated similarity by layer, with 95 % intervals; 0 is chance, 1 is an earlier self.", "name": "fig-scale-calibrated"}}
figure = scales.plot_calibrated(calibrated, look_at)

# %% tags=["hide-input"]
figures.table(groups, digits=2, label="Calibrated similarity by group of layers")

# %% [markdown]
# **The interval.** Different pairs can contain the same network, so their values are not independent.
# We use a model: value = mean + effect of one network + effect of the other + noise. The interval comes from leaving
# out one network at a time (the jackknife). Its t distribution has one degree of freedom less than there are
# networks. A simulation in the tests checks it: an interval of nominally 95 % covers the truth in at least 90 % of
# the cases, with three networks and with five. The interval is for the observed value only. It takes both ends as
# known. Chance comes from one pair of trained networks, and the ceiling from one network.
#
# **What was expected.** We wrote this down before we looked. Each line says whether it came out.
#
# - Middle layers are between 0.3 and 0.6: {glue:text}`middle-expected`.
# - Late layers of VGG-16 are above 0.85: {glue:text}`late-expected`.
# - Pooled features of both networks are above 0.9: {glue:text}`pool-expected`.
# - Untrained networks are below 0.25 everywhere: {glue:text}`untrained-expected`.
# - p is as small as it can be, 1 / (1 + {{permutations}}), in every layer: {glue:text}`p-expected`.
#
# ## What would change our mind
#
# - *The images.* Convolutional layers are sampled at 9 positions of each of 1000 images. The last ones, with maps of 2 × 2,
#   have 4 positions of each of 2000 images. The other layers have 2000 images. With 512 neurons that is less than the
#   10 samples per neuron that [a comparison of your own](own_networks.ipynb) asks for. With fewer samples chance
#   rises. The atlas has the observed values on the whole test set.
# - *The ceiling.* A checkpoint from the very end of a training is nearly the same network. With an earlier checkpoint
#   the ceiling is lower, and every layer looks more similar on its scale.
# - *The measure.* The area under s(ε) is recorded, too: run the page with `-p look_at subspace`. Other measures have
#   [a page of their own](measure.ipynb).
#
# ## Try it
#
# ```bash
# .venv/bin/python -m helpers run scale -p look_at subspace
# ```
#
# The scale itself is one function:

# %%
observed, chance, ceiling = 0.45, 0.2, 0.9
round(float(on_scale(observed, chance, ceiling)), 2)

# %% [markdown]
# ## Exercises
#
# :::{exercise} A p that is never zero
# :label: ex-scale-p
# Write `p_of(observed, chance)`. Take the observed value and all values of `chance` together. The function returns
# the share of them that are at least as large as the observed value.
# :::
#
# :::{solution-start} ex-scale-p
# :class: dropdown
# :::


# %% tags=["solution"]
def p_of(observed, chance):
    """(1 + permutations that reach the observed value) / (1 + permutations)."""
    return (1 + sum(value >= observed for value in chance)) / (1 + len(chance))


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-scale-p", p_of)

# %% [markdown]
# :::{exercise} Two layers, one number
# :label: ex-scale-two
# Layer A: chance 0.1, observed 0.4, ceiling 0.5. Layer B: chance 0.6, observed 0.7, ceiling 1. Which is more similar raw, which calibrated? Explain the difference in
# one sentence.
# :::
#
# :::{solution} ex-scale-two
# :class: dropdown
# Raw, B (0.7 against 0.4). Calibrated, A: $0.3/0.4 = 0.75$ against $0.1/0.4 = 0.25$. In B unrelated layers already get 0.6,
# and the ceiling is 1. In A the observed value is not far from its ceiling.
# :::
#
# :::{exercise} Permute positions, too
# :label: ex-scale-positions
# Chance permutes whole images and keeps the positions of each together. Predict: would chance rise or fall if positions were permuted, too? Which layers would
# notice?
# :::
#
# :::{solution} ex-scale-positions
# :class: dropdown
# It would fall, or stay. Some activations depend on the position alone, for example at the border. A permutation of
# whole images keeps them, so unrelated layers share them. If positions were mixed, they would be lost. First layers with
# large maps would notice. Pooled features and fully connected layers have only one position, so nothing would change
# for them.
# :::
