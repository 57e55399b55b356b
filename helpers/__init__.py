"""Code of the book "Do Different Networks Learn the Same Representation?".

One way through: images → network → activations → compressed layer → measure → table → record → figure → page. The rooms
import one way: `pages` → `studies` → `measures`, `matching`, `networks` → `subspaces` → `errors`, `files`.
"""
