"""Settings of an iteration file that change between iterations."""

import json
from typing import Any, ClassVar

import attrs
import pytest

from parc_core.config import InvalidConfig, Use, dump, iteration_schema, load_iteration, setting
from parc_testing.plugins import FakeEntryPoint, install, make_plugin, make_provider


@attrs.frozen(kw_only=True)
class AnyConfig:
    """Stands for the settings of every provider that an iteration file names by default."""

    num_envs: int = setting(16, ge=1, help="environments")


@attrs.frozen(kw_only=True)
class Inner:
    depth: int = setting(1, ge=1, help="depth")
    width: int = setting(1, ge=1, help="width")


@attrs.frozen(kw_only=True)
class MdmConfig:
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"large": {"epochs": 1000, "inner": {"width": 9}}}
    RENAMED: ClassVar[dict[str, str | tuple[str, ...]]] = {"passes": "epochs"}

    epochs: int = setting(10, ge=1, help="epochs")
    batch: int = setting(32, ge=1, help="batch")
    inner: Inner = setting(factory=Inner, help="inner")
    weights: str | None = setting(None, path=True, help="a file")


@attrs.frozen(kw_only=True)
class TermConfig:
    weight: float = setting(1.0, ge=0, help="Weight.")
    k: float = setting(2.0, ge=0, help="Scale.")


@attrs.frozen(kw_only=True)
class TaskConfig:
    terms: dict[str, Use] = setting(
        factory=lambda: {"near": Use("near"), "far": Use("far")}, kind="reward_term", help="Terms."
    )


NAMES = {
    "motion_source": "procedural",
    "planner": "astar",
    "optimizer": "kinopt",
    "executor": "local",
    "simulator": "mujoco",
    "agent": "dmppo",
    "recorder": "retry",
    "metric_sink": "jsonl",
}
PROVIDERS = [
    *(make_provider(kind, name, AnyConfig) for kind, name in NAMES.items()),
    *(make_provider("terrain_source", name, AnyConfig) for name in ("boxes", "stairs")),
    make_provider("generator", "mdm", MdmConfig),
    make_provider("selector", "heuristic", MdmConfig),
    make_provider("selector", "first", AnyConfig),
    make_provider("tracker_env", "deepmimic", TaskConfig),
    *(make_provider("reward_term", name, TermConfig) for name in ("near", "far")),
]
SMALLEST = "parc: 1\nname: demo\ndataset: procedural\n"


@pytest.fixture
def registry(monkeypatch):
    return install(monkeypatch, FakeEntryPoint(module=make_plugin(PROVIDERS), distribution="parc-demo"))


@pytest.fixture
def load(registry, tmp_path):
    def load(text, *overrides):
        path = tmp_path / "iteration.yaml"
        path.write_text(text)
        return load_iteration(path, overrides, registry).config

    return load


@pytest.fixture
def refused(load, tmp_path):
    def refused(text, *overrides):
        with pytest.raises(InvalidConfig) as error:
            load(SMALLEST + text, *overrides)
        return str(error.value).replace(f"{tmp_path}/", "")

    return refused


def test_settings_hold_from_their_iteration_on_and_accumulate(load):
    config = load(
        SMALLEST
        + """
kin_gen: {candidates: 32, batches: 20}
from:
  3: {kin_gen: {batches: 200}}
  2: {kin_gen: {candidates: 64}}
  5: {kin_gen: {candidates: 8}}
"""
    )
    held = [(config.at(n).kin_gen.candidates, config.at(n).kin_gen.batches) for n in range(1, 7)]
    assert held == [(32, 20), (64, 20), (64, 200), (64, 200), (8, 200), (8, 200)]
    assert config.kin_gen.candidates == 32 and config.at(2).name == "demo"


def test_settings_of_an_iteration_change_no_further(load):
    config = load(SMALLEST + "from: {2: {kin_gen: {candidates: 64}}}\n")
    assert config.at(2).at(1) == config.at(2) and config.at(1).at(2) == config.at(1)


