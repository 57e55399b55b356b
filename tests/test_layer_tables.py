"""Tables and phrases by layer on planted records, and the tables of how the numbers were made on the real ones."""

import json
import re
import shlex
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from helpers import __main__ as command
from helpers import studies
from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.pages import across_networks, grid, layer_figures, layer_tables, provenance, running
from helpers.parameters import literal
from helpers.studies import records, store
from helpers.studies.kinds import KINDS

LAYERS = [("relu1", 0, 0.0, "conv"), ("relu2", 1, 0.6, "conv"), ("logits", 2, 1.0, "logits")]


def planted(matched: dict[str, list[float]], network: str = "vgg16_bn", width: float = 0.25) -> studies.Result:
    """A study of three seeds, ten neurons a side: in pair k the first `matched[layer][k]` of them match at ε = 0.2."""
    parts = []
    for name, position, depth, kind in LAYERS:
        for k, (a, b) in enumerate(combinations(range(3), 2)):
            values = np.where(np.arange(10) < 10 * matched[name][k], 0.2, np.inf)
            place = {"layer": name, "position": position, "depth": depth, "kind": kind, "seed_a": a, "seed_b": b}
            rows = [pd.DataFrame({"side": s, "neuron": range(10), "critical_epsilon": values}) for s in "xy"]
            parts.append(pd.concat(rows).assign(**place, dead=False, samples=99))
    tables = {"critical": pd.concat(parts, ignore_index=True), "networks": pd.DataFrame({"accuracy": [0.8] * 3})}
    return studies.Result(studies.Study("cifar10", network, width, (0, 1, 2), "short"), tables, {})


@pytest.fixture
def result():
    return planted({"relu1": [0.2, 0.4, 0.6], "relu2": [0, 0, 0], "logits": [1, 1, 1]})


def test_layer_table_has_mean_and_interval_only_where_there_is_spread(result):
    table = layer_tables.layer_table(result, [0.1, 0.2]).set_index("layer")
    assert table["ε = 0.1"].tolist() == ["0.000"] * 3
    assert table.loc["relu1", "ε = 0.2"].startswith("0.400 [-0.594, 1.394]")
    assert table.loc["logits", "ε = 0.2"] == "1.000"


def test_curves_step_up_at_the_critical_epsilon(result):
    curve = layer_tables.curves(result.tables["critical"], np.array([0.19, 0.2]))
    assert curve.query("layer == 'relu1'")["similarity"].tolist() == pytest.approx([0, 0.4])


def test_words_say_what_the_tables_say(result):
    words = layer_tables.in_words(result, 0.2)
    assert words["empty"].startswith("1 of the 2 convolutional layers")
    assert words["top"] == "logits, with a similarity of 1.00"
    assert words["late"] == "in relu2 no neuron matches below ε = 1.00"


def test_sampling_error_is_sampled_less_full(result):
    full = result.similarity([0.2])
    result.tables["sampled"] = pd.concat([full.assign(similarity=full["similarity"] + s, draw=s) for s in (0.0, 0.1)])
    assert layer_tables.sampling_error(result)["difference"].to_numpy() == pytest.approx(0.05)


def test_without_draws_there_is_no_sampling_error(result):
    with pytest.raises(BadInput, match="sampled"):
        layer_tables.sampling_error(result)


def test_index_links_every_network_to_its_page(result):
    row = across_networks.index_table({"a": result}, 0.2).iloc[0]
    assert row["first layer"] == '<a href="cifar10-vgg16-bn-w0-25-short10.html">0.40</a>'
    assert row["0.6–0.8"].endswith(">0.00</a>")
    assert row["0.2–0.4"] == ""


def test_the_command_on_a_network_page_runs_the_study_of_that_page():
    for page in (page for page in grid.computed_pages() if page.notebook == "network"):
        text = next(c.source for c in running.prepared(page, page.parameters).cells if "helpers run" in c.source)
        command = re.search(r"helpers run (.+?)\n```", text, re.S)[1].replace("\\\n", " ")
        words = shlex.split(command)
        given = {name: literal(value) for name, value in zip(words[2::3], words[3::3], strict=True)}
        running.check_parameters(page, given)
        shown = running.parameters_of(page) | page.parameters
        for name in ("network", "dataset", "width", "seeds", "recipe", "epochs"):
            assert given[name] == shown[name]


def test_recorded_networks_have_a_page():
    names = {page.name for page in grid.computed_pages()}
    assert {layer_tables.study_page(result.study.id) for result in across_networks.trained_results().values()} <= names


def test_late_matches_names_the_networks(result):
    high = planted({"relu1": [0, 0, 0], "relu2": [1, 1, 1], "logits": [0, 0, 0]})
    tables = {"low": layer_tables.layer_means(result, [0.2]), "high": layer_tables.layer_means(high, [0.2])}
    assert across_networks.late_matches(tables, 0.2) == "1 of 2 networks: high"


def test_between_leaves_out_the_first_layer_and_the_last_stage(result):
    means = layer_tables.layer_means(result, [0.2])
    other = means.replace({"layer": {"relu1": "stem.relu", "relu2": "stage1.block1.relu1"}})
    last = means.iloc[[1]].assign(layer="stage2.block1.relu1", position=5, mean=0.9)
    other.loc[1, "mean"] = 0.7
    tables = {"one": means, "two": pd.concat([other, last])}
    assert across_networks.highest_between(tables, 0.2) == "0.70 (stage1.block1.relu1 of two)"
    assert across_networks.highest_between(tables | {"two": pd.concat([other.assign(mean=0.0), last])}, 0.2) == "0.00"


