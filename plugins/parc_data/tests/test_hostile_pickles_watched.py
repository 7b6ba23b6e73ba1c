"""The hostile pickles of `test_hostile_pickles`, each unpickled in a process that audits itself, and imported."""

from __future__ import annotations

import json
import pathlib
import pickle
import random
import subprocess
import sys

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from test_hostile_pickles import CANARY, CORPUS
from test_pickles_and_texts_mutated import parc_bytes, parc_tree

import parc_data
import parc_testing.watching
from parc_data.command.import_files import import_files
from parc_motion.errors import ParcError
from parc_testing.damage import damaged
from parc_testing.levels import at_level, rounds
from parc_testing.watching import Watched, faults, figure, watched

CHILD = pathlib.Path(parc_data.__file__).with_name("unpickle_child.py")
SECTIONS = ("motion_data", "terrain_data", "misc_data")
# runs as the real child does: isolated, without packages; forks for each file, so that each is limited and measured
DRIVER = """
import json, os, runpy, signal, sys
watching = runpy.run_path(sys.argv[1], run_name="watching")
child = runpy.run_path(sys.argv[2], run_name="child")
sys.set_int_max_str_digits(1000)
def read(path):
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        child["limit_process"]((288 << 20) + 8 * size, 1 + size // (6 << 20))
        try:
            b"".join(child["answer_to"](stream.read(), sys.argv[3:]))
        except MemoryError:
            raise child["Refused"]("memory")
for path in sys.stdin.read().split("\\n"):
    one = watching["watched"](lambda: read(path), refusal=child["Refused"])
    print(json.dumps(one), flush=True)
"""


def unpickled(files: list[pathlib.Path]) -> list[Watched]:
    """Each file, read by the code of the child; that a child is ended by its limits is a refusal, too."""
    command = [
        sys.executable,
        "-I",
        "-S",
        "-B",
        "-W",
        "ignore",
        "-c",
        DRIVER,
        parc_testing.watching.__file__,
        str(CHILD),
    ]
    done = subprocess.run(
        [*command, *SECTIONS],
        input="\n".join(map(str, files)),
        capture_output=True,
        text=True,
        env={},
        check=True,
    )
    found = [Watched(*json.loads(line)) for line in done.stdout.splitlines()]
    return [one._replace(ending="refused") if one.text in ENDED else one for one in found]


# by the limit of CPU time (24, also 9), and by a recursion that no Python code counts (11)
ENDED = {f"wait status {signal}" for signal in (9, 11, 24)}


def test_hostile_pickles_are_refused_and_nothing_is_executed(tmp_path: pathlib.Path, measured) -> None:
    files = []
    for name, make in CORPUS.items():
        files.append(tmp_path / f"{name}.pkl")
        files[-1].write_bytes(make())
    found = dict(zip(CORPUS, unpickled(files), strict=True))
    measured("hostile files, pickles", figure(found))
    assert len(found) >= 40
    assert faults(found) == []
    assert not CANARY.exists()
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_mutated_hostile_pickles_do_nothing(tmp_path: pathlib.Path, measured) -> None:
    rng, found = random.Random(4), {}
    seeds = [data for make in CORPUS.values() if len(data := make()) < 1 << 20]
    seeds += [pickle.dumps({"motion_data": data}) for data in seeds]
    files = [tmp_path / f"{number}.pkl" for number in range(40)]
    for start in rounds(pr=1, nightly=250):
        for path in files:
            path.write_bytes(damaged(rng.choice(seeds), rng))
        found.update({f"{start} {path.stem}": one for path, one in zip(files, unpickled(files), strict=True)})
    measured("mutated hostile pickles", figure(found))
    assert faults(found, lambda name: False) == []
    assert not CANARY.exists()


def is_the_child(event: str, args: tuple) -> bool:
    """Whether the import starts the process that unpickles, and nothing else."""
    return event == "subprocess.Popen" and args[1][:1] == [sys.executable] and str(CHILD) in args[1]


def test_one_hostile_pickle_of_a_folder_is_a_row_and_the_others_are_imported(
    tmp_path: pathlib.Path, measured
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    names = random.Random(5).sample(sorted(CORPUS), at_level(pr=40, nightly=len(CORPUS)))
    for name in names:
        (folder / f"{name}.pkl").write_bytes(
            pickle.dumps({"motion_data": CORPUS[name](), "terrain_data": None})
        )
    (folder / "sound.pkl").write_bytes(parc_bytes(parc_tree()))
    answer = tmp_path / "answer.json"

    def run() -> None:
        done = CliRunner().invoke(
            import_files, [str(folder), "-o", str(output), "--format", "parc_ms", "--json"]
        )
        answer.write_text(json.dumps([done.exit_code, done.stdout, repr(done.exception)]))

    one = watched(run, refusal=ParcError, inside=tmp_path, allowed=is_the_child)
    code, printed, exception = json.loads(answer.read_text())
    assert code == 65, exception
    told = json.loads(printed)
    assert [clip["clip"] for clip in told["clips"]] == ["sound"]
    assert len(told["failed"]) == len(names)
    for name in names:
        assert any(str(folder / f"{name}.pkl") in text for text in told["failed"]), name
    measured(
        "`parc data import` of hostile pickles",
        f"{len(names)} of {len(names)} refused, the sound one imported; {one.memory_mb:.0f} MB, {one.cpu_s:.1f} s CPU "
        "together",
    )
    assert (one.ending, one.deeds) == ("read", [])
    assert not CANARY.exists()
    assert sorted(tmp_path.iterdir()) == [answer, folder, output]


@pytest.mark.parametrize(
    "what", ["os.system('true')", "open('/dev/null', 'w')", "__import__('subprocess').run(['true'])"]
)
def test_the_watch_sees_what_is_executed(what: str) -> None:
    one = watched(lambda: eval(what), refusal=ParcError)
    assert len(faults({"it": one})) == 1


def test_the_watch_measures_memory_time_and_other_errors() -> None:
    def work() -> None:
        kept = bytearray(200 << 20)
        kept[::4096] = b"x" * len(kept[::4096])
        total = sum(range(20_000_000))
        raise KeyError(total)

    one = watched(work, refusal=ParcError)
    assert (one.ending, one.text) == ("raised", "KeyError: 199999990000000")
    assert 180 < one.memory_mb < 260
    assert one.cpu_s > 0.1
    assert watched(lambda: (_ for _ in ()).throw(ParcError("no")), refusal=ParcError).ending == "refused"
