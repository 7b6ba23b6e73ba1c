"""Classes of motions that are known, by what is done in them."""

from __future__ import annotations

import collections
import pathlib

import pytest

from parc_core.interfaces import SeedStreams
from parc_data.formats.detect import detect
from parc_data.import_settings import ImportSettings
from parc_data.importing import import_file
from parc_data.parc_ms import read_published
from parc_data.procedural.recipes import CLASSES
from parc_data.procedural.source import ProceduralConfig, ProceduralSource
from parc_motion.clips import ACTION_CLASSES, MotionClip, action_class
from parc_motion.skeletons import load_skeleton

REAL = pathlib.Path(__file__).parents[4] / "shared" / "data"
SKELETON = load_skeleton("humanoid")


def test_procedural_motions_get_the_class_that_the_source_gives_them():
    source = ProceduralSource(ProceduralConfig(variations=2), skeleton=SKELETON, seeds=SeedStreams(11))
    table = collections.Counter((clip.motion_class, action_class(clip, SKELETON)) for clip in source.clips())
    for (given, found), count in sorted(table.items()):
        print(f"{given:12s} -> {found:12s} {count}")
    right = sum(count for (given, found), count in table.items() if given == found)
    assert right >= 0.8 * sum(table.values()), table  # all 40 when this was written


def test_every_class_of_the_procedural_source_is_an_action():
    assert set(CLASSES) <= set(ACTION_CLASSES)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("parc/dec2024_teaser_717_1_opt_dm.pkl", "climb"),
        ("parc/TEASER_TERRAIN.pkl", "gap"),
        ("amp/amp_humanoid_walk.npy", "walk"),
        ("amp/amp_humanoid_backflip.npy", "jump"),
        ("deepmimic/humanoid3d_walk.txt", "walk"),
        ("deepmimic/humanoid3d_jog.txt", "run"),
        ("deepmimic/humanoid3d_sideflip.txt", "jump"),
        ("deepmimic/humanoid3d_dance_spin.txt", "turn"),
        ("deepmimic/humanoid3d_getup_facedown.txt", "other"),
        ("cmu/01_01.amc", "jump"),
    ],
)
def test_real_motions_get_the_class_of_what_is_done(file, expected):
    path = REAL / file
    if not path.is_file():
        pytest.skip(f"{file} is not in {REAL}")
    assert action_class(read(path), SKELETON) == expected


def read(path: pathlib.Path) -> MotionClip:
    known = detect(path)
    assert known is not None
    if known.name == "parc_ms":
        return read_published(path, SKELETON, "")
    return import_file(path, known, SKELETON, ImportSettings())[0].clip
