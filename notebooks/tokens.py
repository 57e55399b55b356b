# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Transformers, token by token
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to compare vision transformers, text encoders, and a transformer with a convolutional network.
#
# **You need first** [your own networks](own_networks.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# A layer of a transformer returns one vector for every token. An image becomes patches and a class token, a text becomes words or letters.
# The neurons of the layer are the entries of these vectors. There are three ways to choose the samples:
#
# | `tokens=` | one sample is | use it for |
# |---|---|---|
# | `"all"` | one token that is no padding | what the layer computes everywhere |
# | `"class"` | the first token that is no padding | what a classifier reads |
# | `"mean"` | the mean over one input's tokens | networks with other tokens, or none |

# %% tags=["parameters"]
seeds = [0, 1]
image_epochs = 12
text_epochs = 4
epsilon = 0.5
epsilons = [0.3, 0.4, 0.5, 0.6]

# %% tags=["hide-input", "remove-stderr"]
import pandas as pd
from IPython.display import display

from helpers import compare
from helpers.networks import small_models
from helpers.pages import figures
from helpers.pages.filled import glue

figures.style()


def trained(model, data, epochs):
    """Two networks that start from different seeds."""
    nets = [small_models.seeded_model(model, seed) for seed in seeds]
    return [small_models.fitted(net, *data, epochs, seed) for net, seed in zip(nets, seeds, strict=True)]


def by_way(nets, inputs, label, *ways):
    """Similarity at ε for each way to choose samples."""
    parts = {f"{label}, {way}": compare(*nets, inputs, tokens=way, progress=False) for way in ways}
    return {name: comparison.similarity(epsilon).set_index("layer")["similarity"] for name, comparison in parts.items()}


# %% [markdown]
# ## Two vision transformers
#
# Both have three blocks and read images of digits in sixteen patches. They are trained here and now, from two seeds.

# %% tags=["remove-stderr"]
train = small_models.digit_images("train")
images, digits = small_models.digit_images("test")
vits = trained(small_models.SmallViT, train, image_epochs)
comparison = compare(*vits, images, progress=False)

# %% tags=["remove-cell"]
glue("vit-right", min(100 * small_models.right_share(net, images, digits) for net in vits), display=False)
glue("images", len(images), display=False)

# %% [markdown]
# Each classifies at least {glue:text}`vit-right:.0f` % of the {glue:text}`images` test images correctly. This is how similar they are when
# all tokens are samples.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines of the similarity by block of two vision transformers, one for each \u03b5; lines for larger \u03b5 lie higher."}, "figure": {"caption": "Two vision transformers, all tokens: similarity by block.", "name": "fig-tokens-vit"}}
display(comparison.plot(epsilons=epsilons))

# %% [markdown]
# The table sets the three ways beside each other at ε = {{epsilon}}, and beside the same networks before training. The class token starts
# equal for all images and gathers what the head reads.

# %% tags=["remove-stderr"]
ways = by_way(vits, images, "trained", "all", "class", "mean")
ways |= by_way(trained(small_models.SmallViT, train, 0), images, "untrained", "all")
figures.table(pd.DataFrame(ways).reset_index(), label="Two vision transformers")

# %% [markdown]
# Read the untrained column first. Tokens of untrained transformers are sums of the same few things: a position and a patch. A similarity
# that is already there before training was not learned.
#
# ## A convolutional network against a transformer
#
# The layers have other names and other numbers of positions. `grid=True` sets every layer beside every other, both averaged to the
# resolution that they share: here one sample per image.

# %% tags=["remove-stderr"] mystnb={"image": {"alt": "A heat map with the stages of a convolutional network below each other and the blocks of a vision transformer to the right; the shade gives the similarity."}, "figure": {"caption": "Every stage of a convolutional network beside every block of a vision transformer.", "name": "fig-tokens-grid"}}
cnn = trained(small_models.SmallCNN, train, image_epochs)[0]
layers = {"layers": "stages.?", "layers_b": "blocks.?"}
crossed = compare(cnn, vits[0], images, **layers, grid=True, progress=False)
display(crossed.plot("grid", epsilons))

