"""Measures of similarity between two layers, one module per measure, and what surrounds them: chance and scale."""

from . import cca, cka, neighbours, procrustes, regression, rsa, soft_match, subspace
from .compared import Compared, Sampled
from .registry import INVARIANCES, Measure, measure

MEASURES: dict[str, Measure] = {
    entry.name: entry
    for entry in (
        subspace.AREA,
        subspace.MEDIAN,
        subspace.SHARE,
        cka.CENTRED_CKA,
        cka.RAW_CKA,
        cka.DEBIASED_CKA,
        cca.MEAN_CCA,
        cca.SVCCA,
        cca.PWCCA,
        procrustes.PROCRUSTES,
        regression.REGRESSION,
        rsa.RSA,
        neighbours.MUTUAL_NEIGHBOURS,
        soft_match.SOFT_MATCH,
    )
}

__all__ = ["INVARIANCES", "MEASURES", "Compared", "Measure", "Sampled", "measure"]
