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
# **You will learn** how to test an explanation of similarity: take the supposed cause away, match again, and see what is left.
#
# **You need first** [the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Two trainings of one architecture often have hidden layers near the output that match where hardly anything inside does. The paper's
# explanation {cite}`wang2018towards`: both networks are accurate, so both are aligned with the same targets. Is that the cause?

# %% tags=["parameters"]
network = "vgg16_bn"
dataset = "cifar10"
width = 0.25
seeds = [0, 1, 2]
recipe = "short"
epochs = None  # the recipe's own
others = [  # further networks, each by what differs
    {"network": "resnet18"},
    {"width": 1, "epochs": 5},
    {"network": "resnet18", "width": 1, "epochs": 5},
]
look_at = 0.5  # one of 0.15, 0.2, 0.25, 0.3, 0.5
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from dataclasses import replace

import pandas as pd
from myst_nb import glue

from helpers import studies
from helpers.matching import critical_epsilons
from helpers.pages import across_networks, cause_findings, figures
from helpers.studies import causes, constructions

figures.style()

# %% tags=["remove-stderr", "remove-cell"]
study = studies.Study(dataset, network, width, seeds, recipe, epochs=epochs)
result = studies.answer(causes.KIND, study, recompute=recompute)
tables, provenance = result.tables, result.provenance
name = study.id.replace(".", "-")
for key, value in cause_findings.causes_in_words(tables, look_at).items():
    glue(key, value, display=False)
