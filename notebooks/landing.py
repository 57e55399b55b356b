# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do different networks learn the same representation?

# %% tags=["remove-cell"]
import pandas as pd

from helpers.pages import answer, evidence, figures, verdicts
from helpers.pages.claims import read_evidence
from helpers.pages.filled import glue

figures.style()
plan = read_evidence()
measured = evidence.gather(plan)
judged = verdicts.judged(plan, measured)
glue("answer", answer.answer_sentence(plan, measured), display=False)
glue("rests-on", answer.scale_sentence(plan, measured.scale_rests_on), display=False)

# %% tags=["remove-cell"]
numbers = {network: answer.group_numbers(plan, network, table) for network, table in measured.critical.items()}
for network, groups in numbers.items():
    glue(f"{network}-low", float(100 * measured.accuracy[network].min()), display=False)
    glue(f"{network}-high", float(100 * measured.accuracy[network].max()), display=False)
    glue(f"{network}-copies", len(measured.accuracy[network]), display=False)
    for group, value in groups.items():
        glue(f"{network}-{group}", value, display=False)
stitched = pd.concat(measured.stitched.values())
glue("stitched-pairs", len(stitched[["seed_a", "seed_b"]].drop_duplicates()), display=False)
glue("stitched-images", f"{int(stitched['images'].min()):,}".replace(",", "\u00a0"), display=False)
glue("lost-middle", 100 * answer.stitching_loss(plan, measured, "middle"), display=False)
glue("scale-middle", measured.on_scale(plan, "middle"), display=False)
glue("scale-untrained", measured.on_scale(plan, "middle", "untrained"), display=False)
for name, count in zip(("above", "of"), measured.untrained_above(plan, "middle"), strict=True):
    glue(f"untrained-{name}", count, display=False)
before = {network: answer.group_numbers(plan, network, table) for network, table in measured.untrained.items()}
firsts = dict.fromkeys(f"{groups['first']:.2f}" for groups in before.values())  # equal ones are said once
glue("first-before", " and ".join(firsts), display=False)
for network, groups in before.items():
    glue(f"{network}-pool-before", groups["pool"], display=False)
for table in measured.targets.values():
    glue("targets-width", f"{table['width'].iloc[0]:g}", display=False)
    glue("targets-accuracy", float(100 * table["accuracy"].iloc[0]), display=False)

# %% [markdown]
# **{glue:text}`answer`**

# %% tags=["remove-input"]
alt = "Similarity against layer for two networks, one line for each ε: high in the first layer, zero in the middle layers."
still = answer.plot_by_layer(plan, measured.critical)
answer.answer_figure(answer.answer_data(plan, measured.critical, measured.calibrated), alt, still)

# %% [markdown]
# Each point compares one layer of two copies of a network that differ only in their random start. The **similarity**
# is the share of matched neurons. A neuron is matched if a weighted sum of matched neurons of the other copy equals
# it, up to a relative error ε {cite}`wang2018towards`.
#
# ## Three things to take away
#
# 1. **Two copies share the first layer and the pooled features, and hardly the middle.** At ε = 0.3 VGG-16-BN and
#    ResNet-18 reach {glue:text}`vgg16_bn-first:.2f` and {glue:text}`resnet18-first:.2f` in the first layer, and
#    {glue:text}`vgg16_bn-middle:.2f` and {glue:text}`resnet18-middle:.2f` in the middle. The pooled features, the
#    averages of the last maps, reach {glue:text}`vgg16_bn-pool:.2f` and {glue:text}`resnet18-pool:.2f`. A part
#    of this needs no training: untrained first layers reach {glue:text}`first-before`, and the untrained
#    pooled features of ResNet-18 {glue:text}`resnet18-pool-before:.2f` ([the experiment](paper_experiment.ipynb)).
# 2. **Zero does not mean unrelated.** We also measured on a scale. Chance is 0, and a network compared with itself some
#    epochs earlier is 1. The middle layers of two copies reach {glue:text}`scale-middle:.2f` on it, untrained ones
#    {glue:text}`scale-untrained:.2f`. In {glue:text}`untrained-above` of {glue:text}`untrained-of` middle layers
#    untrained copies match at least as well as trained ones. Their own chance was not measured ([the
#    scale](scale.ipynb)).
# 3. **What they compute can be exchanged.** A linear map puts a middle layer of one copy into the other. On average
#    that costs {glue:text}`lost-middle:.1f` percentage points of accuracy ([stitching](interchangeable.ipynb)).
#
# :::{admonition} How far to trust this
# :class: note
# - **Networks.** {glue:text}`vgg16_bn-copies` copies of VGG-16-BN with {glue:text}`vgg16_bn-low:.1f`–{glue:text}`vgg16_bn-high:.1f` % test accuracy,
#   {glue:text}`resnet18-copies` of ResNet-18 with {glue:text}`resnet18-low:.1f`–{glue:text}`resnet18-high:.1f` %. Full width, CIFAR-10.
# - **Similarity** uses all 10 000 test images. {glue:text}`rests-on`
# - **Stitching** uses {glue:text}`stitched-pairs` pairs of networks of each kind, in one direction, and {glue:text}`stitched-images` test images.
# - **Other targets** (C2b) were tried with networks of width {glue:text}`targets-width`, which reach
#   {glue:text}`targets-accuracy:.0f` %.
# - **Positions.** Layers are compared at every position of their maps. After an average over positions they look more
#   alike ([other measures](measure.ipynb)).
# - **Bounds** were fixed before looking. Readings that were added later are marked.
# - **Not done:** ImageNet with trained networks; other architectures of this size.
# :::
#
# ## Does the paper hold?

# %% tags=["remove-input"]
figures.table(verdicts.verdict_table(judged)[["id", "claim", "verdict"]], label="Claims of the paper and our verdicts")

# %% [markdown]
# P is our own question: is the paper's way of sampling exact enough? [All numbers and
# bounds](ledger.ipynb).
#
# ## Where to go on
#
# ::::{grid} 1 1 3 3
# :gutter: 2
#
# :::{grid-item-card} Understand it
# :link: worked_example.html
# The idea in pictures, on one page. Then the main results: 30 minutes in all.
# :::
#
# :::{grid-item-card} Run it
# :link: own_networks.html
# Compare two networks of your own in six lines.
# :::
#
# :::{grid-item-card} Teach it
# :link: teaching.html
# A lecture, three sessions or a project, with exercises and slides.
# :::
# ::::
