"""Every exercise has a solution; every check accepts the solution and answers a stub and a wrong answer with a hint.

A chapter's writer adds to `WRONG` at least one typical wrong answer for each code exercise of the chapter.
"""

import ast
from itertools import product

import numpy as np
import pytest

from helpers.errors import BadInput
from helpers.matching import Match, critical_epsilons, maximum_match, minimal_match
from helpers.matching.definitions import relative_distance
from helpers.measures import measure
from helpers.pages.teaching import pages
from helpers.pages.teaching.cutting import (
    SOLUTION,
    emptied,
    names_in,
    names_set,
    stub,
    student_version,
)
from helpers.pages.teaching.exercises import CHECKS, Hint, check, checks, expect_close, hint_for
from tests.sources import imports_and_functions

WRONG: dict[str, list[object]] = {
    "ex-alike-share": [
        lambda other, labels, chance, ceiling: other / labels,  # chance is not 0
        lambda other, labels, chance, ceiling: (other - chance) / (ceiling - chance),
        lambda other, labels, chance, ceiling: (other - chance) / labels,
    ],
    "ex-conv-rows": [
        lambda output: output.reshape(output.shape[1], -1),  # cut at the wrong places
        lambda output: output.transpose(2, 3, 0, 1).reshape(-1, output.shape[1]).T,  # position before image
        lambda output: output.reshape(len(output), -1),
    ],
    "ex-relative-distance": [
        lambda z, basis: relative_distance(z, basis) * np.linalg.norm(z),
        lambda z, basis: relative_distance(z, basis) ** 2,
        lambda z, basis: relative_distance(z, basis[:1]),
    ],
    "ex-stitch-map": [
        lambda x, y: (np.linalg.lstsq(x.T, y.T, rcond=None)[0].T, np.zeros(len(y))),  # no intercept
        lambda x, y: (np.linalg.lstsq(x.T - x.mean(1), y.T - y.mean(1), rcond=None)[0], y.mean(1)),  # transposed
        lambda x, y: (np.linalg.lstsq(x.T - x.mean(1), y.T - y.mean(1), rcond=None)[0].T, y.mean(1)),  # mean of y only
    ],
    "ex-blind-angle": [
        np.arcsin,  # radians
        lambda epsilon: np.rad2deg(np.arccos(epsilon)),
        lambda epsilon: 90 * epsilon,
    ],
    "ex-is-match": [
        lambda x, y, X, Y, e: all(relative_distance(x[i], y[Y]) <= e + 1e-9 for i in X),  # one direction only
        lambda x, y, X, Y, e: whole_layers(x, y, X, Y, e + 1e-9),
    ],
    "ex-max-match": [
        lambda x, y, e: one_pass(x, y, e + 1e-9),
        lambda x, y, e: maximum_match(x, y, 0.0).key if e == 0 else one_pass(x, y, e),
    ],
    "ex-first-epsilon": [
        lambda x, y: max(np.concatenate(critical_epsilons(x, y))),
        lambda x, y: min(relative_distance(z, y) for z in x),  # to the whole layer
    ],
    "ex-distance-from-gram": [
        lambda gram, target, basis, ridge: plain_ridge(gram, target, basis, ridge),  # neurons not scaled
        lambda gram, target, basis, ridge: plain_ridge(unit(gram), target, basis, ridge),  # the square
        lambda gram, target, basis, ridge: np.sqrt(plain_ridge(unit(gram), target, basis, 0)),  # no ridge
    ],
    "ex-measure-cka": [
        lambda x, y: np.linalg.norm(x @ y.T) ** 2 / np.linalg.norm(x @ x.T) / np.linalg.norm(y @ y.T),  # means stay
        lambda x, y: np.sqrt(measure("cka", x, y)),  # no square
    ],
    "ex-scale-p": [
        lambda observed, chance: np.mean(np.array(chance) >= observed),  # can be 0
        lambda observed, chance: (1 + sum(value > observed for value in chance)) / (1 + len(chance)),  # no ties
    ],
    "ex-identify-accuracy": [
        lambda similarity: np.mean(similarity.argmax(axis=0) == np.arange(len(similarity))),  # columns
        lambda similarity: np.mean(similarity.argmax(axis=1) == np.arange(len(similarity))),  # ties count fully
    ],
    "ex-enough-samples": [
        lambda n, bias: n / (1 - (1 - bias) ** 2),  # not whole
        lambda n, bias: int(np.ceil(n / (1 - (1 - bias)))),  # no square: twice as many as needed
        lambda n, bias: n,
        lambda n, bias: int(np.ceil(n / (1 - (1 - bias) ** 2))),  # rounding adds one
    ],
    "ex-generators": [
        lambda match, matches: set(match),  # as if every neuron of a match generated it
        lambda match, matches: {v for v in match if sum(v in m for m in matches) == 1},  # larger matches counted too
        lambda match, matches: [v for v in match if not any(v in m for m in matches if m < match)],
    ],
    "ex-follow-needs": [
        lambda needs, v: {v} | needs[v],  # one step only
        lambda needs, v: needs[v],
        lambda needs, v: set(needs),  # everything
    ],
    "ex-min-match": [
        lambda x, y, v, e, order: minimal_match(x, y, v, e),  # in another order
        lambda x, y, v, e, order: maximum_match(x, y, e) if v in maximum_match(x, y, e) else None,
        lambda x, y, v, e, order: only_v_near(x, y, v, e, order) if v in maximum_match(x, y, e) else None,
        lambda x, y, v, e, order: Match.of([]) if v in maximum_match(x, y, e) else None,  # nothing put back
    ],
    "ex-smallest-sets": [
        lambda matches, v: {frozenset(pick) for pick in product(*(m - {v} for m in matches))},  # not the smallest
        lambda matches, v: {frozenset(pick) for pick in product(*matches)},  # v, too
        lambda matches, v: [{u} for m in matches for u in m - {v}],
        lambda matches, v: [],
    ],
    "ex-steepest-cliff": [
        lambda critical, step: np.histogram(critical, np.arange(0, 1.001, step))[0].max() / len(critical),
        lambda critical, step: largest_share(critical[np.isfinite(critical)], step),  # of the matched ones only
    ],
}


