import logging
import signal
import sys

import attrs
import pytest

from parc_core.config import Use, setting
from parc_core.errors import (
    AmbiguousProvider,
    BrokenPlugin,
    IncompatiblePlugin,
    ProviderUnavailable,
    UnknownProvider,
    describe_error,
)
from parc_core.plugins import Command, Provider, Registry
from parc_testing.plugins import FakeEntryPoint, install, make_plugin, make_provider

SELECTOR = Provider(kind="selector", name="heuristic", target="no.such:Thing", config="no.such:Config")


@attrs.frozen(kw_only=True)
class GoodConfig:
    size: int = setting(3, ge=0, help="a number")


@attrs.frozen(kw_only=True)
class ReservedConfig:
    weight: float = setting(1.0, help="a name that the loader takes")


class Target:
    def __init__(self, config, *, skeleton):
        self.config, self.skeleton = config, skeleton


class RaisingTarget:
    def __init__(self, config):
        raise RuntimeError("no device")


def entry(module, dist="parc-kinopt", version="0.1.0", **fields):
    return FakeEntryPoint(module=module, distribution=dist, version=version, **fields)


def raising(error):
    def load():
        raise error

    return load


# --- discovery never raises


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (ModuleNotFoundError("No module named 'shapely'"), "ModuleNotFoundError: No module named 'shapely'"),
        (ValueError("two\nlines"), "ValueError: two lines"),
        (SystemExit(3), "SystemExit: 3 (the plugin called sys.exit)"),
        (GeneratorExit(), "GeneratorExit"),
        (SyntaxError("invalid syntax"), "SyntaxError: invalid syntax"),
        (RecursionError("too deep"), "RecursionError: too deep"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_plugin_that_raises_while_imported_is_a_row(monkeypatch, error, summary):
    registry = install(monkeypatch, entry(raising(error), dist="parc-bad"), entry(make_plugin([SELECTOR])))
    (problem,) = registry.problems
    assert (problem.dist, problem.version, problem.summary) == ("parc-bad", "0.1.0", summary)
    assert isinstance(problem.error, BrokenPlugin)
    assert str(problem.error) == f"plugin parc-bad 0.1.0 (test = parc_test.plugin): {summary}"
    assert [item.provider.name for item in registry.providers()] == ["heuristic"]


def test_interrupt_during_discovery_reaches_the_user(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.default_int_handler)  # as in a new process
    with pytest.raises(KeyboardInterrupt):
        install(monkeypatch, entry(raising(KeyboardInterrupt())))


@pytest.mark.parametrize(
    ("api", "text"),
    [
        (
            (2, 0),
            "was written for PARC_API 2.0; parc-core 0.1.0 has PARC_API 1.0. "
            "Upgrade parc-core (pip install --upgrade parc-core), or install an older parc-kinopt.",
        ),
        (
            (0, 9),
            "was written for PARC_API 0.9; parc-core 0.1.0 has PARC_API 1.0. "
            "Upgrade the plugin: pip install --upgrade parc-kinopt.",
        ),
        (
            (1, 1),
            "was written for PARC_API 1.1; parc-core 0.1.0 has PARC_API 1.0. "
            "Upgrade parc-core: pip install --upgrade parc-core.",
        ),
        (
            None,
            "does not say for which PARC_API it was written; parc-core 0.1.0 has PARC_API 1.0. "
            "Add PARC_API = (1, 0) to its module.",
        ),
        (
            "1.0",
            "PARC_API is '1.0', expected two integers; parc-core 0.1.0 has PARC_API 1.0. "
            "Write PARC_API = (1, 0) in its module.",
        ),
    ],
    ids=["newer major", "older major", "newer minor", "missing", "malformed"],
)
def test_plugin_for_another_api_is_refused_with_advice(monkeypatch, api, text):
    registry = install(monkeypatch, entry(make_plugin([SELECTOR], api=api)))
    (problem,) = registry.problems
    assert isinstance(problem.error, IncompatiblePlugin)
    assert problem.summary == text
    assert registry.providers() == []


def test_plugin_for_an_older_minor_is_accepted(monkeypatch):
    monkeypatch.setattr("parc_core.PARC_API", (1, 4))
    assert install(monkeypatch, entry(make_plugin([SELECTOR], api=(1, 2)))).problems == ()


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (
            {"parc_providers": lambda: "boxes"},
            "parc_providers returned str 'boxes', expected a list of Provider.",
        ),
        ({"parc_commands": lambda: [3]}, "parc_commands returned list [3], expected a list of Command."),
        (
            {"parc_providers": lambda: [SELECTOR, SELECTOR]},
            "offers the selector 'heuristic' twice; every name may occur once in a plugin.",
        ),
        ({"parc_providers": lambda: sys.exit(1)}, "SystemExit: 1 (the plugin called sys.exit)"),
    ],
    ids=["no list", "wrong items", "twice", "exits"],
)
def test_plugin_that_answers_nonsense_is_a_row(monkeypatch, hook, text):
    (problem,) = install(monkeypatch, entry(make_plugin(**hook))).problems
    assert problem.summary == text


