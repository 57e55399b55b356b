"""A Dask cluster of Slurm jobs: start it on the login node, and give its address to `--scheduler`.

Usage: .venv/bin/python book/slurm.py 20     (as many jobs as networks can be worked on at a time)
"""

import sys
from pathlib import Path

from dask_jobqueue import SLURMCluster

CLONE = Path(__file__).resolve().parent.parent


def cluster(memory_gib: int = 8) -> SLURMCluster:
    """Jobs of one worker with one core each; the clone lies on a file system that all nodes share."""
    return SLURMCluster(
        cores=1,
        processes=1,
        memory=f"{memory_gib} GiB",
        walltime="04:00:00",
        python=str(CLONE / ".venv" / "bin" / "python"),
        job_script_prologue=[f"cd {CLONE}", "export OMP_NUM_THREADS=1"],
        # job_extra_directives=["--partition=...", "--account=..."],  what your site asks for
    )


if __name__ == "__main__":
    jobs = cluster()
    jobs.scale(jobs=int(sys.argv[1]))
    print(f"--scheduler {jobs.scheduler_address}", flush=True)
    input("Enter ends the jobs.")