def test_contrasts_need_both_networks(result):
    assert len(across_networks.contrasts({"a": result})) == 0
    wide = planted({"relu1": [1, 1, 1], "relu2": [1, 1, 1], "logits": [1, 1, 1]}, width=1)
    table = across_networks.contrasts({"a": result, "b": wide})
    assert table["convolutional layers"].tolist() == pytest.approx([(1 + 1) / 2, 0.2])
    assert table["block outputs"].isna().all()


def test_contrasts_have_block_outputs_by_themselves():
    results = {}
    for name, share in (("plain20", 0.0), ("resnet20", 1.0)):
        results[name] = planted({"relu1": [0] * 3, "relu2": [share] * 3, "logits": [1] * 3}, name, 1)
        critical = results[name].tables["critical"]
        critical.loc[critical["layer"] == "relu2", "kind"] = "block"
    table = across_networks.contrasts(results)
    assert table["block outputs"].tolist() == pytest.approx([1, 0.2])
    assert table["convolutional layers"].tolist() == pytest.approx([1, 0.6])


def test_figures_have_a_row_or_line_for_each_layer(result):
    curves = layer_tables.curves(result.tables["critical"])
    assert len(layer_figures.plot_map(curves).axes[0].get_yticks()) == 3
    means = layer_tables.layer_means(result, [0.1, 0.2])
    assert len(layer_figures.plot_compared({"one": means, "two": means}, [0.1, 0.2]).axes) == 2
    plt.close("all")


@pytest.mark.parametrize(
    ("name", "words"),
    [("vgg16_bn", "VGG-16-BN"), ("plain20", "Plain-20"), ("resnet18", "ResNet-18"), ("mine", "mine")],
)
def test_names_as_one_writes_them(name, words):
    assert layer_tables.spoken(name) == words


# ---------------------------------------------------------------- how the numbers were made


def test_the_authors_settings_are_those_of_the_paper():
    table = provenance.settings().set_index("setting")["authors (recipe paper)"]
    assert table["epochs"] == "160"
    assert table["learning rate divided by 10 at"] == "epoch 80 and epoch 120"
    assert (table["momentum"], table["weight decay"], table["batch"]) == ("0.9", "0.0005", "128")


def test_every_record_is_listed_with_what_is_known_of_it():
    table = provenance.record_table().set_index("record")
    for place in records.all_records():
        assert table.loc[place.name, "code"] == studies.read_provenance(place).get("code", "")


def test_a_record_by_other_code_is_called_older(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    for name, code in {"a": studies.SEEDS.code_for(None), "b": "76125c7587644194"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "provenance.json").write_text(json.dumps({"code": code, "study": {}, "files": {}}))
    assert provenance.record_table()["made_by"].tolist() == ["this code", "older code"]


def test_accuracies_are_those_of_the_checkpoints():
    networks = provenance.networks()
    trained = next(iter(across_networks.trained_results().values()))
    known, study = trained.provenance, trained.study
    rows = networks[(networks["network"] == study.network) & (networks["width"] == study.width)]
    assert {round(c["accuracy"], 4) for c in known["checkpoints"]} <= set(rows["accuracy"].round(4))


def test_networks_of_other_records_are_listed_once(tmp_path, monkeypatch):
    def write(name, kind, *hashes):
        checkpoints = [{"seed": 0, "accuracy": 0.5, "sha256": f"{value:064}"} for value in hashes]
        (tmp_path / name).mkdir()
        study = {"dataset": "cifar10", "network": "vgg16", "width": 1.0, "seeds": [0, 1], "recipe": "short"}
        known = {"kind": kind, "study": study, "checkpoints": checkpoints, "files": {}}
        (tmp_path / name / "provenance.json").write_text(json.dumps(known))

    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    write("a", "seeds", 1, 2)
    write("causes-a", "causes", 3, 4, 5)
    write("simple_matches-a", "simple_matches", 1, 4)
    assert provenance.apart()["record"].tolist() == ["causes-a", "causes-a"]


def test_facts_count_dead_neurons_and_leave_out_what_was_not_recorded(result):
    critical = result.tables["critical"]
    critical.loc[(critical["layer"] == "relu2") & (critical["neuron"] < 4), "dead"] = True
    controls = pd.DataFrame({"layer": ["relu1"] * 3, "effective_rank_centred": [1.0, 2, 3], "self_match": 1.0})
    result.tables["layers"] = controls
    facts = layer_tables.layer_facts(result).set_index("layer")
    assert facts["dead"].tolist() == [0, 4, 0]
    assert facts.loc["relu2", "share_alive"] == pytest.approx(0.6)
    assert facts.loc["relu1", "dimension"] == 2
    assert np.isnan(facts.loc["logits", "self_match"])


@pytest.mark.parametrize(
    "place", sorted(p.parent for p in ROOT.glob("results/*/provenance.json")), ids=lambda p: p.name
)
def test_the_command_for_a_record_asks_for_what_the_record_holds(place, monkeypatch):
    known = studies.read_provenance(place)
    kind, seen = KINDS[records.kind_name(known)], []
    if not kind.compute:
        assert place.name not in set(provenance.commands()["record"])  # `compare` makes it
        return
    study = store.recorded_study(place)
    monkeypatch.setattr(command, "record_study", lambda *given: seen.append(given))
    words = shlex.split(provenance.record_command(kind, study, known))
    done = CliRunner().invoke(command.cli, words)
    assert done.exit_code == 0, done.output
    asked_kind, asked, settings = seen[0]
    assert (asked_kind, asked) == (kind, study)
    assert store.answers(kind, known, asked, settings)
    assert store.as_json(kind.settled(settings)) == store.as_json(
        kind.settled({k: v for k, v in known.get("settings", {}).items() if k in kind.defaults})
    )
