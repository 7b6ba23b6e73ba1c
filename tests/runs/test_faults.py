"""A run with a fault at a change of the disk: it continues, and ends with the products of an undisturbed one.

Every operation of a whole run is tried at night; at every change a share of them, and of single jobs all. Those of two
iterations are tried in random order, so that where PARC_TEST_MINUTES ends it every night tries others.
"""

from __future__ import annotations

import os
import random
import shutil
import time

import pytest

from parc_core.cli.main import main
from parc_motion.storage import faults
from parc_testing.faulty import count_operations, in_child
from parc_testing.levels import at_level
from parc_testing.runs import left_behind, products

RUN = "runs/quick"
AT_MOST_S = (
    float(os.environ.get("PARC_TEST_MINUTES", "inf")) * 60
)  # for two iterations; all of them take hours


def parc(*arguments):
    return lambda: main(["run", *arguments])


@pytest.mark.parametrize("iterations", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_a_run_with_a_fault_continues_to_the_same_products(home, measured, iterations):
    command = parc("quick.yaml", "--iterations", str(iterations))
    with pytest.raises(SystemExit):  # so that the children need not import and compile what it uses
        main(["run", "quick.yaml", "--set", "name=warm"])
    total = count_operations(command, home / "out.txt")
    expected = products(home / RUN)
    shutil.rmtree(home / RUN)
    tried, wrong = 0, []
    every = at_level(pr=211, nightly=1)
    todo = [
        (kind, number)
        for offset, kind in enumerate(faults.KINDS)
        for number in range(1 + offset * every // 3, total + 1, every)
    ]
    until = float("inf")
    if iterations > 1:
        random.Random(str(time.time_ns())).shuffle(todo)
        until = time.monotonic() + AT_MOST_S
    for kind, number in todo:
        if time.monotonic() > until:
            break
        tried += 1
        ended = in_child(command, home / "out.txt", f"{kind}@{number}")
        if kind == "crash":
            assert ended.code == 137, (number, ended.text)
        elif ended.code not in (73, 0) or "Traceback" in ended.text or "internal error" in ended.text:
            wrong.append((kind, number, f"ended with {ended.code}: {ended.text}"))
        again = in_child(command, home / "out.txt")
        if again.code != 0:
            wrong.append((kind, number, f"does not continue: {again.text}"))
        elif products(home / RUN) != expected:
            wrong.append((kind, number, "other products"))
        elif left_behind(home / RUN) or (home / RUN / "superseded").exists():
            wrong.append((kind, number, f"left behind: {left_behind(home / RUN)}"))
        shutil.rmtree(home / RUN)
    assert wrong == []
    measured(
        f"faults, run of {iterations} iteration{'s' * (iterations > 1)}",
        f"{tried} of {3 * total} (changes of the disk x crash, ENOSPC, EIO): all continued to identical products",
    )