def test_mappings_merge_and_lists_and_other_providers_replace(load):
    config = load(
        SMALLEST
        + """
train_gen: {generator: {use: mdm, epochs: 7, inner: {depth: 3}}}
kin_gen: {terrain: [{use: boxes, num_envs: 5}, stairs], selector: {epochs: 5}}
train_tracker: {env: {terms: {near: {weight: 0.5}}}}
from:
  2:
    train_gen: {generator: {inner: {width: 4}}}
    kin_gen: {terrain: [boxes], selector: {use: first, num_envs: 2}}
    train_tracker: {env: {terms: {near: {k: 9}, far: null}}}
  3:
    train_gen: {generator: {use: mdm, batch: 8}}
    kin_gen: {selector: {use: heuristic}}
"""
    )
    second, third = config.at(2), config.at(3)
    assert second.train_gen.generator.config == MdmConfig(epochs=7, inner=Inner(depth=3, width=4))
    assert third.train_gen.generator.config == MdmConfig(epochs=7, batch=8, inner=Inner(depth=3, width=4))
    assert second.kin_gen.terrain == (Use("boxes", AnyConfig()),), "a list is replaced as a whole"
    assert second.kin_gen.selector == Use("first", AnyConfig(num_envs=2))
    assert third.kin_gen.selector == Use("heuristic", MdmConfig()), "what another provider had is gone"
    assert third.train_tracker.env.config.terms == {"near": Use("near", TermConfig(weight=0.5, k=9))}


def test_a_preset_lies_over_the_settings_of_the_iteration_before(load):
    config = load(
        SMALLEST
        + """
train_gen: {generator: {epochs: 7, batch: 8}}
from: {2: {train_gen: {generator: {preset: large, inner: {depth: 2}}}}}
"""
    )
    assert config.at(2).train_gen.generator.config == MdmConfig(
        epochs=1000, batch=8, inner=Inner(depth=2, width=9)
    )


def test_an_option_changes_a_setting_from_an_iteration_on(load):
    text = SMALLEST + "from: {3: {kin_gen: {candidates: 64, terrain: [boxes, stairs]}}}\n"
    config = load(
        text,
        "from.3.kin_gen.candidates=12",
        "from.3.kin_gen.terrain.1.num_envs=7",
        "from.2.kin_gen.batches=5",
        "from.12.kin_gen.batches=6",
    )
    assert [config.at(n).kin_gen.candidates for n in (2, 3)] == [32, 12]
    assert config.at(3).kin_gen.terrain[1].config.num_envs == 7
    assert [config.at(n).kin_gen.batches for n in (1, 2, 11, 12)] == [1, 5, 5, 6]
    assert load(SMALLEST, "from.3.kin_gen.candidates=12").at(3).kin_gen.candidates == 12
    assert load(text, "from={2: {kin_gen: {keep: 2}}}").at(3).kin_gen.candidates == 32


def test_an_option_for_all_iterations_stays_below_the_blocks(load):
    text = SMALLEST + "from: {2: {kin_gen: {candidates: 64}}}\n"
    config = load(text, "kin_gen.candidates=8", "kin_gen.keep=3")
    assert [config.at(n).kin_gen.candidates for n in (1, 2)] == [8, 64]
    assert config.at(2).kin_gen.keep == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "from:\n  3: {kin_gen: {candidates: 0}}\n",
            "iteration.yaml:5:29: from.3.kin_gen.candidates: 0 is out of range, expected >= 1 and <= 100000",
        ),
        (
            "from: {3: {kin_gen: {canditates: 8}}}\n",
            "iteration.yaml:4:22: from.3.kin_gen.canditates: unknown key 'canditates', closest is 'candidates'",
        ),
        (
            "from: {2: {kin_gen: {keep: 33}}}\n",
            "iteration.yaml:4:21: from.2.kin_gen: keep is 33, but there are only 32 candidates per path. Lower keep",
        ),
        (
            "from: {3: {seed: 8}}\n",
            "iteration.yaml:4:12: from.3.seed: holds for the whole run and cannot change; what can is train_gen, "
            "kin_gen, train_tracker, phys_record, "
            "balance, class_weights, recorded_share, executor, metrics",
        ),
        (
            "from: {3: {from: {4: {}}}}\n",
            "iteration.yaml:4:12: from.3.from: holds for the whole run and cannot change; what can is train_gen, "
            "kin_gen, train_tracker, phys_record, "
            "balance, class_weights, recorded_share, executor, metrics",
        ),
        (
            "from: {3: {kingen: {}}}\n",
            "iteration.yaml:4:12: from.3.kingen: unknown key 'kingen', closest is 'kin_gen'",
        ),
        (
            "from: {1: {kin_gen: {}}}\n",
            "iteration.yaml:4:8: from.1: '1' is not the number of an iteration after the first, expected 2 or higher. "
            "Settings of the first iteration stand outside of `from`",
        ),
        (
            "from: {kin_gen: {candidates: 3}}\n",
            "iteration.yaml:4:8: from.kin_gen: 'kin_gen' is not the number of an iteration after the first, expected "
            "2 or higher. Settings of the first iteration stand outside of `from`",
        ),
        ("from: {2: 64}\n", "iteration.yaml:4:11: from.2: expected `key: value` pairs, got 64"),
        (
            "from: [2]\n",
            "iteration.yaml:4:7: from: expected numbers of iterations with the settings that change there, got a "
            "list of 1",
        ),
        (
            "from: {2: {train_gen: {input_model_path: x}}}\n",
            "iteration.yaml:4:24: from.2.train_gen.input_model_path: only the first iteration starts from it; later "
            "ones start from the generator of the one before. Remove it",
        ),
        (
            "from: {2: {train_tracker: {in_model_file: x}}}\n",
            "iteration.yaml:4:28: from.2.train_tracker.in_model_file: only the first iteration starts from it; later "
            "ones start from the policy of the one before. Remove it",
        ),
    ],
)
def test_what_a_block_cannot_have_is_said_with_its_place(refused, text, message):
    assert refused(text) == message


