"""A provider may raise anything at any time: the run ends with one clear error, an event, and a log that says where."""

import json

import pytest

from parc_core.errors import describe_error, error_text
from parc_core.plugins import Registry
from parc_motion import storage
from parc_motion.errors import StorageError

RUN = "runs/quick"

CODE = """
import sys
from parc_testing.quick import Epochs, QuickGenerator

class Odd(BaseException):
    pass

class Mute(Exception):
    def __str__(self):
        raise ValueError("no text")

class Long(Exception):
    def __str__(self):
        return "x" * 1_000_000

class Colored(Exception):
    def __str__(self):
        return "\\x1b[31mred\\nand more\\x07"

def fault():
    {fault}

{at_import}

class InConstructor(QuickGenerator):
    def __init__(self, config: Epochs, *, skeleton, device):
        fault()

class InTraining(QuickGenerator):
    def fit(self, dataset, ctx):
        fault()

class InBatch(QuickGenerator):
    def propose(self, terrain, path, count, rng):
        fault()
"""
FAULTS = {
    "sys.exit(0)": "SystemExit: 0 (the plugin called sys.exit)",
    "sys.exit()": "SystemExit: (the plugin called sys.exit)",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise Odd('odd')": "Odd: odd",
    "raise Mute": "Mute",
    "raise Long": "Long: xxxxx",
    "raise Colored": "Colored: \\x1b[31mred and more\\x07",
}


@pytest.fixture
def odd(home):
    """``odd(fault, where)``: the option that chooses a generator with the fault."""

    def write(fault, where):
        at_import = "fault()" if where == "AtImport" else ""
        (home / "odd.py").write_text(CODE.format(fault=fault, at_import=at_import))
        name = "InTraining" if where == "AtImport" else where
        return f"train_gen.generator.use={home}/odd.py:{name}"

    return write


def events(home):
    return [json.loads(line) for line in (home / RUN / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        *((fault, "InTraining") for fault in FAULTS),
        *(
            (fault, where)
            for fault in ("sys.exit(0)", "raise Long")
            for where in ("InConstructor", "InBatch")
        ),
    ],
)
def test_what_a_provider_raises_is_an_error_with_its_name(fault, where, odd, parc, home):
    code, _, said = parc("quick.yaml", "--set", odd(fault, where))
    assert code not in (0, 130, 143) and "Traceback" not in said
    assert f"{home}/odd.py:{where}'" in said and FAULTS[fault] in said and len(said) < 6000
    last = events(home)[-1]
    stage, log = ("kin_gen", "p2_kin_gen") if where == "InBatch" else ("train_gen", "p1_train_gen")
    assert (last["event"], last["stage"]) == ("failed", stage) and FAULTS[fault][:9] in last["error"]
    kept = (home / RUN / f"logs/iter_001-{log}.txt").read_text()
    assert "Traceback" in kept and "odd.py" in kept


@pytest.mark.parametrize("fault", ["sys.exit(0)", "raise GeneratorExit", "raise Odd('odd')"])
def test_what_a_provider_raises_at_import_names_it(fault, odd, parc, home):
    code, _, said = parc("quick.yaml", "--set", odd(fault, "AtImport"))
    assert code == 2 and f"{home}/odd.py:InTraining'" in said and FAULTS[fault] in said


@pytest.mark.parametrize("fault", ["sys.exit(0)", "raise GeneratorExit", "raise Mute"])
def test_in_a_worker_it_is_an_error_too(fault, odd, parc, home):
    options = ("--set", odd(fault, "InBatch"), "--set", "executor.workers=2")
    code, _, said = parc("quick.yaml", *options)
    assert code not in (0, 130, 143) and FAULTS[fault] in said
    assert events(home)[-1]["event"] == "failed"
    kept = (home / RUN / "logs/iter_001-p2_kin_gen.txt").read_text()
    assert "Traceback" in kept and "odd.py" in kept and "in propose" in kept


def test_failure_before_the_first_stage_is_in_the_log_of_the_run(parc, home):
    setting = f"train_gen.input_model_path={home}/nothing"
    code, _, said = parc("quick.yaml", "--set", setting)
    assert code != 0 and "nothing" in said
    kept = (home / RUN / "log.txt").read_text()
    assert "Traceback" in kept and "in check_files" in kept and "nothing" in kept


def test_event_that_cannot_be_written_does_not_hide_the_error(odd, parc, home, monkeypatch):
    append = storage.append_line

    def full(path, line):
        if path.name == "events.jsonl" and '"failed"' in line:
            raise StorageError(f"{path}: cannot write: No space left on device.")
        append(path, line)

    monkeypatch.setattr(storage, "append_line", full)
    code, _, said = parc("quick.yaml", "--set", odd("1 / 0", "InTraining"))
    assert code == 70 and "ZeroDivisionError" in said and "the event 'failed' was not written" in said


@pytest.mark.parametrize(
    "raised", [RuntimeError("hook"), SystemExit(0), GeneratorExit(), KeyboardInterrupt()]
)
def test_hook_that_raises_does_not_hide_the_error(raised, odd, parc, monkeypatch):
    class Hook:
        def __getattr__(self, name):
            raise raised

    class Manager:
        hook = Hook()

    discover = Registry.discover

    def with_hook():
        registry = discover()
        found = registry._plugins[0]
        registry._plugins = (type("Plugin", (), {"manager": Manager, "dist": found.dist, "version": "1"}),)
        return registry

    monkeypatch.setattr(Registry, "discover", staticmethod(with_hook))
    code, _, said = parc("quick.yaml", "--set", odd("1 / 0", "InTraining"))
    assert code == 70 and "ZeroDivisionError" in said


def test_full_disk_under_the_log_is_told_once(odd, parc, home, monkeypatch):
    append = storage.append_line

    def full(path, line):
        if path.suffix == ".txt":
            raise StorageError(f"{path}: cannot write: No space left on device.")
        append(path, line)

    monkeypatch.setattr(storage, "append_line", full)
    code, _, said = parc("quick.yaml")
    assert code == 0 and "Traceback" not in said and "Logging error" not in said
    assert said.count("log.txt: cannot write") == 1


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_stop_is_an_event(name, code, odd, parc, home):
    fault = f"import os, signal; os.kill(os.getpid(), signal.{name})"
    ended, _, _ = parc("quick.yaml", "--set", odd(fault, "InTraining"))
    assert ended == code
    assert [(event["event"], event["stage"]) for event in events(home)][-1] == ("stopped", "kin_gen")


def test_out_of_memory_names_the_settings(odd, parc):
    code, _, said = parc("quick.yaml", "--set", odd("raise MemoryError", "InTraining"))
    assert code == 70 and "It ran out of memory. Lower batch_size and width of train_gen.generator." in said


def test_text_of_an_error_is_cut_and_escaped():
    assert error_text(ValueError("a\x1b[0m\nb\tc")) == "a\\x1b[0m\nb\tc"
    assert error_text(ValueError("x" * 9000), 10) == "xxxxxxxxxx ... (9,000 characters)"
    assert describe_error(ValueError("\ud800")) == "ValueError: \\ud800"
