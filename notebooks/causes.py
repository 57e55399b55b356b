# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Why are layers near the output similar?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to test an explanation of similarity: remove the supposed cause, match again, and see what is
# left.
#
# **You need first** [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Train one architecture twice. Often the hidden layers near the output match, although the middle layers hardly
# match. The paper explains it in this way {cite}`wang2018towards`: both networks are accurate, so both are aligned
# with the same targets. Is that the cause?

# %% tags=["parameters"]
network = "vgg16_bn"
dataset = "cifar10"
width = 1
seeds = [0, 1, 2]
recipe = "paper"
epochs = 160  # None: the recipe's own
images = 2500  # None: the whole test set
others = [  # further networks, each by what differs
    {"network": "resnet18", "recipe": "short", "epochs": 40},
    {"width": 0.25, "recipe": "short", "epochs": 10, "images": None},
    {"network": "resnet18", "width": 0.25, "recipe": "short", "epochs": 10, "images": None},
    {"recipe": "short", "epochs": 5, "images": None},
    {"network": "resnet18", "recipe": "short", "epochs": 5, "images": None},
]
look_at = 0.3  # one of 0.15, 0.2, 0.25, 0.3, 0.5
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from dataclasses import replace

from helpers import studies
from helpers.matching import critical_epsilons
from helpers.pages import across_networks, cause_findings, figures
from helpers.pages.filled import glue
from helpers.pages.layer_tables import few_samples
from helpers.studies import causes, constructions

figures.style()

# %% tags=["remove-stderr", "remove-cell"]
study = studies.Study(dataset, network, width, seeds, recipe, epochs=epochs, images=images)
result = studies.find_or_compute(causes.KIND, study, recompute=recompute)
tables = result.tables
name = study.id.replace(".", "-")
for key, value in cause_findings.causes_in_words(tables, look_at).items():
    glue(key, value, display=False)
for key, value in cause_findings.shares_by_pair(tables, look_at, ["class_means_area", "third_logits_area"]).items():
    glue(f"{key}_by_pair", value, display=False)
