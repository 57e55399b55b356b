# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # {{title}}
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how similar each layer of this network is between trainings, at every ε.
#
# **You need first** [the paper's experiment at the paper's size](paper_experiment.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::

# %% tags=["parameters"]
network = "vgg11_bn"
dataset = "digits"
width = 0.125
seeds = [0, 1, 2]
recipe = "digits"
epochs = None  # the recipe's own
layers = None  # all
epsilons = [0.15, 0.2, 0.25, 0.3, 0.5]
look_at = 0.3  # the ε of the sentences and of the comparison with untrained networks
recompute = False

# %% tags=["hide-input", "remove-stderr"]
from helpers.matching import maximum_match
from helpers.pages import figures, layer_figures, layer_tables
from helpers.pages.filled import glue
from helpers.studies.seeds import run
from helpers.studies.study import Study

figures.style()
study = Study(dataset, network, width, seeds, recipe, epochs=epochs, layers=layers, sampled=True)
result = run(study, recompute)
name = layer_tables.study_page(study.id)

# %% tags=["remove-cell"]
for key, value in layer_tables.in_words(result, look_at).items():
    glue(key, value, display=False)
accuracy = result.tables["networks"]["accuracy"]
glue("look_at", f"{look_at:g}", display=False)
glue("networks", len(accuracy), display=False)
glue("accuracy", float(100 * accuracy.mean()), display=False)

# %% [markdown]
# {glue:text}`networks` networks, trained from different random weights, classify {glue:text}`accuracy:.1f` % of the test images
# correctly on average. At ε = {glue:text}`look_at`, {glue:text}`empty`; the most similar layer is {glue:text}`top`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "A map with one row for each layer and \u03b5 from 0 to 1 to the right; the shade gives the similarity."}, "figure": {"caption": "Similarity of every layer at every \u03b5, averaged over the pairs of networks. No colour: nothing matches.", "name": "fig-map-{{page}}"}}
curves = layer_tables.curves(result.tables["critical"])
figure = layer_figures.plot_map(curves)

# %% tags=["remove-input"]
figures.download(curves, f"curves-{name}")

# %% tags=["hide-input", "remove-stderr"]
before = layer_tables.before_training(study)
both = {"trained": result} | ({"untrained": before} if before else {})
shown = sorted({look_at, max(epsilons)})
compared = {when: layer_tables.layer_means(result, shown) for when, result in both.items()}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Similarity by layer from the input to the logits, for trained and, if recorded, untrained networks, one panel for each \u03b5."}, "figure": {"caption": "Similarity by layer, with a 95 % interval where more than two networks were compared. Untrained networks are drawn where they are recorded.", "name": "fig-untrained-{{page}}"}}
figure = layer_figures.plot_compared(compared, shown)

# %%
figures.table(layer_tables.layer_table(result, epsilons), label="Similarity by layer and ε")

# %% [markdown]
# **Neurons.** The column of self-matches checks the computation: a network is compared with itself, with its neurons
# in another order. The result must be 1 if there are no dead neurons. The dimension is the effective rank of the
# centred activations.

# %%
facts = layer_tables.layer_facts(result)
columns = ["layer", "neurons", "dead", "share_alive", "self_match", "dimension"]
figures.table(facts[columns], digits=2, label="Neurons, dead neurons, self-match and dimension by layer")

# %% tags=["hide-input"] mystnb={"image": {"alt": "For each layer and \u03b5 the difference between the sampled and the full similarity, around zero."}, "figure": {"caption": "Error of the paper's sampling (10 000 positions, 16 draws) in hundredths, for layers with more positions than that.", "name": "fig-sampling-{{page}}"}}
figure = layer_figures.plot_sampling(layer_tables.sampling_error(result))

# %% [markdown]
# ## Match a layer yourself

# %%
layer, epsilon = result.gram_layers[0], 0.4
pair = result.pair(layer)
match = maximum_match(pair, epsilon)
f"{layer}, ε = {epsilon}: {len(match.x)} of {pair.n_x} and {len(match.y)} of {pair.n_y} neurons match"

# %% [markdown]
# Run this page with other parameters. Networks that are not recorded are trained first:
#
# ```bash
# .venv/bin/python -m helpers run notebooks/network.py -p network {{network}} -p dataset {{dataset}} -p width {{width}} \
#     -p seeds "[{{seeds}}]" -p recipe {{recipe}} -p epochs {{epochs}} -p look_at 0.4
# ```
