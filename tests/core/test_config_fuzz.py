"""Generated configurations: each is read, or refused with errors that name their places."""

import random
from pathlib import Path

import pytest

from parc_core.config import (
    InvalidConfig,
    IterationConfig,
    dump_yaml,
    load_iteration,
    load_settings,
    read_stage_file,
)
from parc_core.errors import ConfigError
from parc_core.plugins import Registry
from parc_testing.config_mutations import FRAGMENTS, mutate
from parc_testing.levels import level, rounds
from parc_testing.quick import ITERATION_FILE
from parc_testing.timing import least_cpu_seconds

ROOT = Path(__file__).parents[2]
LIMIT_S = 0.05  # of a file of normal size


@pytest.fixture(scope="module")
def registry():
    return Registry.discover()


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("PARC_FUZZ", "1__0")


@pytest.fixture(scope="module")
def texts(registry, tmp_path_factory):
    files = sorted(ROOT.glob("examples/*.yaml"))
    found = [ITERATION_FILE, *(file.read_text() for file in (*files, ROOT / "tests/e2e/tiny.yaml"))]
    path = tmp_path_factory.mktemp("valid") / "f.yaml"
    for (
        text
    ) in found:  # every provider is imported now, which is not a matter of the file that names it first
        read(path, text.encode(), (), registry)
    return found


def read(path, data, overrides, registry):
    """The settings, or the errors."""
    path.write_bytes(data)
    try:
        return load_iteration(path, overrides, registry).config, ()
    except InvalidConfig as err:
        return None, err.problems
    except ConfigError as err:
        assert str(err).startswith(str(path)), err
        return None, ()


def has_place(problem):
    return problem.at.line > 0 or problem.path or problem.at.source.startswith("--set ")


def round_trips(config, folder, registry):
    return (
        load_settings(dump_yaml(config), "config.yaml", IterationConfig, registry, base=folder)[0] == config
    )


def test_generated_configurations_are_read_or_refused_with_a_place(registry, texts, tmp_path, measured):
    path, count, read_well, refused, slow, slowest = tmp_path / "f.yaml", 0, 0, 0, 0, 0.0
    for seed in rounds(pr=2000, nightly=1_000_000, at_most_s=1200):
        rng = random.Random(seed)
        mutated, count = mutate(rng.choice(texts), rng), count + 1
        made = {}

        def once(mutated=mutated, made=made):
            made["config"], made["problems"] = read(path, mutated.data, mutated.overrides, registry)

        try:
            spent = least_cpu_seconds(once, 1)
        except BaseException as err:
            raise AssertionError(f"seed {seed}: {type(err).__name__}: {mutated}") from err
        if spent > LIMIT_S:  # of a single measurement, it may be the garbage collector's
            slow, spent = slow + 1, least_cpu_seconds(once, 5)
        slowest = max(slowest, spent if len(mutated.data) < 8000 else 0.0)
        assert spent <= LIMIT_S or len(mutated.data) >= 8000, f"seed {seed}: {spent:.3f} s: {mutated}"
        for problem in made["problems"]:
            assert has_place(problem), f"seed {seed}: {problem}: {mutated}"
        if made["config"] is not None:
            read_well += 1
            assert round_trips(made["config"], tmp_path, registry), f"seed {seed}: {mutated}"
        refused += made["config"] is None
    assert read_well > count / 50 and refused > count / 2  # it generates both
    measured(
        "configurations",
        f"{count:,} generated, {read_well:,} read and round-trip, {refused:,} refused, 0 raw exceptions, every "
        f"error with a place, at most {1000 * slowest:.0f} ms CPU",
    )


@pytest.mark.parametrize("number", range(len(FRAGMENTS)))
def test_stage_file_with_any_value_is_read_or_refused(number, registry, tmp_path):
    fragment = FRAGMENTS[number]
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text(ITERATION_FILE)
    path = tmp_path / "stage.yaml"
    keys = {"run": "run", "only": "kin_gen", "iteration": "1", "kin_gen": "{candidates: 3}"}
    names = (*keys, "candidates")
    for name in [names[number % len(names)]] if level() == "pr" else names:
        changed = (
            {**keys, name: fragment} if name in keys else {**keys, "kin_gen": f"\n  candidates: {fragment}"}
        )
        path.write_bytes(
            "".join(f"{key}: {value}\n" for key, value in changed.items()).encode(errors="surrogatepass")
        )
        try:
            file = read_stage_file(path)
            if file is not None:
                load_iteration(tmp_path / "run/config.yaml", (), registry, file)
        except ConfigError as err:
            assert str(path) in str(err) or "config.yaml" in str(err) or "cannot look there" in str(err)


@pytest.mark.parametrize("text", ["1__0", "_1", "1_", "9" * 5000, "'²'", "'٣'"])
def test_number_that_is_none_is_refused_with_its_place(text, registry, tmp_path):
    path = tmp_path / "f.yaml"
    (_, problems) = read(path, ITERATION_FILE.replace("seed: 3", f"seed: {text}").encode(), (), registry)
    assert str(problems[0]).startswith(f"{path}:4:7: seed: expected an integer, got '")
    (_, problems) = read(path, ITERATION_FILE.encode(), (f"seed={text}",), registry)
    assert f"--set seed={text}: seed: expected an integer, got '" in str(problems[0])


def test_iteration_of_an_option_may_be_any_text(registry, tmp_path):
    for number in ("9" * 5000, "٣", "1__0", "-2", "x"):
        option = f"from.{number}.train_gen.generator.use=mdm"
        _, problems = read(tmp_path / "f.yaml", ITERATION_FILE.encode(), (option,), registry)
        assert problems


@pytest.mark.parametrize("name", ["iterations", "kin_gen.batches"])
def test_size_of_a_run_that_nobody_could_plan_is_refused_by_name(name, registry, tmp_path):
    _, problems = read(tmp_path / "f.yaml", ITERATION_FILE.encode(), (f"{name}=1000000000",), registry)
    assert f"{name}: 1000000000 is out of range" in str(problems[0])


def test_number_of_batches_in_all_iterations_has_a_limit(registry, tmp_path):
    overrides = ("iterations=100", "kin_gen.batches=101")
    _, (problem,) = read(tmp_path / "f.yaml", ITERATION_FILE.encode(), overrides, registry)
    assert "iterations 100 and kin_gen.batches 101 make more than 10,000 batches. Lower one of them" in str(
        problem
    )
