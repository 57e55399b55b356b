"""The functions of a pair of layers: maximum match, critical ε, minimal and simple matches.

Every function takes two (neurons, samples) arrays, or one `helpers.subspaces.Pair` in place of both. A neuron is named
by its side and index, such as ("x", 3). One rule decides everywhere: a ridge distance counts as at most ε when it is
at most `helpers.matching.peeling.reach(pair, ε)`. Other modules do the work: `peeling` finds the critical ε of all
neurons, `minimal` runs trials (does v stay matched without u?), and `enumeration` lists all v-minimal matches.

Bad arguments raise `BadInput`: an ε outside [0, 1), a neuron that does not exist, a limit that is not positive, arrays
with more neurons than samples.
"""

from collections.abc import Iterable
from itertools import islice

import numpy as np
from jaxtyping import Float, Int

from ..errors import BadInput, unknown
from ..parameters import check_epsilon
from ..subspaces import Pair
from . import enumeration, minimal, peeling
from .objects import (
    DEAD,
    LIMIT,
    Match,
    Matches,
    Neuron,
    Smallest,
    check_limit,
    check_match,
    check_neuron,
    check_rng,
    on_pairs,
)

# ---------------------------------------------------------------- names and joint indices of alive neurons


def joint(pair: Pair, match: Match) -> minimal.Members:
    """The joint indices of a match: positions among the pair's alive neurons, those of x first, then those of y."""
    x, y = np.isin(pair.alive_x, match.x), np.isin(pair.alive_y, match.y)
    return np.flatnonzero(np.concatenate([x, y]))


def named(pair: Pair, members: Int[np.ndarray, " members"]) -> Match:
    """The match whose neurons have these joint indices."""
    cut = len(pair.alive_x)
    return Match(pair.alive_x[members[members < cut]], pair.alive_y[members[members >= cut] - cut])


def position(pair: Pair, neuron: Neuron) -> int:
    """The joint index of one alive neuron."""
    return int(joint(pair, Match.of([neuron]))[0])


def state_of(pair: Pair, match: Match, epsilon: float) -> minimal.State:
    """The match with its distances computed, ready for trials. The pair remembers the state that was made last."""
    key = match.key, epsilon, peeling.chosen_backend()
    if pair.known.get("state", (None,))[0] != key:
        square = peeling.reach(pair, epsilon) ** 2
        pair.known["state"] = key, minimal.make_state(pair, joint(pair, match), square)
    return pair.known["state"][1]


# ---------------------------------------------------------------- the maximum match


@on_pairs
def critical_epsilons(pair: Pair) -> tuple[Float[np.ndarray, " n_x"], Float[np.ndarray, " n_y"]]:
    """The smallest ε at which each neuron is in the maximum match (alg-peel); inf if there is none in [0, 1).

    A dead neuron has inf. A neuron whose distance is within the slack of an exact match has 0.
    """
    return peeling.critical(pair)


@on_pairs
def maximum_match(pair: Pair, epsilon: float) -> Match:
    """The match that contains every other ε-match (def-maximum, lem-union): all neurons with critical ε ≤ ε."""
    epsilon = check_epsilon(epsilon)
    x, y = peeling.critical(pair)
    limit = epsilon + peeling.tie(pair)
    return Match(np.flatnonzero(x <= limit), np.flatnonzero(y <= limit))


@on_pairs
def largest_match_inside(pair: Pair, inside: Match, epsilon: float) -> Match:
    """The match that contains every ε-match inside the given sets of neurons: max_match started from them (alg-max)."""
    square = peeling.reach(pair, check_epsilon(epsilon)) ** 2
    return named(pair, minimal.settle(pair, joint(pair, check_match(pair, inside)), square))


@on_pairs
def similarity_curve(pair: Pair, epsilons: Iterable[float], dead: str = "count") -> Float[np.ndarray, " epsilons"]:
    """The maximum matching similarity s(ε) at each ε (def-similarity), from one peel. `dead` as in `similarity`."""
    return np.array([similarity(pair, maximum_match(pair, e), dead) for e in epsilons])


