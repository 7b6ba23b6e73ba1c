"""Paths that cannot be used: one clear error, no traceback."""

import errno
import os
import subprocess
import sys

import pytest

from parc_core.cli.main import main
from parc_core.paths import is_file

LONG = "x" * 300


@pytest.fixture
def refused(parc):
    """The error of `parc run` with these arguments."""

    def call(*arguments):
        code, _, said = parc(*arguments)
        assert code in (2, 65, 73), said
        assert "Traceback" not in said and "internal error" not in said
        return said

    return call


def test_byte_that_is_not_utf8_in_a_run_folder_has_a_place(refused, parc, home):
    assert parc("quick.yaml")[0] == 0
    config = home / "runs/quick/config.yaml"
    config.write_bytes(config.read_bytes().replace(b"name: quick", b"name: qu\xffck"))
    text = "config.yaml:3:9: byte 0xff is not UTF-8. Save the file as UTF-8."
    assert text in refused("runs/quick")
    assert text in refused("quick.yaml", "--set", "seed=4")


@pytest.mark.parametrize(
    "path", [LONG, "~nobody_here/x", "quick.yaml/x", "/proc/self/mem", "clips", "/"], ids=ascii
)
def test_path_that_is_none_is_refused(path, refused):
    assert refused(path).count("\n") == 1


@pytest.mark.parametrize("output", [LONG, '"a\\0b"', "''", "quick.yaml", "/proc", "/dev/null"], ids=ascii)
def test_output_that_cannot_be_a_folder_is_refused(output, refused):
    assert refused("quick.yaml", "--set", f"output={output}").count("\n") <= 2


def test_output_in_the_home_folder(parc, home, monkeypatch):
    monkeypatch.setenv("HOME", str(home / "me"))
    assert parc("quick.yaml", "--set", "output=~/runs")[0] == 0
    assert is_file(home / "me/runs/quick/config.yaml") and not (home / "~").exists()


def test_run_folder_that_is_a_file_is_refused(refused, home):
    (home / "runs").mkdir()
    (home / "runs/quick").write_text("")
    assert "runs/quick" in refused("quick.yaml")


@pytest.mark.parametrize("name", ["generator_path", "executor.use", "terrain.0.use"])
@pytest.mark.parametrize("path", [f"{LONG}.py:x", "~nobody_here/x.py:y", f"{'x/' * 3000}"])
def test_path_in_a_setting_is_refused(name, path, refused):
    refused("quick.yaml", "--set", f"kin_gen.{name}={path}")


@pytest.mark.parametrize("run", [LONG, "'a\\0b'", '"a\\0b"', "~nobody_here/x", "stage.yaml"], ids=ascii)
def test_run_of_a_stage_file_is_refused(run, refused, home):
    (home / "stage.yaml").write_text(f"run: {run}\nonly: kin_gen\niteration: 1\n")
    assert "stage.yaml" in refused("stage.yaml")


@pytest.mark.parametrize("place", ["quick.yaml", "runs/quick/config.yaml", "runs/quick", "runs"])
def test_what_may_not_be_read_is_refused(place, refused, parc, home, monkeypatch):
    assert parc("quick.yaml")[0] == 0
    stat, opened = os.stat, os.open

    def forbidden(path):
        return (
            os.path.abspath(os.fsdecode(path)).startswith(str(home / place))
            if isinstance(path, os.PathLike)
            else 0
        )

    def no_stat(path, *arguments, **named):
        if forbidden(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", no_stat)
    monkeypatch.setattr(os, "open", opened)
    assert "Permission denied" in refused("quick.yaml" if place == "quick.yaml" else "runs/quick")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_another_user_gets_one_error(parc, home):
    assert parc("quick.yaml")[0] == 0
    script = (  # what it imports is imported before, because the other user may not be allowed to
        "import os, sys, contextlib\n"
        "from parc_core.cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['run', 'quick.yaml', '--dry-run'])\n"
        "import torch, parc_core.runner.report\n"
        "os.setgid(65534); os.setuid(65534); main(['run', *sys.argv[1:]])"
    )
    (home / "runs").chmod(0o700)
    home.chmod(0o755)
    for folder in home.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o055)
    for arguments in (("runs/quick",), ("quick.yaml",), ("quick.yaml", "--set", "output=elsewhere")):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=home, capture_output=True, text=True
        )
        assert done.returncode in (2, 73), done.stderr
        assert "Permission denied" in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_error_of_the_system_that_nobody_expected_is_one_line(capsys, monkeypatch):
    def fail(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "/secret")

    monkeypatch.setattr("parc_core.runner.run.run_file", lambda *_, **__: fail())
    with pytest.raises(SystemExit) as ended:
        main(["run", "anything.yaml"])
    said = capsys.readouterr().err
    assert ended.value.code == 73
    assert said == "/secret: Permission denied. Is the path right, and are you allowed to use it?\n"


@pytest.mark.parametrize(
    "command",
    [
        "run pipe.yaml",
        "info pipe.yaml",
        "info pipe.npz",
        "job run pipe.json",
        "job run pipe.job",
        "job import runs pipe.zip",
    ],
)
def test_a_pipe_is_refused_and_not_waited_for(home, capsys, command):
    *words, name = command.split()
    os.mkfifo(home / name)
    with pytest.raises(SystemExit) as ended:
        main([*words, name])
    said = capsys.readouterr().err
    assert ended.value.code in (2, 65) and "Traceback" not in said and "internal error" not in said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"stage": NaN}', b"[" * 100_000, b"{}", b"\xff"])
def test_a_file_that_is_no_job_is_refused(home, capsys, content):
    (home / "job.json").write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["job", "run", "job.json"])
    said = capsys.readouterr().err
    assert ended.value.code in (2, 65) and "job.json" in said and "internal error" not in said
