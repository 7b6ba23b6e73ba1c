"""Every source of this distribution keeps the promises of its kind."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from parc_core.interfaces import MotionSource, SeedStreams
from parc_data.folder import FolderConfig, FolderSource
from parc_data.motion_list import ListConfig, ListSource
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_motion.clips import save_clip
from parc_motion.skeletons import load_skeleton
from parc_testing.builders import make_clip
from parc_testing.contracts.motion_source import MotionSourceContract

SEEDS = SeedStreams(7)


class TestFolderSource(MotionSourceContract):
    @pytest.fixture
    def make(self, tmp_path: pathlib.Path) -> Callable[[], MotionSource]:
        skeleton = load_skeleton("humanoid")
        for name in ("a", "b"):
            save_clip(tmp_path / "set" / "walk" / f"{name}.npz", make_clip(name=name))
        return lambda: FolderSource(FolderConfig(path=str(tmp_path / "set")), skeleton=skeleton, seeds=SEEDS)


class TestListSource(MotionSourceContract):
    @pytest.fixture
    def make(self, tmp_path: pathlib.Path) -> Callable[[], MotionSource]:
        skeleton = load_skeleton("humanoid")
        for name in ("a", "b"):
            save_clip(tmp_path / "walk" / f"{name}.npz", make_clip(name=name))
        text = "motions: [{file: walk/b.npz, weight: 2}, {file: walk/a.npz, weight: 1}]"
        (tmp_path / "list.yaml").write_text(text)
        config = ListConfig(path=str(tmp_path / "list.yaml"))
        return lambda: ListSource(config, skeleton=skeleton, seeds=SEEDS)


class TestProceduralSource(MotionSourceContract):
    @pytest.fixture
    def make(self) -> Callable[[], MotionSource]:
        skeleton = load_skeleton("humanoid")
        config = ProceduralConfig(classes=("gap",), variations=2)
        return lambda: ProceduralSource(config, skeleton=skeleton, seeds=SEEDS)
