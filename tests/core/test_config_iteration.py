import json
import pathlib
from typing import ClassVar

import attrs
import pytest

from parc_core.config import (
    InvalidConfig,
    IterationConfig,
    Use,
    describe_settings,
    iteration_schema,
    key_of,
    load_iteration,
    setting,
)
from parc_testing.plugins import FakeEntryPoint, install, make_plugin, make_provider


@attrs.frozen(kw_only=True)
class AnyConfig:
    """Stands for the settings of every provider that an iteration file names by default."""

    num_envs: int = setting(16, ge=1, unit="copies", help="environments")


@attrs.frozen(kw_only=True)
class AgentConfig:
    max_samples: int = setting(1000, ge=1, unit="samples", help="budget")
    second: Use | None = setting(None, kind="agent", help="another agent")


@attrs.frozen(kw_only=True)
class TermConfig:
    weight: float = setting(1.0, ge=0, help="Weight.")


@attrs.frozen(kw_only=True)
class TaskConfig:
    RENAMED: ClassVar[dict[str, str | tuple[str, ...]]] = {"w_near": "terms.near.weight"}
    terms: dict[str, Use] = setting(factory=lambda: {"near": Use("near")}, kind="reward_term", help="Terms.")


NAMES = {
    "motion_source": "procedural",
    "generator": "mdm",
    "terrain_source": "boxes",
    "planner": "astar",
    "selector": "heuristic",
    "optimizer": "kinopt",
    "executor": "local",
    "tracker_env": "deepmimic",
    "simulator": "mujoco",
    "recorder": "retry",
    "metric_sink": "jsonl",
}
PROVIDERS = [
    *(make_provider(kind, name, AnyConfig) for kind, name in NAMES.items()),
    make_provider("agent", "dmppo", AgentConfig),
    make_provider("agent", "ppo", AgentConfig),
    make_provider("selector", "first", AnyConfig),
    make_provider("tracker_env", "task", TaskConfig),
    make_provider("reward_term", "near", TermConfig),
]
SMALLEST = "parc: 1\nname: demo\ndataset: procedural\n"


@pytest.fixture
def registry(monkeypatch):
    return install(
        monkeypatch, FakeEntryPoint(module=make_plugin(PROVIDERS), distribution="parc-demo", version="1.0")
    )


@pytest.fixture
def load(registry, tmp_path):
    def load(text, *overrides):
        path = tmp_path / "iteration.yaml"
        path.write_text(text)
        return load_iteration(path, overrides, registry)

    return load


def message(load, text, *overrides):
    with pytest.raises(InvalidConfig) as error:
        load(text, *overrides)
    return str(error.value).replace(str(error.value).partition("iteration.yaml")[0], "")


def test_smallest_file_is_complete(load):
    config = load(SMALLEST).config
    assert config.kin_gen.terrain == (Use("boxes", AnyConfig()),)
    assert config.train_tracker.simulator.config.num_envs == 16
    assert config.train_tracker.agent == Use("dmppo", AgentConfig())
    assert config.metrics == (Use("jsonl", AnyConfig()),)
    assert config.phys_record.record == ("generated",)


def test_swapping_parts_by_name_changes_nothing_else(load):
    text = SMALLEST + "train_tracker: {agent: {use: dmppo, max_samples: 5}}\n"
    before = load(text).config
    after = load(text, "train_tracker.agent.use=ppo", "kin_gen.selector.use=first").config
    assert after.train_tracker.agent == Use("ppo", AgentConfig(max_samples=5))
    assert after.kin_gen.selector.name == "first"
    undone = attrs.evolve(
        after,
        train_tracker=attrs.evolve(after.train_tracker, agent=before.train_tracker.agent),
        kin_gen=attrs.evolve(after.kin_gen, selector=before.kin_gen.selector),
    )
    assert undone == before


def test_settings_that_a_swap_leaves_out_are_said(load, caplog):
    text = SMALLEST + "kin_gen:\n  selector: {use: heuristic, preset: strict}\n"
    with caplog.at_level("INFO"):
        load(text, "kin_gen.selector.use=first")
    (message,) = caplog.messages
    assert message.endswith(
        "iteration.yaml:5:30: kin_gen.selector.preset: 'first' has no preset 'strict'; left out"
    )