def similarity(pair: Pair, match: Match, dead: str = "count") -> float:
    """The share of the neurons that are in the match; for the maximum match it is s(ε) (def-similarity).

    dead: "count" keeps dead neurons in the denominator, as the paper does; "ignore" leaves them out. Raises `BadInput`
    for another word.
    """
    if dead not in DEAD:
        raise unknown("dead-neuron policy", dead, DEAD)
    if dead == "count":
        return match.similarity(pair.n_x, pair.n_y)
    return match.similarity(len(pair.alive_x), len(pair.alive_y))


@on_pairs
def is_match(pair: Pair, match: Match, epsilon: float) -> bool:
    """Is every neuron of `match` within ε of the span of the match's other side (def-match)? The empty match is one."""
    return largest_match_inside(pair, match, epsilon) == match


# ---------------------------------------------------------------- one minimal match


def _order(members: minimal.Members, rng: np.random.Generator | None) -> minimal.Members:
    """The order of the trials: by index with x first, or random."""
    return members if rng is None else members[rng.permutation(len(members))]


@on_pairs
def minimal_match(pair: Pair, neuron: Neuron, epsilon: float, rng: np.random.Generator | None = None) -> Match | None:
    """A v-minimal match (alg-min): for each other neuron in turn, try once to do without it.

    The order is by index, or random with `rng` (alg-random-min). Returns None when `neuron` is not in the maximum
    match.
    """
    neuron, rng = check_neuron(pair, neuron), check_rng(rng)
    whole = maximum_match(pair, epsilon)
    if neuron not in whole:
        return None
    state = state_of(pair, whole, epsilon)
    return named(pair, minimal.smallest(state, position(pair, neuron), _order(state.members, rng)))


@on_pairs
def minimal_match_of_each(pair: Pair, epsilon: float, rng: np.random.Generator | None = None) -> dict[Neuron, Match]:
    """A v-minimal match for every neuron v of the maximum match, in one ordered pass (alg-min).

    These are the matches that `minimal_match` finds when it is called for each v with this order.
    """
    rng = check_rng(rng)
    whole = maximum_match(pair, epsilon)
    state = state_of(pair, whole, epsilon)
    matches = minimal.smallest_of_each(state, state.members, _order(state.members, rng))
    return {neuron: named(pair, matches[v]) for v, neuron in zip(state.members.tolist(), whole.neurons, strict=True)}


# ---------------------------------------------------------------- all of them


@on_pairs
def minimal_matches(pair: Pair, neuron: Neuron, epsilon: float, limit: int | None = LIMIT) -> Matches:
    """Every v-minimal match, or the first `limit` of them (alg-all-min); `complete` of the result says which.

    With limit None all are listed, however long it takes. Empty when `neuron` is not in the maximum match.
    """
    neuron, limit = check_neuron(pair, neuron), check_limit(limit)
    whole = maximum_match(pair, epsilon)
    if neuron not in whole:
        return Matches()
    search = enumeration.Search(state_of(pair, whole, epsilon), position(pair, neuron))
    matches = [named(pair, members) for members in islice(search, limit)]
    return Matches(matches, complete=search.exhausted())


@on_pairs
def simple_matches(pair: Pair, epsilon: float, limit: int | None = LIMIT) -> Matches:
    """Every simple match (def-simple), or the first `limit`: the v-minimal matches of all v (thm-simple-minimal)."""
    limit = check_limit(limit)
    whole = maximum_match(pair, epsilon)
    state = state_of(pair, whole, epsilon)
    matches: dict[Match, None] = {}
    for v in state.members.tolist():
        for members in enumeration.Search(state, v):
            match = named(pair, members)
            if match not in matches and len(matches) == limit:
                return Matches(matches, complete=False)
            matches[match] = None
    return Matches(matches)


