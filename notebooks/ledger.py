# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Claims and verdicts
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** which claims of the paper hold for networks of the paper's size, which do not, and by how much.
#
# **You need first** [the paper's experiment at the paper's size](paper_experiment.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Do the claims of {cite:t}`wang2018towards` hold?

# %% tags=["hide-input", "remove-stderr"]
from helpers.pages import answer, caveats, evidence, figures, verdicts
from helpers.pages.claims import read_evidence
from helpers.pages.filled import glue

figures.style()
plan = read_evidence()
measured = evidence.gather(plan)
judged = verdicts.judged(plan, measured)

# %% tags=["remove-cell"]
glue("tally", verdicts.tally(judged), display=False)
glue("claims", len(judged) - 1, display=False)
glue("pair-errors", caveats.by_network(plan, caveats.pair_errors(plan, measured)), display=False)
glue("unlike-itself", caveats.unlike_themselves(plan, measured), display=False)
glue("small-rests-on", caveats.small_rest_on(plan, measured), display=False)
early = {network: answer.group_numbers(plan, network, table)["early"] for network, table in measured.critical.items()}
glue("early", caveats.by_network(plan, early), display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# We tested {glue:text}`claims` claims of the paper and one question of our own. Of the verdicts, {glue:text}`tally`.
# :::

# %% tags=["remove-input"]
figures.table(verdicts.verdict_table(judged)[["id", "claim", "verdict"]], label="Claims and verdicts")

# %% [markdown]
# P is not a claim of the paper. It is our question whether the paper's way of sampling is exact enough.
#
# ## How we know
#
# We turned each claim into numbers with bounds. We committed the bounds to the repository before anybody looked at a
# representation of these networks. (They are in the file `book/evidence.yml`, and the history of the repository shows
# the order.) The numbers are taken at ε = 0.3, for each network and each group of layers, as a mean over layers and
# pairs. Two claims are about the worst case: C4 and P take the largest value over layers and all ε of the paper. There
# are four verdicts. The claim **holds** if every number keeps its bound. It **fails** if no number does.
# It **holds for … only** if some do, and names them. It is **open** if a number is missing. Where a rule turned out to
# say too little, we kept it. A better reading stands beside it, marked *added later*.

# %% tags=["remove-input"]
figures.table(verdicts.row_table(plan, judged), digits=2, label="Every deciding number and its bound", rows=60)

# %% tags=["remove-input"]
figures.download(verdicts.row_table(plan, judged), "verdicts")

# %% [markdown]
# Some numbers do not count for a verdict. They are shown because they help to understand the others.
#
# ### How firm are the verdicts?
#
# - **C2b.** The claim is about layers near the output, and the early layers are only a control. The fixed rule lets
#   them vote. So a reading without them was added later. The three targets do not agree: see [what makes two networks
#   alike](alike.ipynb).
# - **C3** is decided by the first layer. The early layers after it reach {glue:text}`early` at ε = 0.3. The reasons
#   that the paper gives were not tested.
# - **C4.** {glue:text}`small-rests-on` In wide layers few orders were tried, so shares of "at most five" are lower
#   bounds there ([local or distributed](simple_matches.ipynb)).
# - **C5** speaks of subspace match only. [Other measures](measure.ipynb) find more in the same layers.
# - **P** takes the mean over ten pairs, in which errors can cancel. In a single pair the largest error is
#   {glue:text}`pair-errors`.
# - **Layers unlike themselves.** {glue:text}`unlike-itself`
#
# ### What was expected, and what came out
#
# We also wrote down what we expected before we looked. Where an expectation failed, we learned something.

# %% tags=["remove-input"]
figures.table(evidence.expectations(plan, judged), label="Expectations and outcomes")

# %% [markdown]
# ### The other ε
#
# The verdicts rest on ε = 0.3. The next table shows the similarities of these groups at the other ε of the paper.
# They do not count for a verdict. At a small ε even two checkpoints of one training do not match, so a zero there
# says nothing.

# %% tags=["remove-input"]
figures.table(evidence.group_table(plan, measured), digits=2, label="Similarity by network, group of layers and ε")

# %% [markdown]
# ## What would change our mind
#
# Other numbers from another pair of networks of this accuracy would change our mind. We recorded two architectures
# and one dataset. So nothing here is about ImageNet ([why](imagenet.ipynb)).
#
# ## Try it
#
# Change a bound in a copy of `book/evidence.yml` and compute the verdicts again. Here we change the bound of C1 to
# see how much the verdict depends on it. A bound that was changed after looking proves nothing. It only shows how
# sensitive the verdict is.

# %%
claim = plan.claim("C1")
moved = {limit: evidence.with_bounds(claim, at_most=limit) for limit in (0.01, 0.1, 0.2, 0.5)}
for limit, other in moved.items():
    rows = list(verdicts.low_inside(other, plan, measured))
    print(f"at most {limit:.2f}: {verdicts.word(plan, rows)}")

# %% [markdown]
# :::{exercise} The missing third answer
# :label: ex-ledger-words
# On paper: a claim has four numbers, two for each network. For one network both keep their bounds, for the other one does. Which verdict does the
# claim get? What would it get if one number had not been measured?
# :::
#
# :::{solution} ex-ledger-words
# :class: dropdown
# The claim holds only for the first network and for one group of layers of the second. With a missing number it is
# open, and the verdict says which number is missing.
# :::
#
# :::{exercise} A bound of your own
# :label: ex-ledger-bound
# Before you run it: what becomes of C1 if "very low" is read as at most 0.01, and what if it is read as at most 0.5? Which group of layers
# decides? Then run the cell above.
# :::
#
# :::{solution} ex-ledger-bound
# :class: dropdown
# The cell prints C1 for four bounds. If two bounds give one verdict, no group mean lies between them. The similarity
# of most layers jumps from near 0 to near 1 within a narrow range of ε, so few means do. The late layers of VGG-16-BN
# decide: they match at this ε, and the others do not.
# :::
#
# :::{exercise} Where the numbers come from
# :label: ex-ledger-code
# In code: take the similarity of every single layer at ε = 0.3 from `measured.critical`, with `verdicts.by_layer`. Find the largest value in
# each group of layers that C1 speaks of.
# :::
#
# :::{solution-start} ex-ledger-code
# :class: dropdown
# :::

# %% tags=["solution"]
table = verdicts.by_layer(measured.critical["vgg16_bn"], (0.3,))
table["group"] = [plan.group("vgg16_bn", layer) for layer in table["layer"]]
table[table["group"].isin(["middle", "late"])].groupby("group")["similarity"].max()

# %% [markdown]
# :::{solution-end}
# :::
