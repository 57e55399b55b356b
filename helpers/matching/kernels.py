"""Compiled trials: which neurons fall when one is deleted. All work on one matrix M that holds both sides' inverses.

`minimal` calls these functions, and its docstrings say what a trial decides.
"""

from typing import NamedTuple

import numpy as np

from ..compiling import compiled
from .peeling import delete_neuron

PENDING = 32  # accepted deletions that wait before the inverse is brought up to date
STABLE, AMBIGUOUS, FELL, DONE = 0, 1, 2, 3


class Inverse(NamedTuple):
    """A match as its joint inverse: the matrix M and the squared distances of `members`.

    The first `cut` members are neurons of x, the others of y.
    """

    M: np.ndarray
    squares: np.ndarray
    cut: int
    members: np.ndarray


class Waiting(NamedTuple):
    """Deletions that M does not contain yet.

    - s: the squared distances after these deletions;
    - gone: which members are deleted;
    - who: the deleted members, in order;
    - Q: their pivot rows.
    """

    s: np.ndarray
    gone: np.ndarray
    who: np.ndarray
    Q: np.ndarray


@compiled
def row_of(state, wait, count, i, row):  # type: ignore[no-untyped-def]
    """Write row i of M into `row`, with the first `count` waiting deletions of its side applied."""
    for t in range(len(row)):
        row[t] = state.M[i, t]
    for e in range(count):
        if (wait.who[e] < state.cut) == (i < state.cut):
            f = wait.Q[e, i]
            for t in range(len(row)):
                row[t] -= f * wait.Q[e, t]


@compiled
def pivot(state, wait, count, d):  # type: ignore[no-untyped-def]
    """Delete d next: its row, divided by the root of its pivot, is stored in Q[count]."""
    row = wait.Q[count]
    row_of(state, wait, count, d, row)
    root = np.sqrt(row[d])
    for t in range(len(row)):
        row[t] /= root
    wait.who[count] = d
    wait.gone[d] = True


@compiled
def copy_into(wait, other):  # type: ignore[no-untyped-def]
    """Copy the distances and the deletions of `other` into `wait`.

    This is a loop, because a slice assignment takes seconds to compile.
    """
    for t in range(len(wait.s)):
        wait.s[t], wait.gone[t] = other.s[t], other.gone[t]


@compiled
def targets_gone(target, wait, now):  # type: ignore[no-untyped-def]
    """How many targets are among the deletions of this trial."""
    count = 0
    for t in range(len(target)):
        count += target[t] and wait.gone[t] and not now.gone[t]
    return count


@compiled
def fallen_by(state, wait, count, target, needed, limit):  # type: ignore[no-untyped-def]
    """Apply the last deletion to the other side's distances (they grow by row²), and count the targets that fall by it.

    If a neuron falls that every target needs, all targets count as fallen.
    """
    row, fallen = wait.Q[count], 0
    low, high = (state.cut, len(row)) if wait.who[count] < state.cut else (0, state.cut)
    for t in range(low, high):
        before = wait.s[t]
        wait.s[t] = before + row[t] * row[t]
        if before <= limit < wait.s[t] and not wait.gone[t]:
            fallen += len(row) if needed[t] else target[t]
    return fallen


@compiled
def farthest(s, gone, limit):  # type: ignore[no-untyped-def]
    """The member with the largest squared distance above the limit; -1 if there is none."""
    d = -1
    for t in range(len(s)):
        if s[t] > limit and not gone[t] and (d < 0 or s[t] > s[d]):
            d = t
    return d


@compiled
def cascade(state, wait, count, u, target, needed, square, guard):  # type: ignore[no-untyped-def]
    """Delete u and all that falls after it, without a change to M. `count` deletions are waiting already.

    It stops as soon as every target has fallen, or a neuron that every target needs. Each pair of deletions on one
    side costs O(N). Returns (verdict, count).
    """
    left = 0
    for t in range(len(target)):
        left += target[t] and not wait.gone[t]
    d = u
    while True:
        left -= target[d] and wait.s[d] <= square + guard
        pivot(state, wait, count, d)
        left -= fallen_by(state, wait, count, target, needed, square + guard)
        count += 1
        if left <= 0:
            return FELL, count
        d = farthest(wait.s, wait.gone, square - guard)
        if d < 0:
            return STABLE, count
        if wait.s[d] <= square + guard:
            return AMBIGUOUS, count


@compiled
def bring_up_to_date(state, wait, count):  # type: ignore[no-untyped-def]
    """The state without the deleted members: M less the waiting pivot rows, on the rows and columns that remain."""
    kept = np.flatnonzero(~wait.gone)
    M, row = np.empty((len(kept), len(kept))), np.empty(len(wait.s))
    for a in range(len(kept)):
        row_of(state, wait, count, kept[a], row)
        for b in range(len(kept)):
            M[a, b] = row[kept[b]]
    return Inverse(M, wait.s[kept], np.sum(kept < state.cut), state.members[kept])


