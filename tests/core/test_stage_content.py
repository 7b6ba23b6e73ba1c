"""What a provider's result depends on."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil

import attrs
import pytest

from parc_core.config import Use, setting
from parc_core.plugins import Registry, Target
from parc_core.stages.content import provider_key, provider_versions


@attrs.frozen(kw_only=True)
class Stored:
    path: str = setting("", path=True, help="where")
    size: int = setting(1, help="how much")


@attrs.frozen(kw_only=True)
class Mixed:
    sources: tuple[Use, ...] = setting((), kind="terrain_source", help="parts")
    other: Use | None = setting(None, kind="terrain_source", help="one more")


class OneVersion:
    """A registry in which everything is of one distribution."""

    def __init__(self, version: str = "1.0") -> None:
        self.version = version

    def resolve(self, kind: str, name: str) -> Target:
        return Target(kind=kind, name=name, spec="a:b", config="a:c", dist="dist", version=self.version)


@attrs.frozen(kw_only=True)
class Rewards:
    terms: dict[str, Use] = setting(factory=dict, kind="reward_term", help="terms")


@attrs.frozen(kw_only=True)
class Task:
    reward: Rewards = setting(factory=Rewards, help="rewards")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "here" / "deep").mkdir(parents=True)
    (tmp_path / "here" / "deep" / "one.npz").write_bytes(b"one")
    return tmp_path / "here"


def key(path: pathlib.Path | str, version: str = "1.0", **settings):
    return provider_key(
        OneVersion(version), "terrain_source", Use("file", Stored(path=str(path), **settings))
    )


def test_key_holds_settings_and_no_version(folder):
    assert key(folder) != key(folder, size=2)
    assert key(folder) == key(folder, version="1.1")


def test_versions_are_those_of_the_provider_and_of_those_inside(tmp_path):
    file = tmp_path / "my_sources.py"
    file.write_text("def flat(*, height: float = 0.0):\n    return height\n")
    inner = Use(f"{file}:flat", target=Registry().resolve("terrain_source", f"{file}:flat"))
    use = Use("mixture", Mixed(sources=(Use("file", Stored()), inner)))
    versions = provider_versions(OneVersion("1.1"), "terrain_source", use)
    assert versions["dist"] == "1.1" and len(versions) == 2
    assert versions["flat"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_key_does_not_depend_on_how_a_name_is_written():
    names = ("flat", "parc-terrain:flat")
    keys = [provider_key(Registry.discover(), "terrain_source", Use(name)) for name in names]
    assert keys[0] == keys[1] == {"use": "parc-terrain:flat", "settings": {}}


def test_key_follows_the_files_not_their_place(folder, tmp_path):
    before = key(folder)
    shutil.copytree(folder, tmp_path / "there")
    assert key(tmp_path / "there") == before
    (folder / "deep" / "one.npz").write_bytes(b"ONE")
    os.utime(folder / "deep" / "one.npz", ns=(1, 1))
    assert key(folder) != before


def test_key_of_a_pattern_holds_the_files_that_fit(folder):
    before = key(folder / "deep" / "*.npz")
    (folder / "deep" / "notes.txt").write_bytes(b"")
    assert key(folder / "deep" / "*.npz") == before
    (folder / "deep" / "two.npz").write_bytes(b"two")
    assert key(folder / "deep" / "*.npz") != before


def test_key_looks_into_providers_inside_a_provider(folder):
    def mixed(version: str, **parts: object):
        return provider_key(OneVersion(version), "terrain_source", Use("mixture", Mixed(**parts)))

    part = Use("file", Stored(path=str(folder)), weight=2.0)
    before, alone = mixed("1.0", sources=(part,)), mixed("1.0", other=part)
    assert str(folder) not in str(before)
    assert mixed("1.0", sources=(attrs.evolve(part, weight=1.0),)) != before
    assert mixed("1.1", sources=(part,)) == before
    (folder / "deep" / "one.npz").write_bytes(b"other content")
    assert mixed("1.0", sources=(part,)) != before
    assert mixed("1.0", other=part) != alone


def test_key_looks_into_terms_of_inner_settings(folder):
    def task(version: str = "1.0", **terms: Use):
        return provider_key(
            OneVersion(version), "tracker_env", Use("task", Task(reward=Rewards(terms=terms)))
        )

    pose, feet = Use("pose", Stored(size=3)), Use("feet", Stored(size=4))
    before = task(pose=pose, feet=feet)
    assert task(pose=pose, feet=feet) == before
    assert task(feet=feet, pose=pose) != before, "the order is that of observation groups"
    assert task("1.1", pose=pose, feet=feet) == before
    assert task(pose=attrs.evolve(pose, config=Stored(size=5)), feet=feet) != before


def test_path_that_is_not_given_stands_for_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = provider_key(OneVersion("1.0"), "terrain_source", Use("file", Stored()))
    (tmp_path / "new.txt").write_text("in the current directory")
    assert provider_key(OneVersion("1.0"), "terrain_source", Use("file", Stored())) == before


def test_key_of_a_term_in_a_plain_file_is_its_name_and_settings(tmp_path):
    def term(folder: str, text: str):
        (tmp_path / folder).mkdir(exist_ok=True)
        file = tmp_path / folder / "my_terms.py"
        file.write_text(f"def near(frame, *, k: float = {text}):\n    return k\n")
        return provider_key(Registry(), "reward_term", Use(f"{file}:near"))

    before = term("here", "1.0")
    assert term("there", "1.0") == before, "where the file lies does not count"
    assert term("here", "2.0") == before, "the content is code: it is recorded as a version"
    assert str(tmp_path) not in str(before)
