"""Studies as tasks: by blocks as in one piece; in processes and on a Dask cluster as in series; killed, and gone on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import studies
from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.networks import devices, training
from helpers.networks.accumulators import Sampling
from helpers.studies import calibration, kinds, parallel, records, seeds, store

STUDY = {"network": "vgg8_bn", "width": 0.06, "epochs": 1, "images": 100, "layers": ("relu1_1", "logits")}
SEEDS = (3, 0, 4, 1, 2)  # five networks in blocks of two: two blocks, three tasks; of one task each: see `many`


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with the runs of five small networks, trained once for this file."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMEREP_RUNS", str(place))
        for run in few().runs:
            training.train(run, progress=False)
    return place


@pytest.fixture
def cache(trained, tmp_path, monkeypatch) -> Path:
    """An empty cache beside the trained networks."""
    monkeypatch.setenv("SAMEREP_RUNS", str(trained))
    monkeypatch.setenv("SAMEREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path / "results"))
    return tmp_path / "cache"


def few(**options) -> studies.Study:
    return studies.Study(**STUDY | {"seeds": SEEDS} | options)


def left(cache: Path) -> set[str]:
    """What tasks have left in the cache, whole."""
    return {path.parent.name for path in cache.glob("*/provenance.json")}


def written(cache: Path) -> dict[str, int]:
    """What tasks have left in the cache, and when."""
    return {name: (cache / name / "provenance.json").stat().st_mtime_ns for name in left(cache)}


def assert_same(computed: store.Computed, wanted: store.Computed, rtol: float = 0.0) -> None:
    assert set(computed.tables) == set(wanted.tables)
    for name, table in wanted.tables.items():
        loose = {"check_dtype": False, "check_categorical": False, "rtol": rtol, "atol": rtol, "check_exact": not rtol}
        pd.testing.assert_frame_equal(computed.tables[name], table, **loose)


# ---------------------------------------------------------------- blocks


@given(st.lists(st.integers(0, 99), min_size=2, max_size=40, unique=True), st.integers(2, 9), st.integers(1, 400))
def test_blocks_hold_every_seed_once_and_every_pair_is_in_one_task(drawn, block, neurons):
    with parallel.workers(block=block):
        parts = parallel.blocks(drawn, [neurons])
    assert [seed for part in parts for seed in part] == drawn
    assert min(map(len, parts)) >= 2
    assert max(map(len, parts)) <= max(block, 3)
    pairs = []
    for members, first in parallel.pairs_of_blocks(parts):
        pairs += [frozenset((members[a], members[b])) for a, b in seeds.pairs_across(len(members), first)]
    assert len(pairs) == len(set(pairs)) == len(drawn) * (len(drawn) - 1) // 2


def test_a_task_has_bounded_memory():
    neurons = [64, 64, 128, 256, 512, 512]
    for count in (2, 5, 40, 200):
        parts = parallel.blocks(range(count), neurons)
        largest = max(len(members) for members, _ in parallel.pairs_of_blocks(parts))
        assert 8 * sum((largest * n) ** 2 for n in neurons) <= parallel.MEMORY
    assert len(parallel.blocks(range(5), neurons)) == 1
    assert len(parallel.blocks(range(5), [n * 100 for n in neurons])) == 2  # what does not fit is compared in pairs
    assert len(parallel.blocks(range(40), neurons, matrices=17)) > len(parallel.blocks(range(40), neurons))
    assert len(parallel.blocks(range(5), [n * 100 for n in neurons], matrices=17)) == 1  # two blocks would save nothing


def test_several_workers_get_several_tasks():
    with parallel.workers(jobs=2):
        assert [len(part) for part in parallel.blocks(range(5), [10])] == [3, 2]
        assert len(parallel.blocks(range(40), [10])) == parallel.TASKS
    with pytest.raises(BadInput, match="block is 1: expected at least 2 networks"), parallel.workers(block=1):
        pass


def test_blocks_give_the_tables_of_one_piece(cache):
    whole = seeds.compute(few(), progress=False)
    assert not left(cache)
    with parallel.workers(block=2):
        parts = seeds.compute(few(), progress=False)
    assert len(left(cache)) == 3
    assert_same(parts, whole, rtol=1e-7)
    assert parts.origin.pop("train_seconds") == pytest.approx(whole.origin.pop("train_seconds"), abs=0.2)  # rounded
    assert parts.origin == whole.origin
    assert parts.held["logits"] == SEEDS[:3]
    np.testing.assert_allclose(parts.grams["logits"].gram, whole.grams["logits"].networks([0, 1, 2]).gram, rtol=1e-12)


def test_blocks_give_the_sampled_tables_of_one_piece(cache, monkeypatch):
    monkeypatch.setattr(seeds, "Sampling", lambda: Sampling(positions=5000, draws=2))
    study = few(sampled=True)
    whole = seeds.compute(study, progress=False)
    with parallel.workers(block=2):
        assert_same(seeds.compute(study, progress=False), whole, rtol=1e-7)
    assert set(whole.tables["sampled"]["draw"]) == {0, 1}


def test_a_killed_run_goes_on_and_computes_only_what_is_missing(cache, monkeypatch):
    compute, calls = seeds.PART.compute, []

    def counted(study, first=0, progress=True):
        calls.append(study.seeds)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(study, first, progress)

    counted.__module__ = compute.__module__  # the code that a key hashes
    monkeypatch.setattr(seeds, "PART", replace(seeds.PART, compute=counted))
    with parallel.workers(block=2):
        with pytest.raises(KeyboardInterrupt):
            seeds.compute(few(), progress=False)
        assert len(left(cache)) == 2
        computed = seeds.compute(few(), progress=False)
    assert len(calls) == 4
    assert calls[2] == calls[3]
    assert_same(computed, seeds.compute(few(), progress=False), rtol=1e-7)
    assert not any(name.startswith("seeds-block") for name in records.OPENED)


def test_the_parts_of_a_study_serve_a_larger_one(cache):
    with parallel.workers(block=2):
        seeds.compute(few(seeds=SEEDS[:4]), progress=False)
        before = left(cache)
        seeds.compute(few(seeds=(*SEEDS[:4], 2, 5)), progress=False)
    assert len(before) == 3
    assert len(left(cache) - before) == 3  # the new block, alone and with either of the two


# ---------------------------------------------------------------- parts of other kinds

WHOLE = {"network": "vgg8_bn", "width": 0.06, "epochs": 1, "images": 100, "seeds": (3, 0, 4)}
IN_PARTS = {
    "causes": ({"layers": ("relu1_1", "relu2_1", "pool", "logits"), "epochs": 2}, {}, 3),
    "ceiling": ({"layers": ("relu1_1", "relu2_1", "pool", "logits"), "epochs": 2}, {}, 3),
    "stitching": ({"layers": ("relu1_1", "relu2_1", "pool", "logits")}, {"fit": 120, "again": 50, "controls": 50}, 3),
    "sensitivity": ({}, {"images": 150, "steps": 4, "names": ["subspace", "cka"]}, 3),
    "rebasin": ({}, {"correlate": 100, "again": 50, "alphas": [0.0, 0.5, 1.0]}, 2),
    "small_matches": ({"layers": ("relu1_1", "relu2_1", "logits")}, {}, 3),
    "simple_matches": ({"layers": ("relu1_1", "relu2_1", "logits")}, {"orders": 2, "draws": 1, "limit": 20}, 3),
}


def part_of(name: str) -> store.Kind:
    return sys.modules[f"helpers.studies.{name}"].PART


@pytest.mark.parametrize("name", IN_PARTS)
def test_parts_of_a_study_give_the_tables_of_one_piece_and_are_found_again(cache, monkeypatch, name):
    options, settings, count = IN_PARTS[name]
    kind, study = kinds.KINDS[name], studies.Study(**WHOLE | options)
    whole = kind.compute(study, progress=False, **kind.settled(settings))
    shutil.rmtree(cache, ignore_errors=True)
    monkeypatch.setattr(parallel, "wanted_tasks", lambda: 3)
    found = kind.compute(study, progress=False, **kind.settled(settings))
    assert_same(found, whole)
    assert found.origin == whole.origin
    assert len([place for place in left(cache) if place.startswith(f"{part_of(name).name}-")]) == count
    never = replace(part_of(name), compute=lambda *_, **__: pytest.fail("it was computed again"))
    never.compute.__module__ = part_of(name).compute.__module__
    monkeypatch.setattr(f"helpers.studies.{name}.PART", never)
    assert_same(kind.compute(study, progress=False, **kind.settled(settings)), whole)


# ---------------------------------------------------------------- processes


def square(number: int) -> int:
    return number**2


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def complain(number: int) -> int:
    raise BadInput(f"number {number}: expected another")


def test_answers_come_in_order_and_errors_as_they_are():
    assert parallel.each(square, [(3,), (1,), (2,)], "squares", progress=False) == [9, 1, 4]
    with pytest.raises(BadInput, match=r"^number 7: expected another$"):
        parallel.each(complain, [(7,)], "complaints", progress=False)


@pytest.mark.slow
def test_two_processes_give_the_serial_tables(cache):
    with parallel.workers(block=2):
        serial = seeds.compute(few(), progress=False)
    for path in cache.iterdir():
        path.rename(path.with_name(f"serial-{path.name}"))
    with parallel.workers(jobs=2, block=2):
        assert_same(seeds.compute(few(), progress=False), serial)
    assert len(left(cache)) == 6


@pytest.mark.slow
def test_a_killed_process_is_one_clear_line():
    message = "^a worker process was killed, as for lack of memory: take fewer jobs or smaller blocks$"
    with pytest.raises(BadInput, match=message), parallel.workers(jobs=2):
        parallel.each(die, [(1,), (2,)], "deaths", progress=False)


# ---------------------------------------------------------------- a Dask cluster


def wait_for(ready, seconds: float = 300.0) -> None:
    """Look again and again until it is so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        threading.Event().wait(0.02)


