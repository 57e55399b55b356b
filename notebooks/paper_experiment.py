# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The paper's experiment at the paper's size
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how similar each layer of two networks is when only their random start differs, and how training,
# counting and sampling change the result.
#
# **You need first** [the maximum match and critical ε](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Train one architecture several times from different random weights, to the accuracy of the paper. How similar are the copies, layer
# by layer?

# %% tags=["hide-input", "remove-stderr"]
from helpers.pages import answer, caveats, evidence, figures
from helpers.pages.claims import read_evidence
from helpers.pages.filled import glue

figures.style()
plan = read_evidence()
measured = evidence.gather(plan)

# %% tags=["remove-cell"]
numbers = {network: answer.group_numbers(plan, network, table) for network, table in measured.critical.items()}
for network, groups in numbers.items():
    glue(f"{network}-accuracy", float(100 * measured.accuracy[network].mean()), display=False)
    for group, value in groups.items():
        glue(f"{network}-{group}", value, display=False)
power = {network: answer.group_numbers(plan, network, t, "power") for network, t in measured.critical.items()}
glue("fc-power", power["vgg16_bn"]["fc"], display=False)
for network, groups in power.items():
    glue(f"{network}-first-power", groups["first"], display=False)
glue("untrained", evidence.untrained_words(plan, measured), display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# At ε = 0.3 the middle layers hardly match: {glue:text}`vgg16_bn-middle:.2f` (VGG-16-BN) and
# {glue:text}`resnet18-middle:.2f` (ResNet-18). The first layer does: {glue:text}`vgg16_bn-first:.2f` and
# {glue:text}`resnet18-first:.2f`. Near the output the two architectures differ: the last convolutional layers reach
# {glue:text}`vgg16_bn-late:.2f` in VGG-16-BN and {glue:text}`resnet18-late:.2f` in ResNet-18.
# :::
#
# ## How we know
#
# Five copies of each network were trained on CIFAR-10 at full width. On average they classify
# {glue:text}`vgg16_bn-accuracy:.1f` % (VGG-16-BN) and {glue:text}`resnet18-accuracy:.1f` % (ResNet-18) of the test images
# correctly. Each layer of each copy was compared with the same layer of each other copy. That gives ten pairs. We
# used all 10 000 test images and all positions. This is the figure of the paper. Each line is one ε; a higher line
# means that more neurons match. The shaded bands show the range over the ten pairs.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four panels: similarity against layer for VGG-16-BN and ResNet-18, trained above and untrained below, one line for each of five values of epsilon. Trained: high in the first layer, zero in the middle, high near the output."}, "figure": {"caption": "Maximum matching similarity by layer, one line for each \u03b5 of the paper. Above: trained networks. Below: the same networks before training.", "name": "fig-paper"}}
figure = answer.plot_by_layer(plan, measured.critical, measured.untrained)

# %% tags=["remove-input"]
figures.download(evidence.counts_by_layer(plan, measured), "paper-experiment")

# %% [markdown]
# {glue:text}`untrained` So a part of the similarity near the input needs no training. At smaller ε trained first layers
# match more, as the figure shows.
#
# **Counting matters in the first layer and in the fully connected layers.** The paper counts neurons. There many
# neurons are zero on nearly all images, or weak, and they decide the count. We can also count by power: each neuron
# then counts by its share of the squared activations. Counted by power, the first layers reach
# {glue:text}`vgg16_bn-first-power:.2f` (VGG-16-BN) and {glue:text}`resnet18-first-power:.2f` (ResNet-18). The hidden
# fully connected layers of VGG-16-BN reach {glue:text}`fc-power:.2f` instead of {glue:text}`vgg16_bn-fc:.2f`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels with the similarity of each layer at epsilon 0.3 counted in three ways: by neurons, by alive neurons and by power."}, "figure": {"caption": "The matches at \u03b5 = 0.3, counted in three ways: over all neurons, over alive neurons, and by power.", "name": "fig-counts"}}
figure = evidence.plot_counts(plan, measured.critical)

# %% [markdown]
# **Most layers match all at once.** One number per neuron, its critical ε, holds the similarity at
# *every* ε. In most deep layers nearly all neurons have nearly the same critical ε. So the similarity jumps from near
# 0 to near 1 when ε grows by a little.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two maps with one row per layer and epsilon to the right; a row has no colour where nothing matches and full colour where everything does."}, "figure": {"caption": "Similarity of every layer (rows, input on top) at every \u03b5. No colour: nothing matches. Full colour: everything matches.", "name": "fig-paper-maps"}}
figure = evidence.plot_maps(plan, measured.critical)

# %% [markdown]
# **Is the published protocol exact enough?** The paper draws 10 000 positions 16 times and averages. Here are its errors against
# the full test set.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels: for each convolutional layer and epsilon the difference between the sampled and the full similarity."}, "figure": {"caption": "Similarity from the paper's random positions, less the similarity on all positions.", "name": "fig-protocol"}}
figure = evidence.plot_protocol(plan, measured)

# %% tags=["remove-cell"]
errors = evidence.protocol_errors(plan, measured)
glue("worst", float(errors["difference"].abs().max()), display=False)
glue("pair-errors", caveats.by_network(plan, caveats.pair_errors(plan, measured)), display=False)
glue("typical", float(errors["difference"].abs().median()), display=False)
glue("expected", evidence.expectation_text(plan, "C1"), display=False)

# %% [markdown]
# These are means over ten pairs. The median error is {glue:text}`typical:.3f`, mostly because both values are 0 or 1. The
# largest is {glue:text}`worst:.2f`. It occurs where the similarity of the layer is about to jump. In a mean, errors of
# different pairs can cancel. In a single pair the largest error is {glue:text}`pair-errors`.
#
# ## What would change our mind
#
# A middle layer with a similarity above 0.1 at ε = 0.3, in networks of this accuracy, would change our mind. We fixed
# this bound before we looked. We also wrote down what we expected: "{glue:text}`expected`" [All claims and
# verdicts](ledger.ipynb) lists what came out. A zero at ε = 0.3 does not mean that two layers are unrelated. [The
# next page](scale.ipynb) measures two more cases: two unrelated layers, and a network compared with itself a few
# epochs earlier.
#
# ## Try it
#
# Some of these layers are recorded in compressed form. Match one of them here, then change the layer or ε.

# %%
from helpers.matching import maximum_match

layer, epsilon = measured.gram_layers("vgg16_bn")[0], 0.3
pair = measured.pair("vgg16_bn", layer)
match = maximum_match(pair, epsilon)
f"{layer}: {len(match.x)} of {pair.n_x} and {len(match.y)} of {pair.n_y} neurons match at ε = {epsilon}"

# %% [markdown]
# :::{exercise} Your own ε
# :label: ex-paper-epsilon
# On paper: a layer has 100 neurons in each network. At ε = 0.3 it has a maximum match of 40 neurons of one network and 50 of the other.
# What is its similarity? What is the smallest similarity it can have at ε = 0.5?
# :::
#
# :::{solution} ex-paper-epsilon
# :class: dropdown
# The similarity is (40 + 50) / 200 = 0.45. The maximum match grows with ε, so at ε = 0.5 it holds at least these neurons: 0.45 is the
# smallest possible value.
# :::
#
# :::{exercise} Predict the other network
# :label: ex-paper-predict
# Cover the right half of the first figure. From the left half, predict where ResNet-18 is similar. Which of your predictions fail, and
# which difference between the two architectures could be the reason?
# :::
#
# :::{solution} ex-paper-predict
# :class: dropdown
# The first layer, the pooled features and the logits behave alike. The last convolutional layers may not: compare the values in the
# answer above. In ResNet-18 every block adds to a sum that passes through a whole stage, so its outputs may keep much of what came before. We did not test this.
# :::
#
# :::{exercise} Where does a layer jump?
# :label: ex-paper-edge
# In code: for the layer above, find the smallest ε at which half of all neurons match, from `critical_epsilons(pair)`.
# :::
#
# :::{solution-start} ex-paper-edge
# :class: dropdown
# :::

# %% tags=["solution"]
import numpy as np

from helpers.matching import critical_epsilons

values = np.sort(np.concatenate(critical_epsilons(pair)))
float(values[(len(values) - 1) // 2])

# %% [markdown]
# :::{solution-end}
# :::
