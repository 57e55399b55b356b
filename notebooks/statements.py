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
# **You will learn** where each definition, lemma, theorem and algorithm of this book is stated and proved. You also
# learn which tests check it, which code implements it, and where you can see it.
#
# **You need first** nothing: this is a page to look things up in.
#
# **Time** {{reading}} to read, {{running}} to run.
# :::
#
# This table is made automatically each time the book is built, from marks in chapters, tests and code. The build
# stops if a statement has no test, if a test belongs to no statement, if a theorem has no proof, or if a statement is
# shown nowhere.

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
display(Markdown(statements_page(ledger)))

# %% [markdown]
# ## The tests, word for word
#
# A proof shows that a statement is true. A test shows that the code does what the statement says. It compares the
# code with a slow search through all subsets, on random examples. If a hypothesis is necessary, a test has an example
# without it in which the claim is false.

# %% tags=["hide-input"] mystnb={"markdown_format": "myst"}
display(Markdown(checked_by_page(ledger)))