def kill_when(ready, pid: int, counts: list[int], count) -> threading.Thread:
    """Kill a process as soon as it is so, and note the count of that moment."""

    def watch() -> None:
        wait_for(ready)
        counts.append(count())
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_one_of_three_dask_workers_is_killed_and_the_tables_are_the_serial_ones(cache):
    distributed = pytest.importorskip("distributed")
    study = few(seeds=(3, 0, 4, 1, 2, 5))
    training.train(study.runs[-1], progress=False)
    with parallel.workers(block=2):
        serial = seeds.compute(study, progress=False)
    for path in cache.iterdir():
        path.rename(path.with_name(f"serial-{path.name}"))
    before, noted = len(left(cache)), []
    options = {"n_workers": 3, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        assert len(set(pids)) == 3
        thread = kill_when(lambda: len(left(cache)) > before, pids[0], noted, lambda: len(left(cache)) - before)
        with parallel.workers(scheduler=cluster.scheduler_address, block=2):
            computed = seeds.compute(study, progress=False)
        thread.join()
    assert 1 <= noted[0] < 6, "the worker was to be killed in the middle"
    assert_same(computed, serial)


@pytest.fixture
def scheduler(tmp_path):
    """A Dask scheduler as its own process, and its address."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen([*command, "--no-dashboard"], stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    lines = iter(process.stderr.readline, "")
    address = next(match[0] for line in lines if (match := re.search(r"tcp://[\d.]+:\d+", line)))
    threading.Thread(target=lambda: list(lines), daemon=True).start()
    yield process, address
    process.kill()
    process.wait()


@pytest.fixture
def worker(scheduler):
    """One Dask worker of that scheduler."""
    _, address = scheduler
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    options = [*command, "--no-dashboard", "--death-timeout", "60"]
    process = subprocess.Popen(options, cwd=ROOT, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_lost_scheduler_is_one_clear_line_and_nothing_finished_is_lost(cache, scheduler, worker):
    process, address = scheduler
    noted: list[int] = []
    thread = kill_when(lambda: len(left(cache)) > 0, process.pid, noted, lambda: len(left(cache)))
    message = f"^lost the Dask scheduler at {address}: what was finished is kept, so start it and run this again$"
    with pytest.raises(BadInput, match=message), parallel.workers(scheduler=address, block=2):
        seeds.compute(few(), progress=False)
    thread.join()
    worker.kill()  # it still does what it was given
    worker.wait()
    assert noted[0] < 3, "the scheduler was to be killed in the middle"
    kept = written(cache)
    assert len(kept) >= noted[0] >= 1
    with parallel.workers(block=2):
        computed = seeds.compute(few(), progress=False)
    assert kept.items() <= written(cache).items()
    assert_same(computed, seeds.compute(few(), progress=False), rtol=1e-7)


@pytest.mark.slow
def test_a_cluster_of_one_worker_does_the_tasks_there(scheduler, worker):
    with parallel.workers(scheduler=scheduler[1]):
        assert parallel.each(os.getpid, [(), ()], "numbers", progress=False) == [worker.pid] * 2


@pytest.mark.slow
def test_no_worker_and_no_scheduler_are_one_clear_line(scheduler, monkeypatch):
    process, address = scheduler
    monkeypatch.setattr(parallel, "PATIENCE", 1)
    message = f"^no worker at {address} after 1 s: start some with `dask worker {address}`$"
    with pytest.raises(BadInput, match=message), parallel.workers(scheduler=address):
        parallel.each(square, [(1,)], "squares", progress=False)
    process.kill()
    process.wait()
    for wrong in (address, "nowhere", "carrier://pigeon"):
        message = f"^no Dask scheduler at {wrong}: expected one as at tcp://host:8786"
        with pytest.raises(BadInput, match=message), parallel.workers(scheduler=wrong):
            pass


@pytest.mark.parametrize("failures", [1, 3])
def test_a_machine_that_was_suspended_does_not_stop_dask(monkeypatch, failures):
    """Dask gives up by an assertion if its thread has not started after ten seconds."""
    distributed = pytest.importorskip("distributed")
    calls = []

    def client(address: str, **options: object) -> str:
        calls.append(address)
        assert len(calls) > failures
        return f"client of {address}"

    monkeypatch.setattr(distributed, "Client", client)
    if failures < parallel.TRIES:
        assert parallel._client(distributed, "tcp://host:8786") == "client of tcp://host:8786"
    else:
        with pytest.raises(BadInput, match=r"^Dask did not start within 30 s on this machine, which may be too busy"):
            parallel._client(distributed, "tcp://host:8786")
    assert len(calls) == min(failures + 1, parallel.TRIES)


# ---------------------------------------------------------------- Slurm


@pytest.mark.slow
def test_the_script_for_slurm_makes_jobs_that_a_shell_can_read(tmp_path):
    program = "import slurm; print(slurm.cluster(4).job_script())"
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'book'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    assert done.returncode == 0, done.stderr
    job = done.stdout
    assert {"#SBATCH -t 04:00:00", "#SBATCH --mem=4G"} <= set(job.splitlines())
    assert f"cd {ROOT}" in job
    assert "distributed.cli.dask_worker" in job or "dask worker" in job
    subprocess.run(["bash", "-n"], input=job, encoding="utf-8", errors="replace", check=True)


@pytest.mark.parametrize(
    ("jobs", "device", "used"), [(1, "cpu", []), (2, "cpu", ["each"]), (1, "cuda", ["cuda"]), (2, "cuda", ["each"])]
)
def test_runs_are_trained_as_tasks_or_together_on_a_gpu_or_left_to_the_study(monkeypatch, jobs, device, used):
    done: list[str] = []
    monkeypatch.setattr(parallel, "each", lambda *_: done.append("each"))
    monkeypatch.setattr(parallel, "train_together", lambda runs, where, progress: done.append(where))
    monkeypatch.setattr(devices, "chosen_device", lambda default: torch.device(device))
    runs = [training.plan("vgg8_bn", "digits", 0.06, 77, "digits", 1)]
    with parallel.workers(jobs):
        parallel.train_all([(run, None) for run in runs])
        monkeypatch.setattr(training, "is_whole", lambda path: True)
        parallel.train_all([(run, None) for run in runs])
    assert done == used


# ---------------------------------------------------------------- other kinds


def test_forks_wait_for_the_trunk_that_they_share(monkeypatch):
    trunk, whole = training.plan("vgg8_bn", "digits", 0.06, 77, "digits", 2), set()
    forks = [training.plan("vgg8_bn", "digits", 0.06, 77, "digits", 2, order_seed=k, fork_after=1) for k in (1, 2)]
    asked: list[list[training.Run]] = []
    monkeypatch.setattr(parallel, "each", lambda function, given, *_: asked.append([run for (run,) in given]))
    monkeypatch.setattr(training, "is_whole", lambda path: path in whole)
    with parallel.workers(2):
        parallel.train_all([(forks[0], None), (trunk, 0), (forks[1], None), (forks[0], 2)])
        assert asked == [[forks[0].trunk], forks]
        whole.add(trunk.checkpoint(2))
        parallel.train_all([(run, None) for run in forks])
    assert asked[2:] == [forks]


@pytest.mark.slow
def test_parts_are_tasks_and_a_killed_run_computes_only_what_is_missing(cache):
    study, settings = few(seeds=(0, 1), epochs=2), {"images": 60, "permutations": 2, "untrained": 1}
    wanted = calibration.compute(study, progress=False, **settings)
    parts = sorted(cache.rglob("parts/*/*.parquet"))
    assert [path.stem for path in parts] == ["logits", "relu1_1"]
    parts[0].unlink()
    before = parts[1].stat().st_mtime_ns
    with parallel.workers(jobs=2):
        computed = calibration.compute(study, progress=False, **settings)
    assert_same(computed, wanted)
    assert parts[0].exists()
    assert parts[1].stat().st_mtime_ns == before