def largest_share(values, step):
    return max((np.mean((values >= c) & (values <= c + step)) for c in values), default=0)


def only_v_near(x, y, v, epsilon, order):
    """Keeps what v needs and forgets what the others need: no match."""
    left = set(order)
    for u in order:
        rest = [j for side, j in left - {u} if side != v[0]]
        near = relative_distance(x[v[1]], y[rest]) <= epsilon + 1e-9
        left -= {u} if near else set()
    return Match.of([v, *left])


def whole_layers(x, y, X, Y, epsilon):
    """Measures to the whole layer instead of the group."""
    near_x = all(relative_distance(x[i], y) <= epsilon for i in X)
    return near_x and all(relative_distance(y[j], x) <= epsilon for j in Y)


def one_pass(x, y, epsilon):
    """Deletes once and does not look again."""
    X = [i for i in range(len(x)) if relative_distance(x[i], y) <= epsilon]
    return X, [j for j in range(len(y)) if relative_distance(y[j], x[X]) <= epsilon]


def unit(gram):
    return gram / np.sqrt(np.outer(np.diag(gram), np.diag(gram)))


def plain_ridge(gram, target, basis, ridge):
    g = gram[basis, target]
    return gram[target, target] - g @ np.linalg.solve(gram[np.ix_(basis, basis)] + ridge * np.eye(len(basis)), g)


SOURCES = pages.sources()
NOTEBOOKS = {path.stem: pages.load_notebook(path) for path in SOURCES}
CHECKED = [(name, label, answer) for name, book in NOTEBOOKS.items() for label, answer in pages.checked(book)]
EXERCISES = [(name, label) for name, book in NOTEBOOKS.items() for label in pages.exercises(book)]


def namespace(notebook, solve):
    """What the checks see: parameters, imports and functions of the page, and what is checked, solved or as stubs."""
    needed = {name for _, answer in pages.checked(notebook) for name in names_in(answer)}
    names = {}
    for cell in pages.code(notebook):
        if "parameters" in pages.tags(cell):
            source = cell.source
        elif SOLUTION in pages.tags(cell) and needed & defined(cell.source):
            source = cell.source if solve else stub(cell.source, needed)
        else:
            source = imports_and_functions(cell.source)
        exec(compile(source, "<notebook>", "exec"), names)
    return names


