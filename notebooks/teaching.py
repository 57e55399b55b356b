# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # For teachers
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** how to teach from this book in one lecture, three sessions or a two-week project. For each there
# are pages, minutes, exercises, things to prepare, common mistakes, and help with grading.
#
# **You need first** to have read [From activations to matches](worked_example.ipynb).
#
# **Time** {{reading}} to read, {{running}} to run.
# :::

# %% tags=["hide-input"]
from helpers.pages import figures
from helpers.pages.filled import glue
from helpers.pages.teaching import course

numbers = course.numbers()
for key, value in numbers.items():
    glue(key, value, display=False)

# %% [markdown]
# ## The kit
#
# `make book` and then `make course` write a folder `course/` that works alone. `.venv/bin/python -m helpers course
# FOLDER` writes it to another place. It contains
#
# - `student/`: the chapters and {glue:text}`experiments` experiments as notebooks with the exercises to fill in. Each code exercise has a check, which answers
#   with a tick or with a hint. The checks never show the solution.
# - `solutions/`: the same notebooks with all solutions. The student's version is cut from them, so the two agree.
# - `slides/index.html`: the lecture, one file that needs no internet. Use the arrow keys to move. `n` shows the
#   speaker's notes, `d` switches to dark, `f` fills the screen, `p` prints.
# - `problems.md`: all exercises as one sheet, and `solutions/problems.md` with the answers.
# - `requirements.txt`, `helpers/`, `benchmarks/` and `results/`: what the notebooks need. They read recorded networks.
#   Nobody needs a GPU, a data set or an account.
#
# ## What students can do afterwards
#
# 1. Say what a neuron is in this theory, and which changes of a network its measures cannot see.
# 2. Decide by hand whether two small groups of neurons are an ε-match, and find the maximum match by deletion.
# 3. Prove that unions of matches are matches, and name the one property of the distance that the proof needs.
# 4. Read a similarity curve and {term}`critical ε`, and explain a {term}`cliff`.
# 5. Tell similarity that is shared neuron by neuron from similarity that exists only as a whole.
# 6. Criticise a similarity score: number of samples, choice of ε, {term}`chance`, invariances.
#
# What they need before: linear algebra (span, projection, least squares), a first course on neural networks, and
# NumPy. From statistics they only need the mean.
#
# ## The pages and their minutes
#
# Reading times are computed from the number of words. Students who work with pencil and keyboard need about twice as
# long. The exercises need extra time.

# %%
figures.table(course.overview(), label="Chapters, minutes and exercises")

