"""Every distribution builds a wheel that works without the repository."""

from __future__ import annotations

import json
import pathlib
import tomllib
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = [
    ROOT,
    *sorted(path.parent for part in ("libs", "plugins") for path in ROOT.glob(f"{part}/*/pyproject.toml")),
]
pytestmark = pytest.mark.xdist_group("wheels")


def project_of(folder: pathlib.Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: project_of(folder)["name"])
def test_wheel_holds_every_module_and_says_that_it_is_typed(stranger, folder):
    source = ROOT if folder == ROOT else folder / "src"
    (package,) = [path.parent for path in source.glob("parc_*/__init__.py")]
    held = set(zipfile.ZipFile(stranger.wheels[project_of(folder)["name"]]).namelist())
    modules = {path.relative_to(source).as_posix() for path in package.rglob("*.py")}
    assert modules - held == set()
    assert f"{package.name}/py.typed" in held


def test_installed_plugins_answer(stranger, tmp_path):
    rows = json.loads(stranger.run("parc", "plugins", "--json", cwd=tmp_path))
    listed = {row["dist"] for row in rows["providers"]}
    offering = {
        project_of(folder)["name"]
        for folder in FOLDERS
        if "parc.plugins" in project_of(folder).get("entry-points", {})
    }
    assert offering - listed == set()
    assert rows["problems"] == []


def test_installed_packages_are_those_of_the_wheels(stranger, tmp_path):
    code = (
        "import parc_core, parc_motion, parc_testing, parc_mdm\n"
        "from parc_motion.skeletons import load_skeleton\n"
        "print(load_skeleton('humanoid').num_bodies)\n"
        "print(*(module.__file__ for module in (parc_core, parc_motion, parc_testing, parc_mdm)), sep='\\n')\n"
    )
    bodies, *files = stranger.run("python", "-c", code, cwd=tmp_path).split()
    assert int(bodies) == 15
    assert [file for file in files if not pathlib.Path(file).is_relative_to(stranger.folder)] == []