def defined(source):
    """The names that a cell makes."""
    return {name for node in ast.parse(source).body for name in names_set(node)}


@pytest.fixture(scope="module")
def spaces():
    """Each notebook's namespace, made once: solved and as stubs."""
    made = {}

    def space(name, solve):
        if (name, solve) not in made:
            made[name, solve] = namespace(NOTEBOOKS[name], solve)
        return made[name, solve]

    return space


@pytest.mark.parametrize(("name", "label", "answer"), CHECKED, ids=[c[1] for c in CHECKED])
def test_solution_passes_stub_and_wrong_answers_get_a_hint(spaces, name, label, answer):
    assert hint_for(label, eval(answer, spaces(name, True))) is None
    assert hint_for(label, eval(answer, spaces(name, False)))
    for wrong in WRONG[label]:
        hint = hint_for(label, wrong)
        assert hint, f"{label}: a wrong answer passes"
        assert "your code stops" not in hint, f"{label}: a wrong answer is told '{hint}' instead of a hint"


def test_checks_in_notebooks_are_the_registered_ones():
    labels = [label for _, label, _ in CHECKED]
    assert sorted(labels) == sorted(set(labels)), "an exercise is checked twice"
    assert set(labels) == set(CHECKS) == set(WRONG)


def test_labels_are_unique_and_start_with_ex():
    labels = [label for _, label in EXERCISES]
    assert sorted(labels) == sorted(set(labels))
    assert all(label.startswith("ex-") for label in labels)


@pytest.mark.parametrize(("name", "label"), EXERCISES, ids=[e[1] for e in EXERCISES])
def test_every_exercise_has_a_title_and_a_solution(name, label):
    exercise = pages.exercises(NOTEBOOKS[name])[label]
    assert exercise.block.argument, f"{label} has no title"
    assert exercise.has_solution, f"{label} has no solution"


@pytest.mark.parametrize("name", pages.CHAPTERS)
def test_every_chapter_has_exercises_on_paper_in_code_and_to_predict(name):
    exercises = pages.exercises(NOTEBOOKS[name]).values()
    assert len(exercises) >= 3
    assert {exercise.kind for exercise in exercises} == {"paper", "code", "predict"}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_nothing_but_checks_needs_a_solution(name):
    """A student's notebook runs from top to bottom before anything is solved."""
    solved = set()
    for cell in pages.code(NOTEBOOKS[name]):
        if SOLUTION in pages.tags(cell):
            solved |= defined(cell.source)
        elif "check" not in pages.tags(cell) and not cell.source.startswith("%"):
            assert not names_in(cell.source) & solved, f"a cell needs a solution:\n{cell.source}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_student_version_shows_no_solution(name):
    student = student_version(NOTEBOOKS[name])
    assert not pages.directives_named(student, [SOLUTION, "solution-start", "solution-end"])
    assert pages.checked(student) == pages.checked(NOTEBOOKS[name])
    for cell in pages.code(student, SOLUTION):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef):
                assert ast.unparse(node) == ast.unparse(emptied(node))


@checks("ex-double")
def _check_double(double):
    expect_close(double(np.ones(2)), [2, 2], "your function does not double: it should return 2 x")


del CHECKS["ex-double"]


@pytest.fixture
def double(monkeypatch):
    monkeypatch.setitem(CHECKS, "ex-double", _check_double)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda x: 2 * x, None),
        (lambda x: x, "does not double"),
        (lambda x: None, "returns nothing yet"),
        (lambda x: x[5], "your code stops with IndexError: index 5"),
        (lambda x: x[:1], r"your answer has shape (1,), expected (2,)"),
        (..., "replace the ..."),
        (3, "your code stops with TypeError"),
    ],
)
@pytest.mark.usefixtures("double")
def test_a_check_prints_a_tick_or_a_hint(capsys, answer, hint):
    check("ex-double", answer)
    printed = capsys.readouterr().out
    assert "Traceback" not in printed
    assert ("✓ ex-double" if hint is None else hint) in printed


@pytest.mark.usefixtures("double")
def test_unknown_and_doubled_labels_are_refused():
    with pytest.raises(BadInput, match="unknown exercise 'ex-doubel': did you mean 'ex-double'"):
        check("ex-doubel", None)
    with pytest.raises(BadInput, match="two checks"):
        checks("ex-double")(Hint)
