"""The MuJoCo model of one character on one terrain.

Three hinges about x, y, z on a body are one ball joint: as three hinges the published motions pass gimbal
lock. Each scalar coordinate has a position servo on the exponential map; its damping is the joint's own damping.
"""

from __future__ import annotations

import mujoco
import numpy as np

from parc_core.errors import ConfigError
from parc_motion.geometry import box_cover
from parc_motion.skeletons import Geom, Joint, JointKind, Skeleton
from parc_motion.terrains import Terrain
from parc_mujoco.config import MujocoConfig
from parc_mujoco.convert import to_wxyz

__all__ = ["build_spec", "count_substeps", "pad_boxes", "terrain_boxes"]

_FLOOR_DEPTH = 1.0  # m of ground below the lowest cell
_BEYOND = 20.0  # m that the border cells go on past the terrain
_BURIED_CENTER = (0.0, 0.0, -1000.0)  # m, of the boxes that only make up the number
_BURIED_HALF = (0.01, 0.01, 0.01)  # m
_GEOM_TYPES = {
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
}
_INTEGRATORS = {
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
}
_CONES = {
    "pyramidal": mujoco.mjtCone.mjCONE_PYRAMIDAL,
    "elliptic": mujoco.mjtCone.mjCONE_ELLIPTIC,
}


def count_substeps(sim_hz: float, control_hz: float) -> int:
    """Physics steps per control step.

    Raises:
        ConfigError: one rate is not a multiple of the other.
    """
    count = round(sim_hz / control_hz)
    if count < 1 or abs(count * control_hz - sim_hz) > 1e-6 * sim_hz:
        raise ConfigError(
            f"simulator.sim_hz is {sim_hz} Hz, which is not a multiple of the control rate {control_hz} Hz. "
            f"Use for example {4 * control_hz:g}."
        )
    return count


def terrain_boxes(terrain: Terrain) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that make the ground, those at the border reaching far out: centers, half sizes ``[K, 3]`` m."""
    return box_cover(terrain, floor_depth=_FLOOR_DEPTH, skirt=_BEYOND)


def pad_boxes(boxes: tuple[np.ndarray, np.ndarray], num_boxes: int) -> tuple[np.ndarray, np.ndarray]:
    """The boxes and as many buried ones as make them `num_boxes`: centers, half sizes ``[num_boxes, 3]`` m."""
    missing = num_boxes - len(boxes[0])
    buried = (np.tile(_BURIED_CENTER, (missing, 1)), np.tile(_BURIED_HALF, (missing, 1)))
    return np.concatenate([boxes[0], buried[0]]), np.concatenate([boxes[1], buried[1]])


def build_spec(
    skeleton: Skeleton,
    config: MujocoConfig,
    boxes: tuple[np.ndarray, np.ndarray],
    num_boxes: int,
    *,
    contact_sensors: bool = True,
) -> mujoco.MjSpec:
    """The specification of a model; models with the same `num_boxes` have data of the same layout.

    Args:
        boxes: centers and half sizes of the ground's boxes, ``[K, 3]`` m each.
        num_boxes: at least K; the missing ones lie far below and collide with nothing.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = 1.0 / config.sim_hz
    spec.option.integrator = _INTEGRATORS[config.integrator]
    spec.option.cone = _CONES[config.friction_cone]
    # a diverged copy keeps its NaN: MuJoCo would otherwise put it back to the start and say nothing
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET.value
    _add_ground(spec, config, boxes, num_boxes)
    bodies = _add_bodies(spec, skeleton, config)
    for geom in skeleton.geoms:
        _add_geom(bodies[geom.body], geom, config)
    for joint in skeleton.joints:
        _add_servos(spec, joint, config)
    if contact_sensors:
        _add_contact_sensors(spec, skeleton)
    return spec