@on_pairs
def smallest_match(pair: Pair, neuron: Neuron, epsilon: float, limit: int | None = 100) -> Smallest | None:
    """The smallest v-minimal match among the first `limit` found, and a lower bound on the size of every one.

    The search always takes the open part in which the fewest neurons are known to be in every match. This number is
    the lower bound, and it rises during the search. Returns None when `neuron` is not in the maximum match.
    """
    neuron, limit = check_neuron(pair, neuron), check_limit(limit)
    whole = maximum_match(pair, epsilon)
    if neuron not in whole:
        return None
    search = enumeration.Search(state_of(pair, whole, epsilon), position(pair, neuron), best_first=True)
    matches = list(islice(search, limit))
    best = min(matches, key=len)
    bound = int(min(len(best), search.lower_bound()))
    return Smallest(named(pair, best), bound, len(matches), complete=bound == len(best))


# ---------------------------------------------------------------- what no order can change


@on_pairs
def essential_neurons(pair: Pair, epsilon: float) -> dict[Neuron, frozenset[Neuron]]:
    """For each v of the maximum match: the neurons in every match that contains v, with v itself (prp-certificate).

    u is one of them exactly when v is not in the largest match without u. So there is one trial for each u.
    """
    whole = maximum_match(pair, epsilon)
    state = state_of(pair, whole, epsilon)
    names = dict(zip(state.members.tolist(), whole.neurons, strict=True))
    return {names[v]: frozenset(names[u] for u in needs) for v, needs in minimal.essentials(state).items()}


@on_pairs
def v_minimum_match(pair: Pair, neuron: Neuron, epsilon: float) -> Match | None:
    """The match that contains v and lies inside every match that contains v (def-minimum); None if there is none.

    It exists exactly when the neurons essential to v form a match.
    """
    neuron = check_neuron(pair, neuron)
    needs = essential_neurons(pair, epsilon).get(neuron)
    candidate = Match.of(needs or ())
    return candidate if needs and is_match(pair, candidate, epsilon) else None


@on_pairs
def minimum_matches(pair: Pair, epsilon: float) -> dict[Neuron, Match | None]:
    """The v-minimum match of each v of the maximum match; None where there is none."""
    candidates = {v: Match.of(needs) for v, needs in essential_neurons(pair, epsilon).items()}
    return {v: match if is_match(pair, match, epsilon) else None for v, match in candidates.items()}


# ---------------------------------------------------------------- simple matches


def _checked_state(pair: Pair, match: Match, epsilon: float) -> minimal.State:
    if not is_match(pair, match, epsilon):
        raise BadInput(f"{match.key} is not a match at epsilon {epsilon}: expected one, such as the maximum match")
    return state_of(pair, match, check_epsilon(epsilon))


@on_pairs
def is_simple(pair: Pair, match: Match, epsilon: float) -> bool:
    """Is the match non-empty and not the union of the strictly smaller matches inside it (def-simple)?

    A strictly smaller match lacks some u, so it lies in the largest match without u. One trial for each u finds these.
    If some v falls in every trial, the match is v-minimal (thm-simple-minimal), and so it is simple. Raises `BadInput`
    for a pair that is not a match at this ε.
    """
    needs = minimal.essentials(_checked_state(pair, match, epsilon))
    return any(len(essential) == len(match) for essential in needs.values())


@on_pairs
def decompose(pair: Pair, match: Match, epsilon: float) -> list[Match]:
    """Simple matches whose union is the match (thm-decomposition): a v-minimal one for each v not yet covered.

    Raises `BadInput` for a pair that is not a match at this ε.
    """
    state = _checked_state(pair, match, epsilon)
    parts: list[Match] = []
    covered: set[int] = set()
    for v in state.members.tolist():
        if v not in covered:
            members = minimal.smallest(state, v, state.members)
            covered |= set(members.tolist())
            parts.append(named(pair, members))
    return parts
