"""Many tasks on many cores or machines, through joblib: processes on this machine, or a Dask cluster.

A task is pure: its answer depends on its arguments alone. It leaves whole files (a checkpoint, or a result in the
cache), which the next run finds. So a run that was killed can continue, and it does not matter where a task ran.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from ..errors import BadInput, optional
from ..files import FOLDERS, folder
from ..networks import devices, training
from ..networks.gpu_training import train_together
from ..processes import end_with_parent
from . import store
from .records import OPENED, cache_root
from .store import Kind, Result
from .study import Study

MEMORY = 2**31  # bytes for the Gram matrices of one task
FEWEST = 2  # networks in a block: a single network could not be compared
TASKS = 4  # blocks, at least, if there are several workers: with their pairs these are ten tasks
TRIES = 3  # to start Dask's thread for messages
PATIENCE = 30  # seconds to wait for a scheduler, and for its first worker


@dataclass(frozen=True)
class Workers:
    """Where tasks run: on one or several workers, and how many networks a block has at most (None: by memory)."""

    several: bool = False
    block: int | None = None


_workers: ContextVar[Workers] = ContextVar("workers", default=Workers())  # noqa: B039 (frozen)


@contextmanager
def workers(jobs: int = 1, scheduler: str | None = None, block: int | None = None) -> Iterator[None]:
    """While open, tasks run in `jobs` processes, or on the workers of the Dask scheduler at an address.

    A Dask cluster needs the same version of the code as this machine, and the folders of data, runs and cache, on all
    its machines. `block` is the number of networks in a block. Raises `BadInput`, with what to do, if there is no
    scheduler or no worker, and if one is lost. What was finished by then is kept.
    """
    if block is not None and block < FEWEST:
        raise BadInput(f"block is {block}: expected at least {FEWEST} networks")
    token = _workers.set(Workers(jobs > 1 or scheduler is not None, block))
    try:
        with _cluster(scheduler) if scheduler else _processes(jobs):
            yield
    except TerminatedWorkerError:
        raise BadInput(
            "a worker process was killed, as for lack of memory: take fewer jobs or smaller blocks"
        ) from None
    finally:
        _workers.reset(token)


def _processes(jobs: int) -> AbstractContextManager[Any]:
    """Run joblib's tasks in processes that end with this one, also if it is killed before they get a task."""
    return parallel_config("loky", n_jobs=jobs, initializer=end_with_parent, initargs=(os.getpid(),))


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Send joblib's tasks to a Dask cluster. Its many log lines are replaced by one error."""
    distributed = optional("distributed", "dask")
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado.application", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    client = None
    try:
        client = _client(distributed, address)
        with parallel_config(_on_cluster(client)):
            yield
    except TimeoutError:
        raise BadInput(f"no worker at {address} after {PATIENCE} s: start some with `dask worker {address}`") from None
    except distributed.KilledWorker as error:
        raise BadInput(f"a task killed its worker again and again, as for lack of memory: {error.task}") from None
    except (CancelledError, distributed.comm.CommClosedError):
        kept = "what was finished is kept, so start it and run this again"
        raise BadInput(f"lost the Dask scheduler at {address}: {kept}") from None
    finally:
        if client is not None:
            with suppress(Exception):  # closing what may be gone already
                client.close(timeout=2)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _on_cluster(client: Any) -> Any:
    """joblib's way to Dask. A cluster of one worker counts as two, because for one joblib would run the tasks here."""
    from joblib._dask import DaskDistributedBackend  # what parallel_config("dask") takes

    class OnCluster(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int = 1) -> int:
            return max(2, super().effective_n_jobs(n_jobs))

    return OnCluster(client=client, wait_for_workers_timeout=PATIENCE)


def _client(distributed: Any, address: str) -> Any:
    for _ in range(TRIES):
        try:
            return distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except AssertionError:  # its thread did not start within ten seconds, as on a machine that was suspended
            continue
        except (OSError, ValueError, TypeError, ImportError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadInput(f"no Dask scheduler at {address}: expected one as at tcp://host:8786 ({reason})") from None
    raise BadInput(f"Dask did not start within {10 * TRIES} s on this machine, which may be too busy: run this again")


# ---------------------------------------------------------------- tasks


class _Bar(Parallel):
    """joblib's Parallel with a bar in place of its printed progress."""

    bar: Any = None

    def print_progress(self) -> None:
        self.bar.update(self.n_completed_tasks - self.bar.n)


def each(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], label: str, progress: bool) -> list[Any]:
    """The function's answers, in order. The calls run where `workers` says, by default in this process."""
    here = {name: str(folder(name, default).resolve()) for name, default in FOLDERS.items()}
    here |= {name: os.environ[name] for name in (devices.VARIABLE,) if name in os.environ}
    with tqdm(total=len(arguments), desc=label, disable=not progress) as bar:
        run = _Bar(batch_size=1, pre_dispatch="all")
        run.bar = bar
        answers = list(run(delayed(_in_folders)(here, function, given) for given in arguments))
    for answer in answers:
        if isinstance(answer, CancelledError):  # joblib hands on what Dask gives in place of a lost task's answer
            raise answer
    return answers


