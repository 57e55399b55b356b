# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Local or distributed?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to read the sizes of simple matches. We compare them with the smallest possible size, with
# the sizes from other orders of the neurons, and with a null model in which no neuron has a partner.
#
# **You need first** [the maximum match and critical ε](maximum.ipynb). Simple matches have a chapter of their own later.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Suppose that half of the neurons of a layer match. There are two extremes. *Local*: each neuron has one partner in
# the other network. *Distributed*: a hundred neurons together span the same space as a hundred others, and no smaller
# groups match. *Simple matches* are the pieces of a match that cannot be split. The paper reports that small ones are
# rare near the input and near the output (claim C4).

# %% tags=["parameters"]
network = "vgg16_bn"
dataset = "cifar10"
width = 0.25
seeds = [0, 1, 2, 3, 4]
recipe = "short"
epochs = None  # the recipe's own
beside = "resnet18"  # a second network with the same parameters, or None
other_width = 1  # the same network at another width, or None
other_epochs = 5
other_seeds = [0, 1, 2]
layers = None  # for the close looks; None: near the input, in the middle, near the output
share = 0.5  # look where this share of the neurons matches: 0.25, 0.5 or 0.75
orders = 30
draws = 10
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from dataclasses import replace

from helpers import studies
from helpers.matching import minimal_match
from helpers.pages import across_networks, caveats, evidence, figures, size_findings, verdicts
from helpers.pages.claims import read_evidence
from helpers.pages.filled import glue
from helpers.pages.layer_tables import spoken
from helpers.studies import simple_matches

figures.style()

# %% tags=["hide-input", "remove-stderr"]
study = studies.Study(dataset, network, width, seeds, recipe, epochs=epochs)
settings = {"layers": layers, "orders": orders, "draws": draws}
simple_result = studies.find_or_compute(simple_matches.KIND, study, settings, recompute)
tables, close = simple_result.tables, simple_result.settings["layers"]
name = study.id.replace(".", "-")

# %% tags=["remove-cell"]
sizes = size_findings.relative_sizes(tables, share)
summary = size_findings.size_summary(sizes)
looked = [layer for layer in close if layer in set(summary["layer"])]
for key, value in size_findings.sizes_in_words(summary, close).items():
    glue(key, value, display=False)
glue("studied", across_networks.study_title(study), display=False)
glue("share", f"{100 * share:.0f} %", display=False)
glue("slack", f"{simple_matches.SLACK:g}", display=False)

