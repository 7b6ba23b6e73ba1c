"""How often one iteration opens and hashes a clip."""

import json
import pathlib
import subprocess
import sys

TINY = pathlib.Path(__file__).parent / "tiny.yaml"
COUNTING = """
import collections, hashlib, json, os, sys

opened, hashed = collections.Counter(), collections.Counter()

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened[os.path.basename(os.fsdecode(arguments[0]))] += 1

sys.addaudithook(watch)
file_digest = hashlib.file_digest

def counted(stream, name):
    hashed[os.path.basename(stream.name)] += 1
    return file_digest(stream, name)

hashlib.file_digest = counted

from parc_core.cli.main import main
try:
    main(["run", sys.argv[1]])
finally:
    with open("counts.json", "w") as stream:
        json.dump({"opened": opened, "hashed": hashed}, stream)
"""


def test_a_refined_clip_is_opened_at_most_six_times_and_hashed_at_most_twice(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(TINY)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((tmp_path / "counts.json").read_text())
    refined = [path.name for path in (tmp_path / "runs/tiny/iter_001/p2_kin_gen").glob("motions_*/*_opt.npz")]
    assert refined
    for name in refined:
        # written and hashed once in memory besides
        assert counts["hashed"][name] + 1 <= 2, counts["hashed"]
        assert 1 <= counts["opened"][name] <= 6, name
