"""Hashes of code: a comment or a docstring changes none, a number in an imported module does."""

import pytest

from helpers.errors import BadInput
from helpers.studies import hashes
from helpers.studies.kinds import KINDS

KIND = '''"""A kind of study."""
from ..errors import BadInput
from ..matching import core as rules
from . import store


def compute(study):
    """Twice the rule."""
    from ..measures.late import LATE

    return 2 * rules.RULE + LATE
'''
FILES = {
    "studies/kind.py": KIND,
    "studies/store.py": "import os\n",
    "matching/core.py": "from .. import subspaces\n\nRULE = 1\n",
    "matching/other.py": "OTHER = 1\n",
    "measures/late.py": "LATE = 3\n",
    "subspaces.py": "TIE = 1e-9\n",
    "errors.py": "class BadInput(ValueError):\n    pass\n",
}


@pytest.fixture
def package(tmp_path):
    """A small package with rooms, as a folder that is only read, never imported."""
    for name, text in FILES.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return tmp_path / "toy"


def version_after(package, name, text):
    (package / name).write_text(text)
    return hashes.code_version("studies.kind", package)


def test_imports_are_followed_through_modules_and_into_functions(package):
    modules = hashes.all_imports(["studies.kind"], package)
    assert modules == ["errors", "matching.core", "measures.late", "studies.kind", "studies.store", "subspaces"]


def test_comments_docstrings_and_line_breaks_change_nothing(package):
    before = hashes.code_version("studies.kind", package)
    text = KIND.replace("A kind of study.", "Another text.").replace('    """Twice the rule."""\n', "    # twice\n\n")
    assert version_after(package, "studies/kind.py", text) == before
    assert version_after(package, "subspaces.py", '"""Now with a docstring."""\nTIE = (\n    1e-9\n)\n') == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("studies/kind.py", KIND.replace("2 *", "3 *")),
        ("matching/core.py", "from .. import subspaces\n\nRULE = 2\n"),
        ("measures/late.py", "LATE = 4\n"),
        ("subspaces.py", "TIE = 1e-8\n"),
        ("subspaces.py", "TIE = '1e-9'\n"),
    ],
)
def test_a_changed_number_in_what_is_imported_changes_the_version(package, name, text):
    before = hashes.code_version("studies.kind", package)
    assert version_after(package, name, text) != before


@pytest.mark.parametrize("name", ["matching/other.py", "studies/store.py", "errors.py"])
def test_what_is_not_imported_or_makes_no_numbers_changes_nothing(package, name):
    before = hashes.code_version("studies.kind", package)
    assert version_after(package, name, "OTHER = 2\n") == before


def test_a_study_depends_on_the_family_of_its_network_and_on_no_other(package):
    files = {"__init__": "from . import dense, mobile\n", "dense": "WIDTH = 1\n", "mobile": "WIDTH = 1\n"}
    folder = package / "networks" / "families"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (package / "networks" / "names.py").write_text("from .families import FAMILIES\n")
    (package / "studies" / "kind.py").write_text(KIND + "from ..networks import names\n")
    one, both = "networks.families.dense", hashes.code_version("studies.kind", package)
    before = hashes.code_version("studies.kind", package, one)
    (folder / "new.py").write_text("WIDTH = 3\n")
    (folder / "__init__.py").write_text("from . import dense, mobile, new\n")
    (folder / "mobile.py").write_text("WIDTH = 2\n")
    assert hashes.code_version("studies.kind", package, one) == before != both
    assert hashes.code_version("studies.kind", package) != both
    (folder / "dense.py").write_text("WIDTH = 2\n")
    assert hashes.code_version("studies.kind", package, one) != before


def test_a_module_that_is_not_there_is_named(package):
    with pytest.raises(BadInput, match=r"no module toy\.studies\.king: expected a file below toy/"):
        hashes.code_version("studies.king", package)


def test_a_text_that_is_not_a_docstring_counts(package):
    before = version_after(package, "matching/core.py", "RULE = 1\n'a'\n")
    assert version_after(package, "matching/core.py", "RULE = 1\n'b'\n") != before


def test_each_kind_depends_on_what_it_computes_with_and_on_no_other_kind():
    seeds = hashes.all_imports([KINDS["seeds"].code_module])
    assert {"networks.training", "networks.activations", "matching.peeling", "subspaces"} <= set(seeds)
    assert not {"studies.causes", "studies.simple_matches"} & set(seeds)
    assert {"studies.seeds", "matching.minimal"} <= set(hashes.all_imports([KINDS["simple_matches"].code_module]))
    assert len({kind.code_for(None) for kind in KINDS.values()}) == len(KINDS)
    assert len({KINDS["seeds"].code_for(network) for network in ("vgg8", "vgg16_bn", "resnet18", None)}) == 3


def test_imports_of_a_notebook_are_absolute():
    tree = hashes.ast.parse("import helpers.matching\nfrom helpers import studies\nfrom helpers.pages import filled, x")
    assert hashes.imported(tree) == {"matching", "studies", "pages.filled", "pages"}
