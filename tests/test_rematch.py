"""The Gram matrices in results/, matched again: today's code gets the critical ε that were recorded."""

from itertools import combinations

import numpy as np
import pytest

from helpers import studies
from helpers.studies.simple_matches import telling_epsilons
from helpers.studies.tables import control_rows, critical_rows

KEPT = [place for place in studies.records_of("seeds") if studies.read_provenance(place).get("grams")]
EQUAL = {"rtol": 0, "atol": 1e-9}


def rematched(result: studies.Result, layer: str, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Critical ε of a layer's neurons for two seeds: computed from the Gram matrix, and as they stand in the record."""
    rows = result.tables["critical"]
    rows = rows[(rows["layer"] == layer) & (rows["seed_a"] == a) & (rows["seed_b"] == b)]
    again = critical_rows(result.gram(layer, [a, b]), 0, 1)
    keys = ["side", "neuron"]
    assert again[keys].to_numpy().tolist() == rows[keys].to_numpy().tolist()
    return again["critical_epsilon"].to_numpy(), rows["critical_epsilon"].to_numpy()


def read(place) -> studies.Result:
    return studies.read(studies.recorded_study(place), place)


@pytest.mark.parametrize("place", KEPT, ids=lambda place: place.name)
def test_every_kept_layer_and_pair_of_every_record(place):
    result = read(place)
    for layer in result.gram_layers:
        for a, b in combinations(result.gram_seeds(layer), 2):
            np.testing.assert_allclose(*rematched(result, layer, a, b), **EQUAL)
        seeds = result.gram_seeds(layer)
        again = control_rows(result.gram(layer), seeds)
        table = result.tables["layers"]
        rows = table[(table["layer"] == layer) & table["seed"].isin(seeds)]
        for column in ("effective_rank", "effective_rank_centred"):
            np.testing.assert_allclose(again[column], rows[column], rtol=1e-9)


@pytest.mark.parametrize("place", studies.records_of("simple_matches"), ids=lambda place: place.name)
def test_simple_matches_were_looked_for_at_the_epsilons_that_are_found_today(place):
    levels = studies.read_tables(place)[0]["levels"]
    result = studies.run(studies.recorded_study(place), progress=False)
    kept = levels[levels["layer"].isin(result.gram_layers)]  # a record may outlive the Gram matrices of single layers
    assert len(kept)
    for (layer, a, b), rows in kept.groupby(["layer", "seed_a", "seed_b"], observed=True):
        epsilons = telling_epsilons(result.pair(layer, a, b))
        assert list(epsilons) == rows["share"].tolist()
        np.testing.assert_allclose(list(epsilons.values()), rows["epsilon"], **EQUAL)


def test_a_changed_gram_matrix_would_be_seen():
    result = read(KEPT[0])
    layer = result.gram_layers[0]
    a, b = result.gram_seeds(layer)[:2]
    gram, other = result.gram(layer, [a, b]), result.grams[layer].sizes[0]
    gram.gram[:other, other:] *= 0.99
    gram.gram[other:, :other] *= 0.99
    changed = critical_rows(gram, 0, 1)["critical_epsilon"].to_numpy()
    assert np.abs(np.nan_to_num(changed - rematched(result, layer, a, b)[1])).max() > 1e-9