def test_misspelt_provider_has_the_whole_text(load):
    text = SMALLEST + "kin_gen:\n  selector: {use: heuristics}\n"
    assert message(load, text) == (
        "iteration.yaml:5:19: kin_gen.selector.use: no selector is called 'heuristics'\n"
        "  closest     heuristic        (parc-demo 1.0)\n"
        "  installed   first, heuristic\n"
        "  see         parc plugins --kind selector"
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("name: a/b", "name is 'a/b', expected letters, digits, '.', '_' and '-' (it becomes a folder)"),
        ("name: ..", "name is '..', expected letters, digits, '.', '_' and '-' (it becomes a folder)"),
        ("device: gpu", "device is 'gpu', expected auto, cpu, cuda or cuda:N"),
        ("dataset: []", "dataset: the list is empty, expected at least one motion source"),
        ("dataset: [{use: procedural, weight: 0}]", "dataset: all weights are 0, expected one above 0"),
    ],
)
def test_value_that_no_run_can_have_is_refused(load, line, text):
    document = {"parc": "1", "name": "demo", "dataset": "procedural"}
    key, _, value = line.partition(": ")
    document[key] = value
    assert message(load, "\n".join(f"{k}: {v}" for k, v in document.items())) == f"iteration.yaml:1:1: {text}"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "kin_gen: {keep: 3, candidates: 2}",
            "iteration.yaml:4:10: kin_gen: keep is 3, but there are only 2 candidates per path. Lower keep",
        ),
        (
            "phys_record: {record: [inputs, inputs]}",
            "iteration.yaml:4:14: phys_record: record is ['inputs', 'inputs'], "
            "expected 'generated', 'inputs' or both, each once",
        ),
        (
            "train_tracker: {input_weight: 0, generated_weight: 0}",
            "iteration.yaml:4:16: train_tracker: input_weight and generated_weight are both 0, expected one above 0",
        ),
        ("iterations: 0", "iteration.yaml:4:13: iterations: 0 is out of range, expected >= 1 and <= 100"),
    ],
)
def test_stage_that_cannot_work_is_refused(load, line, text):
    assert message(load, SMALLEST + line) == text


def test_file_of_another_format_is_refused(load):
    assert message(load, SMALLEST.replace("parc: 1", "parc: 2")) == (
        "iteration.yaml:1:7: parc: 2 is not allowed, expected one of 1"
    )


def test_empty_file_says_what_is_expected(load):
    assert "the file holds no `key: value` lines. Is it an iteration file?" in message(load, "# nothing\n")


def test_resolved_copy_reads_back_to_the_same_settings(load, tmp_path):
    (tmp_path / "models").mkdir()
    loaded = load(SMALLEST + "train_gen: {input_model_path: models}\n", "seed=3")
    again = load(loaded.resolved_yaml())
    assert again.config == loaded.config
    assert loaded.config.train_gen.input_model_path == str(tmp_path / "models")


def test_source_text_and_overrides_are_kept(load):
    loaded = load(SMALLEST, "seed=3")
    assert (loaded.source_text, loaded.overrides, loaded.config.seed) == (SMALLEST, ("seed=3",), 3)


def test_every_setting_of_the_file_has_a_help_text():
    assert [row["name"] for row in describe_settings(IterationConfig) if not row["help"]] == []


def test_schema_knows_every_key_and_provider(registry):
    schema = iteration_schema(registry)
    json.dumps(schema, allow_nan=False)
    assert list(schema["properties"]) == [key_of(field) for field in attrs.fields(IterationConfig)]
    assert schema["required"] == ["parc", "name", "dataset"]
    agents = schema["$defs"]["agent_use"]["anyOf"]
    assert agents[0]["enum"] == ["dmppo", "parc-demo:dmppo", "parc-demo:ppo", "ppo"]
    samples = agents[1]["properties"]["max_samples"]
    assert samples == {"type": "integer", "minimum": 1, "description": "budget (samples)", "default": 1000}
    assert agents[1]["additionalProperties"] is False


def test_schema_accepts_entries_of_open_lists(registry):
    schema = iteration_schema(registry)
    assert list(schema["$defs"]["reward_term_entries"]["properties"]) == ["near"]
    env = next(
        one for one in schema["$defs"]["tracker_env_use"]["anyOf"] if "terms" in one.get("properties", {})
    )
    assert env["properties"]["terms"]["$ref"] == "#/$defs/reward_term_entries"
    assert env["properties"]["w_near"] == {"deprecated": True, "description": "Now called terms.near.weight."}


@pytest.mark.parametrize(
    ("terms", "valid"),
    [
        ({"near": {"weight": 0.5}}, True),
        ({"near": {"wieght": 0.5}}, False),
        ({"near": {"weight": -1}}, False),
        ({"near": None, "other": {"use": "near", "weight": 2}}, True),
        ({"feet": "my_terms.py:feet"}, True),
        ({"feet": {"use": "my_terms.py:feet", "k": 3}}, True),
        ({"feet": {"use": "acme.terms:feet", "k": 3}}, True),
        ({"feet": "unknown"}, False),
        ({"feet": {"use": "unknown"}}, False),
        ({"feet": 3}, False),
    ],
)
def test_schema_checks_entries_of_open_lists(registry, terms, valid):
    jsonschema = pytest.importorskip("jsonschema", reason="the schema is checked with the package jsonschema")
    schema = iteration_schema(registry)
    part = {"$ref": "#/$defs/reward_term_entries", "$defs": schema["$defs"]}
    assert jsonschema.Draft202012Validator(part).is_valid(terms) is valid


@pytest.mark.parametrize(
    "path", sorted(pathlib.Path(__file__).parents[2].glob("examples/*.yaml")), ids=lambda p: p.name
)
def test_examples_are_valid(path, monkeypatch):
    from parc_core.plugins import Registry

    monkeypatch.setenv("PARC_DATA", "/data")
    load_iteration(path, (), Registry.discover())


def test_example_of_the_documentation_is_valid(tmp_path, monkeypatch):
    from parc_core.plugins import Registry

    text = (pathlib.Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    path = tmp_path / "iteration.yaml"
    path.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    monkeypatch.setenv("PARC_DATA", "/data")
    config = load_iteration(path, (), Registry.discover()).config
    assert config.dataset[1].config.path == "/data/initial"
