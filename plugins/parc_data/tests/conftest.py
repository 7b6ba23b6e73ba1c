"""A writer of published motion-terrain files for the tests of this distribution."""

from __future__ import annotations

import pathlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parc_core.testing.builders import make_clip, make_terrain


@pytest.fixture
def published_file(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Writes ``<name>.pkl`` with a valid motion; a section given by name replaces it (bytes as they are)."""

    def write(name: str, protocol: int = 4, **sections: Any) -> pathlib.Path:
        clip, terrain = make_clip(frames=20), make_terrain()
        motion = {
            "root_pos": np.array(clip.root_pos),
            "root_rot": np.array(clip.root_rot),
            "joint_rot": np.array(clip.joint_rot),
            "body_contacts": np.array(clip.contacts),
            "fps": np.float32(30.0),
            "loop_mode": "CLAMP",
        }
        maxmin = np.stack([terrain.height + 3.0, terrain.height - 2.0], axis=-1)
        ground = {
            "hf": np.array(terrain.height),
            "hf_maxmin": maxmin,
            "min_point": np.array(terrain.origin_xy),
            "dx": 0.4,
        }
        outer: dict[str, Any] = {"motion_data": motion, "terrain_data": ground, "misc_data": None, **sections}
        plain = (bytes, type(None))
        packed = {k: v if isinstance(v, plain) else pickle.dumps(v, protocol) for k, v in outer.items()}
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(pickle.dumps(packed, protocol))
        return path

    return write
