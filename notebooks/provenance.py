# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How the numbers were made
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** which networks the numbers of this book come from, how these were trained, and how the training
# differs from the authors' training.
#
# **You need first** nothing.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# All numbers on this page are read from the files beside the recorded tables in `results/`. The settings of the
# training are read from the code that trains.

# %% tags=["hide-input", "remove-stderr"]
from helpers.pages import figures, provenance
from helpers.pages.filled import glue

accuracies = provenance.accuracies()
records, apart = provenance.record_table(), provenance.apart()
glue("apart", len(apart), display=False)
glue("networks", int(accuracies["networks"].sum()), display=False)
glue("best", f"{accuracies['highest'].max():.3f}", display=False)
glue("hours", f"{(accuracies['minutes_each'] * accuracies['networks']).sum() / 60:.1f}", display=False)
glue("megabytes", f"{records['kilobytes'].sum() / 1000:.1f}", display=False)

# %% [markdown]
# ## What was trained, and how well
#
# The recorded studies use {glue:text}`networks` networks, which took {glue:text}`hours` hours to train. The best
# reaches a test accuracy of {glue:text}`best`. Times are wall times on a machine that did other work, too, so they
# are upper bounds.

# %%
figures.table(accuracies, label="Networks, recipes and test accuracies")

# %% [markdown]
# Every network by itself, with its seed:

# %% tags=["hide-output"]
figures.table(provenance.networks(), label="Every network")

# %%
figures.download(provenance.networks(), "networks")

# %% [markdown]
# {glue:text}`apart` more networks are used only in records of [causes](causes.ipynb) or [simple matches](simple_matches.ipynb). They and their hours are not counted above. The small networks on digits are not counted either, because the pages train them.

# %%
figures.table(apart, label="Networks behind the records of causes and simple matches only")

# %% [markdown]
# ## The training beside the authors'
#
# The recipe `paper` has the settings of the authors' code. The tables above say which recipe each network used.
# Networks without batch norm start at half the learning rate, in the authors' code and here. In the short recipe the
# learning rate rises and falls once. It needs much less time, but it does not reach the accuracy of 160 epochs. If
# accuracy matters for a claim, [the verdicts](ledger.ipynb) say so.

# %%
figures.table(provenance.settings(), label="The authors' training beside ours")

# %% [markdown]
# ## How layers were compared
#
# | what | authors | this book |
# | --- | --- | --- |
# | samples of a convolutional layer | 10 000 random positions, 16 draws, similarities averaged | every position of every test image; the authors' draws beside it |
# | ε | a run of the algorithm for each | critical ε of every neuron, hence all ε at once |
# | precision | as the network | sums in float64, whatever the network computes in |
# | pairs | all pairs of networks | all pairs of networks; intervals by leaving out one network at a time |
# | untrained networks | – | batch-norm statistics taken from the test images |
#
# ## Every record
#
# Each record is a folder in `results/` with tables, often with compressed layers, and with the hashes of all its
# files. The hashes are checked when the record is read. `code` is the hash of the modules that computed the numbers.
# `made by` says whether these modules have changed since. A test matches the layers in older records again and gets
# equal numbers. All records together have {glue:text}`megabytes` MB.

# %%
figures.table(records, label="Every record")

# %%
figures.table(provenance.libraries(), label="Versions of the libraries behind the records")

# %% [markdown]
# ## Make them again
#
# First bring the images here:
#
# ```bash
# .venv/bin/python -m helpers data fetch cifar10
# ```
#
# Then there is one command for each record. Write it after `.venv/bin/python -m helpers`. It first trains the networks
# that are missing. Networks with the recipes of the two studies of full size were trained on a GPU. On a CPU the same
# seeds give other networks.

# %%
figures.table(provenance.commands(), label="The command for each record")

# %% [markdown]
# The seed fixes initialisation, order and augmentation. On another machine, or with another number of threads, sums
# are rounded in another way, so the weights become different during training. Expect equal findings, but not equal
# digits.
#
# :::{exercise} The whole recipe
# :label: ex-provenance-paper
# How long would the authors' 160 epochs take on a CPU for one VGG-16 with batch norm at full width, according to the
# first table? How long did they take on the GPU? Find the two rows, and work it out on paper.
# :::
#
# :::{solution} ex-provenance-paper
# :class: dropdown
# Take the row of full width with the recipe `short` and the device `cpu`. Divide its minutes by its epochs and multiply by
# 160. The row with the recipe `paper` has the minutes on the GPU, where five networks were trained side by side.
# :::
