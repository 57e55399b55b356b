# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What makes two networks alike?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** what two trainings have to share for their layers to match: the start, the order of the images, the first epochs, or
# the target.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Two networks see the same images and end up partly alike. Which of the things that they share makes them so?

# %% tags=["parameters"]
network = "vgg16_bn"
dataset = "cifar10"
width = 0.25
seeds = [0, 1]
recipe = "quarter"
epochs = None  # the recipe's own
images = 500  # of the test set
orders = [5]  # seeds of other orders with the first seed's initialisation
starts = []  # seeds of other initialisations with the first seed's order
aims = ["rotation", "vehicles"]  # the other targets; None takes all
after = [5]  # epochs after which a fork leaves the first seed
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from myst_nb import glue

from helpers.measures.scale import on_scale
from helpers.pages import across_networks, alike, figures, layer_tables
from helpers.pages.claims import read_evidence
from helpers.pages.teaching.exercises import check
from helpers.studies import development, forks, store, targets
from helpers.studies.study import Study

figures.style()

# %% tags=["remove-cell", "remove-stderr"]
study = Study(dataset, network, width, seeds, recipe, epochs=epochs, images=images)
relatives = {"orders": orders, "starts": starts, "after": after}
shared = store.answer(forks.KIND, study, relatives, recompute).tables
aimed = store.answer(targets.KIND, study, {"aims": aims}, recompute).tables
grown = store.answer(development.KIND, study, recompute=recompute).tables
plan = read_evidence()
groups = alike.layer_groups(plan, network, shared["pairs"]["layer"].unique())
name = layer_tables.study_page(study.id)

# %% tags=["remove-cell"]
words = alike.forks_in_words(shared["pairs"])
last_fork = max((key for key in words if key.startswith("past_")), key=lambda key: int(key[5:]))
for key, value in words.items():
    glue(key, f"{value:.2f}", display=False)
glue("last_fork", f"{words[last_fork]:.2f}", display=False)
glue("fork_epoch", last_fork.removeprefix("past_"), display=False)
for key, measured in {"same_initialisation_adds": "start_adds", "fork_after_epoch_5": last_fork}.items():
    glue(key, alike.expectation_kept(plan, "forks", key, words[measured]), display=False)

# %% tags=["remove-cell"]
course = alike.development_means(grown["pairs"], groups)
for key, value in alike.development_in_words(grown["pairs"]).items():
    glue(key, value, display=False)

# %% tags=["remove-cell"]
kept = alike.target_table(aimed, groups)
judged = alike.target_verdict(aimed, groups)
glue("verdict", judged.word, display=False)
glue("deciding", judged.sentence, display=False)
for group in ("early", "late", "pool"):
    glue(f"{group}_kept", alike.kept_in_words(kept, group), display=False)