def _add_ground(
    spec: mujoco.MjSpec, config: MujocoConfig, boxes: tuple[np.ndarray, np.ndarray], num_boxes: int
) -> None:
    friction = [config.friction, 0.05, 0.05]
    for center, half in zip(*boxes):
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=center,
            size=half,
            condim=3,
            friction=friction,
            contype=1,
            conaffinity=1,
        )
    for _ in range(num_boxes - len(boxes[0])):
        # type bit 2 is in no geom's affinity; with both masks 0 the box would leave the bounding volumes,
        # whose number has to be the same in all models
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=_BURIED_CENTER, size=_BURIED_HALF, contype=2, conaffinity=0
        )


def _add_bodies(spec: mujoco.MjSpec, skeleton: Skeleton, config: MujocoConfig) -> list[mujoco.MjsBody]:
    bodies: list[mujoco.MjsBody] = []
    for index, name in enumerate(skeleton.body_names):
        parent = bodies[skeleton.parents[index]] if index else spec.worldbody
        body = parent.add_body(name=name, pos=skeleton.offsets[index].astype(np.float64))
        bodies.append(body)
        if index == 0:
            body.add_freejoint(name="root")
        else:
            _add_joint(body, skeleton.joints[index - 1], config)
    return bodies


def _add_joint(body: mujoco.MjsBody, joint: Joint, config: MujocoConfig) -> None:
    if joint.kind is JointKind.FIXED:
        return
    common = {"name": joint.name, "armature": joint.armature, "limited": 1}
    damping = [joint.kd * config.kd_scale, 0.0, 0.0]
    if joint.kind is JointKind.BALL:
        widest = float(np.abs(np.concatenate([joint.lower, joint.upper])).max())
        cone = [0.0, config.ball_limit_scale * widest]
        body.add_joint(type=mujoco.mjtJoint.mjJNT_BALL, range=cone, damping=damping, **common)
    else:
        limits = [float(joint.lower[0]), float(joint.upper[0])]
        axis = joint.axis.astype(np.float64)
        body.add_joint(type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis, range=limits, damping=damping, **common)


def _add_geom(body: mujoco.MjsBody, geom: Geom, config: MujocoConfig) -> None:
    size = np.zeros(3)
    size[: len(geom.size)] = geom.size
    # frictionless among each other (condim 1); the ground's condim 3 wins where the two meet
    body.add_geom(
        type=_GEOM_TYPES[geom.kind],
        pos=geom.pos.astype(np.float64),
        quat=to_wxyz(geom.rot.astype(np.float64)),
        size=size,
        density=geom.density,
        condim=1,
        friction=[config.friction, 0.05, 0.05],
        contype=1 if config.self_collision else 4,
        conaffinity=1,
    )


def _add_servos(spec: mujoco.MjSpec, joint: Joint, config: MujocoConfig) -> None:
    axes = np.eye(3) if joint.kind is JointKind.BALL else np.eye(1, 3)
    for axis in axes[: joint.kind.num_dofs]:
        servo = spec.add_actuator(
            trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint.name, gear=[*axis, 0.0, 0.0, 0.0]
        )
        servo.set_to_position(kp=joint.kp * config.kp_scale, kv=0.0)
        if config.force_limit_scale is not None and joint.gear > 0:
            limit = config.force_limit_scale * joint.gear
            servo.forcelimited, servo.forcerange = 1, [-limit, limit]


def _add_contact_sensors(spec: mujoco.MjSpec, skeleton: Skeleton) -> None:
    # number of contacts, and minus the net force in the world frame: per body of all its contacts, then of those with
    # the ground, whose geoms are the world body's
    data = mujoco.mjtConDataField
    fields = (1 << data.mjCONDATA_FOUND.value) | (1 << data.mjCONDATA_FORCE.value)
    net_force, body = 3, mujoco.mjtObj.mjOBJ_BODY
    for other in ({}, {"reftype": body, "refname": "world"}):
        for name in skeleton.body_names:
            spec.add_sensor(
                type=mujoco.mjtSensor.mjSENS_CONTACT,
                objtype=body,
                objname=name,
                intprm=[fields, net_force, 1],
                **other,
            )
