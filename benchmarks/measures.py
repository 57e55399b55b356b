"""How long do all measures take on one pair of layers, and what does one more permutation of the images cost?

    OMP_NUM_THREADS=1 python -m benchmarks.measures

Expected on one core: all measures of two layers of 512 neurons on 2000 images within 10 s.
"""

import time

import pandas as pd

from helpers.measures import MEASURES, Compared
from helpers.measures.chance import image_orders, permuted_values

from . import layers

LIMIT = 10.0  # seconds for all measures of one pair


def times(neurons: int = 512, images: int = 2000, permutations: int = 5) -> pd.DataFrame:
    """CPU seconds of each measure on one pair: alone, with `shared` factors at hand, and for one more permutation."""
    x, y = layers.mixed(neurons, images)
    pair, orders = Compared.of(x, y), image_orders(images, permutations)
    rows = []
    for entry in MEASURES.values():
        alone = _seconds(lambda entry=entry: entry.function(Compared.of(x, y)))
        entry.function(pair)
        shared = _seconds(lambda entry=entry: entry.function(pair))
        chance = _seconds(lambda entry=entry: permuted_values(pair, [entry], orders)) / permutations
        rows.append({"measure": entry.name, "alone": alone, "shared": shared, "one permutation": chance})
    return pd.DataFrame(rows)


def together(neurons: int = 512, images: int = 2000, permutations: int = 5) -> dict[str, float]:
    """CPU seconds of all measures on one pair, and of all for one more permutation."""
    x, y = layers.mixed(neurons, images)
    pair = Compared.of(x, y)
    once = _seconds(lambda: [entry.function(pair) for entry in MEASURES.values()])
    orders = image_orders(images, permutations)
    chance = _seconds(lambda: permuted_values(pair, list(MEASURES.values()), orders)) / permutations
    return {"all measures": once, "one permutation": chance}


def _seconds(work) -> float:  # type: ignore[no-untyped-def]
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the table and whether the limit was kept."""
    print(times().to_string(index=False, float_format="%.3f"))
    total = together()
    kept = "kept" if total["all measures"] <= LIMIT else "missed"
    print(f"all measures {total['all measures']:.1f} s (at most {LIMIT:.0f} s: {kept})")
    print(f"one permutation of all {total['one permutation']:.2f} s")


if __name__ == "__main__":
    main()