for_labels = shared["networks"].query("epoch == epoch.max()")
glue("accuracy", alike.range_in_words(for_labels["accuracy"]), display=False)
glue("networks", str(len(alike.trainings(shared, aimed))), display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# A common past and a common target count; the start adds only {glue:text}`start_adds`. From chance (0) to themselves (1), two trainings
# with nothing in common reach {glue:text}`nothing`, after {glue:text}`fork_epoch` epochs together {glue:text}`last_fork`. Networks for
# another target keep of the similarity in pooled features: {glue:text}`pool_kept`.
# :::
#
# ## How we know
#
# {glue:text}`networks` small networks were trained on the same images. Those for the labels have an accuracy of {glue:text}`accuracy`:
# they are weaker than the networks of the main study. Compare their numbers with each other only.
#
# Every number below is a *calibrated similarity*. The raw value is the area under s(ε), which needs no choice of ε. Chance is
# 0: the same two networks, one of which sees the images in another order. The ceiling is 1: a network and itself one epoch earlier
# ([strangers and oneself](scale.ipynb)).
#
# ### Sharing the start, the order, the past
#
# Guess first: two networks start from *the same weights* and see the images in another order. Are they closer in the end than two
# networks with different starting weights?
#
# The start alone changes the calibrated similarity by {glue:text}`start_adds` on average over all layers. What counts is how long the
# two were one network: after {glue:text}`fork_epoch` epochs together they end at {glue:text}`last_fork`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Calibrated similarity along the layers, one line for each thing that two trainings share, from nothing to the first epochs."}, "figure": {"caption": "Calibrated similarity of every layer by what two trainings share. Bands show the range over pairs of networks.", "name": "fig-alike-forks"}}
means = alike.condition_means(shared["pairs"], alike.shared_names(shared["pairs"]))
figure = alike.plot_conditions_by_layer(means, ordered=True)

# %% tags=["hide-input"]
table = alike.in_layer_groups(means, groups, "calibrated")
figures.table(table, digits=2, label="Calibrated similarity by what is shared, mean over the layers of a group")

# %% tags=["hide-input"]
figures.download(means, f"alike-forks-{name}")

# %% [markdown]
# Before the networks were trained, we expected that the same start adds less than 0.05: {glue:text}`same_initialisation_adds`. We
# expected that a fork after epoch 5 of 10 ends above 0.8: {glue:text}`fork_after_epoch_5`.
#
# A fork takes the weights of its trunk and its place in the schedule. Its momentum starts at zero. Two networks with different starts
# and the same order were not trained here; the parameter `starts` adds them.
#
# ### Other targets, the same images
#
# The paper says that layers near the output are similar because both networks are aligned to the same targets (claim C2b). So we
# trained networks for another target on the same images: how far an image is rotated, or whether it shows a vehicle or an animal. We
# compare them with the networks for the labels. What they keep of the similarity does not come from the common target.
#
# Of the similarity between two networks for the labels they keep in early layers: {glue:text}`early_kept`; in late convolutional layers:
# {glue:text}`late_kept`; in pooled features: {glue:text}`pool_kept`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Calibrated similarity along the layers between networks for the labels and networks for the labels, three other targets, and untrained networks."}, "figure": {"caption": "Networks for the labels against networks for another target. Where a line falls below the first one, the common target made the layers alike.", "name": "fig-alike-targets"}}
against = alike.condition_means(aimed["pairs"], alike.AGAINST)
figure = alike.plot_conditions_by_layer(against, ordered=False)

# %% tags=["hide-input"]
figures.table(
    kept, digits=2, label="Accuracy on each target, and the share of the labels' calibrated similarity that is kept"
)

# %% tags=["hide-input"]
figures.download(against, f"alike-targets-{name}")

# %% [markdown]
# `accuracy` is on the network's own task, on test images (for `shuffled`, on training images: no other image has a shuffled label).
# `largest class` is what one gets by always naming the largest class. A target votes if its network is better than that by 0.15 or
# more (`learnt`).
#
# **Claim C2b: {glue:text}`verdict`.** {glue:text}`deciding` The rule takes the target that keeps most in late layers and in pooled features. Note that
# *vehicles* is no foreign target: it follows from the label, and only says less. *Rotation* does not follow from the label.
#
# ### When do they become alike, when do they become themselves?
#
# On the left two trainings are compared with each other after the same number of epochs, on the right one training with its own end.
# Before the last epochs most of what two trainings share is there, but neither is near its own end: on average over all layers, after
# epoch {glue:text}`early_epoch` two trainings are at {glue:text}`between_early` of {glue:text}`between_end` in the end, while each of them
# is at {glue:text}`within_early` of 1.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels with the epoch to the right, one line for each group of layers: two trainings with each other, and one training with its own end."}, "figure": {"caption": "Calibrated similarity during the training, by group of layers.", "name": "fig-alike-development"}}
figure = alike.plot_development(course, list(groups))

# %% tags=["hide-input"]
figures.download(course, f"alike-development-{name}")

# %% [markdown]
# ### Width, depth, architecture, length of the training
#
# All other networks of this book, one mark for each: width and number of epochs stand beside it, and a larger mark is a wider network.
# These values are raw areas under s(ε) between seeds. They show what goes together with size and accuracy. They do not show a cause,
# because the recipes differ. [All networks at a glance](architectures.ipynb) has every layer.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two scatter plots of the area under s(\u03b5) against accuracy, one mark for each network that is recorded: convolutional layers in the middle, and pooled features."}, "figure": {"caption": "Similarity between seeds against accuracy for all recorded networks. Beside each mark: width, epochs.", "name": "fig-alike-sizes"}}
table = alike.sizes(across_networks.trained_results())
figure = alike.plot_sizes(table)

# %% tags=["hide-input"]
figures.download(table, "alike-sizes")

# %% [markdown]
# ## What would change our mind
#
# - **Longer trainings.** These networks are small and trained for few steps. If the start matters after a full training, or a fork does
#   not, the answer above is about short trainings only.
# - **More pairs.** Every condition has one or two pairs of networks, and each other target has one network. A second one on the other
#   side of a bound would make C2b open.
# - **A target with nothing to see.** Labels that were shuffled once and are learnt by heart (`aims = None` trains such a network).
# - **Another ceiling.** With the learning rate near 0 in the last epoch, a network and itself one epoch earlier are nearly the same. A
#   looser ceiling would raise all numbers, but would not change their order.
#
# ## Try it
#
# Train two networks that share their first epochs, for any dataset and architecture of this book:
#
#     python -m helpers train --network vgg11_bn --dataset digits --width 0.125 --recipe digits --seeds 0
#     python -m helpers train --network vgg11_bn --dataset digits --width 0.125 --recipe digits --seeds 0 --order-seed 5 --fork-after 3
#
# or let this page do all of it: `python -m helpers run alike -p dataset digits -p network vgg11_bn -p width 0.125 -p recipe digits -p aims None -p images 500`.
#
# ## Exercises
#
# :::{exercise} Below chance
# :label: ex-alike-scale
# In a layer the ceiling is 0.9, chance 0.3. Two networks reach 0.48. What is their calibrated similarity? Can it be negative, and what
# would that mean?
# :::
#
# :::{solution} ex-alike-scale
# :class: dropdown
# (0.48 − 0.3) / (0.9 − 0.3) = 0.3. It is negative if the two networks match worse than the same networks on images in different
# order. Chance is an average over random orders, so a small negative value means "no better than chance". A large one would mean that
# the layers avoid each other, image by image.
# :::
#
# :::{exercise} The share that is kept
# :label: ex-alike-share
# Write `share_kept(other, labels, chance, ceiling)`: the part of the calibrated similarity between two networks for the labels that a network
# for another target keeps. All four arguments are raw areas.
# :::
#
# :::{solution-start} ex-alike-share
# :class: dropdown
# :::


# %% tags=["solution"]
def share_kept(other, labels, chance, ceiling):
    """Calibrated similarity with another target as a part of that between two networks for the labels."""
    return on_scale(other, chance, ceiling) / on_scale(labels, chance, ceiling)


# %% [markdown]
# :::{solution-end}
# :::

# %% tags=["check"]
check("ex-alike-share", share_kept)

# %% [markdown]
# :::{exercise} Another scale
# :label: ex-alike-median
# The figures use the area under s(ε). The value `median` (1 less the median critical ε) is recorded beside it. Predict: will the lines of the
# first figure change their order? Then run `alike.condition_means(shared["pairs"], alike.shared_names(shared["pairs"]), "median")` and
# plot it.
# :::
#
# :::{solution} ex-alike-median
# :class: dropdown
# The order should stay where the lines are well apart, because both values come from the same critical ε: when all neurons match earlier, mean
# and median move together. Where a few neurons match early and the others late, they differ; look at the layers near the output, where
# dead neurons count as never matched and move the mean but hardly the median.
# :::
#
# :::{exercise} A fairer control
# :label: ex-alike-control
# With `aims = None`, shuffled labels are learnt from fewer images and without augmentation. Which one network would you train to separate "another target" from
# "another training"? With what would you compare it?
# :::
#
# :::{solution} ex-alike-control
# :class: dropdown
# A network for the *true* labels with the very same recipe (`recipe = "memorise"`, target `labels`), compared with the networks for the labels. What
# it loses against the first line of the figure is due to the training; what the shuffled one loses beyond that is due to the target.
# :::