def test_plugin_with_a_hook_that_does_not_exist_is_a_row(monkeypatch):
    (problem,) = install(monkeypatch, entry(make_plugin(parc_stage_begun=lambda: None))).problems
    assert problem.summary.startswith("PluginValidationError: unknown hook 'parc_stage_begun'")


def test_plugin_with_a_wrong_hook_signature_is_a_row(monkeypatch):
    (problem,) = install(
        monkeypatch, entry(make_plugin(parc_stage_started=lambda stage, nonsense: None))
    ).problems
    assert "nonsense" in problem.summary


def test_provider_of_an_unknown_kind_is_a_row(monkeypatch):
    plugin = make_plugin(parc_providers=lambda: [make_provider("selektor", "x", GoodConfig)])
    (problem,) = install(monkeypatch, entry(plugin)).problems
    assert "selektor" in problem.summary


def test_error_whose_text_cannot_be_made_is_still_a_row():
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError

    assert describe_error(MuteError()) == "MuteError"


def test_second_entry_point_of_a_distribution_does_not_overwrite_the_first(monkeypatch):
    registry = install(
        monkeypatch, entry(make_plugin([SELECTOR]), name="a"), entry(make_plugin([SELECTOR]), name="b")
    )
    assert len(registry.providers("selector")) == 1
    (problem,) = registry.problems
    assert problem.summary == (
        "offers the selector 'heuristic' a second time, through another entry point; the first one stays."
    )


# --- names


def test_unknown_name_says_closest_installed_not_loaded_and_what_to_do(monkeypatch):
    first = Provider(kind="selector", name="first", target="no.such:Thing", config="no.such:Config")
    missing = raising(ModuleNotFoundError("No module named 'shapely'"))
    registry = install(
        monkeypatch, entry(make_plugin([SELECTOR, first])), entry(missing, dist="parc-contactsel")
    )
    with pytest.raises(UnknownProvider) as error:
        registry.find("selector", "heuristics")
    assert str(error.value) == (
        "no selector is called 'heuristics'\n"
        "  closest     heuristic        (parc-kinopt 0.1.0)\n"
        "  installed   first, heuristic\n"
        "  not loaded  parc-contactsel  ModuleNotFoundError: No module named 'shapely'\n"
        "  see         parc plugins --kind selector --problems"
    )


def test_unknown_name_with_nothing_installed_says_none(monkeypatch):
    with pytest.raises(UnknownProvider) as error:
        install(monkeypatch).find("agent", "sac")
    assert (
        str(error.value)
        == "no agent is called 'sac'\n  installed   none\n  see         parc plugins --kind agent"
    )


def test_name_of_two_owners_is_ambiguous_and_the_long_name_works(monkeypatch):
    registry = install(
        monkeypatch,
        entry(make_plugin([SELECTOR])),
        entry(make_plugin([SELECTOR]), dist="Acme_Parc", version="2.0"),
    )
    with pytest.raises(AmbiguousProvider) as error:
        registry.find("selector", "heuristic")
    assert str(error.value) == (
        "selector 'heuristic' is ambiguous: 2 distributions offer it\n"
        "  choose      Acme_Parc:heuristic      (Acme_Parc 2.0)\n"
        "  choose      parc-kinopt:heuristic    (parc-kinopt 0.1.0)\n"
        "  see         parc plugins --kind selector"
    )
    assert registry.find("selector", "acme-parc:heuristic").version == "2.0"


def test_unknown_long_name_offers_long_names(monkeypatch):
    registry = install(monkeypatch, entry(make_plugin([SELECTOR])))
    with pytest.raises(UnknownProvider) as error:
        registry.find("selector", "parc-kinop:heuristic")
    assert "closest     parc-kinopt:heuristic (parc-kinopt 0.1.0)" in str(error.value)


def test_command_of_two_owners_keeps_both_under_long_names(monkeypatch):
    command = Command(name="draw", target="no.such:draw")
    registry = install(
        monkeypatch,
        entry(make_plugin(commands=[command])),
        entry(make_plugin(commands=[command]), dist="acme"),
    )
    assert sorted(registry.commands) == ["acme:draw", "parc-kinopt:draw"]


# --- loading what was chosen


def test_provider_is_made_with_its_settings_and_collaborators(monkeypatch):
    registry = install(
        monkeypatch, entry(make_plugin([make_provider("selector", "good", GoodConfig, Target)]))
    )
    made = registry.create("selector", Use("good", GoodConfig(size=5)), skeleton="humanoid")
    assert (made.config.size, made.skeleton) == (5, "humanoid")