near = tables["similarity"].query("condition == 'as it is' and kind == 'pool'")
pairs = len(near[["seed_a", "seed_b"]].drop_duplicates())
glue(
    "rests_on", f"{pairs} pair{'s' if pairs > 1 else ''} of networks and {near['samples'].max()} images", display=False
)
glue("few", few_samples("Pooled features", near["samples"].max(), near["neurons"].max() // 2), display=False)
shares = {epsilon: cause_findings.causes_in_words(tables, epsilon) for epsilon in (look_at, 0.5)}
for key in ("whole", "class_means", "third_logits"):
    glue(f"{key}_at_half", shares[0.5][key], display=False)
glue("look_at", f"{look_at:g}", display=False)
glue("studied", across_networks.study_title(study), display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# This page cannot show it. The networks are {glue:text}`studied` ({glue:text}`rests_on`). We take hidden layers near
# the output without the mean map of each neuron, and measure their similarity by the area under s(ε). Without the
# class means {glue:text}`class_means_area` of it is left (single pairs: {glue:text}`class_means_area_by_pair`).
# Without the outputs of a third network it is {glue:text}`third_logits_area`
# ({glue:text}`third_logits_area_by_pair`). Directions of equal power leave {glue:text}`strongest_left`, but they are
# mostly the outputs themselves ({glue:text}`own_explained`). So this shows no cause. Training for [other targets](alike.ipynb) is the better test.
# :::
#
# ## How we know

# %% [markdown]
# ### What is removed
#
# Each row of this table is a way to compare two networks. For each pair we also use a third network, which was
# trained independently.

# %%
figures.table(cause_findings.comparisons_table(tables["similarity"]), label="The comparisons")

# %% [markdown]
# :::{dropdown} How things are removed
# A label or a logit belongs to an image, but a convolutional neuron has one value at every position of the image. So
# we remove things *at each position separately*: the class mean of a neuron is a map, not a number. The logits of a
# third network are the fair test of "aligned with the same outputs". The logits of the two networks themselves would
# not be fair. They are computed from the layer that we look at, so a layer near the output would lose much in any
# case.
#
# None of this needs the activations themselves. One pass over the images adds up the products of the neurons with one
# another and with the features. Removing features is then an operation on these small matrices.
# :::
#
# :::{prf:proposition} What is left, from products alone
# :label: prp-residual
# At one position let $Z_u$ be the activations of network $u$ (neurons × images) and $F$ the features (features ×
# images), with products $C_u = Z_u F^\top$ and $K = F F^\top$. From network $u$ remove the projection on the rows of
# $T_u F$, and let $A_u = T_u^\top (T_u K T_u^\top)^+ T_u$. The Gram matrix of what is left is
#
# $$R_{uv} = Z_u Z_v^\top - C_u \,(A_u + A_v - A_u K A_v)\, C_v^\top .$$
#
# For $u = v$ this is the Schur complement $Z_u Z_u^\top - C_u A_u C_u^\top$. Over all positions the terms add up.
# :::
#
# :::{prf:proof}
# The orthogonal projector on the rows of $T_u F$ is $P_u = (T_u F)^\top (T_u F F^\top T_u^\top)^+ T_u F = F^\top A_u F$. What is left
# of $Z_u$ is $Z_u (I - P_u)$, so
#
# $$R_{uv} = Z_u (I - P_u)(I - P_v) Z_v^\top = Z_u Z_v^\top - Z_u P_u Z_v^\top - Z_u P_v Z_v^\top + Z_u P_u P_v Z_v^\top .$$
#
# Insert $P = F^\top A F$: the second and third term are $C_u A_u C_v^\top$ and $C_u A_v C_v^\top$, the last one is
# $C_u A_u K A_v C_v^\top$. If $u = v$, then $A K A = A$, since $X^+ X X^+ = X^+$.
# :::

# %% [markdown]
# ### What is left of the similarity?
#
# At ε = {glue:text}`look_at`, {glue:text}`whole` of the neurons in hidden layers near the output match. (These are
# {glue:text}`near_output`.) Without the mean map, {glue:text}`centred` of this similarity is
# left. Without the class means {glue:text}`class_means` is left, and without the logits of a third network
# {glue:text}`third_logits`. If the second network sees other images of the same classes, {glue:text}`same_class` is
# left. Untrained networks have {glue:text}`untrained` of it. {glue:text}`few`

# %% tags=["hide-input", "shows-prp-residual"] mystnb={"image": {"alt": "A map with a row for each comparison and a column for each layer from the input to the logits; cells hold the similarity in hundredths."}, "figure": {"caption": "Similarity of every layer under every comparison, averaged over the pairs of networks. A dot is exactly zero. A dash was left out, because too little remained to compute it exactly.", "name": "fig-conditions-{{page}}"}}
shown = cause_findings.by_condition(tables["similarity"], look_at)
figure = cause_findings.plot_conditions(shown, f"similarity at ε = {look_at:g}, in hundredths")

# %% tags=["hide-input"]
figures.download(shown.reset_index().replace(cause_findings.SPOKEN), f"conditions-{name}")

# %% [markdown]
# The four rows below *mean map* remove the mean map, too, so compare them with that row. If nothing is
# left in it, zeros in these four rows say nothing about labels or outputs. Try `look_at = 0.5`.
#
# :::{dropdown} What *class means* and *same class* ask
# *Class means* asks whether the networks share anything beyond the class. *Same class* asks the opposite: is the
# class enough? There the second network sees another image of the same class. That is a hard test. A part of each
# neuron varies within the classes. Now this part is unrelated to everything in the other network, so the neuron keeps
# a distance. It is at least the square root of this part's share of the power, here about {glue:text}`distance`. At a
# smaller ε nothing can match, even if both networks have equal class means.
# :::
#
# ### The same question without choosing ε
#
# The area under the curve s(ε) depends on no single ε. It is the mean of (1 − critical ε) over the neurons. In hidden
# layers near the output it is {glue:text}`whole_area`. Without the mean map it is {glue:text}`base_area`. In the row *any
# image*, where the two networks never see the same image, it is {glue:text}`floor_area`.
#
# Without the class means {glue:text}`class_means_area` of this second area is left, and without the logits of a third
# network {glue:text}`third_logits_area`. Now take the area above the row *any image*. With other images of the same
# class {glue:text}`same_class_area` of it is left. Untrained networks have {glue:text}`untrained_area` of it.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The same map as before with the area under the curve in hundredths: values fall from the first row to the rows of logits and of other images."}, "figure": {"caption": "Area under the curve s(\u03b5) of every layer under every comparison, in hundredths.", "name": "fig-areas-{{page}}"}}
areas = cause_findings.by_area(tables["critical"])
figure = cause_findings.plot_conditions(areas, "area under s(ε), in hundredths")

# %% tags=["hide-input"]
figures.download(areas.reset_index().replace(cause_findings.SPOKEN), f"areas-{name}")

# %% [markdown]
# What is left without the class means is not explained by the class. Perhaps the networks also agree on
# single images: how strongly an image looks like each class. The logits of a third network contain this, too.
#
# :::{dropdown} Why *other logits* is not the better test, and a warning about *untrained*
# Why is *other logits* not the better test? Let the logits of each network be a common part plus a part of its own,
# $l_a = s + n_a$ and $l_b = s + n_b$. Remove $l_b$ from $l_a$: mostly $n_a - n_b$ is left. Remove $l_a$ from $l_b$:
# mostly $n_b - n_a$ is left. These two match well, whatever the networks have learned. So this match is an artefact.
# With `width = 0.25` the logits are recorded, too, and you can see it in their column. The third network is not part of the pair, and we remove the same
# directions from both networks.
#
# Be careful with *untrained* in pooled features. Before training these are nearly one constant direction, which any
# two networks share. So this match comes from the mean and not from the images. Compare the row *mean map* and the
# dimension in the data below.
# :::

# %% [markdown]
# ### Are the outputs more than strong directions?
#
# When the ten logits are removed, most of the power of these layers is removed, too: {glue:text}`power` is left.
# Perhaps *any* ten directions of this strength would remove as much of the match. So we need a control. We take the
# principal components of the third network's own layer, which do not depend on labels or outputs. We remove them from
# both networks, the strongest first ({prf:ref}`prp-residual` with these directions as features).
#
# Without the third network's logits {glue:text}`third_logits_area` of the area is left. Now remove strongest
# directions until the same variance is left: then {glue:text}`strongest_left` of the area is left. Without all of
# them it is {glue:text}`all_left`. The second line in the figure removes only directions *beside* the outputs. These
# are the principal components of the third network's layer after its logits were removed from it. Without as many of
# these as there are logits, {glue:text}`beside_left` is left.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One panel for each hidden layer near the output: share of the area left against the share of variance left. One line is for the strongest directions of a third network, one for directions beside its logits. A star is for its logits."}, "figure": {"caption": "What is left of the area under s(\u03b5) of the layers without mean map as directions of a third network are taken away, mean over pairs. A star below the solid line says that outputs are more than strong directions.", "name": "fig-directions-{{page}}"}}
directions = cause_findings.directions_near_output(tables["directions"])
if len(directions):
    figure = cause_findings.plot_directions(directions)

# %% tags=["hide-input"]
figures.download(directions.replace(cause_findings.SPOKEN), f"directions-{name}")

# %% [markdown]
# If a star is on the solid line, removing the outputs takes no more than removing other directions of
# equal strength. But which directions are strong? Near the output a network's own logits explain
# {glue:text}`own_explained` of the variance of a layer. So the strong directions are mostly the outputs themselves,
# and this test cannot separate the two.
#
# :::{dropdown} What a flat dashed line does not say
# A flat dashed line does not show that nothing else is shared. A critical ε is relative to the whole neuron. As long
# as the outputs are a large part of it, they decide it. Compare the end of the solid line with the star instead. At
# the end the whole layer of the third network is removed, at the star only its logits. The difference is shared by
# three networks, and it is not a linear function of their outputs.
# :::

# %% [markdown]
# ### Other networks, other widths
#
# First come the areas of the pooled features, as they are and without the mean map. The other columns
# say which share of the second area is left when something is removed. This is the class means, the logits of a third
# network, directions *as strong* as these, or the whole layer of that network.

# %% tags=["hide-input", "remove-stderr"]
compared = {across_networks.study_title(study): tables}
for other in others:
    further = replace(study, **other)
    compared[across_networks.study_title(further)] = studies.find_or_compute(causes.KIND, further).tables
summary = cause_findings.causes_summary(compared)
figures.table(
    summary,
    label="Areas of the pooled features, as they are and without the mean map, and what each removal leaves of the second",
)

# %% tags=["hide-input"]
figures.download(summary, f"causes-summary-{name}")

# %% [markdown]
# ### The same outputs and no match at all
#
# So far we tried to explain similarity. {cite:t}`johnson2019subspace` criticises the opposite conclusion: a *lack* of
# match proves little. Networks that compute exactly the same function can have layers that do not match at all. Here
# is such a pair.
#
# :::{prf:proposition} Twins in different company
# :label: prp-twins
# Let $S$, $N_1$ and $N_2$ be activations of $n$ neurons each, none of them negative, and $c > 0$. Twin $k$ has the
# hidden neurons $S + c N_k$ and $c N_k$. For every output map $W$, both twins compute the same outputs $W S$. If the
# rows of $S, N_1, N_2$ are linearly independent, both hidden layers have dimension $2n$. Suppose in addition that the
# three spans are orthogonal. Then no neuron matches at any ε below $c\,\min\|n_i\| / \sqrt{\max\|s_i\|^2 + c^2
# \min\|n_i\|^2}$, which tends to 1 as $c$ grows.
# :::
#
# :::{prf:proof}
# Outputs: $W(S + cN_k) - W(cN_k) = WS$, and both hidden layers are non-negative, so a ReLU leaves them as they are. The hidden span
# is that of $S$ and $N_k$ together, of dimension $2n$. If the spans are orthogonal, the part of $s_i + c n_i$ outside
# the other twin's span, $\operatorname{span}(S, N_2)$, is $c n_i$, so its relative distance is
# $c\|n_i\| / \sqrt{\|s_i\|^2 + c^2 \|n_i\|^2}$; that of $c n_i$ is 1. The distance to a part of that span is no smaller.
# :::
#
# The signal $S$ is a middle layer of one network. The company, $N_1$ and $N_2$, is this layer in two other networks.
# With more company the match becomes smaller, while the outputs stay exactly equal.

# %% tags=["hide-input", "remove-stderr"]
result = studies.run(replace(study, images=None))
three = [layer for layer in result.gram_layers if len(result.gram_seeds(layer)) == 3]
twin_layer = three[len(three) // 2]
gram = result.gram(twin_layer)
twins = cause_findings.twin_curve(gram)

# %% tags=["hide-input", "shows-prp-twins"] mystnb={"image": {"alt": "Similarity at two \u03b5 and linear CKA against the share of company, from 0 to 1."}, "figure": {"caption": "Two hidden layers that give identical outputs, seen by two measures, as the share of what is not used for the output grows.", "name": "fig-twins-{{page}}"}}
figure = cause_findings.plot_twins(twins)

# %% tags=["hide-input"]
figures.download(twins, f"twins-{name}")

# %% [markdown]
# What follows? A subspace match compares *everything* in two layers, whether the next layer uses it or
# not. A low value says that the layers differ. It does not say that the networks compute different functions. The
# twins are a warning, not a finding, because nobody has trained them. For trained networks the right question is the
# one above: what is left when the outputs are removed?
#
# Change the share and see which neurons still match.

# %%
pair = constructions.same_output_twins(gram, share=0.3)
first, second = critical_epsilons(pair)
half = gram.sizes[0]
f"smallest critical ε: {first[:half].min():.2f} with signal, {first[half:].min():.2f} without"

# %% [markdown]
# ## What would change our mind
#
# Three results could change our mind. The match stays although the outputs are removed. The match disappears although
# the outputs stay. Or networks that were trained on these images for other targets match as well as these do.
#
# ## Try it
#
# ```bash
# .venv/bin/python -m helpers run causes -p network {{network}} -p dataset {{dataset}} -p width {{width}} -p look_at 0.5
# ```
#
# You need at least three seeds, so that there is a third network. Networks that are not recorded are trained first,
# and all their epochs are kept.
#
# :::{exercise} What does each comparison see?
# :label: ex-causes-both
# Write every neuron as its class mean plus the rest, $z = m + r$. Which of the two terms can match when the class
# means are removed? Which can match when the images are exchanged within the classes? Why can the second comparison
# find no match although both networks have equal class means?
# :::
#
# :::{solution} ex-causes-both
# :class: dropdown
# Without the class means only $r$ is left, so only agreement of the rests can match. Exchanging images within the
# classes does not change $m$. It pairs the rest $r$ with the rests of other images. Their products have expectation
# 0, so only the class means can make a neuron nearer. But $r$ is still a part of the neuron. So its distance to every
# span in the other network is at least $\|r\| / \|z\|$. If this exceeds ε, there is no match, whatever the class
# means are. At a small ε even a network does not match itself in this comparison.
# :::
#
# :::{exercise} How far must company go?
# :label: ex-causes-company
# The twins' spans are orthogonal and all neurons have norm 1. Which $c$ makes sure that nothing matches at ε = 0.5?
# :::
#
# :::{solution} ex-causes-company
# :class: dropdown
# By {prf:ref}`prp-twins` nothing matches below $c / \sqrt{1 + c^2}$. This is more than 0.5 when $c^2 > 0.25\,(1 + c^2)$, that is
# $c > 1/\sqrt{3} \approx 0.58$. As a share, $c/(1 + c)$, that is about 0.37: less company than signal.
# :::
#
# :::{exercise} A star below the line
# :label: ex-causes-star
# In the figure of directions, suppose that the star lies far *below* the solid line. How must the three networks look
# then? What are the strong directions of the third network, and what are its outputs?
# :::
#
# :::{solution} ex-causes-star
# :class: dropdown
# The strongest directions of the third network must remove variance from each of the two networks, but nothing that
# both share. So some of them are shared with the first network only, and others with the second network only. What
# all three share must be weaker, and the outputs must consist of it. Then removing the strongest directions does not
# touch the match. (Relative to what is left of the neurons, the match even grows.) Removing the logits takes all of
# the match but little variance. Directions that only the third network has do not help: they remove no variance from
# the pair, so they change nothing in the figure.
# :::
#
# :::{exercise} Other outputs, other causes
# :label: ex-causes-predict
# Predict: at ε = 0.5 instead of {glue:text}`look_at`, which rows near the output can hold less, and which can hold
# more? Does anything match without the class means? Then run the page with `-p look_at 0.5`.
# :::
#
# :::{solution} ex-causes-predict
# :class: dropdown
# Every neuron that matches at a smaller ε also matches at 0.5, so no row can hold less. At 0.5,
# {glue:text}`whole_at_half` of the neurons match as they are. Without the class means {glue:text}`class_means_at_half`
# of this is left, without the logits of a third network {glue:text}`third_logits_at_half`.
# :::
