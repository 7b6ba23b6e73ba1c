import json
import logging
import re
import subprocess
import sys
import types

import attrs
import click
import pytest

from parc_core.cli import main as cli_main
from parc_core.config import Use, setting
from parc_core.errors import StageFailed
from parc_core.interfaces import Stopped
from parc_core.plugins import Command
from parc_motion.errors import CorruptArtifact, RunLocked, StorageError
from parc_testing.plugins import FakeEntryPoint, install, make_plugin, make_provider


@attrs.frozen(kw_only=True)
class EntriesConfig:
    terms: dict[str, Use] = setting(
        kind="reward_term", factory=lambda: {"pose": Use("pose"), "feet": Use("feet")}, help="Terms."
    )


@pytest.fixture
def parc(capsys):
    """Runs `parc` in this process: (exit code, stdout, stderr)."""

    def parc(*arguments):
        with pytest.raises(SystemExit) as end:
            cli_main.main(arguments)
        shown = capsys.readouterr()
        return end.value.code, shown.out, shown.err

    return parc


@pytest.fixture
def run_file(monkeypatch):
    """Puts a function in place of the runner."""

    def replace(function):
        module = types.ModuleType("parc_core.runner.run")
        module.run_file = function
        monkeypatch.setitem(sys.modules, "parc_core.runner.run", module)

    return replace


def raises(error):
    def function(*_, **__):
        raise error

    return function


def test_help_lists_the_verbs_of_core_and_plugins(parc, monkeypatch):
    command = Command(name="draw", target="no_such_module:draw", summary="draws")
    install(monkeypatch, FakeEntryPoint(module=make_plugin(commands=[command]), distribution="parc-drawing"))
    code, out, _ = parc("--help")
    assert code == 0
    assert re.findall(r"^  ([a-z]+)  ", out, re.MULTILINE) == [
        "run",
        "job",
        "setup",
        "info",
        "verify",
        "plugins",
        "schema",
        "draw",
    ]
    assert "draws (parc-drawing)" in out


def test_verb_of_a_plugin_is_imported_when_it_is_used(parc, monkeypatch):
    module = types.ModuleType("drawing_module")
    module.draw = click.Command("draw", callback=lambda: click.echo("drawn"))
    monkeypatch.setitem(sys.modules, "drawing_module", module)
    plugin = make_plugin(commands=[Command(name="draw", target="drawing_module:draw")])
    install(monkeypatch, FakeEntryPoint(module=plugin))
    assert parc("draw") == (0, "drawn\n", "")


def test_verb_of_a_plugin_that_cannot_be_imported_says_whose_it_is(parc, monkeypatch):
    plugin = make_plugin(commands=[Command(name="draw", target="no_such_module:draw")])
    install(monkeypatch, FakeEntryPoint(module=plugin, distribution="parc-drawing", version="2.0"))
    code, _, err = parc("draw")
    assert code == 2
    assert err.startswith("command 'draw' of parc-drawing 2.0 cannot be imported: ModuleNotFoundError")


def test_broken_plugin_does_not_take_the_verbs_with_it(parc, monkeypatch):
    install(monkeypatch, FakeEntryPoint(module=raises(SystemExit(3)), distribution="parc-bad"))
    assert parc("--help")[0] == 0
    code, out, _ = parc("plugins", "--problems", "--json")
    assert code == 0
    assert json.loads(out)["problems"] == [
        {
            "dist": "parc-bad", "version": "1.2.3", "entry_point": "test = parc_test.plugin",
            "error": "BrokenPlugin", "why": "SystemExit: 3 (the plugin called sys.exit)",
        }
    ]  # fmt: skip