@compiled
def spread(state, gone, needed, queue, count, limit):  # type: ignore[no-untyped-def]
    """Mark the neurons that are needed, backwards through the violation graph from queue[:count].

    Neuron j is needed if deleting j alone makes a needed neuron fall. Distances only grow under further deletions. So
    a neuron that is needed once stays needed, even if M and the squares do not contain the last deletions yet
    (prp-essential).
    """
    while count > 0:
        count -= 1
        t = queue[count]
        room = limit - state.squares[t]
        low, high = (state.cut, len(gone)) if t < state.cut else (0, state.cut)
        for j in range(low, high):
            if not needed[j] and not gone[j] and state.M[j, t] ** 2 > room * state.M[j, j]:
                needed[j] = True
                queue[count] = j
                count += 1


@compiled
def trials(state, order, position, target, needed, now, wait, square, guard, most):  # type: ignore[no-untyped-def]
    """Run trials until one splits the targets, one is ambiguous, more than `most` deletions wait, or all are done.

    `order` holds positions in the state's members, -1 for neurons outside it. On return `now` holds the accepted
    deletions. If a trial stopped the run, `wait` holds the deletions of this trial. Returns (verdict, position,
    accepted, count).
    """
    queue = np.empty(len(target), np.int64)
    accepted = 0
    while position < len(order) and accepted <= most:
        u = order[position]
        if u < 0 or now.gone[u] or needed[u]:
            position += 1
            continue
        copy_into(wait, now)
        verdict, count = cascade(state, wait, accepted, u, target, needed, square, guard)
        if verdict == FELL:
            needed[u], queue[0] = True, u
            spread(state, now.gone, needed, queue, 1, square + guard)
        elif verdict == AMBIGUOUS or targets_gone(target, wait, now) > 0:
            return verdict, position, accepted, count
        else:
            copy_into(now, wait)
            accepted = count
        position += 1
    return DONE, position, accepted, accepted


@compiled
def advance(state, order, position, targets, needs, square, guard, most):  # type: ignore[no-untyped-def]
    """Go through the trials order[position:] for all targets together, until one splits the targets or all are done.

    `targets`, `order` and `needs` are given by joint indices. `needs` marks what every target needs, and grows. M is
    brought up to date when more than `most` deletions wait. Returns (verdict, position, state, smaller state): if a
    trial splits the targets, the two states before and after it. `position` is the place in `order` of the trial that
    stopped the run.
    """
    while True:
        N, members, count = len(state.squares), state.members, 0
        where, queue = np.full(len(targets), -1), np.empty(2 * N, np.int64)
        target, needed, who, Q = targets[members], needs[members], np.empty(N, np.int64), np.empty((N, N))
        for t in range(N):
            where[members[t]] = t
            if needed[t]:
                queue[count] = t
                count += 1
        now = Waiting(state.squares.copy(), np.zeros(N, np.bool_), who, Q)
        wait = Waiting(state.squares.copy(), np.zeros(N, np.bool_), who, Q)
        spread(state, now.gone, needed, queue, count, square + guard)
        verdict, position, accepted, count = trials(
            state, where[order], position, target, needed, now, wait, square, guard, most
        )
        for t in range(N):
            needs[members[t]] = needed[t]
        smaller = bring_up_to_date(state, wait, count) if verdict == STABLE else state
        state = bring_up_to_date(state, now, accepted) if accepted > 0 else state
        if verdict != DONE or position == len(order):
            return verdict, position, state, smaller


@compiled
def place(at, count, d):  # type: ignore[no-untyped-def]
    """The position of joint index d among the first `count` neurons of a side; -1 if d is on the other side."""
    for i in range(count):
        if at[i] == d:
            return i
    return -1


@compiled
def fall(Rx, Cx, sy, Ry, Cy, sx, at_x, at_y, u, target, needed, square):  # type: ignore[no-untyped-def]
    """Delete joint index u, and all that falls after it, from the triangular factors. The arguments are overwritten.

    Returns how many neurons are left on each side. Their joint indices are then in at_x and at_y. Returns (0, 0) as
    soon as every target has fallen, or a neuron that every target needs.
    """
    n, m = len(sx), len(sy)
    left = target[at_x].sum() + target[at_y].sum()
    d = u
    while d >= 0:
        left -= target[d]
        if left == 0 or (needed[d] and d != u):
            return 0, 0
        i = place(at_x, n, d)
        if i >= 0:
            delete_neuron(Rx, Cx, sy, sx, Cy, at_x, n, m, i)
            n -= 1
        else:
            delete_neuron(Ry, Cy, sx, sy, Cx, at_y, m, n, place(at_y, m, d))
            m -= 1
        i = np.argmax(sx[:n]) if n > 0 else -1
        j = np.argmax(sy[:m]) if m > 0 else -1
        d = -1
        if i >= 0 and sx[i] > square:
            d = at_x[i]
        if j >= 0 and sy[j] > square and (d < 0 or sy[j] > sx[i]):
            d = at_y[j]
    return n, m
