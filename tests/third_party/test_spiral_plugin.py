"""A plugin that somebody else wrote, installed as its README says."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "parc-spiral-terrain"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*_cache")


def run(*command, cwd: pathlib.Path) -> str:
    """Stdout of a program that has to succeed; nothing of this process's environment shows it our packages."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_sources(folder: pathlib.Path) -> list[pathlib.Path]:
    """The distributions without what builds leave behind, so that a wheel holds what the sources hold."""
    core = folder / "parc_core"
    shutil.copytree(ROOT / "parc_core", core / "parc_core", ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, core / name)
    found = [core]
    for source in [*sorted(ROOT.glob("plugins/parc_*/pyproject.toml")), EXAMPLE / "pyproject.toml"]:
        found.append(folder / source.parent.name)
        shutil.copytree(source.parent, found[-1], ignore=LEFT_OUT)
    return found


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


def test_plugin_works_by_name_in_a_fresh_environment(tmp_path):
    """One test, because the environment is dear: wheels are built and installed, then the plugin is used by its name.

    pip gets no index, so every requirement that a distribution declares has to be met by what is there.
    """
    python = make_environment(tmp_path / "venv")
    sources = copy_sources(tmp_path / "sources")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    run(*pip, "--no-index", "--no-build-isolation", *sources, cwd=tmp_path)
    parc = [python.parent / "parc"]

    where = run(python, "-c", "import parc_core, parc_spiral_terrain as s; print(s.__file__)", cwd=tmp_path)
    assert str(tmp_path / "venv") in where, "installed, not found in the checkout"

    listed = json.loads(run(*parc, "plugins", "--kind", "terrain_source", "--json", cwd=tmp_path))
    assert listed["problems"] == []
    assert ("spiral", "parc-spiral-terrain") in {(row["name"], row["dist"]) for row in listed["providers"]}

    plan = json.loads(run(*parc, "run", EXAMPLE / "iteration.yaml", "--dry-run", "--json", cwd=tmp_path))
    assert [job["stage"] for job in plan["jobs"]][:2] == ["train_gen", "kin_gen"]

    preview = [*parc, "terrain", "preview", EXAMPLE / "iteration.yaml", "--count", "4"]
    sheet = json.loads(run(*preview, "-o", tmp_path / "sheet.png", "--json", cwd=tmp_path))
    assert [row["source"] for row in sheet["tiles"]] == ["spiral"] * 4
    assert all(row["highest_m"] - row["lowest_m"] > 1.0 for row in sheet["tiles"]), "no level ground"
    assert sheet["with_path"] > 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")

    tests = tmp_path / "sources" / EXAMPLE.name / "tests"
    shown = run(python, "-m", "pytest", "-p", "no:cacheprovider", "-v", tests, cwd=tests)
    assert "TestSpiral::test_sample_is_a_terrain[plain] PASSED" in shown, "the contract suite"
