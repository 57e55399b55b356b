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
# **You will learn** how similarity between seeds runs from the input to the output of every network here, and what changes with
# architecture, shortcuts, batch norm and width.
#
# **You need first** [critical ε and the maximum match](maximum.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Every network below was trained on CIFAR-10 from several seeds, and every layer of every pair of seeds was matched on the whole
# test set. The recipes are short; [how the numbers were made](provenance.ipynb) has the details.

# %% tags=["parameters"]
epsilons = [0.3, 0.5]
look_at = 0.3

# %% tags=["hide-input", "remove-stderr"]
from myst_nb import glue

from helpers.pages import across_networks, figures, layer_figures, layer_tables

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
# Each cell is the mean similarity over pairs of seeds at ε = 0.3 (parameter `look_at`) and leads to the page of that network. Layers are
# gathered by their relative depth: 0 is the first layer, 1 the logits. Where a column gathers several layers, the cell has their mean.

# %% tags=["hide-input"]
figures.table(
    across_networks.index_table(studies, look_at), label="Similarity by network and relative depth, with links"
)

# %% [markdown]
# ## Layers at equal relative depth
#
# At ε = {glue:text}`low`, the largest similarity of any convolutional layer between the first layer and the last stage is
# {glue:text}`between_low`. The convolutional layers of the deeper half match to more than one half on average in {glue:text}`late_low`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the similarity against relative depth, one for each network, at the first of two \u03b5."}, "figure": {"caption": "Mean similarity between seeds against relative depth at \u03b5 = 0.3.", "name": "fig-depth-low"}}
figure = layer_figures.plot_depths(means, epsilons[0])

# %% [markdown]
# At ε = {glue:text}`high` the largest similarity between the first layer and the last stage is {glue:text}`between_high`, and the
# deeper half matches to more than one half on average in {glue:text}`late_high`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the similarity against relative depth, one for each network, at the second of two \u03b5."}, "figure": {"caption": "Mean similarity between seeds against relative depth at \u03b5 = 0.5.", "name": "fig-depth-high"}}
figure = layer_figures.plot_depths(means, epsilons[-1])

# %% tags=["hide-input"]
figures.download(across_networks.together(means), "architectures")

# %% [markdown]
# ## Where a layer starts to match
#
# The similarity at a fixed ε is 0 or 1 in most layers, so it hides most of the difference between networks. The median critical ε does not: it
# is the ε at which half of a layer's neurons match. The lower the line, the more similar the layer.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the median critical \u03b5 against relative depth, one for each network."}, "figure": {"caption": "Median critical \u03b5 of a layer's neurons over all pairs, against relative depth.", "name": "fig-depth-critical"}}
critical = across_networks.critical_depths(studies)
figure = layer_figures.plot_critical_depths(critical)

# %% tags=["hide-input"]
figures.download(critical, "architectures-critical")

# %% [markdown]
# ## Two networks side by side
#
# Pairs of networks that differ in one thing above all; the epochs stand in the name. The table has the median critical ε of both, averaged
# over all convolutional layers, over those of them that are outputs of a block (a VGG has none), and over the layers near the output.

# %%
figures.table(across_networks.contrasts(studies), label="Networks that differ in one thing above all")

# %% [markdown]
# The accuracies differ too, and in some pairs the epochs; a difference between two rows is no proof of a cause.
#
# :::{exercise} Shortcuts
# :label: ex-architectures-shortcuts
# ResNet-20 and its plain twin have the same parameters, but the plain one lacks the shortcuts. Before you look: in which of the two
# should a block's output be closer to that of another seed, and why?
# :::
#
# :::{solution} ex-architectures-shortcuts
# :class: dropdown
# One can argue both ways. A shortcut carries the input on, which all seeds share, so blocks near the input should be
# closer with shortcuts. But the plain network must pass all information through every layer, which leaves it less freedom. The column
# "block outputs" of the table decides for these networks and this training, not for all. Do not read it off the mean over all
# convolutional layers: that one also has the layers *inside* blocks (`relu1`), past which a shortcut leads, and it can say the
# opposite.
# :::
