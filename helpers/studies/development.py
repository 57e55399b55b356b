"""When do two networks become alike? When does one network reach its final form? Similarity after several epochs.

"between" compares two seeds after equally many epochs. "within" compares an epoch of one training with the end of that
training. The condition "ceiling" compares a network with itself one epoch before the end.
"""

from collections.abc import Sequence
from itertools import combinations

from . import store
from .pairwise import CEILING, Member, MemberPair, compare_members
from .store import Computed, Kind
from .study import Study, test_images


def cast_epochs(study: Study, epochs: Sequence[int]) -> tuple[dict[str, Member], list[MemberPair]]:
    """The members (every seed after every chosen epoch) and the comparisons.

    The last two epochs are always among them.
    """
    last = study.runs[0].recipe.epochs
    chosen = sorted({epoch for epoch in epochs if epoch < last - 1} | {last - 1, last})

    def name(seed: int, epoch: int) -> str:
        return f"seed {seed}, epoch {epoch}"

    members = {name(run.seed, epoch): Member(run, epoch) for run in study.runs for epoch in chosen}
    comparisons = [
        MemberPair(f"between, epoch {epoch}", name(a, epoch), name(b, epoch))
        for epoch in chosen
        for a, b in combinations(study.seeds, 2)
    ]
    comparisons += [
        MemberPair(f"within, epoch {epoch}", name(seed, epoch), name(seed, last))
        for epoch in chosen[:-1]
        for seed in study.seeds
    ]
    comparisons += [MemberPair(CEILING, name(seed, last - 1), name(seed, last)) for seed in study.seeds]
    return members, comparisons


def compute(
    study: Study, at: Sequence[int] = (0, 1, 2, 3, 5), permutations: int = 3, progress: bool = True
) -> Computed:
    """Train what is not trained, and compare.

    "pairs" and "similarity" get the columns "how" ("between", "within") and "epoch".
    """
    data = test_images(study)
    members, comparisons = cast_epochs(study, at)
    tables, sidecars, networks = compare_members(members, comparisons, data, study.layers, permutations, progress)
    for name in ("pairs", "similarity"):
        parts = tables[name]["condition"].str.extract(r"^(?P<how>\w+)(?:, epoch (?P<epoch>\d+))?$")
        tables[name]["how"] = parts["how"]
        tables[name]["epoch"] = parts["epoch"].astype("float")
    return Computed(tables, store.origin_of(data, sidecars, networks))


KIND = Kind(
    "development",
    "similarity at several epochs of the training",
    compute,
    defaults={"at": (0, 1, 2, 3, 5), "permutations": 3},
)
