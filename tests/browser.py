"""Chromium for the browser tests: `python -m tests.browser` installs it through apt when it is missing and one may."""

import os
import shutil
import subprocess
from pathlib import Path

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def chromium() -> str | None:
    """The path of Chromium or Chrome, None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path_of = next((path for path in map(shutil.which, names) if path), None)
    mac = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    return path_of or (str(mac) if mac.exists() else None)


def install() -> str:
    """Try apt where it exists and we are root; says in one line how it ended."""
    if chromium():
        return f"browser tests use {chromium()}"
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return "no Chromium here and no right to install it: browser tests will be skipped"
    print("installing Chromium for the browser tests", flush=True)
    quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", *command], check=False, **quiet)
    return f"browser tests use {chromium()}" if chromium() else "Chromium could not be installed: browser tests skip"


if __name__ == "__main__":
    print(install())