@pytest.mark.parametrize("number", ["0", "02", "-2", "2.0", "two", "1_0", "' 2'"])
def test_a_block_has_the_number_of_an_iteration(refused, number):
    assert "is not the number of an iteration after the first" in refused(f"from: {{{number}: {{}}}}\n")


def test_errors_of_all_blocks_are_reported_together(refused):
    text = "from:\n  2: {kin_gen: {candidates: 0}}\n  3: {kin_gen: {batches: 0, keep: 0}}\n"
    assert [line.partition(": ")[0] for line in refused(text).splitlines()] == [
        "iteration.yaml:5:29",
        "iteration.yaml:6:26",
        "iteration.yaml:6:35",
    ]


def test_errors_of_an_option_name_the_option(refused):
    assert refused("", "from.3.kin_gen.candidates=0") == (
        "--set from.3.kin_gen.candidates=0: from.3.kin_gen.candidates: 0 is out of range, expected >= 1 and <= 100000"
    )
    assert "--set from.1.kin_gen.candidates=2: from.1: '1' is not the number" in refused(
        "", "from.1.kin_gen.candidates=2"
    )


@pytest.mark.parametrize(
    "block",
    [
        "{kin_gen: {candidates: 32}}",  # the value that holds anyway, which --set may change below
        "{kin_gen: {selector: first, terrain: stairs, planner: {num_envs: 3}}}",
        "{train_gen: {generator: {preset: large, inner: {depth: 4}, weights: model.bin}}}",
        "{train_gen: {generator: {passes: 4}}}",
        "{train_tracker: {env: {terms: {near: {k: 3}, far: null, more: {use: near, weight: 2}}}}}",
        "{phys_record: {record: [inputs, generated]}, metrics: []}",
    ],
)
def test_the_copy_in_a_run_folder_reads_back_to_the_same_settings(registry, tmp_path, block, monkeypatch):
    (tmp_path / "model.bin").write_text("weights")
    (tmp_path / "run").mkdir()
    source, copy = tmp_path / "iteration.yaml", tmp_path / "run" / "config.yaml"
    source.write_text(f"{SMALLEST}from:\n  2: {block}\n  4: {{kin_gen: {{keep: 2}}}}\n")
    loaded = load_iteration(source, ("from.3.kin_gen.batches=5",), registry)
    copy.write_text(loaded.resolved_yaml())
    monkeypatch.chdir("/")
    again = load_iteration(copy, (), registry)
    assert again.config == loaded.config
    assert again.resolved_yaml().partition("\nparc:")[2] == loaded.resolved_yaml().partition("\nparc:")[2]
    assert [again.config.at(n) for n in range(1, 6)] == [loaded.config.at(n) for n in range(1, 6)]


def test_the_copy_keeps_what_a_block_says_and_nothing_else(load):
    text = "from:\n  2: {kin_gen: {candidates: 32, selector: first}}\n  3: {kin_gen: {}}\n"
    config = load(SMALLEST + text)
    written = dump(config)["from"]
    assert written == {2: {"kin_gen": {"candidates": 32, "selector": {"use": "first"}}}, 3: {"kin_gen": {}}}
    json.dumps(dump(config))