glue("look_at", f"{look_at:g}", display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# In part. Hidden layers near the output keep {glue:text}`class_means_area` of their centred area under s(ε) without the class means,
# and {glue:text}`third_logits_area` without the outputs of a third network. But directions of that network that are only as *strong* take as much
# ({glue:text}`strongest_left` left). Taking things away cannot prove a cause; training for [other targets](alike.ipynb) can.
# :::
#
# ## How we know

# %% [markdown]
# ### What is taken away
#
# Each row of this table is a way to compare the same layers. For any two networks there is a third that neither of them knows.

# %%
meanings = pd.DataFrame(provenance["conditions"].items(), columns=["comparison", "what is matched"])
figures.table(meanings, label="The comparisons")

# %% [markdown]
# :::{dropdown} How things are taken away
# A label or a logit belongs to an image; a convolutional neuron has a value at every position of it. So everything is taken
# away *at every position on its own*: the class mean of a neuron is a map, not a number. A third network's logits are the
# fair test of "aligned with the same outputs". A network's own logits are computed from the layer we look at, so
# projecting them out empties a layer near the output partly by construction.
#
# None of this needs the activations themselves. One pass over the images adds up the products of the neurons with one
# another and with the features, and taking features away is an operation on these small matrices.
# :::
#
# :::{prf:proposition} What is left, from products alone
# :label: prp-residual
# At one position let $Z_u$ be the activations of network $u$ (neurons × images) and $F$ the features (features × images),
# with products $C_u = Z_u F^\top$ and $K = F F^\top$. From network $u$ take the projection on the rows of $T_u F$ away, and let
# $A_u = T_u^\top (T_u K T_u^\top)^+ T_u$. The Gram matrix of what is left is
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
# ### Which cause carries the similarity?
#
# At ε = {glue:text}`look_at`, {glue:text}`whole` of the neurons in hidden layers near the output (pooled features and fully
# connected layers) match. Of this similarity, centring alone leaves {glue:text}`centred`; taking the class means away, too, leaves
# {glue:text}`class_means`, a third network's logits {glue:text}`third_logits`. Showing the second network other images of the
# same classes leaves {glue:text}`same_class`. Untrained networks have {glue:text}`untrained` of it.

# %% tags=["hide-input", "shows-prp-residual"] mystnb={"image": {"alt": "A map with a row for each comparison and a column for each layer from the input to the logits; cells hold the similarity in hundredths."}, "figure": {"caption": "Similarity of every layer under every comparison, averaged over the pairs of networks. A dot is exactly zero.", "name": "fig-conditions-{{page}}"}}
shown = cause_findings.by_condition(tables["similarity"], look_at)
figure = cause_findings.plot_conditions(shown, f"similarity at ε = {look_at:g}, in hundredths")

# %% tags=["hide-input"]
figures.download(shown.reset_index(), f"conditions-{name}")

# %% [markdown]
# *Centred* is the base of the four rows below it, because each of them takes the mean map away, too. At an ε where centring
# already leaves nothing, zeros in those four say nothing about labels or outputs: try `look_at = 0.3`.
#
# :::{dropdown} What *class means* and *same class* ask
# *Class means* asks whether anything is shared beyond the class. *Same class* asks the opposite question, whether the class is enough: the
# second network sees another image of the same class. That is a hard test. The part of a neuron that varies within the classes stays in
# it, and nothing in the other network can follow it any more; so the neuron keeps a distance of at least the root of that part's share of its
# power, here about {glue:text}`distance`. At a smaller ε nothing can match, even if both networks have the very same class means.
# :::
#
# ### The same question without choosing ε
#
# The area under the curve s(ε) depends on no single ε: it is the mean of 1 less the critical ε. In hidden layers near the output it is {glue:text}`whole_area` as they are,
# {glue:text}`base_area` when they are centred, and {glue:text}`floor_area` in the row *any image*, where the two networks never see the
# same image.
#
# Of the centred area, {glue:text}`class_means_area` is left without the class means, and {glue:text}`third_logits_area` without the logits of a
# third network. Of what is above *any image*, {glue:text}`same_class_area` is left with other images of the same class, and untrained
# networks have {glue:text}`untrained_area`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The same map as before with the area under the curve in hundredths: values fall from the first row to the rows of logits and of other images."}, "figure": {"caption": "Area under the curve s(\u03b5) of every layer under every comparison, in hundredths.", "name": "fig-areas-{{page}}"}}
areas = cause_findings.by_area(tables["critical"])
figure = cause_findings.plot_conditions(areas, "area under s(ε), in hundredths")

# %% tags=["hide-input"]
figures.download(areas.reset_index(), f"areas-{name}")

# %% [markdown]
# So *the class* is a part of the cause and not all of it. What both networks agree on is finer, image by image: how strongly an image looks
# like each of the classes. A third network's logits know it, too, and take more away than the class means do.
#
# :::{dropdown} Why *other logits* is not the better test, and a warning about *untrained*
# Why is *other logits* not the better test? Let the logits of the two networks be a common part and one of their own, $l_a = s + n_a$
# and $l_b = s + n_b$. What is left of $l_a$ without $l_b$ is mostly $n_a - n_b$; what is left of $l_b$ without $l_a$ is mostly the negative of it. Those
# two match well, whatever the networks have learned: an artefact, plain to see in the column of the logits. A third
# network is not part of the pair, and takes the same away from both.
#
# And beware of *untrained* in pooled features: before training they are nearly one constant direction, which any two networks share. That
# match is about the mean and not about images; compare the row *centred* and the dimension in the data below.
# :::

# %% [markdown]
# ### Are the outputs more than strong directions?
#
# Ten logits take most of these layers' power with them: {glue:text}`power` is left. Perhaps *any* ten directions as strong as these would take
# as much of the match. So here is the control: the principal components of the third network's own layer, which know nothing of labels or
# of outputs. Take them from both networks, the strongest first ({prf:ref}`prp-residual` with these directions as features).
#
# Without the third network's logits {glue:text}`third_logits_area` of the centred area is left. At the point where the strongest directions leave
# just as much variance, {glue:text}`strongest_left` is left, and without all of them {glue:text}`all_left`. The second line takes only what is
# *beside* the outputs: directions of what the third network's logits leave of its layer. Without as many of these as there are logits,
# {glue:text}`beside_left` is left.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One panel for each hidden layer near the output: share of the area left against the share of variance left, a line for the strongest directions of a third network, a line for those beside its logits, and a star for its logits."}, "figure": {"caption": "What is left of the area under s(\u03b5) of the centred layers as directions of a third network are taken away, mean over pairs. A star below the solid line says that outputs are more than strong directions.", "name": "fig-directions-{{page}}"}}
directions = cause_findings.directions_near_output(tables["directions"])
if len(directions):
    figure = cause_findings.plot_directions(directions)

# %% tags=["hide-input"]
figures.download(directions, f"directions-{name}")

# %% [markdown]
# A star on the solid line says that the outputs take no more than other directions as strong as they are. But which are these? Near
# the output a network's own logits explain {glue:text}`own_explained` of what varies in a layer: its strong directions *are* its outputs, for the
# most part. So taking directions away cannot set one against the other.
#
# :::{dropdown} What a flat dashed line does not say
# Nor does a flat dashed line say that nothing else is shared. A critical ε is relative to all that a neuron does: while the outputs are
# there, they settle it. Compare the end of the solid line with the star instead. What the whole layer of a third network takes beyond
# its logits is shared by three networks and is not in their outputs, at least not linearly.
# :::

# %% [markdown]
# ### Other networks, other widths
#
# The same numbers for every network that is compared: the areas of the hidden layers near the output, as they are and centred; then the
# share of the centred area that is left without the class means, without the logits of a third network, without directions *as
# strong* as these, and without that network's whole layer.

# %% tags=["hide-input", "remove-stderr"]
compared = {across_networks.study_title(study): tables}
for other in others:
    further = replace(study, **other)
    compared[across_networks.study_title(further)] = studies.answer(causes.KIND, further).tables
summary = cause_findings.causes_summary(compared)
figures.table(summary, label="Areas of hidden layers near the output, and what each removal leaves of the centred one")

# %% tags=["hide-input"]
figures.download(summary, f"causes-summary-{name}")

# %% [markdown]
# ### The same outputs and no match at all
#
# So far similarity was explained away. The critique of {cite:t}`johnson2019subspace` goes the other way: a *lack* of match proves
# little, because networks that compute exactly the same function can have layers that do not match at all. Here
# is such a pair, made of networks that you have seen.
#
# :::{prf:proposition} Twins in different company
# :label: prp-twins
# Let $S$, $N_1$ and $N_2$ be activations of $n$ neurons each, none of them negative, and $c > 0$. Twin $k$ has the hidden neurons
# $S + c N_k$ and $c N_k$. For every output map $W$, both twins compute the same outputs $W S$. If the rows of $S, N_1, N_2$ are
# linearly independent, both hidden layers have dimension $2n$; if, in addition, the three spans are orthogonal, then no
# neuron matches at any ε below $c\,\min\|n_i\| / \sqrt{\max\|s_i\|^2 + c^2 \min\|n_i\|^2}$, which tends to 1 as $c$ grows.
# :::
#
# :::{prf:proof}
# Outputs: $W(S + cN_k) - W(cN_k) = WS$, and both hidden layers are non-negative, so a ReLU leaves them as they are. The hidden span
# is that of $S$ and $N_k$ together, of dimension $2n$. If the spans are orthogonal, the part of $s_i + c n_i$ outside
# the other twin's span, $\operatorname{span}(S, N_2)$, is $c n_i$, so its relative distance is
# $c\|n_i\| / \sqrt{\|s_i\|^2 + c^2 \|n_i\|^2}$; that of $c n_i$ is 1. The distance to a part of that span is no smaller.
# :::
#
# The signal is a middle layer of one network, the company are the same layers of two others. The larger the company, the less of a
# match is left, while the outputs stay the same to the last digit.

# %% tags=["hide-input", "remove-stderr"]
result = studies.run(study)
three = [layer for layer in result.kept if len(result.gram_seeds(layer)) == 3]
twin_layer = three[len(three) // 2]
gram = result.gram(twin_layer)
twins = cause_findings.twin_curve(gram)

# %% tags=["hide-input", "shows-prp-twins"] mystnb={"image": {"alt": "Similarity at two \u03b5 and linear CKA against the share of company, from 0 to 1."}, "figure": {"caption": "Two hidden layers that give identical outputs, seen by two measures, as the share of what is not used for the output grows.", "name": "fig-twins-{{page}}"}}
figure = cause_findings.plot_twins(twins)

# %% tags=["hide-input"]
figures.download(twins, f"twins-{name}")

# %% [markdown]
# What follows from it? A subspace match asks whether *all* that a layer does can be had from the other layer, used or not. It is
# a measure of the layers, not of what the next layer makes of them; a low value says that the layers differ, not
# that the networks do. The twins are a warning, not a finding: nobody has trained them. The honest question to a trained
# pair is the one above: what is left when the outputs are taken away.
#
# Build twins yourself from the recorded layer: change the share and see which neurons survive.

# %%
pair = constructions.same_output_twins(gram, share=0.3)
first, second = critical_epsilons(pair)
half = gram.sizes[0]
f"smallest critical ε: {first[:half].min():.2f} with signal, {first[half:].min():.2f} without"

# %% [markdown]
# ## What would change our mind
#
# A removal that leaves the match whole although it takes the outputs, or one that takes the match although it leaves them. And networks
# trained for other targets on the same images that match as well as these do.
#
# ## Try it
#
# ```bash
# .venv/bin/python -m helpers run causes -p network {{network}} -p dataset {{dataset}} -p width {{width}} -p look_at 0.3
# ```
#
# With three seeds at least there is a third network. What is not recorded is trained first, with all its epochs kept.
#
# :::{exercise} What does each comparison see?
# :label: ex-causes-both
# Write every neuron as its class mean plus the rest, $z = m + r$. Which of the two terms can match when the class means are taken away, and
# which when the images are exchanged within the classes? Why can the second comparison come out empty although both networks
# have exactly the same class means?
# :::
#
# :::{solution} ex-causes-both
# :class: dropdown
# Without the class means only $r$ is left, so only agreement of the rests can match. Exchanging images within the classes leaves $m$ as
# it is and pairs each network's $r$ with the rests of other images; their products have expectation 0, so only the class means can bring a
# neuron closer. But $r$ still belongs to the neuron: its distance to anything the other network has is at least $\|r\| / \|z\|$. If that exceeds
# ε, there is no match, whatever the class means do. Even a network compared with itself fails this comparison at a small ε.
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
# In the figure of directions, what would three networks have to be like for the star to lie far *below* the solid line? Say what
# the strong directions of the third network are then, and what its outputs.
# :::
#
# :::{solution} ex-causes-star
# :class: dropdown
# The third network's strongest directions must take variance from each of the two and nothing that both have: signals that it shares
# with the first alone, and others that it shares with the second alone. What all three share must be weaker, and the outputs
# must be made of it. Then the strongest directions leave the match alone (relative to what is left of the neurons it even grows), while
# the logits take all of it with little variance. Directions that are the third network's own affair would not do: they take no variance
# from the pair, so they move nothing in the figure.
# :::
#
# :::{exercise} Other outputs, other causes
# :label: ex-causes-predict
# Predict: at ε = 0.3 instead of {glue:text}`look_at`, which rows near the output will still hold something: *as it is*, *centred*, *class
# means*, *third logits*? Then run the page with `-p look_at 0.3`.
# :::
#
# :::{solution} ex-causes-predict
# :class: dropdown
# Every neuron that matches at 0.3 matches at 0.5, so no row can gain, and a row that is empty now stays empty. What is open is whether
# centring still leaves something at 0.3. The curves of the last hidden layer above hold the answer for every ε: compare the heights of
# two curves at 0.3 and at 0.5.
# :::
