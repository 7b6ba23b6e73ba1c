"""A run of the tiny iteration that nobody disturbed; the tests of one process share it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

TINY = pathlib.Path(__file__).parent / "tiny.yaml"
# `parc`, counting how often each file is opened and hashed; the counts are written to counts.json
COUNTING = """
import collections, hashlib, json, os, sys

opened, hashed = collections.Counter(), collections.Counter()

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened[os.path.basename(os.fsdecode(arguments[0]))] += 1

sys.addaudithook(watch)
file_digest = hashlib.file_digest

def counted(stream, name):
    hashed[os.path.basename(os.readlink(f"/proc/self/fd/{stream.fileno()}"))] += 1
    return file_digest(stream, name)

hashlib.file_digest = counted

from parc_core.cli.main import main
try:
    main(sys.argv[1:])
finally:
    with open("counts.json", "w") as stream:
        json.dump({"opened": opened, "hashed": hashed}, stream)
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[pathlib.Path, dict]:
    """A run that nobody disturbed, and its report."""
    folder = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-c", COUNTING, "run", str(TINY), "--json"]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "runs" / "tiny", json.loads(result.stdout)