def test_version(parc):
    assert parc("--version") == (0, "parc-core 0.1.0 (PARC_API 1.0)\n", "")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("run",), ("run", "x", "--batch", "a"), ("--nonsense",)]
)
def test_wrong_usage_ends_with_2(parc, arguments):
    code, out, err = parc(*arguments)
    assert (code, out) == (2, "") and "Usage: parc" in err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CorruptArtifact("clip.npz: damaged"), 65, "clip.npz: damaged\n"),
        (StageFailed("kin_gen failed"), 70, "kin_gen failed\n"),
        (StorageError("disk full"), 73, "disk full\n"),
        (RunLocked("another process works here"), 75, "another process works here\n"),
        (KeyboardInterrupt(), 130, "\nstopped\n"),
        (Stopped(), 130, ""),
        (
            ZeroDivisionError("division by zero"),
            70,
            "internal error: ZeroDivisionError: division by zero\n"
            "Please report it with what `parc --debug ...` prints.\n",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_error_becomes_its_text_and_exit_code(parc, run_file, error, code, text):
    run_file(raises(error))
    assert parc("run", "x.yaml") == (code, "", text)


def test_debug_shows_where_an_error_came_from(parc, run_file):
    run_file(raises(StorageError("disk full")))
    code, _, err = parc("--debug", "run", "x.yaml")
    assert code == 73 and "Traceback (most recent call last)" in err and err.endswith("disk full\n")


def test_run_hands_its_options_over_and_prints_the_report_as_json(parc, run_file):
    seen = {}

    def function(path, **options):
        seen.update(options, path=str(path))
        options["reporter"].message("kin_gen", "kept 3 of 4")
        logging.getLogger("parc_mdm.train").info("epoch %d", 3)
        logging.getLogger("other").info("not shown")
        return {"folder": "runs/x"}

    run_file(function)
    options = (
        "--set seed=3 --set a.b=c=d --only kin_gen --iteration 3 --batch 2 --iterations 4 --redo all --json"
    )
    code, out, err = parc("run", "x.yaml", *options.split())
    assert (code, json.loads(out)) == (0, {"folder": "runs/x"})
    del seen["reporter"]
    assert seen == {
        "path": "x.yaml", "overrides": ("seed=3", "a.b=c=d"), "only": "kin_gen", "iteration": 3, "batch": 2,
        "resume": False, "iterations": 4, "redo": "all", "dry_run": False,
    }  # fmt: skip
    assert [re.sub(r"^\S+ ", "", line) for line in err.splitlines()] == [
        "kin_gen        kept 3 of 4",
        "info           epoch 3",
    ]


def test_dry_run_shows_the_plan(parc, run_file):
    job = {
        "iteration": 1,
        "stage": "kin_gen",
        "folder": "x/iter_001",
        "state": "to do",
        "changed": [],
        "note": "",
    }
    done = {**job, "state": "finished", "changed": ["seed 3 -> 4"], "note": ""}
    run_file(lambda path, **_: {"name": "x", "folder": "runs/x", "jobs": [job, done]})
    code, out, _ = parc("run", "x.yaml", "--dry-run")
    assert code == 0 and "kin_gen" in out and "to do" in out and "seed 3 -> 4" in out


def test_missing_file_is_a_configuration_error(parc, tmp_path):
    code, out, err = parc("run", str(tmp_path / "no.yaml"))
    assert (code, out) == (2, "")
    assert err == f"{tmp_path}/no.yaml: cannot read: No such file or directory. Is the name right?\n"


def test_wrong_file_lists_everything_that_is_wrong(parc, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("parc: 1\nnaem: x\nseed: -1\n")
    code, _, err = parc("run", str(path))
    assert code == 2
    starts = [line.partition(": ")[0] for line in err.splitlines() if line.startswith(str(path))]
    assert f"{path}:2:1" in starts and f"{path}:3:7" in starts


def test_plugins_lists_what_is_installed_as_json(parc):
    code, out, _ = parc("plugins", "--kind", "metric_sink", "--json")
    rows = json.loads(out)["providers"]
    assert code == 0 and rows[0]["kind"] == "metric_sink"
    assert {"jsonl"} <= {row["name"] for row in rows}


def test_plugins_shows_the_settings_of_a_provider(parc):
    code, out, _ = parc("plugins", "jsonl")
    assert code == 0
    assert (
        "metric_sink jsonl" in out
        and "metrics.jsonl" in out
        and "name of the file in the job's folder" in out
    )


def test_plugins_with_an_unknown_name_offers_the_closest(parc, monkeypatch):
    plugin = make_plugin([make_provider("selector", "heuristic", "a:B")])
    install(monkeypatch, FakeEntryPoint(module=plugin, distribution="parc-kinopt"))
    code, _, err = parc("plugins", "heuristics")
    assert code == 2
    assert err == (
        "no provider is called 'heuristics'\n  closest     heuristic\n  installed   heuristic, parc-kinopt\n"
    )


def test_output_whose_reader_has_gone_ends_quietly():
    script = f"{sys.executable} -m parc_core.cli.main plugins | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in (
        "141",
        "0",
    )  # 0 when everything was written before the reader went


def test_plugins_shows_the_settings_of_code_in_a_file(parc, tmp_path):
    (tmp_path / "my_terms.py").write_text(
        'def near(frame, *, k: float = 3.0):\n    """How near.\n\n    Args:\n        k: Sharpness of it.\n    """\n'
    )
    code, out, _ = parc("plugins", f"{tmp_path}/my_terms.py:near", "--kind", "reward_term", "--json")
    (row,) = json.loads(out)["providers"]
    assert (code, row["summary"], row["dist"]) == (0, "How near.", "")
    assert [(one["name"], one["default"], one["help"]) for one in row["settings"]] == [
        ("weight", 1.0, "Weight of this term in the sum."),
        ("k", 3.0, "Sharpness of it."),
    ]


def test_plugins_shows_the_names_of_default_entries(parc, monkeypatch):
    plugin = make_plugin([make_provider("tracker_env", "task", EntriesConfig)])
    install(monkeypatch, FakeEntryPoint(module=plugin, distribution="parc-task"))
    assert "pose, feet" in parc("plugins", "task")[1]
