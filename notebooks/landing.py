# %% [markdown]
# # Do different networks learn the same representation?
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** what was asked, what was found, and where to go on.
#
# **You need first** nothing.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Train a network twice from different random weights. Both copies end up equally accurate. Do they also do the same thing
# *inside*? Wang et al. {cite}`wang2018towards` made the question precise. A neuron is what it does to the images: its vector
# of activations. Two groups of neurons, one from each network, **match** when each neuron of either group is almost a linear
# combination of the other group, up to a relative error ε. The largest such match says how much two layers share.

# %% tags=["hide-input"]
from helpers import figures, studies

figures.style()

# %%
study = studies.Study("cifar10", "vgg16_bn", 0.25, (0, 1, 2, 3, 4), "short")
result = studies.run(study)

# %%
mean = result.similarity([0.3]).groupby(["position", "layer"])["similarity"].mean().reset_index()
figures.table(mean)
