"""Pages elsewhere that the book names: `python tests/links.py` asks for each, and lists those that do not answer.

It needs the internet, so it is no test: the weekly run calls it. It needs nothing but Python.
"""

import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("*.md", "book/*.md", "book/*.bib", "notebooks/*.py")
ADDRESS = re.compile(r"https?://[^\s)\]}>\"'`,]+")
SECONDS = 30
REFUSED = (401, 403, 429)  # a page that is there, and does not answer programs


def addresses(root: Path = ROOT) -> dict[str, list[str]]:
    """Every address of another site, and the files that name it."""
    files_of: dict[str, list[str]] = {}
    for path in sorted(path for pattern in SOURCES for path in root.glob(pattern)):
        for address in ADDRESS.findall(path.read_text(encoding="utf-8")):
            files_of.setdefault(address.rstrip(".;:"), []).append(str(path.relative_to(root)))
    return files_of


def trouble(address: str) -> str | None:
    """What is wrong with an address, in a few words; None if it answers."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (a book that checks its links)"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in REFUSED else str(error.code)
    except (OSError, ValueError) as error:
        return str(error)


def main() -> int:
    named = addresses()
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(named, pool.map(trouble, named), strict=True))
    for address, why in answers.items():
        if why:
            print(f"{address} ({', '.join(sorted(set(named[address])))}): {why}")
    return int(any(answers.values()))


if __name__ == "__main__":
    sys.exit(main())
