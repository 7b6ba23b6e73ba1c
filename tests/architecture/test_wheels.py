"""Every distribution builds a wheel that works without the repository."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = [
    ROOT,
    *sorted(
        path.parent for path in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")]
    ),
]
GENERATED = shutil.ignore_patterns("*.egg-info", "build", "__pycache__", "tests", ".*", "runs")


def project_of(folder: pathlib.Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def run(*words: object, **options) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, env=clean, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Wheel by distribution, built from copies of the sources."""
    sources, target = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheels")
    copies = []
    for folder in FOLDERS:
        copy = sources / project_of(folder)["name"]
        if folder == ROOT:
            shutil.copytree(ROOT / "parc_core", copy / "parc_core", ignore=GENERATED)
            for name in ("pyproject.toml", "README.md", "LICENSE"):
                shutil.copy(ROOT / name, copy / name)
        else:
            shutil.copytree(folder, copy, ignore=GENERATED)
        copies.append(copy)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-index", "--no-deps", "--no-build-isolation", "-w", target, *copies)
    return {path.name.partition("-")[0].replace("_", "-"): path for path in target.glob("*.whl")}


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory) -> pathlib.Path:
    """Python of a fresh environment that holds the wheels, and of other packages those that the tests run with."""
    folder = tmp_path_factory.mktemp("environment")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", *wheels.values())
    # a path line makes other packages importable, but path files inside that folder are not read: the repository, which
    # is installed there in editable mode, stays out of reach
    site = pathlib.Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_every_distribution_builds(wheels):
    assert set(wheels) == {project_of(folder)["name"] for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: project_of(folder)["name"])
def test_wheel_holds_every_module_and_says_that_it_is_typed(wheels, folder):
    source = ROOT if folder == ROOT else folder / "src"
    (package,) = [path.parent for path in source.glob("parc_*/__init__.py")]
    held = set(zipfile.ZipFile(wheels[project_of(folder)["name"]]).namelist())
    modules = {path.relative_to(source).as_posix() for path in package.rglob("*.py")}
    assert modules - held == set()
    assert f"{package.name}/py.typed" in held


def test_installed_plugins_answer(installed, tmp_path):
    rows = json.loads(run(installed.with_name("parc"), "plugins", "--json", cwd=tmp_path))
    listed = {row["dist"] for row in rows["providers"]}
    offering = {project_of(folder)["name"] for folder in FOLDERS if "entry-points" in project_of(folder)}
    assert listed == {name for name in offering if name != "parc-testing"}
    assert rows["problems"] == []


def test_installed_packages_are_those_of_the_wheels(installed, tmp_path):
    code = (
        "import parc_core, parc_motion, parc_testing, parc_mdm\n"
        "from parc_motion.skeletons import load_skeleton\n"
        "print(load_skeleton('humanoid').num_bodies)\n"
        "print(*(module.__file__ for module in (parc_core, parc_motion, parc_testing, parc_mdm)), sep='\\n')\n"
    )
    bodies, *files = run(installed, "-c", code, cwd=tmp_path).split()
    assert int(bodies) == 15
    assert [file for file in files if str(ROOT) in file or "environment" not in file] == []