def test_provider_named_without_settings_gets_its_defaults(monkeypatch):
    registry = install(
        monkeypatch, entry(make_plugin([make_provider("selector", "good", GoodConfig, Target)]))
    )
    assert registry.create("selector", Use("good"), skeleton=None).config == GoodConfig()


def test_missing_module_names_distribution_version_and_pip_advice(monkeypatch):
    registry = install(monkeypatch, entry(make_plugin([SELECTOR])))
    with pytest.raises(ProviderUnavailable) as error:
        registry.load_config_class("selector", "heuristic")
    assert str(error.value) == (
        "selector 'heuristic' of parc-kinopt 0.1.0 cannot be imported: ModuleNotFoundError: No module named 'no'\n"
        "  target      no.such:Config\n"
        "  to do       pip install --upgrade --force-reinstall parc-kinopt"
    )


def test_missing_dependency_is_named_in_the_advice(monkeypatch, tmp_path):
    (tmp_path / "needs_shapely.py").write_text("import shapely_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    provider = Provider(kind="selector", name="x", target="needs_shapely:X", config="needs_shapely:X")
    registry = install(monkeypatch, entry(make_plugin([provider])))
    with pytest.raises(ProviderUnavailable, match="or install the missing module 'shapely_that_nobody_has'"):
        registry.create("selector", Use("x", GoodConfig()))


def test_target_that_its_module_does_not_have_is_unavailable(monkeypatch):
    registry = install(monkeypatch, entry(make_plugin([make_provider("selector", "x", "attrs:Nothing")])))
    with pytest.raises(ProviderUnavailable, match="module 'attrs' has no 'Nothing'"):
        registry.load_config_class("selector", "x")


@pytest.mark.parametrize(
    "line", ["raise RuntimeError('boom')", "import sys; sys.exit(2)"], ids=["raises", "exits"]
)
def test_module_that_breaks_when_chosen_is_reported_with_its_owner(monkeypatch, tmp_path, line):
    name = f"broken_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(line + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = install(monkeypatch, entry(make_plugin([make_provider("selector", "x", f"{name}:X")])))
    with pytest.raises(BrokenPlugin, match=rf"selector 'x' of parc-kinopt 0.1.0: importing {name} raised"):
        registry.create("selector", Use("x", GoodConfig()))


def test_constructor_that_raises_is_reported_with_its_owner(monkeypatch):
    registry = install(
        monkeypatch, entry(make_plugin([make_provider("selector", "x", GoodConfig, RaisingTarget)]))
    )
    with pytest.raises(BrokenPlugin) as error:
        registry.create("selector", Use("x"))
    assert str(error.value) == (
        "selector 'x' of parc-kinopt 0.1.0: its constructor raised RuntimeError: no device\n"
        f"  target      {__name__}:RaisingTarget\n"
        "  to do       report it to the authors of parc-kinopt; `parc --debug ...` shows where it happened"
    )


def test_settings_that_are_no_attrs_class_are_reported(monkeypatch):
    registry = install(monkeypatch, entry(make_plugin([make_provider("selector", "x", Target)])))
    with pytest.raises(BrokenPlugin, match="expected an attrs class of settings"):
        registry.load_config_class("selector", "x")


def test_setting_with_a_reserved_name_is_reported(monkeypatch):
    registry = install(monkeypatch, entry(make_plugin([make_provider("selector", "x", ReservedConfig)])))
    with pytest.raises(
        BrokenPlugin, match=r"the setting 'weight' has a reserved name \(use, preset, weight\)"
    ):
        registry.load_config_class("selector", "x")


# --- lifecycle


def test_hook_that_raises_is_logged_and_the_others_are_called(monkeypatch, caplog):
    seen = []

    def fails(stage):
        sys.exit(stage)

    def notes(stage, folder):
        seen.append((stage, folder))

    registry = install(
        monkeypatch,
        entry(make_plugin(parc_stage_started=fails), dist="a-fails"),
        entry(make_plugin(parc_stage_started=notes), dist="b-notes"),
    )
    with caplog.at_level(logging.WARNING):
        registry.call_lifecycle("parc_stage_started", stage="kin_gen", folder="runs/x")
    assert seen == [("kin_gen", "runs/x")]
    assert caplog.messages == [
        "plugin a-fails 0.1.0: its hook parc_stage_started raised "
        "SystemExit: kin_gen (the plugin called sys.exit); the run continues"
    ]


# --- what is really installed


def test_everything_of_this_repository_is_discovered_without_problems():
    registry = Registry.discover()
    names = {
        (item.provider.kind, item.provider.name)
        for item in registry.providers()
        if item.dist.startswith("parc-")
    }
    assert [problem for problem in registry.problems if problem.dist.startswith("parc-")] == []
    assert {("metric_sink", "jsonl"), ("executor", "local"), ("agent", "ppo"), ("selector", "first")} <= names
