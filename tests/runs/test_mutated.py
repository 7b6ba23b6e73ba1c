"""A finished run of two iterations, with something wrong in one of its files: noticed before use, or of no effect."""

from __future__ import annotations

import json
import random
import shutil

import pytest

from parc_core.cli.main import main
from parc_core.interfaces import RunFolder
from parc_core.runner.records import finished_jobs
from parc_testing.levels import at_level

RUN = "runs/quick"
MUTATIONS = at_level(pr=24, nightly=3000)
KINDS = ("flip", "cut", "zeros", "swap", "remove", "line")
# what is there for people, or can be made again: nothing that a run makes depends on it
FOR_PEOPLE = (
    "events.jsonl",
    "log.txt",
    "report.json",
    "manifest.json",
    "source_digests.json",
    "logs/",
    "run.lock",
)
WORDS_OF_REDOING = ("is replaced", "made with other settings", "begun with other")


@pytest.fixture
def call(home, capsys):
    """``call(*arguments)``: exit code and what was shown."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        assert "internal error" not in shown.err and "Traceback" not in shown.err, (arguments, shown.err)
        return ended.value.code, shown.out, shown.err

    return call


def restore(home):
    shutil.rmtree(home / RUN)
    shutil.copytree(home / "whole", home / RUN)


def made_by_third(folder):
    """SHA-256 of what the third iteration made."""
    return {
        f"{job.name}/{name}": file["sha256"]
        for job in finished_jobs(RunFolder(folder))
        if job.iteration == 3 and job.record is not None
        for name, file in job.record.files.items()
        if not name.endswith("metrics.jsonl")
    }


def mutate(file, kind, rng, others):
    """Spoil a file; whether it differs now."""
    before = file.read_bytes()
    if kind == "flip" and before:
        at = rng.randrange(len(before))
        file.write_bytes(before[:at] + bytes([before[at] ^ (1 << rng.randrange(8))]) + before[at + 1 :])
    elif kind == "cut":
        file.write_bytes(before[: rng.randrange(len(before) + 1)])
    elif kind == "zeros" and before:
        at = rng.randrange(len(before))
        file.write_bytes(before[:at] + bytes(min(64, len(before) - at)) + before[at + 64 :])
    elif kind == "swap":
        other = rng.choice([one for one in others if one.suffix == file.suffix])
        content = other.read_bytes()
        other.write_bytes(before)
        file.write_bytes(content)
    elif kind == "remove":
        file.unlink()
    elif kind == "line":
        file.write_bytes(before + b"\n")
    # a blank line at the end of a JSON document says nothing
    return kind != "line" and (not file.exists() or file.read_bytes() != before)


def test_nothing_damaged_is_believed(home, call, measured):
    assert call("run", "quick.yaml", "--iterations", "2")[0] == 0
    shutil.copytree(home / RUN, home / "whole")
    assert call("run", RUN, "--iterations", "3")[0] == 0
    expected = made_by_third(home / RUN)
    restore(home)
    report = json.loads(call("info", RUN, "--json")[1])
    files = sorted(path for path in (home / RUN).rglob("*") if path.is_file())
    rng, noticed, harmless, wrong = random.Random(7), 0, 0, []
    for number in range(MUTATIONS):
        file, kind = rng.choice(files), KINDS[number % len(KINDS)]
        name = file.relative_to(home / RUN).as_posix()
        changed = mutate(file, kind, rng, files)
        found = call("verify", RUN)[0]
        codes = [call("run", RUN)[0]]
        code, info, _ = call("info", RUN, "--json")
        if code == 0 and json.loads(info) != report:
            wrong.append((kind, name, "wrong report"))
        code, _, err = call("run", RUN, "--iterations", "3")
        codes.append(code)
        if code == 0 and made_by_third(home / RUN) != expected:
            wrong.append((kind, name, "was used"))
        if code not in (0, 2, 65):
            wrong.append((kind, name, f"ended with {code}: {err}"))
        if (home / RUN / "superseded").exists() or any(
            words in (home / RUN / "log.txt").read_text(errors="replace") for words in WORDS_OF_REDOING
        ):
            wrong.append((kind, name, "made again"))
        if changed and found == 0 and not name.startswith(FOR_PEOPLE):
            wrong += (
                [] if "/checkpoints/" in name or name.endswith("metrics.json") else [(kind, name, "whole")]
            )
        if any(codes):
            noticed += 1
        else:
            harmless += 1
        restore(home)
    assert not wrong, "\n".join(map(str, wrong))
    assert noticed > MUTATIONS // 10
    measured(
        "mutations of a finished run",
        f"{MUTATIONS}: {noticed} named before use, {harmless} read by nothing; none believed, nothing made again",
    )
