"""What is computed and recorded: one module per kind of study. All kinds share one store.

Readers need `Study` (what to compare), `run` (several seeds of one network) and `find_or_compute` (any other kind of
study).
"""

from .intervals import interval
from .records import LIBRARIES, OPENED, cache_root, read_provenance, read_tables, records_of, results_root
from .seeds import KIND as SEEDS
from .seeds import run
from .store import Kind, Result, find_or_compute, find_record, read, recorded_study
from .study import Study
from .tables import EPSILONS, similarity_table

__all__ = [
    "EPSILONS",
    "LIBRARIES",
    "OPENED",
    "SEEDS",
    "Kind",
    "Result",
    "Study",
    "cache_root",
    "find_or_compute",
    "find_record",
    "interval",
    "read",
    "read_provenance",
    "read_tables",
    "recorded_study",
    "records_of",
    "results_root",
    "run",
    "similarity_table",
]
