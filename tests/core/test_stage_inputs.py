"""What a run reads never writes outside its folder."""

import pathlib

import pytest

from parc_core.cli.main import main
from parc_motion.clips import save_clip
from parc_motion.storage import read_arrays, write_arrays
from parc_testing.builders import make_clip

FILE = """
parc: 1
name: hostile
dataset: [./clips]
train_gen: {generator: {use: mdm, preset: tiny}}
"""


@pytest.mark.parametrize(
    "header",
    [
        {"name": "../../../../../pwned/evil"},
        {"motion_class": "/{outside}/pwned"},
        {"motion_class": "../../pwned"},
    ],
    ids=["name", "absolute class", "relative class"],
)
def test_clip_of_a_hostile_name_writes_nothing(tmp_path, monkeypatch, capsys, header):
    home = tmp_path / "home"
    (home / "clips").mkdir(parents=True)
    (home / "iteration.yaml").write_text(FILE)
    file = home / "clips" / "a.npz"
    save_clip(file, make_clip())
    arrays, known = read_arrays(file)
    outside = str(tmp_path)[1:]
    write_arrays(
        file, arrays, {**known, **{key: value.format(outside=outside) for key, value in header.items()}}
    )
    monkeypatch.chdir(home)
    with pytest.raises(SystemExit) as ended:
        main(["run", "iteration.yaml", "--only", "train_gen"])
    assert ended.value.code == 65
    assert "cannot be the name of a file" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if "pwned" in path.name or "evil" in path.name]
    assert [
        path for path in pathlib.Path(home).iterdir() if path.name not in ("clips", "iteration.yaml", "runs")
    ] == []
