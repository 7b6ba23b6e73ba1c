"""Signals and lost terminals: what the flag, the reporter and the command make of them."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time

import pytest

from parc_core.cli.progress import console_reporter
from parc_core.cli.streams import Lasting
from parc_core.interfaces import Stopped, stop_point
from parc_core.runner.stop import StopFlag
from parc_motion.stopping import stopping_when
from parc_testing.runs import heed_hangup

# works until it is asked to stop; with "deaf" its main thread does not return to Python for many seconds
WORK = """
import hashlib, sys, time
from parc_core.interfaces import Stopped, stop_point
from parc_core.runner.stop import StopFlag

with StopFlag() as stop:
    try:
        print("ready", flush=True)
        if sys.argv[1] == "deaf":
            hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000_000)
        for _ in range(1000):
            stop_point()
            time.sleep(0.01)
    except Stopped:
        sys.exit(stop.exit_code)
"""


def start(how: str, *before: str) -> subprocess.Popen:
    command = [*before, sys.executable, "-c", WORK, how]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_hangup
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_work_with_its_exit_code(number, code):
    process = start("willing")
    process.send_signal(number)
    assert process.wait(timeout=5) == code
    assert process.stderr.read() == ""


def test_a_second_signal_ends_a_process_that_computes():
    process = start("deaf")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None
    sent = time.monotonic()
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=5) == 129
    assert time.monotonic() - sent < 1.0


def test_nohup_stays_in_force():
    process = start("willing", "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 143


def test_handlers_and_the_question_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    threads = threading.active_count()
    with StopFlag() as stop:
        stop_point()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            stop_point()
        assert stop() and stop.exit_code == 143
    stop_point()
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert threading.active_count() == threads


def test_the_innermost_question_holds():
    with stopping_when(lambda: True):
        with stopping_when(lambda: False):
            stop_point()
        with pytest.raises(Stopped):
            stop_point()


@pytest.mark.parametrize("live", [True, False])
def test_a_terminal_that_is_gone_does_not_end_the_run(live):
    master, slave = pty.openpty()
    if live:
        stream = os.fdopen(slave, "w")
    else:
        read, write = os.pipe()
        os.close(read)
        os.close(slave)
        stream = os.fdopen(write, "w")
    with stream, console_reporter(stream=stream) as reporter:
        os.close(master)
        with pytest.raises(OSError):
            os.write(stream.fileno(), b"x")
        for step in range(20):
            reporter.update("train_gen", step, 20, "a step")
            reporter.message("train_gen", "a message")
        stream.flush()


def test_what_is_written_to_nobody_goes_nowhere():
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        lasting = Lasting(stream)
        lasting.write("seen\n")
        lasting.flush()
        assert os.read(read, 100) == b"seen\n"
        os.close(read)
        assert lasting.write("unseen\n") == 7
        lasting.flush()
        lasting.write("again\n")
        lasting.flush()
        assert not lasting.isatty() and lasting.encoding.lower() == "utf-8"


# a verb that takes its time
VERB = """
import time
import click
from parc_core.cli import main

@click.command()
def slow():
    try:
        print("ready", flush=True)
        time.sleep(20)
    finally:
        print("tidied up", flush=True)

main._VERBS["slow"] = ("__main__:slow", "")
main.main(["slow"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_verb_that_is_no_run_tidies_up_and_ends_with_the_same_codes(number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", VERB],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_hangup,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (code, "tidied up\n", "")
