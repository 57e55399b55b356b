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
# **You will learn** what two trainings must share so that their layers match: the start, the order of the images, the
# first epochs, or the target.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# ## Question
#
# Two networks are trained on the same images, and some of their layers become similar. Why? The two trainings can
# share several things. Which of them makes the layers similar?

# %% tags=["parameters"]
network = "vgg16_bn"
dataset = "cifar10"
width = 0.25
seeds = [0, 1]
recipe = "quarter"
epochs = None  # the recipe's own
images = 500  # of the test set
orders = [5]  # seeds of other orders with the first seed's initialisation
starts = [5]  # seeds of other initialisations with the first seed's order
aims = None  # the other targets; None takes all
others = [3, 4]  # seeds of the networks for other targets
after = [1, 2, 5]  # epochs after which a fork leaves the first seed
recompute = False

# %% tags=["hide-input", "remove-stderr"]
import numpy as np

from helpers.measures.scale import on_scale
from helpers.pages import across_networks, alike, figures, layer_tables
from helpers.pages.claims import read_evidence
from helpers.pages.filled import glue
from helpers.pages.teaching.exercises import check
from helpers.studies import development, forks, store, targets
from helpers.studies.study import Study

figures.style()

# %% tags=["remove-cell", "remove-stderr"]
study = Study(dataset, network, width, seeds, recipe, epochs=epochs, images=images)
relatives = {"orders": orders, "starts": starts, "after": after}
forked = store.find_or_compute(forks.KIND, study, relatives, recompute)
shared = forked.tables
aimed = store.find_or_compute(targets.KIND, study, {"aims": aims, "others": others}, recompute).tables
grown = store.find_or_compute(development.KIND, study, recompute=recompute).tables
plan = read_evidence()
groups = alike.layer_groups(plan, network, shared["pairs"]["layer"].unique())
name = layer_tables.study_page(study.id)

# %% tags=["remove-cell"]
words = alike.forks_in_words(shared["pairs"])
last_fork = max((key for key in words if key.startswith("past_")), key=lambda key: int(key[5:]))
for key, value in words.items():
    glue(key, "not measured" if np.isnan(value) else f"{value:.2f}", display=False)
glue("start_spread", alike.start_beside_spread(shared["pairs"]), display=False)
glue("pairs", alike.pairs_in_words(shared["pairs"]), display=False)
glue("by_median", alike.order_by_median(shared["pairs"]), display=False)
orders_of_images = forked.settings.get("permutations", forks.KIND.defaults["permutations"])
glue("chance", f"{orders_of_images} random orders of {forked.provenance['images']} test images", display=False)
flat = shared["pairs"].query("kind in ('pool', 'fc')")  # one sample per image, and the neurons of both networks
glue(
    "few",
    layer_tables.few_samples(
        "The widest of the layers after the convolutions", forked.provenance["images"], int(flat["neurons"].max() / 2)
    ),
    display=False,
)
glue("forks", alike.forks_in_order(words), display=False)
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
alone = alike.alone_table(aimed["pairs"], groups)
glue("alone", alike.alone_in_words(alone), display=False)
glue("bounds", alike.bounds_in_words(kept), display=False)
glue("recipes", alike.recipes_in_words(aimed["networks"]), display=False)
glue(
    "label_pairs",
    str(aimed["pairs"].query("condition == 'labels'")[["a", "b"]].drop_duplicates().shape[0]),
    display=False,
)
glue("verdict", judged.answer, display=False)
glue("deciding", judged.sentence, display=False)
for group in ("early", "late", "pool"):
    glue(f"{group}_kept", alike.kept_in_words(kept, group), display=False)
for_labels = shared["networks"].query("epoch == epoch.max()")
glue("accuracy", alike.range_in_words(for_labels["accuracy"]), display=False)
glue("networks", str(len(alike.trainings(shared, aimed))), display=False)

