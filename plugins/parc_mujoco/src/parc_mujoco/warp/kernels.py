"""What a control step does besides physics: hold copies, catch those that diverge, add up contact forces."""

import warp as wp

# no `from __future__ import annotations`: Warp reads the annotations of kernels

wp.set_module_options({"enable_backward": False})

__all__ = ["add_contact_forces", "begin_step", "check_worlds", "clear_forces", "end_step"]


@wp.func
def _put_back(
    world: int,
    start_qpos: wp.array2d[float],
    start_qvel: wp.array2d[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    warmstart: wp.array2d[float],
    time: wp.array[float],
):
    for i in range(qpos.shape[1]):
        qpos[world, i] = start_qpos[world, i]
    for i in range(qvel.shape[1]):
        qvel[world, i] = start_qvel[world, i]
        warmstart[world, i] = 0.0
    time[world] = 0.0


@wp.func
def _lose(
    world: int,
    terrain_ids: wp.array[int],
    targets: wp.array2d[float],
    held_qpos: wp.array2d[float],
    held_qvel: wp.array2d[float],
    held_warmstart: wp.array2d[float],
    held_time: wp.array[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    sound: wp.array[int],
    status: wp.array[int],
    cases: wp.array2d[int],
    case_rows: wp.array2d[float],
):
    """Mark a copy as diverged; keep how it began the step and how it is now, while there is room."""
    sound[world] = 0
    slot = wp.atomic_add(status, 0, 1)
    if slot < cases.shape[0]:
        cases[slot, 0] = world
        cases[slot, 1] = terrain_ids[world]
        nq = qpos.shape[1]
        nv = qvel.shape[1]
        for i in range(nq):
            case_rows[slot, i] = held_qpos[world, i]
            case_rows[slot, nq + 2 * nv + 1 + i] = qpos[world, i]
        for i in range(nv):
            case_rows[slot, nq + i] = held_qvel[world, i]
            case_rows[slot, nq + nv + i] = held_warmstart[world, i]
            case_rows[slot, 2 * nq + 2 * nv + 1 + i] = qvel[world, i]
        case_rows[slot, nq + 2 * nv] = held_time[world]
        for i in range(targets.shape[1]):
            case_rows[slot, 2 * nq + 3 * nv + 1 + i] = targets[world, i]


@wp.kernel
def begin_step(
    wanted: wp.array[int],
    terrain_ids: wp.array[int],
    targets: wp.array2d[float],
    start_qpos: wp.array2d[float],
    start_qvel: wp.array2d[float],
    held_qpos: wp.array2d[float],
    held_qvel: wp.array2d[float],
    held_warmstart: wp.array2d[float],
    held_time: wp.array[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    warmstart: wp.array2d[float],
    time: wp.array[float],
    ctrl: wp.array2d[float],
    sound: wp.array[int],
    active: wp.array[int],
    status: wp.array[int],
    cases: wp.array2d[int],
    case_rows: wp.array2d[float],
):
    """Decide who moves; targets that are not finite never get into the physics."""
    world = wp.tid()
    active[world] = wanted[world] * sound[world]
    if active[world] != 0:
        for i in range(targets.shape[1]):
            if not wp.isfinite(targets[world, i]):
                active[world] = 0
        if active[world] == 0:
            _lose(
                world, terrain_ids, targets, held_qpos, held_qvel, held_warmstart, held_time,
                qpos, qvel, sound, status, cases, case_rows,
            )  # fmt: skip
            _put_back(world, start_qpos, start_qvel, qpos, qvel, warmstart, time)
    for i in range(targets.shape[1]):
        ctrl[world, i] = wp.where(active[world] != 0, targets[world, i], 0.0)


@wp.kernel
def check_worlds(
    fastest: float,
    terrain_ids: wp.array[int],
    targets: wp.array2d[float],
    start_qpos: wp.array2d[float],
    start_qvel: wp.array2d[float],
    held_qpos: wp.array2d[float],
    held_qvel: wp.array2d[float],
    held_warmstart: wp.array2d[float],
    held_time: wp.array[float],
    active: wp.array[int],
    nefc: wp.array[int],
    nacon: wp.array[int],
    ncollision: wp.array[int],
    overflow: wp.array[int],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    warmstart: wp.array2d[float],
    time: wp.array[float],
    sound: wp.array[int],
    status: wp.array[int],
    cases: wp.array2d[int],
    case_rows: wp.array2d[float],
):
    """After a physics step: who diverged, and how full the buffers were."""
    world = wp.tid()
    if world == 0:
        wp.atomic_max(status, 3, nacon[0])
        wp.atomic_max(status, 4, ncollision[0])
    if active[world] == 0:
        return
    if overflow[world] != 0:
        wp.atomic_or(status, 1, overflow[world])
    wp.atomic_max(status, 2, nefc[world])
    # comparisons with NaN are false, so one bound does for NaN, infinity and the merely absurd
    bad = wp.int32(0)
    for i in range(qvel.shape[1]):
        if not (wp.abs(qvel[world, i]) < fastest):
            bad += 1
    for i in range(qpos.shape[1]):
        if not wp.isfinite(qpos[world, i]):
            bad += 1
    if bad > 0:
        _lose(
            world, terrain_ids, targets, held_qpos, held_qvel, held_warmstart, held_time,
            qpos, qvel, sound, status, cases, case_rows,
        )  # fmt: skip
        _put_back(world, start_qpos, start_qvel, qpos, qvel, warmstart, time)
        active[world] = 0


@wp.kernel
def end_step(
    start_qpos: wp.array2d[float],
    start_qvel: wp.array2d[float],
    held_qpos: wp.array2d[float],
    held_qvel: wp.array2d[float],
    held_warmstart: wp.array2d[float],
    held_time: wp.array[float],
    active: wp.array[int],
    sound: wp.array[int],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    warmstart: wp.array2d[float],
    time: wp.array[float],
):
    """Envs that were not stepped, or that diverged, get back the state before the step."""
    world = wp.tid()
    if active[world] != 0:
        return
    if sound[world] == 0:
        _put_back(world, start_qpos, start_qvel, qpos, qvel, warmstart, time)
        return
    for i in range(qpos.shape[1]):
        qpos[world, i] = held_qpos[world, i]
    for i in range(qvel.shape[1]):
        qvel[world, i] = held_qvel[world, i]
        warmstart[world, i] = held_warmstart[world, i]
    time[world] = held_time[world]


@wp.kernel
def clear_forces(mask: wp.array[int], force: wp.array2d[wp.vec3], ground_force: wp.array2d[wp.vec3]):
    """No force on the bodies of the masked copies."""
    world, body = wp.tid()
    if mask[world] != 0:
        force[world, body] = wp.vec3(0.0)
        ground_force[world, body] = wp.vec3(0.0)


@wp.kernel
def add_contact_forces(
    mask: wp.array[int],
    geom_bodyid: wp.array[int],
    nacon: wp.array[int],
    contact_worldid: wp.array[int],
    contact_geom: wp.array[wp.vec2i],
    contact_force: wp.array[wp.spatial_vector],
    force: wp.array2d[wp.vec3],
    ground_force: wp.array2d[wp.vec3],
):
    """Net force on each body of all its contacts, and of those with the ground (body 0); world frame, N.

    A contact's force acts on its second geom.
    """
    contact = wp.tid()
    if contact >= nacon[0]:
        return
    world = contact_worldid[contact]
    if mask[world] == 0:
        return
    pair = contact_geom[contact]
    push = wp.spatial_top(contact_force[contact])
    first, second = geom_bodyid[pair[0]], geom_bodyid[pair[1]]
    wp.atomic_add(force, world, first, -push)
    wp.atomic_add(force, world, second, push)
    if first == 0:
        wp.atomic_add(ground_force, world, second, push)
    if second == 0:
        wp.atomic_add(ground_force, world, first, -push)
