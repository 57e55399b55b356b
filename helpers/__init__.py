"""The code under the book *Do Different Networks Learn the Same Representation?*

One way through, one module a step: datasets → networks → training → representations → subspaces → matching → studies
(and causes, granularity, imagenet) → figures → layers, findings, ledger → publish. Imports go one way, against the
arrows. `helpers.pages.chapters` holds what single chapters draw, `helpers.pages.teaching` what makes a course of the book.
"""
