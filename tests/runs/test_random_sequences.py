"""Random sequences of commands on one run: plans come true, and nothing finished is lost or repeated.

Every command is carried out in two folders, in one of them killed at a random write and given again. In the end both
hold the same files.
"""

from __future__ import annotations

import json
import pathlib
import random
import shutil

import pytest

from parc_core.cli.main import main
from parc_core.interfaces import RunFolder
from parc_motion.storage import atomic, digest_file, read_json
from parc_testing.levels import at_level

CHANGES = (
    "kin_gen.candidates={}",
    "kin_gen.motions_per_batch={}",
    "kin_gen.batches={}",
    "train_gen.generator.epochs={}",
    "train_tracker.agent.max_samples={}",
    "from.2.kin_gen.batches={}",
)
SEQUENCES = at_level(pr=4, nightly=200)
STAGES = ("inputs", "train_gen", "kin_gen", "train_tracker", "phys_record")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def kill_at(monkeypatch):
    """``kill_at(n)``: the n-th durable write or rename from now on raises; None: none does."""
    left: list[int | None] = [None]
    for name in ("write_bytes", "write_with", "commit_folder"):
        original = getattr(atomic, name)

        def counted(*args, original=original, **kwargs):
            if left[0] is not None:
                left[0] -= 1
                if left[0] <= 0:
                    raise Killed
            return original(*args, **kwargs)

        for module in _modules_with(original):
            monkeypatch.setattr(module, name, counted)

    def set_to(number: int | None) -> None:
        left[0] = number

    return set_to


def _modules_with(function):
    import sys

    return [
        module
        for module in list(sys.modules.values())
        if getattr(module, function.__name__, None) is function
    ]


def commands(rng: random.Random) -> list[list[str]]:
    """Options of a few `parc run` calls, and "upgrade"."""
    found: list[list[str]] = [[]]
    iterations = 1
    for _ in range(rng.randint(1, 3)):
        options: list[str] = []
        kind = rng.choice(["again", "set", "iterations", "redo", "upgrade"])
        if kind in ("set", "redo") and rng.random() < 0.7:
            options += ["--set", rng.choice(CHANGES).format(rng.randint(1, 3))]
        if kind == "iterations" or rng.random() < 0.3:
            iterations = min(iterations + 1, 3)
            options += ["--iterations", str(iterations)]
        if kind == "redo":
            options += ["--redo", rng.choice([*STAGES, "all"])]
        found.append(["upgrade"] if kind == "upgrade" else options)
    return found


def call(*arguments: str) -> int:
    with pytest.raises((SystemExit, Killed)) as ended:
        main(["run", *arguments])
    return 137 if ended.type is Killed else ended.value.code


def records(run: pathlib.Path) -> dict[str, int]:
    """The record of every finished job by its folder: another number if it was written again."""
    return {
        file.parent.relative_to(run).as_posix(): file.stat().st_mtime_ns
        for file in run.rglob("DONE.json")
        if "superseded" not in file.parts and ".partial" not in file.parent.name
    }


def results(run: pathlib.Path) -> dict[str, str]:
    """Digest of every clip, network and data set of the run, what was replaced left out."""
    found = {}
    for file in sorted(run.rglob("*")):
        if "superseded" not in file.parts:
            name = file.relative_to(run).as_posix()
            if file.suffix in (".npz", ".safetensors"):
                found[name] = digest_file(file)
            elif file.name in ("dataset.yaml", "motions.yaml"):
                found[name] = read_json(file)["digest"]  # the file also says where clips lie
    return found


def check_plan_and_run(run: pathlib.Path, options: list[str], capsys) -> None:
    """A command without a kill: what it does is what the plan said."""
    place = str(run) if run.exists() else "quick.yaml"
    capsys.readouterr()
    assert call(place, *options, "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)["jobs"]
    before, everything = records(run), {digest_file(file) for file in run.rglob("DONE.json")}
    assert call(place, *options) == 0
    after = records(run)
    planned = {pathlib.Path(row["folder"]).relative_to(run).as_posix(): row["state"] for row in plan}
    assert set(after) == set(planned), "no other jobs than those of the plan"
    for folder, state in planned.items():
        assert (after[folder] == before.get(folder)) == (state == "finished"), (folder, state, options)
    assert everything <= {digest_file(file) for file in run.rglob("DONE.json")}, "a finished job is lost"
    capsys.readouterr()
    assert call(str(run), "--dry-run", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["jobs"]
    assert {row["state"] for row in rows} == {"finished"}


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_plans_come_true_and_kills_change_nothing(home, capsys, monkeypatch, kill_at, seed):
    rng = random.Random(seed)
    version = 0
    calm, shaken = home / "calm", home / "shaken"
    for folder in (calm, shaken):
        folder.mkdir()
        shutil.copytree(home / "clips", folder / "clips")
        shutil.copy(home / "quick.yaml", folder)
    for options in commands(rng):
        if options == ["upgrade"]:
            version += 1
            monkeypatch.setattr("parc_core.stages.context.__version__", f"9.{version}")
            options = []
        monkeypatch.chdir(calm)
        check_plan_and_run(pathlib.Path("runs/quick"), options, capsys)
        monkeypatch.chdir(shaken)
        for _ in range(rng.randint(0, 2)):
            kill_at(rng.randint(1, 60))
            place = "runs/quick" if RunFolder(pathlib.Path("runs/quick")).exists else "quick.yaml"
            if call(place, *options) == 0:
                break
        kill_at(None)
        place = "runs/quick" if RunFolder(pathlib.Path("runs/quick")).exists else "quick.yaml"
        assert call(place, *options) == 0
        assert results(shaken / "runs/quick") == results(calm / "runs/quick")
