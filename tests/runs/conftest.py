"""An iteration file whose stages take no time, and `parc run` in this process."""

from __future__ import annotations

import json

import pytest

from parc_core.cli.main import main
from parc_motion.clips import save_clip
from parc_testing.builders import make_clip
from parc_testing.quick import ITERATION_FILE

QUICK = "parc_testing.quick"
FILE = ITERATION_FILE


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with an iteration file and its clip, the current directory."""
    (tmp_path / "clips").mkdir()
    save_clip(tmp_path / "clips" / "walk.npz", make_clip(40, name="walk", speed=1.0, motion_class="walk"))
    (tmp_path / "quick.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def parc(home, capsys):
    """``parc(*arguments)``: exit code, stdout (parsed with ``--json``) and stderr."""

    def call(*arguments: str):
        with pytest.raises(SystemExit) as ended:
            main(["run", *arguments])
        shown = capsys.readouterr()
        answer = json.loads(shown.out) if "--json" in arguments and shown.out else shown.out
        return ended.value.code, answer, shown.err

    return call
