"""Child processes that a server forks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from parc_core.stages import fork_server
from parc_core.stages.fork_server import start_child, warm_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

CHILD = """
import json, os, sys, time


def main():
    order = sys.stdin.readline().strip()
    if order == "tell":
        print(json.dumps({
            "folder": os.getcwd(),
            "setting": os.environ.get("PARC_TEST_SETTING"),
            "loaded": "colorsys" in sys.modules,
            "leads": os.getsid(0) == os.getpid(),
            "files": len(os.listdir("/proc/self/fd")),
        }))
    elif order == "fail":
        raise ValueError("nothing to tell")
    elif order == "exit":
        sys.exit(7)
    elif order == "wait":
        print("waits", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
"""


class Started:
    """A child with pipes."""

    def __init__(self, device="cpu", modules=()):
        (stdin, orders), (told, stdout), (printed, stderr) = os.pipe(), os.pipe(), os.pipe()
        self.process = start_child(
            "fork_server_child", stdin=stdin, stdout=stdout, stderr=stderr, device=device, modules=modules
        )
        for file in (stdin, stdout, stderr):
            os.close(file)
        self.orders, self.told, self.printed = os.fdopen(orders, "w"), os.fdopen(told), os.fdopen(printed)

    def send(self, order):
        self.orders.write(order + "\n")
        self.orders.flush()

    def close(self):
        for file in (self.orders, self.told, self.printed):
            with contextlib.suppress(OSError):
                file.close()
        self.process.wait(timeout=20)


@pytest.fixture
def make(tmp_path, monkeypatch):
    (tmp_path / "fork_server_child.py").write_text(textwrap.dedent(CHILD))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = []

    def start(**options):
        made.append(Started(**options))
        return made[-1]

    yield start
    for child in made:
        child.close()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_child_has_the_environment_the_folder_and_a_session_of_its_own(make, device, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARC_TEST_SETTING", "a value")
    child = make(device=device)
    child.send("tell")
    known = json.loads(child.told.read())
    assert (known["folder"], known["setting"], known["leads"]) == (str(tmp_path), "a value", True)
    assert known["files"] == 4  # its three and that of the folder which it lists
    assert child.process.wait(timeout=20) == child.process.returncode == 0


def test_children_find_imported_what_was_asked_for(make):
    warm_up(["colorsys", "a_module_that_does_not_exist"])
    child = make()
    child.send("tell")
    assert '"loaded": true' in child.told.read()


@pytest.mark.parametrize(
    ("order", "code", "text"), [("fail", 1, "ValueError: nothing to tell"), ("exit", 7, "")]
)
def test_return_code_and_what_was_printed_say_how_it_ended(make, order, code, text):
    child = make()
    child.send(order)
    assert child.process.wait(timeout=20) == code
    assert text in child.printed.read()


def test_child_is_a_new_interpreter_where_an_import_has_started_threads(make, tmp_path, monkeypatch):
    monkeypatch.setattr(fork_server, "_server", None)  # one of its own: threads stay
    (tmp_path / "starts_a_thread.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    child = make(modules=["starts_a_thread"])
    assert isinstance(child.process, subprocess.Popen)
    child.send("exit")
    assert child.process.wait(timeout=20) == 7
    fork_server._server.end()


def test_killed_child_has_the_number_of_the_signal(make):
    child, other = make(), make()
    for one in (child, other):
        one.send("wait")
        assert one.told.readline() == "waits\n"
    assert child.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(timeout=0.05)
    child.process.kill()
    assert child.process.wait(timeout=20) == -signal.SIGKILL
    assert other.process.poll() is None
    child.process.kill()  # nothing happens to whoever has its number now


def test_children_outlive_a_server_that_is_killed_and_the_next_has_a_new_one(make, caplog):
    child = make()
    child.send("wait")
    child.told.readline()
    server = fork_server._server
    server.process.kill()
    server.process.wait()
    assert child.process.poll() is None
    assert "The fork server has ended with code -9" in caplog.text
    other = make()
    other.send("exit")
    assert other.process.wait(timeout=20) == 7
    assert fork_server._server is not server
    child.orders.close()
    assert child.process.wait(timeout=20) == -signal.SIGKILL  # what it was is not known any more


def test_server_and_children_end_with_the_process_that_started_them(tmp_path):
    code = (
        "import os, sys, time\nfrom parc_core.stages import fork_server\n"
        "read, write = os.pipe()\n"
        "child = fork_server.start_child('parc_core.runner.worker', stdin=read, stdout=1, stderr=2)\n"
        "print(child.pid, fork_server._server.process.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 20
    while any(fork_server._runs(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(fork_server._runs(pid) for pid in pids)
