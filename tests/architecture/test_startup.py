"""`parc` answers at once: what its start may load, and how long it may take."""

import json
import subprocess
import sys

import pytest

from parc_testing.timing import least_cpu_seconds

HEAVY = ("torch", "mujoco", "scipy", "numpy", "safetensors", "PIL", "rich")


def loaded_after(code: str) -> tuple[list[str], float]:
    """Heavy modules in a fresh interpreter after some code, and the processor seconds that the code took."""
    script = (
        "import time, json, sys\n"
        "started = time.process_time()\n"
        f"{code}\n"
        "spent = time.process_time() - started\n"
        f"print(json.dumps([[name for name in {HEAVY!r} if name in sys.modules], spent]), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stderr.splitlines()[-1]))


HELP = "from parc_core.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"
DISCOVER = "from parc_core.plugins.registry import Registry\nRegistry.discover()"


@pytest.mark.parametrize(
    "code",
    ["import parc_core", HELP, DISCOVER, "import parc_core.config", "import parc_testing.pytest_plugin"],
    ids=["import parc_core", "parc --help", "discovery", "config", "pytest plugin"],
)
def test_start_loads_nothing_heavy(code):
    assert loaded_after(code)[0] == []


@pytest.mark.parametrize(
    "code", ["import parc_core.interfaces", "import parc_core.config.load", "import parc_motion.clips"]
)
def test_light_parts_load_neither_torch_nor_mujoco(code):
    assert {"torch", "mujoco", "scipy"} & set(loaded_after(code)[0]) == set()


def test_help_answers_in_less_than_300_ms():
    # processor time of the whole interpreter, because the machine may be busy with other tests; the best of five
    script = "from parc_core.cli.main import main; main(['--help'])"
    spent, empty = [], []
    for _ in range(5):
        for code, seconds in ((script, spent), ("pass", empty)):
            before = _children_seconds()
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
            seconds.append(_children_seconds() - before)
    # measured 0.20 s, where an empty interpreter takes 0.047 s; beside other work both take longer
    assert min(spent) < max(0.3, 6.4 * min(empty))


def _children_seconds() -> float:
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_discovery_takes_less_than_50_ms():
    from parc_core.plugins import Registry

    # measured 0.005 s; the plugins' modules are imported once
    assert least_cpu_seconds(Registry.discover) < 0.05
    assert Registry.discover().providers()
