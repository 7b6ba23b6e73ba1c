"""Leases: one holder at a time, whoever dies is replaced, whoever was replaced notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from parc_motion.storage import Held, Lease, LeaseLost, live_leases

_HOLD = """
import pathlib, sys, time
from parc_motion.storage import Lease
with Lease(pathlib.Path(sys.argv[1]), "work"):
    print("held", flush=True)
    time.sleep(60)
"""
_COUNT = """
import pathlib, sys, time
from parc_motion.storage import Held, Lease
folder, number = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
done = 0
while done < int(sys.argv[3]):
    try:
        with Lease(folder, "count"):
            value = int(number.read_text())
            time.sleep(0.001)
            number.write_text(str(value + 1))
            done += 1
    except Held:
        time.sleep(0.001)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_second_is_refused_and_told_who_holds_it(tmp_path, holder):
    with (
        pytest.raises(Held, match=rf"^work: process {holder.pid} on .* works on it\.$") as caught,
        Lease(tmp_path, "work"),
    ):
        pass
    assert caught.value.owner.pid == holder.pid
    assert live_leases(tmp_path)["work"].pid == holder.pid


def test_other_names_are_free(tmp_path, holder):
    with Lease(tmp_path, "other work"):
        assert sorted(live_leases(tmp_path)) == ["other work", "work"]


def test_lease_of_a_killed_process_is_free_at_once(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert live_leases(tmp_path) == {}
    with Lease(tmp_path, "work") as lease:
        lease.check()
        assert [path.name for path in tmp_path.iterdir()] == ["work.2.lease"]
    assert list(tmp_path.iterdir()) == []


def test_nothing_remains_and_it_can_be_taken_again(tmp_path):
    for _ in range(2):
        with Lease(tmp_path, "work"), pytest.raises(Held), Lease(tmp_path, "work"):
            pass
        assert list(tmp_path.iterdir()) == []


def _as_of_another_machine(path, age_s):
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "machine": "another", "host": "far", "token": "x"}))
    os.utime(path, (time.time() - age_s,) * 2)


def test_owner_on_another_machine_lives_as_long_as_its_heart_beats(tmp_path):
    with Lease(tmp_path, "work") as ours:
        file = tmp_path / "work.1.lease"
        _as_of_another_machine(file, age_s=100)
        with pytest.raises(Held, match="on far"), Lease(tmp_path, "work"):
            pass
        _as_of_another_machine(file, age_s=130)
        with Lease(tmp_path, "work") as taken:
            taken.check()
            with pytest.raises(LeaseLost, match="took this work over"):
                ours.check()
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_just_being_written_counts_as_held(tmp_path):
    (tmp_path / "work.1.lease").touch()
    with pytest.raises(Held, match="an unknown process"), Lease(tmp_path, "work"):
        pass


def test_used_process_id_is_not_the_owner(tmp_path):
    with Lease(tmp_path, "work"):
        file = tmp_path / "work.1.lease"
        plain = json.loads(file.read_text())
        file.write_text(json.dumps({**plain, "started": "1"}))
        with Lease(tmp_path, "work") as taken:
            taken.check()


def test_never_two_at_a_time(tmp_path):
    number = tmp_path / "number"
    number.write_text("0")
    arguments = [sys.executable, "-c", _COUNT, str(tmp_path / "leases"), str(number), "100"]
    processes = [subprocess.Popen(arguments) for _ in range(6)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 6
    assert number.read_text() == "600"


_FORK = """
import os, pathlib, sys
from parc_motion.storage import Lease, lease
folder = pathlib.Path(sys.argv[1])
lease.HEARTBEAT_S = 0.05
with Lease(folder, "parents"):
    child = os.fork()
    if child == 0:
        with Lease(folder, "first"), Lease(folder, "second"):
            beats = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.lease")}
            os.kill(os.getppid(), 19)
            import time; time.sleep(0.5)
            later = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.lease")}
            os.kill(os.getppid(), 18)
        print(sorted(name for name in later if later[name] > beats[name]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_forked_process_holds_leases_of_its_own_and_leaves_the_others_to_its_parent(tmp_path):
    done = subprocess.run([sys.executable, "-c", _FORK, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stdout == "['first.1.lease', 'second.1.lease']\n", done.stderr