# %% [markdown]
# ## Route 1: one lecture
#
# This route is for an audience that you meet only once. It has {glue:text}`slides` <a
# href="../../slides/index.html">slides</a> and takes
# {glue:text}`lecture` minutes, with one exercise in pairs.
#
# | When | What | Page |
# |---|---|---|
# | Before | Students read the worked example ({glue:text}`read-worked_example` minutes) | [From activations to matches](worked_example.ipynb) |
# | Minutes 0 to 5 | Everyone writes one sentence: what would it mean for two layers to be the same? | slides |
# | Minutes 5 to 20 | Neurons as vectors, spans, ε-matches; vote on which groups match | [Neurons](neurons.ipynb), [Matches](matches.ipynb) |
# | Minutes 20 to 25 | In pairs, on paper: {ref}`ex-smaller-epsilon` | worked example |
# | Minutes 25 to 42 | Union lemma with proof, deletion, critical ε, a real layer and its cliff | [The maximum match](maximum.ipynb) |
# | Last minutes | Local or distributed; back to the sentences of the beginning | [Simple matches](simple.ipynb) |
# | After | {ref}`ex-max-match`, with its check | The maximum match |
#
# **Prepare.** Open the cone in [Matches](matches.ipynb) and the slider of the peel in [The maximum
# match](maximum.ipynb). Both work without internet. Print the two tables of the worked example for the pairs.
#
# **If you are short of time**, leave out the proposition on readouts and the decomposition theorem. Do not leave out
# the exercise.
#
# ## Route 2: three sessions
#
# Three times 90 minutes, with reading before each and a problem sheet after each.
#
# | Session | Read before | In class | Hand in |
# |---|---|---|---|
# | 1. Neurons and matches | [Neurons](neurons.ipynb) ({glue:text}`read-neurons` min), [Matches](matches.ipynb) ({glue:text}`read-matches` min) | 15 min vote and sentences; 30 min spans and distances at the board; 20 min {ref}`ex-by-hand` in pairs; 25 min {ref}`ex-conv-rows` and {ref}`ex-is-match` at the keyboard | {ref}`ex-rescale`, {ref}`ex-parts`, {ref}`ex-few-samples` |
# | 2. The maximum match and its parts | [The maximum match](maximum.ipynb) ({glue:text}`read-maximum` min), first half of [Simple matches](simple.ipynb) ({glue:text}`read-simple` min in all) | 15 min union lemma; 20 min deletion as a game (below); 25 min {ref}`ex-max-match`; 30 min peel and lattice | {ref}`ex-first-epsilon`, {ref}`ex-intersection`, {ref}`ex-hand-lattice` |
# | 3. Real networks, and doubts | [Numerics](numerics.ipynb), from "Samples versus neurons" on ({glue:text}`read-numerics` min in all), and one network's page | 20 min {ref}`ex-one-less` as a bet; 30 min [causes of similarity](causes.ipynb) in groups; 40 min debate: does the score say what it seems to say? | one page: "What I would accept as evidence that two layers are the same" |
#
# **Deletion as a game.** Seven students are the seven neurons of the worked example, with their row of numbers on a
# card. At ε = 0.4 each student whose neuron is too far from the other side steps out. The class computes the
# distances. (They are in the solution of {ref}`ex-smaller-epsilon`.) Students remember this game better than a proof.
#
# **The debate.** One half of the class defends "low similarity shows that networks learn different things", the other
# half attacks it. The attack can use {cite}`johnson2019subspace`, [stitching](interchangeable.ipynb) and the
# invariances of [Neurons](neurons.ipynb). The defence can use chance, the {term}`self-match` and two checkpoints of
# one training.
#
# **For a theory class**, replace session 3 by [When the structure is unique](uniqueness.ipynb)
# ({glue:text}`read-uniqueness` min) and [The algorithms](algorithms.ipynb) ({glue:text}`read-algorithms` min), with
# {ref}`ex-bisector` and {ref}`ex-min-match`.
#
# ## Route 3: a two-week project
#
# Groups of two or three. Each group answers one question about one pair of networks, with an experiment whose result
# is not clear in advance.
#
# | Day | Milestone | To hand in |
# |---|---|---|
# | 1 | Read the first three chapters; all their checks show ticks | the notebooks |
# | 3 | A question, a prediction in writing, and what would refute it | half a page |
# | 5 | One recorded layer matched, with self-match and chance beside it | a figure with a caption |
# | 8 | The study run or read from the records, for all ε | a table with its provenance |
# | 10 | A second explanation for the result, tested | a figure |
# | 12 | Draft read by another group | comments |
# | 14 | Report of four pages, and a talk of ten minutes | report, notebook that runs |
#
# **In two weeks with a lecture and an exercise session**, take route 1 on day 1. On day 2 or 3 take 90 minutes for
# {ref}`ex-by-hand`, {ref}`ex-is-match` and {ref}`ex-max-match`, in pairs at the keyboard. Then the project begins.
#
# **Chance** is the similarity that is left if the second network sees the images in another order. This is the
# comparison *any image* of [causes](causes.ipynb), where *same class* stands beside it.
# `helpers.studies.causes.run(study)` returns it for every layer of a study. It reads the record if there is one, and
# computes it otherwise.
#
# Students install the packages of `requirements.txt`. [How to use this book](../how-to-use.md) says how large they are.
#
# Questions that work on a laptop, from the recorded networks:
#
# - Do plain networks and residual networks differ in *which* layers match? (`plain20` and `resnet20` are recorded.)
# - At which ε do trained pairs separate from untrained pairs, layer by layer?
# - Is the first neuron that matches special? Look at its variance, and at its place in the other pairs.
# - How many samples does a given layer need before its critical ε settle?
# - Take one cliff apart: which neuron, left out, makes it fall?
# - Does CKA, computed from the same recorded Gram matrix, see what the maximum match misses?
#
# With a GPU: predict the similarity of one more seed to the others, then train it (`.venv/bin/python -m helpers train
# --help`).
#
# ## What goes wrong
#
# | What students think | What helps |
# |---|---|
# | A match pairs single neurons. | The worked example: x1 and x2 match y1 and y2 only together. |
# | One direction is enough. | In [Matches](matches.ipynb), take one neuron out of an exact match: one direction survives, the other does not. |
# | The comparison does not care about a rotation of a layer. | {ref}`ex-harmless-mixing`. Of all mixings of one layer it ignores only new orders and new scales. |
# | Low similarity means that the networks compute different functions. | Same readouts need equal spans; same outputs do not. |
# | The intersection of matches is a match. | {ref}`ex-intersection`. |
# | *The* minimal match of a neuron. | There may be many: {ref}`ex-switches`. |
# | A distance that falls below ε shows that something is shared. | {ref}`ex-few-samples`: with as many neurons as samples everything matches. |
# | The distance to a *larger* group is larger. | Draw the triangle of [Matches](matches.ipynb). Then {ref}`ex-one-less`. |
# | Small errors stay small, so matching is transitive. | Two steps of 25° in [Matches](matches.ipynb). |
#
# ## Assessment
#
# **Five questions for the end of a session**, one minute each. Which changes of a layer leave all distances alone?
# Why is the pair of two empty groups a match? Which inequality makes the union lemma work? What is the last neuron's
# distance in a peel, and why is it not its critical ε? Name two reasons why two unrelated layers could have a high
# similarity.
#
# **An exam question that cannot be looked up.** Give two layers of three neurons as numbers. Ask for the maximum match
# at two values of ε, the critical ε of one neuron, and one simple match, with reasons. Then change one number and ask
# what cannot change.
#
# **A rubric for the project.**
#
# | criterion | Not yet | Good | Excellent |
# |---|---|---|---|
# | Question | no result could refute it | refutable, prediction written first | the prediction was risky |
# | Evidence | one ε, one pair | all ε, several pairs, self-match and chance | the finite-sample bias is quantified |
# | Reasoning | similarity is taken at face value | one other explanation is tested | the test could tell the explanations apart |
# | Theory | terms are used loosely | statements are cited where they apply | a hypothesis is checked before a theorem is used |
# | Reproduction | does not run | runs from a clean folder | another group got the same numbers |
#
# **Answers from the internet and from language models.** All solutions of this book are public. So grade what cannot
# be copied: the prediction before the run, the explanation at the board, the changed parameter. Each chapter has an
# exercise of this kind.