# %% [markdown]
# :::{admonition} Answer
# :class: important
# Common first epochs matter. A common start changes the similarity by {glue:text}`start_adds` on average.
# {glue:text}`start_spread`. On a scale from chance (0) to the network itself (1), two trainings that share only images and target reach {glue:text}`nothing`.
# After {glue:text}`fork_epoch` common epochs they reach {glue:text}`last_fork`. Networks for other targets keep this
# part of the similarity in pooled features: {glue:text}`pool_kept`. So the target matters, too.
# :::
#
# ## How we know
#
# {glue:text}`networks` small networks were trained on the same images. Those that were trained for the labels have an accuracy of {glue:text}`accuracy`. They are weaker than the networks of the main study, so compare the numbers on this page only with each other.
#
# Every number below is a *calibrated similarity*. The raw value is the area under s(ε), which needs no choice of ε.
# Chance is 0: the two networks are compared while one of them sees the images in another order. It is the mean of
# {glue:text}`chance`. The ceiling is 1: a
# network is compared with itself one epoch earlier ([the scale](scale.ipynb)). {glue:text}`few`
#
# ### Sharing the start, the order, the past
#
# Guess first. Two networks start from *equal weights*, but see the images in different orders. Are they more similar
# at the end than two networks with different starting weights?
#
# The start alone changes the calibrated similarity by {glue:text}`start_adds` on average over all layers.
# {glue:text}`start_spread`. A common order of the images (with different starts) changes it by
# {glue:text}`order_adds`. What matters is how many epochs they share. {glue:text}`forks`. Pairs of networks:
# {glue:text}`pairs`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Calibrated similarity along the layers, one line for each thing that two trainings share, from nothing to the first epochs."}, "figure": {"caption": "Calibrated similarity of every layer by what two trainings share. A band is the range over pairs. A condition with one pair has none.", "name": "fig-alike-forks"}}
means = alike.condition_means(shared["pairs"], alike.shared_names(shared["pairs"]))
figure = alike.plot_conditions_by_layer(means, ordered=True)

# %% tags=["hide-input"]
table = alike.in_layer_groups(means, groups, "calibrated")
figures.table(table, digits=2, label="Calibrated similarity by what is shared, mean over the layers of a group")

# %% tags=["hide-input"]
figures.download(means, f"alike-forks-{name}")

# %% [markdown]
# Before the networks were trained, we wrote down two expectations. A common start adds less than 0.05:
# {glue:text}`same_initialisation_adds`. A fork after epoch 5 of 10 ends above 0.8: {glue:text}`fork_after_epoch_5`.
#
# A fork copies the weights of a network during its training and continues with the same learning rates, but with
# another order of images. Its momentum starts at zero.
#
# ### Other targets, the same images
#
# The paper says that layers near the output are similar because both networks are aligned to the same targets (claim
# C2b). So we trained networks on these images for other targets: how far an image is rotated, whether it shows a
# vehicle or an animal, or labels that were shuffled once. We compare them with the networks for the labels. If a part of the similarity is kept, this
# part does not come from the common target.
#
# The networks were trained like this. {glue:text}`recipes`. Where the recipe differs, too, what is lost may come from
# the recipe.
#
# These shares of the similarity between two networks for the labels are kept. Early layers: {glue:text}`early_kept`.
# Late convolutional layers: {glue:text}`late_kept`. Pooled features: {glue:text}`pool_kept`. Number of pairs of networks for the labels, whose
# similarity is the whole: {glue:text}`label_pairs`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Calibrated similarity along the layers between networks for the labels and networks for the labels, three other targets, and untrained networks."}, "figure": {"caption": "Networks for the labels against networks for another target. A lower line means that networks for different targets are less alike.", "name": "fig-alike-targets"}}
against = alike.condition_means(aimed["pairs"], alike.AGAINST)
figure = alike.plot_conditions_by_layer(against, ordered=False)

# %% tags=["hide-input"]
figures.table(
    kept, digits=2, label="Accuracy on each target, and the share of the labels' calibrated similarity that is kept"
)

# %% [markdown]
# There is a test of the other side, too. {glue:text}`alone` An empty table means that no two networks share another
# target.

# %% tags=["hide-input"]
figures.table(
    alone, digits=2, label="Two networks for the same other target: share of the labels' calibrated similarity"
)

# %% tags=["hide-input"]
figures.download(against, f"alike-targets-{name}")

