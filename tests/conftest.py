"""What several test files share: one thread for linear algebra, and one browser."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.browser import FLAGS, chromium


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
