"""Rotations of all joints from the trajectories of the center of mass and the feet."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_data.procedural.feet import FeetMotion
from parc_data.procedural.plan import Style
from parc_data.procedural.smooth import blur
from parc_motion.kinematics import Kinematics, body_masses, center_of_mass
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Skeleton

__all__ = ["Body", "Pose", "body_of", "leg_joints", "pose_trunk"]

_AXES = torch.eye(3, dtype=torch.float64)
_TWIST = 0.22  # rad per meter between the feet: pelvis turns with the leading leg, the trunk against it
_MIN_BEND = 0.05  # rad
_RELAXED_LEG = 0.76  # m
_LEAN_BEFORE_S, _LEAN_AFTER_S = 0.25, 0.32  # how long around a step up the trunk leans


@attrs.frozen(kw_only=True, eq=False)
class Body:
    """The skeleton with its masses, in double precision."""

    kinematics: Kinematics
    mass: Tensor  # [B] kg
    com: Tensor  # [B, 3] m, in the frame of the body
    hip: Tensor  # [2, 3] m, right and left, in the frame of the pelvis
    thigh: float  # m
    shin: float  # m
    joints: dict[str, int]  # joint that moves the named body

    def center(self, root_pos: Tensor, root_rot: Tensor, joint_rot: Tensor) -> Tensor:
        """Center of mass, ``[n, 3]`` m."""
        body_pos, body_rot = self.kinematics.forward(root_pos, root_rot, joint_rot)
        return center_of_mass(body_pos, body_rot, self.mass, self.com)

    def ankle_angle(self, pose: Pose) -> np.ndarray:
        """Rotation of both ankles about their y axis, toes down positive, ``[n, 2]`` rad."""
        joints = [self.joints["right_foot"], self.joints["left_foot"]]
        return rot.quat_to_expmap(pose.joint_rot[:, joints])[..., 1].numpy()


@attrs.frozen(kw_only=True, eq=False)
class Pose:
    """Rotations over time."""

    root_rot: Tensor  # [n, 4]
    joint_rot: Tensor  # [n, J, 4]


def body_of(skeleton: Skeleton) -> Body:
    """Masses and leg lengths of a skeleton with the humanoid's body names."""
    mass, com = body_masses(skeleton)
    offset = skeleton.offsets.astype(float)
    sides = ("right", "left")
    return Body(
        kinematics=Kinematics(skeleton, dtype=torch.float64),
        mass=torch.tensor(mass),
        com=torch.tensor(com),
        hip=torch.tensor(np.stack([offset[skeleton.body_id(f"{side}_thigh")] for side in sides])),
        thigh=float(np.linalg.norm(offset[skeleton.body_id("right_shin")])),
        shin=float(np.linalg.norm(offset[skeleton.body_id("right_foot")])),
        joints={name: i for i, name in enumerate(skeleton.body_names[1:])},
    )


def pose_trunk(
    body: Body, feet: FeetMotion, yaw: np.ndarray, ground: np.ndarray, style: Style, dt: float
) -> Pose:
    """Pelvis, trunk, head and arms; the legs are straight until `leg_joints` moves them.

    Args:
        yaw: direction of the body, ``[n]`` rad.
        ground: height of what it stands on, ``[n]`` m.
    """
    n = len(yaw)
    early, late = round(_LEAN_BEFORE_S / dt), round(_LEAN_AFTER_S / dt)
    padded = np.pad(blur(ground, 0.10 / dt), (late, early), mode="edge")
    rise = np.maximum(padded[early + late :] - padded[:n], 0.0)  # height that will be climbed next
    ahead = feet.ankle[..., 0] * np.cos(yaw)[:, None] + feet.ankle[..., 1] * np.sin(yaw)[:, None]
    apart = blur(ahead[:, 1] - ahead[:, 0], 0.06 / dt)  # m, left foot before right
    apart = 1.1 * np.tanh(apart / 1.1)
    twist = torch.tensor(-_TWIST * apart)
    lean = torch.tensor(style.lean + style.climb_lean * blur(rise, 0.08 / dt))
    heading = torch.tensor(yaw)
    root_rot = rot.multiply(_about(2, heading + twist), _about(1, 0.4 * lean))
    joint_rot = torch.zeros((n, len(body.joints), 4), dtype=torch.float64)
    joint_rot[..., 3] = 1.0
    joint_rot[:, body.joints["torso"]] = rot.multiply(_about(2, -1.8 * twist), _about(1, 0.6 * lean))
    joint_rot[:, body.joints["head"]] = rot.multiply(_about(2, 0.8 * twist), _about(1, -0.8 * lean))
    for side, sign in (("right", 1.0), ("left", -1.0)):
        forward = torch.tensor(sign * style.arm_swing * apart) + 0.02  # each arm swings with the opposite leg
        down = torch.full((n,), sign * style.arm_out, dtype=torch.float64)
        shoulder = rot.multiply(_about(1, -forward), _about(0, down))
        joint_rot[:, body.joints[f"{side}_upper_arm"]] = shoulder
        bend = sign * (style.elbow + 0.5 * forward.clamp(min=-0.4))
        joint_rot[:, body.joints[f"{side}_lower_arm"]] = _about(2, bend)
    return Pose(root_rot=root_rot, joint_rot=joint_rot)