def _in_folders(variables: Mapping[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call the function with these environment variables, because a worker may have been started with others.

    It takes one thread, so that its numbers do not depend on where it runs.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        with devices.on_threads():
            return function(*arguments)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def train_all(wanted: Iterable[tuple[training.Run, int | None]], progress: bool = True) -> None:
    """Train every run that lacks the epoch named with it (None: its last), as tasks, or all side by side on a GPU.

    With one worker and no GPU nothing is done: a study then trains each network when it needs it.
    """
    waiting = dict.fromkeys(run for run, epoch in wanted if epoch != 0 and not training.is_whole(_end(run, epoch)))
    trunks = dict.fromkeys(run.trunk for run in waiting if run.fork_after)  # first: several forks may share one
    for runs in (
        [run for run in trunks if not training.is_whole(_end(run))],
        [run for run in waiting if run not in trunks],
    ):
        if runs and _workers.get().several:
            each(_train, [(run,) for run in runs], "training networks", progress)
        elif runs and (device := devices.chosen_device("auto")).type == "cuda":
            train_together(runs, str(device), progress)


def _end(run: training.Run, epoch: int | None = None) -> Path:
    return run.checkpoint(run.recipe.epochs if epoch is None else epoch)


def _train(run: training.Run) -> None:
    training.train(run, progress=False)


def task_results(
    kind: Kind, studies: Sequence[tuple[Study, Mapping[str, Any]]], label: str, progress: bool
) -> list[Result]:
    """The results of a kind for each study with its settings. Each is computed as one task that leaves it in the cache.

    Raises `BadInput` if a task left nothing in this machine's cache, because its worker has another disk.
    """
    places = [cache_root() / store.study_key(kind, study, settings) for study, settings in studies]
    missing = [(kind, *wanted, place) for wanted, place in zip(studies, places, strict=True) if not _is_there(place)]
    if missing:
        each(_leave, missing, label, progress)
    for place in places:
        if not _is_there(place):
            raise BadInput(f"{place} is not there after its task: the workers need this folder, and data and runs")
    results = [store.read(study, place) for (study, _), place in zip(studies, places, strict=True)]
    for place in places:
        OPENED.pop(place.name, None)  # the whole study is what was opened, not its parts
    return results


def _is_there(place: Path) -> bool:
    return (place / "provenance.json").exists()


def _leave(kind: Kind, study: Study, settings: Mapping[str, Any], place: Path) -> None:
    store.write(store.computed_now(kind, study, settings, progress=False), place)


# ---------------------------------------------------------------- blocks of networks


def blocks(seeds: Sequence[int], neurons: Sequence[int], matrices: int = 1) -> list[tuple[int, ...]]:
    """The seeds in consecutive blocks, so that a task that compares two blocks needs a bounded amount of memory.

    `neurons` are those of one network, layer by layer. `matrices` is the number of Gram matrices per layer. With one
    worker there is one block if all matrices fit into 2 GiB. With several workers there are at least four blocks, if
    that leaves two networks in each.
    """
    chosen = _workers.get()
    fit = int(np.sqrt(MEMORY / (8 * matrices * np.square(neurons, dtype=float).sum())))
    size = chosen.block or (len(seeds) if fit >= len(seeds) else fit // 2)
    if chosen.several and not chosen.block:
        size = min(size, -(-len(seeds) // TASKS))
    number = min(-(-len(seeds) // max(size, FEWEST)), max(len(seeds) // FEWEST, 1))
    if number == 2 and matrices > 1 and not (chosen.block or chosen.several):
        number = 1  # draws are collected of both blocks jointly: two would take no less memory than all
    return [tuple(map(int, part)) for part in np.array_split(np.array(seeds), number)]


def wanted_tasks() -> int:
    """Into how many tasks a study should be divided: one for one worker, else `TASKS`."""
    return TASKS if _workers.get().several else 1


def pairs_of_blocks(parts: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], int]]:
    """The tasks as (seeds, number): a block and 0, or the seeds of two blocks and the number of seeds in the first."""
    alone = [(part, 0) for part in parts]
    return alone + [(a + b, len(a)) for a, b in combinations(parts, 2)]
