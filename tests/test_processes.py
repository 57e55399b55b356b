"""Children end with their parent, however that ends."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from helpers import processes
from helpers.errors import BadInput
from helpers.files import ROOT

PARENT = """
import subprocess, sys, threading
from helpers.processes import ending_with_us, stopping_in_order
with stopping_in_order():
    child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"], **ending_with_us())
    print(child.pid, flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 1), (signal.SIGINT, 1)])
def test_a_child_ends_with_its_parent(number, code):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(number)
    assert parent.wait(60) == code
    gone, _ = psutil.wait_procs([child], timeout=30)
    assert gone or child.status() == psutil.STATUS_ZOMBIE


def test_the_watch_elsewhere_ends_the_child_too():
    code = "import sys; from helpers import processes; processes._end_after(int(sys.argv[1]))"
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child = subprocess.Popen([sys.executable, "-c", code, str(parent.pid)], cwd=ROOT)
    assert parent.stdin is not None
    parent.stdin.close()
    parent.wait()
    assert child.wait(60) == 1


def test_children_end_and_those_of_others_stay():
    def start():
        return subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])

    mine, other = start(), start()
    processes.end_children(but=[psutil.Process(other.pid)])
    assert not psutil.pid_exists(mine.pid)
    assert other.poll() is None
    other.kill()
    other.wait()


def test_what_cannot_fit_into_memory_is_refused_before_it_is_tried():
    processes.check_memory(2**20, "take less")
    with pytest.raises(
        BadInput, match=r"^about 1048576 GiB of memory are needed and \d+ GiB are free: expected less; take"
    ):
        processes.check_memory(2**50, "take less")


def test_what_a_child_says_comes_back():
    done = processes.run_child([sys.executable, "-c", "print('hello'); raise SystemExit(3)"])
    assert (done.returncode, done.stdout) == (3, "hello\n")


WORKERS = """
import time
from helpers.studies import parallel
with parallel.workers(2):
    parallel.each(time.sleep, [(600,), (600,)], "waiting", False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("later", [0.0, 0.2, 0.5, 1.0, 2.0, 5.0])
def test_workers_of_tasks_end_with_the_process_that_gave_them(later):
    parent = subprocess.Popen([sys.executable, "-c", WORKERS], cwd=ROOT, stderr=subprocess.DEVNULL)
    known = psutil.Process(parent.pid)
    while len(workers := [p for p in known.children(recursive=True) if "popen_loky" in " ".join(p.cmdline())]) < 2:
        assert parent.poll() is None
        time.sleep(0.01)
    time.sleep(later)  # from before they are told with whom to end, to when each has a task
    parent.kill()
    parent.wait()
    assert not psutil.wait_procs(workers, timeout=30)[1]
