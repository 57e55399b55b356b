"""The code under the book *Do Different Networks Learn the Same Representation?*

One way through, one module a step:
datasets → networks → training → representations → subspaces → matching → measures → nulls → studies →
figures → publish.
"""
