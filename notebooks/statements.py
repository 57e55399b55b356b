# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # All statements
#
# :::{admonition} Before you start
# :class: tip
# **You will learn** where each definition, lemma, theorem and algorithm of this book is stated and proved, which
# tests check it, which code implements it, and where you can see it.
#
# **You need first** nothing: this is a page to look things up in.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# Nobody keeps this table by hand. It is read off the marks that chapters, tests and code carry, each time the book is
# built. A statement without a test, a test of something that no page states, a theorem without a proof, a statement
# that is shown nowhere: each of these stops the build.

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from helpers.pages.teaching.statements import checked_by_page, statements_page, verified_statements

ledger = verified_statements()

# %% [markdown]
# ## From statement to figure
#
# *Proof* says whether a proof follows the statement. The number under *Tests* leads to the tests below. *Code* names
# the functions in `helpers/` that implement the statement.

# %% tags=["hide-input"] mystnb={"markdown_format": "myst"}
display(Markdown(statements_page()))

# %% [markdown]
# ## The tests, word for word
#
# A proof says that a statement is true. A test says that the code does what the statement says: on random instances
# against a slow search through all subsets, and, where a hypothesis is dropped, on an instance that breaks the claim.

# %% tags=["hide-input"] mystnb={"markdown_format": "myst"}
display(Markdown(checked_by_page()))
