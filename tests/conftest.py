"""A fresh environment with wheels of every distribution, for the tests that use PARC as a stranger does."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib

import attrs
import pytest

ROOT = pathlib.Path(__file__).parents[1]
collect_ignore_glob = [
    "third_party/parc-*"
]  # their own tests, which need their packages installed; others run them
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*", "runs")


@attrs.frozen
class Environment:
    """An installed PARC without the repository."""

    folder: pathlib.Path
    sources: dict[str, pathlib.Path]  # by distribution: the copy that its wheel was built from
    wheels: dict[str, pathlib.Path]

    def run(self, *command: object, cwd: pathlib.Path) -> str:
        """Stdout of a program of the environment that has to succeed; nothing of this process shows it our packages."""
        program, *arguments = (str(part) for part in command)
        return run(self.folder / "bin" / program, *arguments, cwd=cwd)


def run(*command: object, cwd: pathlib.Path) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def distributions() -> dict[str, pathlib.Path]:
    """Folder by name: ours, those of the examples, and those that the tests keep as a third party's."""
    patterns = ("libs/*", "plugins/*", "examples/*", "tests/third_party/*")
    files = [file for pattern in patterns for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))]
    folders = [ROOT, *(file.parent for file in files)]
    return {
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]: folder
        for folder in folders
    }


def copy_sources(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The distributions without what builds leave behind, so that a wheel holds what the sources hold."""
    copies = {}
    for name, source in distributions().items():
        copies[name] = folder / name
        if source == ROOT:
            shutil.copytree(ROOT / "parc_core", copies[name] / "parc_core", ignore=LEFT_OUT)
            for file in ("pyproject.toml", "README.md", "LICENSE"):
                shutil.copy(ROOT / file, copies[name] / file)
        else:
            shutil.copytree(source, copies[name], ignore=LEFT_OUT)
    return copies


def make_environment(folder: pathlib.Path) -> pathlib.Path:
    """An environment that holds the third-party libraries of the running one and nothing of PARC; its Python.

    torch alone is hundreds of megabytes, so the libraries are not downloaded again: each is a link to where it lies,
    with its metadata, so that pip counts it as installed and checks versions against it. What is named parc stays out.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    purelib = pathlib.Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in pathlib.Path(place).iterdir():
            if not re.search(r"(^|[_.])parc[_-]", entry.name) and not (purelib / entry.name).exists():
                (purelib / entry.name).symlink_to(entry)
    return python


@pytest.fixture(scope="session")
def stranger(tmp_path_factory) -> Environment:
    """Wheels of every distribution, built without a network and installed into a fresh environment.

    Tests that use it carry ``pytest.mark.xdist_group("wheels")``, so that one process makes it once.
    """
    folder = tmp_path_factory.mktemp("stranger")
    sources = copy_sources(folder / "sources")
    pip = (sys.executable, "-m", "pip")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-index")
    run(
        *pip,
        "wheel",
        *quiet,
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder / "wheels",
        *sources.values(),
        cwd=folder,
    )
    wheels = {
        path.name.partition("-")[0].replace("_", "-"): path for path in (folder / "wheels").glob("*.whl")
    }
    python = make_environment(folder / "environment")
    # with dependencies: every requirement that a distribution declares has to be met by what is there
    run(*pip, "--python", python, "install", *quiet, *wheels.values(), cwd=folder)
    return Environment(folder / "environment", sources, wheels)
