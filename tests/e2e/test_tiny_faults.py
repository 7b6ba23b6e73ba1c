"""A fault at every change of the disk by each real stage of a very small iteration; hours, so only at night.

Faults are tried in random order within a time for each stage, so that every night tries others where it does not
suffice for all.
"""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import time

import pytest

from parc_core.cli.main import main
from parc_core.interfaces import SeedStreams
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_motion.clips import save_clip
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import faults
from parc_testing.faulty import count_operations, in_child
from parc_testing.runs import left_behind, products

SMALLEST = pathlib.Path(__file__).parent / "smallest.yaml"
STAGES = ("train_gen", "kin_gen", "train_tracker", "phys_record")
RUN = ("run", str(SMALLEST), "--set", "dataset=[{use: folder, path: clips}]")
AT_MOST_S = float(os.environ.get("PARC_TEST_MINUTES", "60")) * 60  # for each stage

pytestmark = [pytest.mark.nightly, pytest.mark.slow, pytest.mark.xdist_group("tiny faults")]


def parc(*arguments):
    return lambda: main([*RUN, *arguments])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_with_a_fault_continues_to_the_same_products(tmp_path, monkeypatch, measured, stage):
    monkeypatch.chdir(tmp_path)
    save_a_short_walk(tmp_path / "clips")
    output, run = tmp_path / "out.txt", tmp_path / "runs" / "smallest"
    for earlier in STAGES[: STAGES.index(stage)]:
        with pytest.raises(SystemExit):  # in this process, so that the children find everything imported
            parc("--only", earlier)()
    if run.exists():
        shutil.copytree(run, tmp_path / "before")
    with pytest.raises(SystemExit):
        parc("--only", stage)()
    restore(tmp_path)
    total = count_operations(parc("--only", stage), output)
    expected = products(run)
    todo = [(kind, number) for kind in faults.KINDS for number in range(1, total + 1)]
    random.Random(str(time.time_ns())).shuffle(todo)
    until, tried, wrong = time.monotonic() + AT_MOST_S, 0, []
    for kind, number in todo:
        if time.monotonic() > until:
            break
        tried += 1
        restore(tmp_path)
        ended = in_child(parc("--only", stage), output, f"{kind}@{number}")
        over = ended.code == 0 and ended.operations < number  # a run may have a line of its log less
        if "Traceback" in ended.text or not (over or ended.code in ((137,) if kind == "crash" else (73, 0))):
            wrong.append((kind, number, f"ended with {ended.code}: {ended.text}"))
        again = in_child(parc("--only", stage), output)
        if again.code != 0 or products(run) != expected or left_behind(run):
            wrong.append((kind, number, again.text, left_behind(run)))
    measured(
        f"faults, real {stage}",
        f"{tried} of {3 * total}: {tried - len(wrong)} continued to identical products",
    )
    assert wrong == []


def save_a_short_walk(folder):
    source = ProceduralSource(
        ProceduralConfig(classes=("walk",)), skeleton=load_skeleton("humanoid"), seeds=SeedStreams(3)
    )
    folder.mkdir()
    save_clip(folder / "walk.npz", next(source.clips()).frames(0, 60))


def restore(folder):
    shutil.rmtree(folder / "runs", ignore_errors=True)
    if (folder / "before").exists():
        shutil.copytree(folder / "before", folder / "runs" / "smallest")
