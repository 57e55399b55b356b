"""What several test files share: one thread for linear algebra, and one browser."""

import os
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from tests.browser import FLAGS, chromium

# The same instances in every run, so that a red build means a change; the weekly run draws new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; the tests that need it are skipped, with this reason, where it is missing."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: install the package chromium to run the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as control:
        running = control.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def few_digits(tmp_path, monkeypatch):
    """Train on 96 digits, in a folder of this test's own."""
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path / "runs"))
    from helpers.networks import datasets

    whole = datasets.load_dataset

    def load(name, split="test"):
        data = whole(name, split)
        return replace(data, images=data.images[:96], labels=data.labels[:96])

    monkeypatch.setattr(datasets, "load_dataset", load)


@pytest.fixture
def two_threads():
    """A process that takes two threads for linear algebra."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