def leg_joints(body: Body, root_pos: Tensor, pose: Pose, feet: FeetMotion, dt: float) -> tuple[Pose, Tensor]:
    """The pose with both legs bent so that the ankles reach the feet, and by how far each misses: ``[n, 2]`` m."""
    joint_rot = pose.joint_rot.clone()
    misses = []
    for i, side in enumerate(("right", "left")):
        ankle = torch.tensor(feet.ankle[:, i])
        foot_rot = rot.multiply(
            _about(2, torch.tensor(feet.yaw[:, i])), _about(1, torch.tensor(feet.pitch[:, i]))
        )
        hip = root_pos + rot.rotate(pose.root_rot, body.hip[i].expand_as(root_pos))
        # the knee points halfway between the directions of body and foot
        facing = rot.rotate(pose.root_rot, _AXES[0].expand_as(hip)) + rot.rotate(
            foot_rot, _AXES[0].expand_as(hip)
        )
        airborne = torch.tensor(feet.airborne(i, dt))[:, None]
        thigh_rot, shin_rot, miss = _two_links(hip, ankle, facing, body.thigh, body.shin, airborne)
        rots = (pose.root_rot, thigh_rot, shin_rot, foot_rot)
        for name, parent, child in zip(("thigh", "shin", "foot"), rots[:-1], rots[1:]):
            local = rot.normalize(rot.multiply(rot.inverse(parent), child))
            joint_rot[:, body.joints[f"{side}_{name}"]] = torch.where(local[:, 3:] < 0, -local, local)
        misses.append(miss)
    return attrs.evolve(pose, joint_rot=joint_rot), torch.stack(misses, dim=-1)


def _two_links(
    hip: Tensor, ankle: Tensor, facing: Tensor, thigh: float, shin: float, airborne: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    line = ankle - hip
    distance = line.norm(dim=-1, keepdim=True)
    longest = (thigh**2 + shin**2 + 2 * thigh * shin * np.cos(_MIN_BEND)) ** 0.5
    # a swing leg avoids the straight knee, where a small change of reach rotates the knee fast
    room = longest - _RELAXED_LEG
    soft = _RELAXED_LEG + room * torch.tanh((distance - _RELAXED_LEG) / room)
    wanted = torch.where(distance > _RELAXED_LEG, distance + airborne * (soft - distance), distance)
    reached = wanted.clamp(max=longest)
    along = line / distance
    across = torch.nn.functional.normalize(facing - (facing * along).sum(-1, keepdim=True) * along, dim=-1)
    cosine = (thigh**2 + reached**2 - shin**2) / (2 * thigh * reached)
    knee = hip + thigh * (cosine * along + (1 - cosine**2).clamp(min=0).sqrt() * across)
    side = torch.linalg.cross(across, along, dim=-1)  # the hinge's axis, to the left
    links = []
    for upper, lower in ((hip, knee), (knee, hip + reached * along)):
        up = torch.nn.functional.normalize(upper - lower, dim=-1)
        links.append(rot.rot6d_to_quat(torch.cat([torch.linalg.cross(side, up, dim=-1), up], dim=-1)))
    return links[0], links[1], (distance - reached).squeeze(-1)


def _about(axis: int, angle: Tensor) -> Tensor:
    return rot.quat_about_axis(_AXES[axis], angle)
