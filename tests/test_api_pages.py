"""The pages of the code are those that the package gives, and every module stands on exactly one of them."""

import re

from helpers.pages import api, places


def test_the_pages_in_the_book_are_up_to_date():
    for path, text in api.room_files(places.BOOK).items():
        assert path.read_text() == text, f"{path.name} is older than the code: run make pairs"


def test_every_module_stands_on_one_page():
    named = [name for room in api.ROOMS for name in re.findall(r"automodule:: helpers\.(\S+)", api.room_page(room))]
    paths = [path.relative_to(api.PACKAGE).with_suffix("") for path in api.PACKAGE.rglob("*.py")]
    there = [".".join(path.parts) for path in paths if path.stem not in ("__init__", "__main__")]
    assert sorted(named) == sorted(there)


def test_a_new_module_gets_its_place(tmp_path):
    (tmp_path / "measures").mkdir()
    for name in ("errors.py", "__main__.py", "measures/__init__.py", "measures/new.py"):
        (tmp_path / name).write_text("")
    assert api.room_modules("measures", tmp_path) == ["measures.new"]
    assert api.room_modules("core", tmp_path) == ["errors"]