# %% tags=["remove-cell"]
plan = read_evidence()
measured = evidence.gather(plan)
levels_at_paper = evidence.small_table(plan, measured)
near_output = levels_at_paper[levels_at_paper["group"].isin(["late", "pool"])]
partly = caveats.with_alive(plan, measured).query("alive < @caveats.NEARLY").groupby("group")["of_two"].max()
glue("input_two", float(100 * partly.reindex(["first", "early"]).max()), display=False)
glue("fc_two", float(100 * partly.reindex(["fc"]).max()), display=False)
glue("split", caveats.largest_partners(plan, measured), display=False)
glue("small-rests-on", caveats.small_rest_on(plan, measured), display=False)
glue("orders", caveats.fewest_orders(measured, ["late", "pool"]), display=False)
glue("output_two", float(100 * near_output["of two"].max()), display=False)
glue("output_share", float(100 * (near_output["median size"] / near_output["matched"]).median()), display=False)
glue("verdict", verdicts.judged(plan, measured)["C4"].answer, display=False)
glue("beside", spoken(beside) if beside else "none is chosen here", display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# It depends on the layer. Near the input similarity is local: up to {glue:text}`input_two:.0f` % of the matched neurons
# have a single partner. In the last convolutional layers and the pooled features it is distributed. There at most
# {glue:text}`output_two:.0f` % have a partner, and the median minimal match takes {glue:text}`output_share:.0f` % of
# the matched neurons. In the fully connected layers it becomes local as ε grows (up to {glue:text}`fc_two:.0f` %). Claim
# C4: {glue:text}`verdict`.
# :::
#
# ## How we know
#
# The table shows two networks of the paper's size at the ε of the paper. It has the layers in which 5 to 95 % of the
# neurons match. The shares are of these neurons. {glue:text}`small-rests-on`

# %% tags=["hide-input"]
figures.table(levels_at_paper.drop(columns="group"), digits=2, label="Small minimal matches at the paper's ε", rows=40)

# %% [markdown]
# {glue:text}`split`
#
# :::{dropdown} How were they searched?
# `of two` counts neurons with a single partner, which is decided exactly. `of at most five` counts the smallest match
# that was found in so many `orders`. `possible` is the most that any search could find. Where more than 400 neurons
# match and more than 10 % of them have a partner, we tried no order: one takes minutes. "Of at most five" counts only
# partners there. In the late layers and the pooled features as few as {glue:text}`orders` order was tried, so that
# share is a lower bound.
# :::
#
# In the logits each neuron stands for a class, and its natural partner is the neuron for
# this class in the other network.
#
# ### Where to look in smaller networks
#
# From here on the networks are smaller: {glue:text}`studied`. If nothing matches at an ε, there is nothing to split.
# If everything matches at a much smaller ε, too, everything splits. So we choose an ε between these two cases for each
# layer: {glue:text}`slack` above the smallest ε at which {glue:text}`share` of the alive neurons are in the maximum
# match.
#
# :::{dropdown} Why not exactly at the smallest ε?
# Exactly at the smallest ε, the neuron that entered last needs all the others, so every match looks like one piece. (At
# first we read the sizes there. We added the small distance when we understood this.) In many layers the maximum match
# grows from few neurons to many at one ε. There it has more neurons than the chosen share. Compressed layers of three
# networks are recorded, and for wide layers of two. The table counts the pairs.
# :::

# %% tags=["hide-input"]
levels = (
    tables["levels"]
    .query("share == @share")
    .groupby(["position", "layer"], as_index=False)
    .agg(pairs=("epsilon", "size"), epsilon=("epsilon", "mean"), matched=("matched", "mean"), alive=("alive", "mean"))
)
figures.table(levels.drop(columns="position"), digits=2, label="Where each layer is looked at (means over the pairs)")

# %% [markdown]
# ### What would the subspaces alone give?
#
# Two subspaces that agree always have matches, whatever their neurons are. Is a size of 40 small or large? We need
# something to compare it with. So we keep the two subspaces, and fill them with new neurons that have no partners.
#
# :::{prf:definition} Reassigned neurons
# :label: def-reassigned
# Let the maximum match be $(X, Y)$. Let $u_1, u_2, \dots$ and $v_1, v_2, \dots$ be the principal directions of
# $\operatorname{span} z_X$ and $\operatorname{span} z_Y$. These are orthonormal bases of the two spans in which $u_k$
# is aligned with $v_k$ as well as possible, one after the other. Neuron $x$ has the loadings $\langle z_x,
# u_k\rangle$. *Reassigning* permutes the loadings on each direction $k$ among the neurons of its side. Each direction
# gets its own random permutation.
# :::
#
# :::{prf:proposition} What reassigning keeps
# :label: prp-reassigned
# Reassigned neurons lie in the subspaces of the old ones. Suppose that they are still linearly independent. Then
# their spans are the same as before, and so are the principal angles between the spans. Take the sum of the squared
# distances of one side's neurons to the span of the other side. As long as the new neurons are not scaled to length
# 1, this sum is the same as before.
# :::
#
# :::{prf:proof}
# New neurons are combinations of the same $u_k$, and as many independent ones as before span the same space. The
# principal directions are paired: $\langle u_k, v_l \rangle = \sigma_k$ for $k = l$ and 0 otherwise. So the squared
# distance of
# $\sum_k a_k u_k$ to $\operatorname{span} z_Y$ is $\sum_k a_k^2 (1 - \sigma_k^2)$. Summed over the neurons, this depends on the sums of
# $a_k^2$ over neurons only, which shuffling does not change.
# :::
#
# So the null model keeps how well the subspaces match and how strongly each direction is used. It loses which neuron
# carries which direction. Each random draw is read at an ε that is {glue:text}`slack` above the ε where nine tenths
# of its neurons match. This is close to the ε of the layer itself. If the observed matches are smaller than those of
# the null model, the networks share *neurons*, not only subspaces.
#
# ### How large are minimal matches?
#
# Near the input ({glue:text}`input`) the median minimal match has {glue:text}`input_median_observed` neurons. The null
# model gives {glue:text}`input_median_null`. Matches with one neuron on each side are {glue:text}`input_two_observed`
# of all (null model: {glue:text}`input_two_null`). In the last hidden layer ({glue:text}`hidden`) the median is
# {glue:text}`hidden_median_observed` against {glue:text}`hidden_median_null`. In the logits it is
# {glue:text}`output_median_observed` against {glue:text}`output_median_null`. A curve farther to the left means
# smaller matches. Its height at size 2 is the share of matches with one neuron on each side.

# %% tags=["hide-input", "shows-def-reassigned"] mystnb={"image": {"alt": "One panel for each layer: the share of minimal matches up to a size, one curve observed, one for the null."}, "figure": {"caption": "Sizes of minimal matches of every matched neuron, over all orders and recorded pairs, and the same for reassigned neurons.", "name": "fig-sizes-{{page}}"}}
figure = size_findings.plot_sizes(sizes, looked)

# %% tags=["hide-input"]
distribution = sizes.groupby(["layer", "what", "size"], observed=True).size().rename("count").reset_index()
figures.download(distribution, f"sizes-{name}")

# %% [markdown]
# ### Which layers share neurons, and which only subspaces?
#
# In layers of few neurons, such as the first layer and the logits here, the null model is less exact. There a small
# difference means nothing. Where the observed line is below the line of the null model, neurons have partners in the other network. Where the
# two lines coincide, only the subspaces are shared. Where the observed line is close to 1, the whole maximum match is
# one piece: each neuron needs nearly all the others. If one of them is removed, no match is left.
# The second panel shows another architecture: {glue:text}`beside`. Is the observed line below the null model in the
# same places?

# %% tags=["hide-input", "remove-stderr", "shows-prp-reassigned"] mystnb={"image": {"alt": "One panel for each network, with two lines by layer: the median size of a minimal match as a share of the maximum match, observed and by the null model."}, "figure": {"caption": "Median size of a minimal match as a share of the maximum match, by layer, for two architectures.", "name": "fig-relative-{{page}}"}}
summaries = {spoken(network): summary}
if beside:
    second = studies.find_or_compute(simple_matches.KIND, replace(study, network=beside), settings).tables
    summaries[spoken(beside)] = size_findings.size_summary(size_findings.relative_sizes(second, share))
figure = size_findings.plot_relative(summaries)

# %% tags=["hide-input"]
columns = ["layer", "median_observed", "median_null", "two_observed", "two_null", "few_observed"]
shown = summary[columns].rename(columns=lambda c: c.replace("two_", "size 2, ").replace("few_", "size ≤ 4, "))
figures.table(shown, digits=2, label="Sizes by layer, observed and by the null")

# %% [markdown]
# ### Does the width matter?
#
# In a wider layer a neuron has more possible partners, but it may also need more of them. Here is this architecture
# at width {glue:text}`other_width`, for the layers that were kept ({glue:text}`other_epochs`). Compare the first
# layer. The share of single pairs at one width is not a property of the architecture.

# %% tags=["hide-input", "remove-stderr"]
glue("other_width", f"{other_width:g}" if other_width else "(none is chosen here)", display=False)
glue(
    "other_epochs",
    f"trained for {other_epochs or 'the recipe’s'} epochs, not {epochs or 'the recipe’s'}",
    display=False,
)
wider = size_findings.size_summary(sizes)
if other_width:
    other = replace(study, width=other_width, seeds=tuple(other_seeds), epochs=other_epochs)
    wider = size_findings.size_summary(
        size_findings.relative_sizes(studies.find_or_compute(simple_matches.KIND, other).tables, share)
    )
figures.table(
    wider[columns].rename(columns=dict(zip(columns, shown, strict=True))), digits=2, label="Sizes at other width"
)

# %% [markdown]
# ### Could they be smaller?
#
# A minimal match contains no smaller match with the neuron, but another minimal match may have fewer neurons. For
# every matched neuron we search for small matches. We also compute a lower bound for their size. Where both agree,
# the smallest size is known exactly.
#
# :::{dropdown} Which lower bound?
# One bound is the number of neurons that are in *every* match with the neuron. Another is the smallest number of
# neurons that come within ε of it. This table, the next one and the maps below are recorded at the ε where half of the
# neurons match, whatever `share` is.
# :::

# %% tags=["hide-input"]
bounds = (
    tables["smallest"]
    .groupby("layer", sort=False, observed=True)
    .agg(
        neurons=("smallest", "size"),
        smallest=("smallest", "min"),
        median_found=("smallest", "median"),
        median_lower_bound=("lower_bound", "median"),
        known_exactly=("exact", "mean"),
    )
    .reset_index()
)
figures.table(bounds, digits=2, label="Smallest minimal matches found, and what none can be below")

# %% [markdown]
# In some layers all simple matches can be counted:

# %% tags=["hide-input"]
counted = (
    tables["simple"]
    .groupby("layer", sort=False, observed=True)
    .agg(
        simple_matches=("size", "size"),
        all_of_them=("complete", "first"),
        smallest=("size", "min"),
        median=("size", "median"),
        largest=("size", "max"),
    )
    .reset_index()
)
figures.table(counted, digits=0, label="Simple matches; where not all, the first ones found")

# %% [markdown]
# ### How much is the order's doing?
#
# The algorithm tries to delete each neuron once. The match that it finds depends on the order in which it tries them.
# The picture shows the sizes for every neuron of one hidden layer over many orders. A single run of the published
# algorithm gives one point on each of these lines.

# %% tags=["hide-input"] mystnb={"image": {"alt": "One vertical line for each neuron, from the smallest to the largest size of its minimal match over the orders, with a dot at the median."}, "figure": {"caption": "Sizes of each neuron's minimal matches over the orders: range and median.", "name": "fig-orders-{{page}}"}}
layer = looked[-2]
first = tables["sizes"].query("layer == @layer and share == @share")
first = first[(first["seed_a"] == first["seed_a"].iloc[0]) & (first["seed_b"] == first["seed_b"].iloc[0])]
spread = size_findings.order_spread(first)
figure = size_findings.plot_spread(spread, layer)

# %% tags=["hide-input"]
figures.download(spread, f"orders-{name}")

# %% [markdown]
# ### Who goes together?
#
# Row v of the map shows which neurons are in the minimal matches of v. Orange: the neuron is in every match that
# contains v. Blue: the neuron is in some of them, and a stronger blue means in more of them. A block of two on the
# diagonal is a pair of partners. A filled square is a group in which each neuron needs all others. The map need not
# be symmetric: perhaps v needs u, but u does not need v.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three square maps of matched neurons. Near the input small orange blocks are neurons that always go together. In the last hidden layer it is blue below the diagonal and pale above it, with hardly any orange off the diagonal. The third map shows which logits are in the minimal matches of which."}, "figure": {"caption": "Which neurons go together near the input, in the last hidden layer and in the logits. There neuron k of either side is the logit of class k.", "name": "fig-map-{{page}}"}}
maps = tables["map"]
per_side = {k: int(rows["neurons"].iloc[0] / 2) for k, rows in tables["levels"].groupby("layer", observed=True)}
places = dict.fromkeys([looked[0], layer, looked[-1]])
figure = size_findings.plot_together({k: (maps.query("layer == @k"), per_side[k]) for k in places})

# %% tags=["hide-input"]
figures.download(maps[["layer", "v", "u", "frequency", "essential"]], f"map-{name}")

# %% [markdown]
# ### What smaller networks add
#
# C4 has two halves. First: *small simple matches are rare near the input and near the output*. Single pairs, with one
# neuron on each side, are {glue:text}`input_two_observed` of the minimal matches near the input. In the last hidden
# layer they are {glue:text}`hidden_two_observed`, in the logits {glue:text}`output_two_observed`. Second: *where
# similarity exists, it is distributed*. In the middle ({glue:text}`middle`) the median minimal match has
# {glue:text}`middle_median_observed` neurons. The null model gives {glue:text}`middle_median_null`. The
# [ledger](ledger.ipynb) judges both by bounds that were fixed before.
#
# ## What would change our mind
#
# One hidden layer could change our mind. At an ε of the paper it would match in part, and more than one in twenty of
# its matched neurons would have a partner.
#
# ## Try it
#
# The compressed layer is in the repository. Choose a neuron and an ε, and see which neurons it needs.

# %%
result = studies.run(study)
pair = result.pair(looked[0])
epsilon = float(levels.set_index("layer").at[looked[0], "epsilon"]) + 0.1  # more neurons match, and x0 may be one
needs = minimal_match(pair, ("x", 0), epsilon)
"neuron x0 is not in the maximum match" if needs is None else f"neuron x0 goes with x {needs.x} and y {needs.y}"

# %% [markdown]
# Run the page with your own parameters:
#
# ```bash
# .venv/bin/python -m helpers run simple_matches -p network {{network}} -p dataset {{dataset}} -p width {{width}} -p
# share 0.75
# ```
#
# :::{exercise} The smallest and the largest
# :label: ex-sizes-extremes
# Both sides have n neurons, all matched. What are the smallest and the largest possible number of simple matches when
# every neuron is in exactly one of them, and what sizes do they have?
# :::
#
# :::{solution} ex-sizes-extremes
# :class: dropdown
# Every match has at least one neuron on each side, because a neuron that is not zero is not near the empty set. The
# smallest number is one simple match of size 2n. The largest number is n simple matches of size 2, where each neuron
# has a partner.
# :::
#
# :::{exercise} Why not rotate?
# :label: ex-sizes-rotate
# A simpler null model would rotate the matched neurons randomly within their span. Neurons after a ReLU are never
# negative. Why does the rotation make them match much worse, and why does reassigning not?
# :::
#
# :::{solution} ex-sizes-rotate
# :class: dropdown
# Non-negative neurons all have a large loading of one sign on the common mean, the best-matched direction. Random
# combinations with both signs cancel it, and what remains is the badly matched rest. Reassigning moves loadings
# between neurons but never changes their signs, so every neuron keeps a typical loading on the mean, and the total
# squared distance stays as it was ({prf:ref}`prp-reassigned`).
# :::
#
# :::{exercise} More matched, more pieces?
# :label: ex-sizes-predict
# Predict: where three quarters of the neurons match instead of a half, are minimal matches larger or smaller? Then run
# the page with `-p share 0.75`.
# :::
#
# :::{solution} ex-sizes-predict
# :class: dropdown
# There are two opposite effects. At a larger ε a neuron needs fewer others, so matches become smaller. But neurons
# that enter late need many of the earlier ones, so their matches are larger. In layers that jump, both shares may
# even lead to one ε. Compare the medians with the table above, also as a share of the maximum match.
# :::
