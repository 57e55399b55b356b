"""The pages of the code, one per room. They are made from the package's files, so that no module is forgotten."""

from pathlib import Path

from ..files import ROOT

PACKAGE = ROOT / "helpers"
ROOMS = {
    "core": ("Core and subspaces", "What everything stands on: errors, files, Gram matrices, and how they are summed."),
    "matching": ("Matching", "The objects of the paper: matches, critical ε, minimal and simple matches, diagnostics."),
    "measures": ("Measures", "Subspace match and its rivals: one module for each measure, and a registry."),
    "networks": ("Networks", "Data, architectures, training, checkpoints, and the activations of layers."),
    "studies": ("Studies", "What is computed and recorded: one module for each kind of study, on one store."),
    "pages": ("Pages", "What only the book needs: figures, phrases, claims and verdicts, running and building."),
}


def room_modules(room: str, package: Path = PACKAGE) -> list[str]:
    """The modules of a room by their names inside the package, such as "matching.peeling"; "core" has the top ones."""
    paths = package.glob("*.py") if room == "core" else (package / room).rglob("*.py")
    names = [".".join(path.relative_to(package).with_suffix("").parts) for path in paths]
    return sorted(name for name in names if name.rpartition(".")[2] not in ("__init__", "__main__"))


def room_page(room: str) -> str:
    """The Markdown of the page `book/api-ROOM.md`: every module with its public functions and classes."""
    title, about = ROOMS[room]
    parts = [f"# {title}\n\n{about} Made by `make pairs`.\n"]
    for name in room_modules(room):
        directive = f".. automodule:: helpers.{name}\n   :members:"
        parts.append(f"\n## {name.removeprefix(f'{room}.')}\n\n```{{eval-rst}}\n{directive}\n```\n")
    return "".join(parts)


def room_files(book: Path) -> dict[Path, str]:
    """The file of every room's page in the folder `book`, with its text."""
    return {book / f"api-{room}.md": room_page(room) for room in ROOMS}