# %% tags=["remove-cell"]
best = crossed.similarity(epsilons[-1]).sort_values("similarity").iloc[-1]
glue("cnn-right", 100 * small_models.right_share(cnn, images, digits), display=False)
glue("most", epsilons[-1], display=False)
glue("best", float(best["similarity"]), display=False)
glue("best-pair", f"{best['layer']} and {best['layer_b']}", display=False)

# %% [markdown]
# The convolutional network classifies {glue:text}`cnn-right:.0f` % correctly. Of all pairs at ε = {glue:text}`most`, {glue:text}`best-pair`
# have the highest similarity, {glue:text}`best:.2f`.
#
# ## Two text encoders
#
# They read pieces of the descriptions that come with scikit-learn's datasets, letter by letter. The first letter of a piece is hidden, and
# the first token says which letter it is. The inputs are a dictionary with `input_ids`, as a tokenizer gives them. With an
# `attention_mask`, padding is left out.

# %% tags=["remove-stderr"]
pieces = small_models.text_pieces("train")
letters, hidden = small_models.text_pieces("test")
texts = trained(small_models.SmallTextEncoder, pieces, text_epochs)
raw = trained(small_models.SmallTextEncoder, pieces, 0)
inputs = {"input_ids": letters}
ways = by_way(texts, inputs, "trained", "all", "class", "mean")
ways |= by_way(raw, inputs, "untrained", "all")

# %% tags=["remove-cell"]
glue("text-right", min(100 * small_models.right_share(net, letters, hidden) for net in texts), display=False)
glue("text-chance", 100 * float(hidden.bincount().max()) / len(hidden), display=False)

# %% [markdown]
# Each names the hidden letter of at least {glue:text}`text-right:.0f` % of the test pieces. Always naming the most frequent sign, the
# space, would be right for {glue:text}`text-chance:.0f` %.

# %% tags=["hide-input"]
figures.table(pd.DataFrame(ways).reset_index(), label="Two text encoders")

# %% [markdown]
# ## What can mislead
#
# - *Few samples.* With `"class"` and `"mean"` each input is one sample. A layer with fewer than ten samples per neuron is left out, and
#   `comparison.left_out` says how many inputs it needs.
# - *No class token.* Many text encoders and all Swin networks have none. `"class"` then takes the first token, whatever it is. In a
#   causal language model the first token sees only itself: take `"all"` or `"mean"`.
# - *Norms without a bias.* The neurons of a layer that ends with a fresh layer norm sum to zero, so one of them follows from the others.
#   `comparison.flags` names neurons whose critical ε depends on this.
# - *Other tokens.* `"all"` needs the same tokens in both networks. Two networks with different tokenizers are compared by `"mean"`, and
#   `prepare=(for_a, for_b)` gives each its own inputs.
#
# ## Models of timm and transformers
#
# ```bash
# pip install ".[networks,models]"  # in a clone of the repository
# python -m helpers compare --images photos --network timm:vit_small_patch16_224 \
#     --a first.pt --b second.pt --tokens class
# python -m helpers compare --inputs ids.npz --network transformers:my-bert \
#     --a untrained:0 --b untrained:1 --tokens mean
# ```
#
# `transformers:my-bert` is a folder with `config.json`; nothing is fetched. In Python, hand over the models themselves and what the
# tokenizer returns:
#
# ```python
# words = tokenizer(texts, return_tensors="pt", padding=True)
# result = compare(bert_a, bert_b, words, tokens="mean")
# ```
#
# :::{exercise} Which way?
# :label: ex-tokens-way
# A layer copies the class token of its input into every other token and changes nothing else. Two networks have such a layer, with
# different class tokens. Which of the three ways can tell the two layers apart, and which give the same answer?
# :::
#
# :::{solution} ex-tokens-way
# :class: dropdown
# After the copy all tokens of an image are equal, so each neuron has one value per image. `"class"` and `"mean"` see this value once per
# image, `"all"` sees it once per token: the same vector, repeated. Repeating samples scales all inner products alike and changes no
# relative distance. So the three ways give the same similarity.
# :::
