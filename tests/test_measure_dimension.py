"""Effective rank against planted directions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.measures.dimension import effective_rank


@given(st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_effective_rank_counts_orthogonal_directions(copies, seed):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(20, 4)))[0].T
    z = np.vstack([np.repeat(basis, copies, axis=0) * rng.uniform(0.1, 9, (4 * copies, 1)), np.zeros((1, 20))])
    assert effective_rank(z @ z.T) == pytest.approx(4)
    assert effective_rank(np.zeros((2, 2))) == 0
    cone = rng.uniform(1, 2, (8, 20))
    assert 1 <= effective_rank(cone @ cone.T) < 8