# %% [markdown]
# `accuracy` is the accuracy in the network's own task, on test images. (For `shuffled` it is on training images,
# because only these have a shuffled label.) `largest class` is the accuracy of always choosing the largest class. A
# target counts for the claim if its network is better than that by 0.15 or more (`learnt`).
#
# **Claim C2b: {glue:text}`verdict`.** {glue:text}`deciding` The rule takes the target that keeps most in late layers
# and in pooled features. {glue:text}`bounds`. Note that the target *vehicles* is not independent of the labels, because the label decides
# it. *Rotation* and *shuffled* do not follow from it: compare their shares.
#
# ### When do two trainings become similar?
#
# On the left, two trainings are compared with each other after each epoch. On the right, one training is compared
# with its own final network. Two trainings become similar early, although each of them still changes. On average over
# all layers, their similarity after epoch {glue:text}`early_epoch` is {glue:text}`between_early`, and
# {glue:text}`between_end` at the end. The similarity of a training with its own final network after epoch
# {glue:text}`early_epoch` is {glue:text}`within_early`, and 1 at the end.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels with the epoch to the right, one line for each group of layers: two trainings with each other, and one training with its own end."}, "figure": {"caption": "Calibrated similarity during the training, by group of layers.", "name": "fig-alike-development"}}
figure = alike.plot_development(course, list(groups))

# %% tags=["hide-input"]
figures.download(course, f"alike-development-{name}")

# %% [markdown]
# ### Width, depth, architecture, length of the training
#
# The figure shows all other networks of this book, one mark for each. Width and number of epochs are written beside
# it. A larger mark is a wider network. The values are raw areas under s(ε) between seeds. They show how similarity,
# size and accuracy go together. They do not show a cause, because the recipes differ. [All networks at a
# glance](architectures.ipynb) has every layer.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two scatter plots of the area under s(\u03b5) against accuracy, one mark for each network that is recorded: convolutional layers in the middle, and pooled features."}, "figure": {"caption": "Similarity between seeds against accuracy for all recorded networks. Beside each mark: width, epochs.", "name": "fig-alike-sizes"}}
table = alike.accuracy_and_area(across_networks.trained_results())
figure = alike.plot_against_accuracy(table)

# %% tags=["hide-input"]
figures.download(table, "alike-sizes")

# %% [markdown]
# ## What would change our mind
#
# - **Longer trainings.** These networks are small and trained for few steps. If a common start matters after a full
#   training, or common epochs do not, then the answer above is true for short trainings only.
# - **More pairs.** Most conditions are one pair of networks. If further networks gave a value on the other side of a
#   bound, claim C2b would be open.
# - **Another ceiling.** In the last epoch the learning rate is near 0, so a network and its state one epoch earlier
#   are nearly equal. A ceiling from an earlier epoch would raise all numbers, but would not change their order.
#
# ## Try it
#
# Train two networks that share their first epochs, for any dataset and architecture of this book:
#
#     .venv/bin/python -m helpers train --network vgg11_bn --dataset digits --width 0.125 --recipe digits --seeds 0
#     .venv/bin/python -m helpers train --network vgg11_bn --dataset digits --width 0.125 --recipe digits --seeds 0 --order-seed 5 --fork-after 3
#
# or let this page do everything: `.venv/bin/python -m helpers run alike -p dataset digits -p network vgg11_bn -p width 0.125 -p
# recipe digits -p aims None -p images 500`.
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
# (0.48 − 0.3) / (0.9 − 0.3) = 0.3. It is negative if the two networks match worse than when one of them sees the images in another order. Chance is an average over random orders, so a small negative value means "no better than chance". A large negative value would mean that the layers are less similar than two unrelated layers.
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
# The order should stay where the lines are far apart. Both values come from the critical ε of the neurons, so when
# all neurons match earlier, mean and median change together. They differ where some neurons match early and the
# others late. Look at the layers near the output. Dead neurons count there as never matched, which changes the mean
# but hardly the median. What the run says: {glue:text}`by_median`.
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
# A network for the *true* labels with the very same recipe (`recipe = "memorise"`, target `labels`), compared with
# the networks for the labels. What it loses compared with the first line of the figure is due to the training. What
# the shuffled network loses in addition is due to the target.
# :::
