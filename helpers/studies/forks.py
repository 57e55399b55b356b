"""What do two networks share if they share their start? Initialisation, order and a common past, one at a time.

Conditions, from nothing shared to everything shared:

- "untrained": two initialisations;
- "nothing": two seeds;
- "order": one order and augmentation, two initialisations;
- "initialisation": one initialisation, two orders;
- "past 1" and so on: a fork, that is, one network up to this epoch, then two orders;
- "ceiling": a network and itself one epoch earlier.
"""

from collections.abc import Sequence
from itertools import combinations

from ..networks import training
from . import store
from .pairwise import CEILING, Member, MemberPair, compare_members
from .store import Computed, Kind
from .study import Study, test_images


def cast_forks(
    study: Study, orders: Sequence[int], starts: Sequence[int], after: Sequence[int]
) -> tuple[dict[str, Member], list[MemberPair]]:
    """The members and comparisons of a study: its seeds, and relatives of its first seed.

    `orders` are seeds of other orders with the initialisation of the first seed. `starts` are seeds of other
    initialisations with its order. `after` are the epochs of the forks, which take the first of `orders`. Epochs that
    the training does not reach are left out.
    """
    first, *_ = study.seeds
    last = study.runs[0].recipe.epochs

    def run(seed: int, order: int, fork: int = 0) -> Member:
        sizes = (study.network, study.dataset, study.width)
        return Member(training.plan(*sizes, seed, study.recipe, study.epochs, order, order, fork_after=fork))

    seeds = {f"seed {r.seed}": r for r in study.runs}
    whole = {name: Member(r) for name, r in seeds.items()}
    whole |= {f"seed {first}, order {other}": run(first, other) for other in orders}
    whole |= {f"seed {other}, order {first}": run(other, first) for other in starts}
    epochs = {f"past {epoch}": epoch for epoch in after if 0 < epoch < last}
    forks = {name: run(first, orders[0], epoch) for name, epoch in epochs.items()}
    untrained = {f"{name}, untrained": Member(r, 0) for name, r in seeds.items()}
    earlier = {f"{name}, epoch {last - 1}": Member(r, last - 1) for name, r in seeds.items()}
    comparisons = [MemberPair(_shared(whole[a].run, whole[b].run), a, b) for a, b in combinations(whole, 2)]
    comparisons += [MemberPair("untrained", a, b) for a, b in combinations(untrained, 2)]
    comparisons += [MemberPair(name, f"seed {first}", name) for name in forks]
    comparisons += [MemberPair(CEILING, a, b) for a, b in zip(seeds, earlier, strict=True)]
    return {**whole, **forks, **untrained, **earlier}, comparisons


def _shared(a: training.Run, b: training.Run) -> str:
    """What two trainings have in common from the start."""
    if a.seed == b.seed:
        return "initialisation"
    return "order" if a.order_seed == b.order_seed else "nothing"


def compute(
    study: Study,
    orders: Sequence[int] = (5,),
    starts: Sequence[int] = (5,),
    after: Sequence[int] = (1, 2, 5),
    permutations: int = 3,
    progress: bool = True,
) -> Computed:
    """Train what is not trained, and compare. The tables are those of `compare_members`."""
    data = test_images(study)
    members, comparisons = cast_forks(study, orders, starts, after)
    tables, sidecars, networks = compare_members(members, comparisons, data, study.layers, permutations, progress)
    return Computed(tables, store.origin_of(data, sidecars, networks))


KIND = Kind(
    "forks",
    "networks that share their initialisation, their order or their first epochs",
    compute,
    defaults={"orders": (5,), "starts": (5,), "after": (1, 2, 5), "permutations": 3},
)