def test_settings_of_a_replaced_provider_are_not_kept(load, registry, tmp_path):
    text = SMALLEST + "from: {2: {kin_gen: {selector: {use: heuristic, preset: large, batch: 3}}}}\n"
    config = load(text, "from.2.kin_gen.selector.use=first")
    assert dump(config)["from"] == {2: {"kin_gen": {"selector": {"use": "first"}}}}
    assert config.at(2).kin_gen.selector == Use("first", AnyConfig())


def test_blocks_keep_what_a_provider_chosen_by_an_option_knows(load, caplog):
    text = (
        "kin_gen: {selector: {use: heuristic, batch: 3}}\n"
        "from:\n"
        "  2: {kin_gen: {selector: {epochs: 5}}}\n"
        "  3: {kin_gen: {selector: {use: heuristic, epochs: 6}}}\n"
        "  4: {kin_gen: {selector: {epochs: 7}}}\n"
    )
    with caplog.at_level("INFO"):
        config = load(SMALLEST + text, "kin_gen.selector.use=first")
    assert config.at(2).kin_gen.selector == Use("first", AnyConfig())
    assert [config.at(n).kin_gen.selector.config.epochs for n in (3, 4)] == [6, 7]
    places = [message.partition("iteration.yaml:")[2].partition(": '")[0] for message in caplog.messages]
    assert places == ["4:38: kin_gen.selector.batch", "6:28: from.2.kin_gen.selector.epochs"]


def test_a_block_cannot_set_what_its_provider_does_not_have(refused):
    text = "from:\n  2: {kin_gen: {selector: first}}\n  3: {kin_gen: {selector: {epochs: 7}}}\n"
    assert refused(text, "kin_gen.selector.use=heuristic") == (
        "iteration.yaml:6:28: from.3.kin_gen.selector.epochs: unknown key 'epochs', known are num_envs; "
        "see `parc plugins first`"
    )


def test_a_variable_in_a_block_is_expanded_once(load, monkeypatch):
    monkeypatch.setenv("NUMBER", "5")
    text = "from:\n  2:\n    kin_gen:\n      candidates: ${NUMBER}\n      save_name: m\n"
    assert load(SMALLEST + text).at(2).kin_gen.candidates == 5
    text = 'from: {2: {train_gen: {generator: {weights: "a$${b}"}}}}\n'
    config = load(SMALLEST + text)
    path = config.at(2).train_gen.generator.config.weights
    assert path.endswith("a${b}")
    assert dump(config)["from"][2]["train_gen"]["generator"]["weights"].endswith("a$${b}")


def test_schema_lets_the_default_provider_go_without_its_name(registry):
    jsonschema = pytest.importorskip("jsonschema", reason="the schema is checked with the package jsonschema")
    valid = jsonschema.Draft202012Validator(iteration_schema(registry)).is_valid
    file = {"parc": 1, "name": "demo", "dataset": ["procedural"]}
    assert valid({**file, "kin_gen": {"selector": {"epochs": 3}}})
    assert not valid({**file, "kin_gen": {"selector": {"use": "first", "epochs": 3}}})
    assert not valid({**file, "kin_gen": {"terrain": [{"num_envs": 3}]}}), "elements of a list are named"


@pytest.mark.parametrize(
    ("blocks", "valid"),
    [
        ({}, True),
        ({"2": {"kin_gen": {"candidates": 3}}}, True),
        ({"12": {"train_gen": {"generator": {"epochs": 3}}, "metrics": ["jsonl"]}}, True),
        ({"2": {"kin_gen": {"selector": "first", "terrain": [{"use": "boxes", "num_envs": 2}]}}}, True),
        ({"1": {}}, False),
        ({"two": {}}, False),
        ({"2": {"seed": 3}}, False),
        ({"2": {"kin_gen": {"candidates": 0}}}, False),
        ({"2": {"kin_gen": {"selector": {"use": "unknown"}}}}, False),
    ],
)
def test_schema_covers_blocks(registry, blocks, valid):
    jsonschema = pytest.importorskip("jsonschema", reason="the schema is checked with the package jsonschema")
    file = {"parc": 1, "name": "demo", "dataset": ["procedural"], "from": blocks}
    assert jsonschema.Draft202012Validator(iteration_schema(registry)).is_valid(file) is valid
