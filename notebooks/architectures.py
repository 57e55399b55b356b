# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # All networks at a glance
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how the similarity between seeds changes from the input to the output of every network here, and
# how it depends on architecture, shortcuts, batch norm and width.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Every network below was trained on CIFAR-10 from several seeds. Every layer of every pair of seeds was matched on
# the whole test set. [How the numbers were made](provenance.ipynb) has the details of the training.

# %% tags=["parameters"]
epsilons = [0.3, 0.5]
look_at = 0.3

# %% tags=["hide-input", "remove-stderr"]
from helpers.pages import across_networks, figures, layer_figures, layer_tables
from helpers.pages.filled import glue

figures.style()
studies = across_networks.trained_results()
means = {name: layer_tables.layer_means(result, epsilons) for name, result in studies.items()}
glue("low", f"{epsilons[0]:g}", display=False)
glue("high", f"{epsilons[-1]:g}", display=False)
glue("between_low", across_networks.highest_between(means, epsilons[0]), display=False)
glue("between_high", across_networks.highest_between(means, epsilons[-1]), display=False)
glue("late_low", across_networks.late_matches(means, epsilons[0]), display=False)
glue("late_high", across_networks.late_matches(means, epsilons[-1]), display=False)

# %% [markdown]
# ## Index: every network and layer
#
# Each cell is the mean similarity over pairs of seeds at ε = 0.3 (parameter `look_at`). It links to the page of that
# network. The columns are relative depths: 0 is the first layer, 1 is the logits. If a column contains several
# layers, the cell has their mean.

# %% tags=["hide-input"]
figures.table(
    across_networks.index_table(studies, look_at), label="Similarity by network and relative depth, with links"
)

# %% [markdown]
# ## Layers at equal relative depth
#
# Look first at ε = {glue:text}`low`. Between the first layer and the last stage, the largest similarity of a
# convolutional layer is {glue:text}`between_low`. The convolutional layers of the deeper half have a mean similarity
# above one half in {glue:text}`late_low`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the similarity against relative depth, one for each network, at the first of two \u03b5."}, "figure": {"caption": "Mean similarity between seeds against relative depth at \u03b5 = 0.3.", "name": "fig-depth-low"}}
figure = layer_figures.plot_depths(means, epsilons[0])

# %% [markdown]
# At ε = {glue:text}`high` the largest similarity between the first layer and the last stage is
# {glue:text}`between_high`. The deeper half has a mean similarity above one half in {glue:text}`late_high`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the similarity against relative depth, one for each network, at the second of two \u03b5."}, "figure": {"caption": "Mean similarity between seeds against relative depth at \u03b5 = 0.5.", "name": "fig-depth-high"}}
figure = layer_figures.plot_depths(means, epsilons[-1])

# %% tags=["hide-input"]
figures.download(across_networks.together(means), "architectures")

# %% [markdown]
# ## Where a layer starts to match
#
# The similarity at a fixed ε is near 0 or near 1 in most layers, so it hides most differences between networks. The
# median critical ε shows them. It is the ε at which half of a layer's neurons match. A lower line means a more
# similar layer.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the median critical \u03b5 against relative depth, one for each network."}, "figure": {"caption": "Median critical \u03b5 of a layer's neurons over all pairs, against relative depth.", "name": "fig-depth-critical"}}
critical = across_networks.critical_depths(studies)
figure = layer_figures.plot_critical_depths(critical)

# %% tags=["hide-input"]
figures.download(critical, "architectures-critical")

# %% [markdown]
# ## Two networks side by side
#
# The table has pairs of networks that differ mainly in one thing. The names contain the number of epochs. The numbers
# are the median critical ε of both networks. They are averaged over three sets of layers: all convolutional layers,
# the outputs of blocks (a VGG has none), and the layers near the output.

# %%
figures.table(across_networks.contrasts(studies), label="Networks that differ in one thing above all")

# %% [markdown]
# The accuracies differ, too, and in some pairs the epochs. So a difference between two rows does not prove a cause.
#
# :::{exercise} Shortcuts
# :label: ex-architectures-shortcuts
# ResNet-20 and its plain twin have equally many parameters, but the plain network has no shortcuts. Before you look:
# in which of the two should the output of a block be more similar to that of another seed, and why?
# :::
#
# :::{solution} ex-architectures-shortcuts
# :class: dropdown
# There are arguments for both. A shortcut carries the input on, which all seeds share. So blocks near the input
# should be more similar with shortcuts. But the plain network must pass all information through every layer, which
# leaves it less freedom. The column "block outputs" of the table decides for these networks and this training, not
# for all. Do not use the mean over all convolutional layers. It includes the layers *inside* blocks (`relu1`), which
# a shortcut skips, and it can show the opposite.
# :::
