"""Groups of verbs that several plugins share."""

import json
import re
import sys
import types

import click
import pytest

from parc_core.cli import main as cli_main
from parc_core.plugins import Command
from parc_testing.plugins import FakeEntryPoint, install, make_plugin


@pytest.fixture
def parc(capsys):
    """Runs `parc` in this process: (exit code, stdout, stderr)."""

    def parc(*arguments):
        with pytest.raises(SystemExit) as end:
            cli_main.main(arguments)
        shown = capsys.readouterr()
        return end.value.code, shown.out, shown.err

    return parc


def plugin(dist, *names, target="no_such_module:verb"):
    commands = [Command(name=name, target=target, summary=f"does {name}") for name in names]
    return FakeEntryPoint(module=make_plugin(commands=commands), distribution=dist, version="2.0")


def lines_of(out):
    return dict(re.findall(r"^  ([a-z:-]+)  +(.*)$", out, re.MULTILINE))


@pytest.mark.parametrize("name", ["eval tracker now", "eval  tracker", "eval ", " tracker", "Eval tracker"])
def test_a_name_of_other_than_one_or_two_words_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        Command(name=name, target="a:b")


def test_the_group_stands_once_in_the_help_with_the_verbs_of_all_plugins(parc, monkeypatch):
    install(monkeypatch, plugin("parc-a", "eval tracker", "draw"), plugin("parc-b", "eval generator"))
    code, out, _ = parc("--help")
    assert code == 0
    shown = lines_of(out)
    assert shown["eval"] == "verbs: generator, tracker"
    assert shown["draw"] == "does draw (parc-a)"
    assert out.count("eval") == 1


def test_the_help_of_the_group_has_a_line_per_verb_and_imports_none(parc, monkeypatch):
    install(monkeypatch, plugin("parc-a", "eval tracker"), plugin("parc-b", "eval generator"))
    code, out, _ = parc("eval", "--help")
    assert code == 0
    shown = lines_of(out)
    assert shown["generator"] == "does eval generator (parc-b)"
    assert shown["tracker"] == "does eval tracker (parc-a)"


def test_a_verb_of_a_group_is_imported_when_it_is_used(parc, monkeypatch):
    module = types.ModuleType("evaluating_module")
    module.verb = click.Command("tracker", callback=lambda: click.echo("evaluated"))
    monkeypatch.setitem(sys.modules, "evaluating_module", module)
    install(
        monkeypatch,
        plugin("parc-a", "eval tracker", target="evaluating_module:verb"),
        plugin("parc-b", "eval broken"),
    )
    assert parc("eval", "tracker") == (0, "evaluated\n", "")


def test_a_verb_of_a_group_that_cannot_be_imported_says_whose_it_is(parc, monkeypatch):
    install(monkeypatch, plugin("parc-a", "eval tracker"))
    code, _, err = parc("eval", "tracker")
    assert code == 2
    assert err.startswith("command 'eval tracker' of parc-a 2.0 cannot be imported: ModuleNotFoundError")


@pytest.mark.parametrize("name", ["draw", "eval tracker"])
def test_two_owners_of_a_name_are_both_named(parc, monkeypatch, name):
    install(monkeypatch, plugin("parc-a", name), plugin("acme", name))
    group, _, verb = name.rpartition(" ")
    code, _, err = parc(*name.split())
    assert code == 2
    assert err == (
        f"command '{name}' is ambiguous: 2 distributions offer it\n"
        f"  choose      parc {f'{group} acme:{verb}'.lstrip():<24} (acme 2.0)\n"
        f"  choose      parc {f'{group} parc-a:{verb}'.lstrip():<24} (parc-a 2.0)\n"
    )


def test_a_verb_of_two_owners_is_called_by_its_long_name(monkeypatch):
    registry = install(monkeypatch, plugin("parc-a", "eval tracker"), plugin("acme", "eval tracker"))
    assert sorted(registry.commands) == ["eval acme:tracker", "eval parc-a:tracker"]


def test_a_verb_that_is_called_like_a_group_keeps_its_long_name(parc, monkeypatch):
    registry = install(monkeypatch, plugin("parc-a", "eval tracker"), plugin("acme", "eval"))
    assert sorted(registry.commands) == ["acme:eval", "eval tracker"]
    assert "tracker" in lines_of(parc("eval", "--help")[1])


def test_an_unknown_verb_of_a_group_is_wrong_usage(parc, monkeypatch):
    install(monkeypatch, plugin("parc-a", "eval tracker"))
    code, _, err = parc("eval", "tracked")
    assert code == 2
    assert "No such command 'tracked'" in err


def test_plugins_lists_verbs_with_their_groups(parc, monkeypatch):
    install(monkeypatch, plugin("parc-a", "eval tracker"), plugin("parc-b", "draw"))
    rows = json.loads(parc("plugins", "--json")[1])["commands"]
    assert [(row["name"], row["dist"]) for row in rows] == [("eval tracker", "parc-a"), ("draw", "parc-b")]
    assert "parc eval tracker" in parc("plugins")[1]
