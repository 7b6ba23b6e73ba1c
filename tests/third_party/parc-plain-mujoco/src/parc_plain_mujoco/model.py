"""The MuJoCo model of a character on a terrain, and its state in the quantities of PARC."""

from __future__ import annotations

import mujoco
import numpy as np

from parc_motion.skeletons import JointKind, Skeleton
from parc_motion.terrains import Terrain

__all__ = ["build_model", "to_wxyz", "to_xyzw"]

_SHAPES = {
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
}
_BEYOND = 20.0  # m that the ground goes on past the terrain


def to_wxyz(q: np.ndarray) -> np.ndarray:
    """Quaternions xyzw in MuJoCo's order."""
    return np.roll(q, 1, axis=-1)


def to_xyzw(q: np.ndarray) -> np.ndarray:
    """MuJoCo's quaternions in the order of PARC."""
    return np.roll(q, -1, axis=-1)


def build_model(skeleton: Skeleton, terrain: Terrain, timestep: float) -> mujoco.MjModel:
    """Three hinges on one body are a ball joint; every scalar coordinate has a position servo."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET.value
    _add_ground(spec, terrain)
    bodies: list = []
    for index, name in enumerate(skeleton.body_names):
        parent = bodies[skeleton.parents[index]] if index else spec.worldbody
        body = parent.add_body(name=name, pos=skeleton.offsets[index].astype(float))
        bodies.append(body)
        if index == 0:
            body.add_freejoint()
            continue
        joint = skeleton.joints[index - 1]
        common = {"name": joint.name, "armature": joint.armature, "damping": [joint.kd * 0.3, 0.0, 0.0]}
        if joint.kind is JointKind.BALL:
            body.add_joint(type=mujoco.mjtJoint.mjJNT_BALL, **common)
        elif joint.kind is JointKind.HINGE:
            limits = [float(joint.lower[0]), float(joint.upper[0])]
            axis = joint.axis.astype(float)
            body.add_joint(type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis, range=limits, limited=1, **common)
        for axis in np.eye(3)[: joint.kind.num_dofs] if joint.kind is JointKind.BALL else np.eye(1, 3):
            if joint.kind.num_dofs:
                servo = spec.add_actuator(
                    trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint.name, gear=[*axis, 0.0, 0.0, 0.0]
                )
                servo.set_to_position(kp=joint.kp, kv=0.0)
    for geom in skeleton.geoms:
        size = np.zeros(3)
        size[: len(geom.size)] = geom.size
        bodies[geom.body].add_geom(
            type=_SHAPES[geom.kind],
            pos=geom.pos.astype(float),
            quat=to_wxyz(geom.rot.astype(float)),
            size=size,
            density=geom.density,
            contype=2,
            conaffinity=3,  # the ground and other bodies; MuJoCo itself leaves out a body and its parent
        )
    for first, second in _neighbors(skeleton):
        spec.add_exclude(bodyname1=skeleton.body_names[first], bodyname2=skeleton.body_names[second])
    return spec.compile()


def _neighbors(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Bodies that have the same parent, or two joints between them: their shapes may overlap at rest."""
    parents = skeleton.parents
    pairs = []
    for body in range(1, skeleton.num_bodies):
        parent = parents[body]
        pairs += [(other, body) for other in range(1, body) if parents[other] == parent]
        pairs += [(parents[parent], body)] if parent > 0 else []
    return pairs


def _add_ground(spec: mujoco.MjSpec, terrain: Terrain) -> None:
    """One box per cell, those at the border reaching far out."""
    nx, ny = terrain.shape
    bottom = float(terrain.height.min()) - 1.0
    low = terrain.origin_xy - 0.5 * terrain.cell
    for i, j in np.ndindex(nx, ny):
        start = low + terrain.cell * np.array([i, j])
        stop = start + terrain.cell
        start = start - _BEYOND * np.array([i == 0, j == 0])
        stop = stop + _BEYOND * np.array([i == nx - 1, j == ny - 1])
        top = float(terrain.height[i, j])
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[*(0.5 * (start + stop)), 0.5 * (top + bottom)],
            size=[*(0.5 * (stop - start)), 0.5 * (top - bottom)],
            contype=1,
            conaffinity=2,
        )
