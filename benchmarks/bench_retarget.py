"""Retargeting: CPU time per call, medians, and what comes out of it.

Run: ``python benchmarks/bench_retarget.py [--repeat 5] [--json]``. The source is a made figure of 600 frames (20 s at
30 frames per second) that walks in place with other names, longer bones and feet that creep: once with rotations, once
as positions only, once as the humanoid itself, which is copied.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch
from measure import Figure, arguments, cpu_ms, report

from parc_data.retarget import retarget
from parc_data.source_motion import SourceMotion
from parc_motion.kinematics import Kinematics
from parc_motion.skeletons import load_skeleton

FRAMES, FPS, SIZE = 600, 30.0, 1.1
NAMES = (
    "Hips", "Spine", "Head", "RightArm", "RightForeArm", "RightHand", "LeftArm", "LeftForeArm", "LeftHand",
    "RightUpLeg", "RightLeg", "RightFoot", "LeftUpLeg", "LeftLeg", "LeftFoot",
)  # fmt: skip


def main() -> None:
    """Print one table, or one JSON object."""
    options = arguments(__doc__, repeat=5)
    torch.set_num_threads(1)
    humanoid = load_skeleton("humanoid")
    itself = walker()
    figure = attrs.evolve(
        itself, body_names=NAMES, offsets=SIZE * itself.offsets, root_pos=SIZE * itself.root_pos
    )
    markers = attrs.evolve(figure, local_rot=None, offsets=None, marker_pos=figure.body_pos)
    figures: list[Figure] = []
    for name, motion in (("rotations", figure), ("positions", markers), ("copied", itself)):
        timed = cpu_ms(f"retarget {name}", lambda _, m=motion: retarget(m, humanoid), options.repeat)
        found = retarget(motion, humanoid).report
        figures += [
            timed,
            Figure(name=f"speed {name}", value=1e3 * FRAMES / timed.value, unit="frame/s"),
            Figure(name=f"key body error {name}", value=1e3 * found.key_body_error.mean, unit="mm"),
            Figure(name=f"largest slide {name}", value=1e3 * found.foot_slide.max, unit="mm/frame"),
            Figure(name=f"beyond limits {name}", value=found.max_joint_limit_rad, unit="rad"),
        ]
    report(figures, options.json)


def walker() -> SourceMotion:
    """The humanoid walking in place: swinging arms, knees and hips, 1 Hz."""
    skeleton = load_skeleton("humanoid")
    t = np.arange(FRAMES) / FPS
    dof = np.zeros((FRAMES, skeleton.num_dofs))
    for hip, knee, ankle, shoulder, elbow, phase, side in (
        (15, 17, 19, 6, 9, 0.0, 1.0),
        (22, 24, 26, 10, 13, np.pi, -1.0),
    ):
        lift = np.maximum(np.sin(2 * np.pi * t + phase), 0.0)
        dof[:, hip], dof[:, knee], dof[:, ankle] = -0.2 - 0.6 * lift, 0.4 + 0.9 * lift, -0.2 - 0.3 * lift
        dof[:, shoulder], dof[:, elbow] = side * 1.2, side * (0.5 + 0.2 * np.sin(2 * np.pi * t))
    joint = Kinematics(skeleton, dtype=torch.float64).dof_to_joint_rot(torch.from_numpy(dof)).numpy()
    root = np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1, 1))
    pos = np.stack([0.015 * np.sin(2 * np.pi * t), np.zeros(FRAMES), np.full(FRAMES, 0.865)], axis=1)
    return SourceMotion(
        name="walker",
        format="made",
        fps=FPS,
        body_names=skeleton.body_names,
        parents=skeleton.parents,
        root_pos=pos,
        offsets=skeleton.offsets,
        local_rot=np.concatenate([root, joint], axis=1),
    )


if __name__ == "__main__":
    main()
