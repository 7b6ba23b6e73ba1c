"""The loss terms: value, forces on bodies and curvature, added up in one pass over a clip.

A force is the derivative of the weighted loss by a place; forces act on bodies at levers and become torques. The
non-smooth terms are rounded over `width`, and weigh in the curvature along their direction as 1 / width up to there
and `firmness` / size beyond (iteratively reweighted least squares), across it as slope / length.
"""

from __future__ import annotations

import math

import numpy as np

from parc_kinopt.compiled.goal import Goal, Grips, Look
from parc_kinopt.compiled.ground import Ground, column_of, surface_from
from parc_kinopt.compiled.jit import kernel
from parc_kinopt.compiled.tree import Pose, Tree, gradient_of_forces, pose_bodies
from parc_kinopt.compiled.turns import cross, rotate, turn_between

__all__ = ["look_at"]

_SLIDE_WIDTH = 0.03  # m per frame, rounding of the sliding term; see parc_kinopt.kernels
_TINY = 1e-16
_GRAVITY = 9.81  # m/s^2
_FAR = 1e9  # m


@kernel()
def look_at(
    x: np.ndarray,
    tree: Tree,
    ground: Ground,
    goal: Goal,
    grips: Grips,
    weights: np.ndarray,
    width: float,
    firmness: float,
    curved: bool,
    pose: Pose,
    look: Look,
) -> float:
    """The weighted total at the variables ``[T, V]``; values per term, gradient and curvature go into `look`.

    Args:
        weights: of the terms in the order of `TERMS`, ``[13]``; a term of weight 0 is not computed.
        width: rounding of the non-smooth terms, m or rad.
        firmness: share of slope / size that counts as curvature where a non-smooth term is straight.
        curved: whether the curvature is wanted.
    """
    look.values[:] = 0.0
    look.grad[:] = 0.0
    look.force[:] = 0.0
    look.torque[:] = 0.0
    if curved:
        look.same[:] = 0.0
        look.next[:] = 0.0
        look.far[:] = 0.0
        look.own[:] = 0.0
        look.com[:] = 0.0
    pose_bodies(x, tree, pose)
    _source(x, tree, goal, weights, curved, pose, look)
    if weights[3] > 0.0 or weights[6] > 0.0:
        _steps(goal, weights, curved, pose, look)
    if weights[4] > 0.0 or weights[5] > 0.0:
        _ground(tree, ground, goal, weights, width, firmness, curved, pose, look)
    if weights[7] > 0.0:
        _held(tree, goal, grips, weights[7], width, firmness, curved, pose, look)
    if weights[8] > 0.0:
        _jerk(goal, weights[8], width, firmness, curved, pose, look)
    if weights[9] > 0.0:
        _limits(x, tree, weights[9], width, firmness, curved, look)
    if weights[10] > 0.0:
        _locks(tree, goal, grips, weights[10], width, firmness, curved, pose, look)
    if weights[11] > 0.0 or weights[12] > 0.0:
        _balance(tree, goal, weights[11], weights[12], curved, pose, look)
    gradient_of_forces(tree, pose, look.force, look.torque, look.grad)
    return (weights * look.values).sum()


@kernel(inline="always")
def _excess(r: float, width: float) -> tuple[float, float]:
    """Value and slope of max(r, 0) rounded over `width`."""
    if r <= 0.0:
        return 0.0, 0.0
    if r < width:
        return r * r / (2.0 * width), r / width
    return r - 0.5 * width, 1.0


@kernel(inline="always")
def _stiffness(r: float, width: float, firmness: float) -> float:
    """Curvature that `_excess` counts with."""
    if r <= 0.0:
        return 0.0
    return 1.0 / width if r < width else firmness / r


@kernel(inline="always")
def _push(
    look: Look, t: int, b: int, lx: float, ly: float, lz: float, fx: float, fy: float, fz: float
) -> None:
    """A force on a body at a lever from its origin."""
    look.force[t, b, 0] += fx
    look.force[t, b, 1] += fy
    look.force[t, b, 2] += fz
    mx, my, mz = cross(lx, ly, lz, fx, fy, fz)
    look.torque[t, b, 0] += mx
    look.torque[t, b, 1] += my
    look.torque[t, b, 2] += mz


@kernel(inline="always")
def _stiffen(
    block: np.ndarray, lx: float, ly: float, lz: float, nx: float, ny: float, nz: float, weight: float
) -> None:
    """Add weight * row^T row to ``[6, 6]``; the row moves a place at a lever along a direction."""
    row = (nx, ny, nz, ly * nz - lz * ny, lz * nx - lx * nz, lx * ny - ly * nx)
    for i in range(6):
        for j in range(6):
            block[i, j] += weight * row[i] * row[j]


@kernel(inline="always")
def _stiffen_pair(
    block: np.ndarray,
    a: tuple[float, float, float],
    b: tuple[float, float, float],
    n: tuple[float, float, float],
    weight: float,
) -> None:
    """Take weight * row(a)^T row(b) away from ``[6, 6]``: the difference of two places along a direction."""
    nx, ny, nz = n
    first = (nx, ny, nz, a[1] * nz - a[2] * ny, a[2] * nx - a[0] * nz, a[0] * ny - a[1] * nx)
    second = (nx, ny, nz, b[1] * nz - b[2] * ny, b[2] * nx - b[0] * nz, b[0] * ny - b[1] * nx)
    for i in range(6):
        for j in range(6):
            block[i, j] -= weight * first[i] * second[j]


@kernel()
def _source(
    x: np.ndarray, tree: Tree, goal: Goal, weights: np.ndarray, curved: bool, pose: Pose, look: Look
) -> None:
    """Nearness to the source: root position, root rotation, joint rotations."""
    for t in range(len(x)):
        for i in range(3):
            d = x[t, i] - goal.root_pos[t, i]
            look.values[0] += d * d
            look.grad[t, i] += 2.0 * weights[0] * d
            if curved:
                look.own[t, i, i] += 2.0 * weights[0]
        for b in range(len(tree.parent)):
            term = 1 if b == 0 else 2
            angle, ex, ey, ez = turn_between(goal.turn[t, b], pose.joint[t, b])
            look.values[term] += angle * angle
            w, count = 2.0 * weights[term], tree.width[b]
            if w == 0.0 or count == 0:
                continue
            if b > 0:
                ex, ey, ez = rotate(pose.matrix[t, tree.parent[b]], ex, ey, ez)
            k = tree.first[b]
            for i in range(k, k + count):
                a = pose.axis[t, i]
                look.grad[t, i] += w * (a[0] * ex + a[1] * ey + a[2] * ez)
                if curved:
                    for j in range(k, k + count):
                        c = pose.axis[t, j]
                        look.own[t, i, j] += w * (a[0] * c[0] + a[1] * c[1] + a[2] * c[2])


@kernel()
def _steps(goal: Goal, weights: np.ndarray, curved: bool, pose: Pose, look: Look) -> None:
    """Movement from frame to frame against the source's: smoothness, and sliding of what is in contact."""
    smooth, slide = weights[3], weights[6]
    for t in range(len(goal.step)):
        for b in range(goal.step.shape[1]):
            dx = pose.pos[t + 1, b, 0] - pose.pos[t, b, 0] - goal.step[t, b, 0]
            dy = pose.pos[t + 1, b, 1] - pose.pos[t, b, 1] - goal.step[t, b, 1]
            dz = pose.pos[t + 1, b, 2] - pose.pos[t, b, 2] - goal.step[t, b, 2]
            square = dx * dx + dy * dy + dz * dz
            angle, ux, uy, uz = turn_between(pose.quat[t, b], pose.quat[t + 1, b])
            if angle > 1e-12:
                ux, uy, uz = ux / angle, uy / angle, uz / angle
            da = angle - goal.angle[t, b]
            pull, turn, firm_pull, firm_turn = 2.0 * smooth, 2.0 * smooth * da, 2.0 * smooth, 2.0 * smooth
            if smooth > 0.0:
                look.values[3] += square + da * da
            if slide > 0.0 and goal.grip[t, b] > 0.0:
                g = goal.grip[t, b]
                away = math.sqrt(square + _SLIDE_WIDTH**2)
                turned = math.sqrt(da * da + _SLIDE_WIDTH**2)
                look.values[6] += g * (away + turned - 2.0 * _SLIDE_WIDTH)
                pull += slide * g / away
                turn += slide * g * da / turned
                firm_pull += slide * g / away
                firm_turn += slide * g / turned
            for s in range(2):
                sign = 1.0 if s else -1.0
                f, m = look.force[t + s, b], look.torque[t + s, b]
                f[0] += sign * pull * dx
                f[1] += sign * pull * dy
                f[2] += sign * pull * dz
                m[0] += sign * turn * ux
                m[1] += sign * turn * uy
                m[2] += sign * turn * uz
            if curved:
                across = firm_turn * min(max(da / angle, 0.0), 1.0) if angle > 1e-12 else 0.0
                u = (ux, uy, uz)
                here, there, pair = look.same[t, b], look.same[t + 1, b], look.next[t, b]
                for i in range(3):
                    here[i, i] += firm_pull
                    there[i, i] += firm_pull
                    pair[i, i] -= firm_pull
                    for j in range(3):
                        value = (firm_turn - across) * u[i] * u[j] + (across if i == j else 0.0)
                        here[3 + i, 3 + j] += value
                        there[3 + i, 3 + j] += value
                        pair[3 + i, 3 + j] -= value


@kernel()
def _ground(
    tree: Tree,
    ground: Ground,
    goal: Goal,
    weights: np.ndarray,
    width: float,
    firmness: float,
    curved: bool,
    pose: Pose,
    look: Look,
) -> None:
    """Surface points inside the ground, and bodies in contact that do not touch it."""
    for t in range(len(pose.pos)):
        for b in range(len(tree.parent)):
            label = goal.contacts[t, b]
            wanted = weights[5] > 0.0 and label > 1e-6
            m, p = pose.matrix[t, b], pose.pos[t, b]
            near, nlx, nly, nlz, ndx, ndy, ndz = _FAR, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(tree.start[b], tree.start[b + 1]):
                lx, ly, lz = rotate(m, tree.point[k, 0], tree.point[k, 1], tree.point[k, 2])
                px, py, pz = p[0] + lx, p[1] + ly, p[2] + lz
                i, j = column_of(px, py, ground)
                gap = pz - ground.height[i, j]
                if gap < 0.0:
                    near = -1.0
                    if weights[4] == 0.0:
                        continue
                    depth, dx, dy, dz = surface_from(px, py, pz, ground, True, -gap + 1e-9)
                    value, slope = _excess(depth, width)
                    look.values[4] += value
                    if depth > 1e-9:
                        # the way out points against the growing depth
                        dx, dy, dz = dx / depth, dy / depth, dz / depth
                        f = -weights[4] * slope
                        _push(look, t, b, lx, ly, lz, f * dx, f * dy, f * dz)
                        if curved:
                            stiff = weights[4] * _stiffness(depth, width, firmness)
                            _stiffen(look.same[t, b], lx, ly, lz, dx, dy, dz, stiff)
                elif wanted and near > 0.0:
                    most = min(near, gap + 1e-9)
                    distance, dx, dy, dz = surface_from(px, py, pz, ground, False, most)
                    if distance < near:
                        near, nlx, nly, nlz, ndx, ndy, ndz = distance, lx, ly, lz, dx, dy, dz
            if wanted and 1e-9 < near < _FAR:
                value, slope = _excess(near, width)
                look.values[5] += label * value
                nx, ny, nz = -ndx / near, -ndy / near, -ndz / near
                f = weights[5] * label * slope
                _push(look, t, b, nlx, nly, nlz, f * nx, f * ny, f * nz)
                if curved:
                    stiff = weights[5] * label * _stiffness(near, width, firmness)
                    _stiffen(look.same[t, b], nlx, nly, nlz, nx, ny, nz, stiff)


@kernel()
def _held(
    tree: Tree,
    goal: Goal,
    grips: Grips,
    weight: float,
    width: float,
    firmness: float,
    curved: bool,
    pose: Pose,
    look: Look,
) -> None:
    """Feet and hands that are held near a point."""
    for t in range(len(pose.pos)):
        for g in range(len(grips.body)):
            b = grips.body[g]
            if goal.held[t, b] == 0.0:
                continue
            foot, m, p, target = grips.is_foot[g], pose.matrix[t, b], pose.pos[t, b], goal.point[t, b]
            for s in range(grips.sole_count[g] if foot else 1):
                local = tree.point[grips.sole[g, s]] if foot else grips.centre[g]
                lx, ly, lz = rotate(m, local[0], local[1], local[2])
                dx, dy, dz = p[0] + lx - target[0], p[1] + ly - target[1], p[2] + lz - target[2]
                length = math.sqrt(dx * dx + dy * dy + dz * dz + _TINY)
                away = length - grips.radius[g]
                size = away if foot else abs(away)
                value, slope = _excess(size, width)
                look.values[7] += value
                if slope == 0.0:
                    continue
                nx, ny, nz = dx / length, dy / length, dz / length
                f = weight * slope * (1.0 if away > 0.0 else -1.0)
                _push(look, t, b, lx, ly, lz, f * nx, f * ny, f * nz)
                if curved:
                    along = weight * _stiffness(size, width, firmness)
                    across = min(weight * slope / length, along) if away > 0.0 else 0.0
                    block = look.same[t, b]
                    _stiffen(block, lx, ly, lz, nx, ny, nz, along - across)
                    _stiffen(block, lx, ly, lz, 1.0, 0.0, 0.0, across)
                    _stiffen(block, lx, ly, lz, 0.0, 1.0, 0.0, across)
                    _stiffen(block, lx, ly, lz, 0.0, 0.0, 1.0, across)


@kernel()
def _jerk(
    goal: Goal, weight: float, width: float, firmness: float, curved: bool, pose: Pose, look: Look
) -> None:
    """Third difference of body positions above the limit."""
    share = (-1.0, 3.0, -3.0, 1.0)
    for t in range(len(pose.pos) - 3):
        for b in range(pose.pos.shape[1]):
            x, y, z = 0.0, 0.0, 0.0
            for i in range(4):
                x += share[i] * pose.pos[t + i, b, 0]
                y += share[i] * pose.pos[t + i, b, 1]
                z += share[i] * pose.pos[t + i, b, 2]
            size = math.sqrt(x * x + y * y + z * z + _TINY)
            over = size - goal.jerk_limit
            value, slope = _excess(over, width)
            look.values[8] += value
            if slope == 0.0:
                continue
            n = (x / size, y / size, z / size)
            for i in range(4):
                for c in range(3):
                    look.force[t + i, b, c] += weight * slope * share[i] * n[c]
            if curved:
                along = weight * _stiffness(over, width, firmness)
                across = min(weight * slope / size, along)
                for i in range(4):
                    for j in range(i, 4):
                        both = share[i] * share[j]
                        for c in range(3):
                            for d in range(3):
                                value = both * ((along - across) * n[c] * n[d] + (across if c == d else 0.0))
                                if j == i:
                                    look.same[t + i, b, c, d] += value
                                elif j == i + 1:
                                    look.next[t + i, b, c, d] += value
                                else:
                                    look.far[j - i - 2, t + i, b, c, d] += value


@kernel()
def _limits(
    x: np.ndarray, tree: Tree, weight: float, width: float, firmness: float, curved: bool, look: Look
) -> None:
    """Scalar joint coordinates beyond their limits."""
    for t in range(len(x)):
        for k in range(6, x.shape[1]):
            below, above = tree.lower[k - 6] - x[t, k], x[t, k] - tree.upper[k - 6]
            over = max(below, above)
            value, slope = _excess(over, width)
            look.values[9] += value
            if slope > 0.0:
                look.grad[t, k] += weight * slope * (1.0 if above > below else -1.0)
                if curved:
                    look.own[t, k, k] += weight * _stiffness(over, width, firmness)


@kernel()
def _locks(
    tree: Tree,
    goal: Goal,
    grips: Grips,
    weight: float,
    width: float,
    firmness: float,
    curved: bool,
    pose: Pose,
    look: Look,
) -> None:
    """Corners of standing soles: movement from frame to frame, and distance from the ground's height."""
    frames = len(pose.pos)
    for f in range(len(grips.foot)):
        b = grips.foot[f]
        for c in range(4):
            local = tree.point[grips.corner[f, c]]
            for t in range(frames):
                lever = rotate(pose.matrix[t, b], local[0], local[1], local[2])
                lock = weight * goal.lock[t, f, c]
                if lock > 0.0:
                    rise = pose.pos[t, b, 2] + lever[2] - goal.lock_height[t, f]
                    value, slope = _excess(abs(rise), width)
                    look.values[10] += goal.lock[t, f, c] * value
                    if slope > 0.0:
                        pull = lock * slope * (1.0 if rise > 0.0 else -1.0)
                        _push(look, t, b, lever[0], lever[1], lever[2], 0.0, 0.0, pull)
                        if curved:
                            stiff = lock * _stiffness(abs(rise), width, firmness)
                            _stiffen(look.same[t, b], lever[0], lever[1], lever[2], 0.0, 0.0, 1.0, stiff)
                if t + 1 == frames or goal.lock_pair[t, f, c] == 0.0:
                    continue
                after = rotate(pose.matrix[t + 1, b], local[0], local[1], local[2])
                dx = pose.pos[t + 1, b, 0] + after[0] - pose.pos[t, b, 0] - lever[0]
                dy = pose.pos[t + 1, b, 1] + after[1] - pose.pos[t, b, 1] - lever[1]
                dz = pose.pos[t + 1, b, 2] + after[2] - pose.pos[t, b, 2] - lever[2]
                length = math.sqrt(dx * dx + dy * dy + dz * dz + _TINY)
                pair = weight * goal.lock_pair[t, f, c]
                value, slope = _excess(length, width)
                look.values[10] += goal.lock_pair[t, f, c] * value
                nx, ny, nz = dx / length, dy / length, dz / length
                pull = pair * slope
                _push(look, t + 1, b, after[0], after[1], after[2], pull * nx, pull * ny, pull * nz)
                _push(look, t, b, lever[0], lever[1], lever[2], -pull * nx, -pull * ny, -pull * nz)
                if curved:
                    along = pair * _stiffness(length, width, firmness)
                    across = min(pair * slope / length, pair / width)
                    for axis in range(4):
                        if axis == 3:
                            n, stiff = (nx, ny, nz), along - across
                        else:
                            n = (
                                1.0 if axis == 0 else 0.0,
                                1.0 if axis == 1 else 0.0,
                                1.0 if axis == 2 else 0.0,
                            )
                            stiff = across
                        _stiffen(look.same[t, b], lever[0], lever[1], lever[2], n[0], n[1], n[2], stiff)
                        _stiffen(look.same[t + 1, b], after[0], after[1], after[2], n[0], n[1], n[2], stiff)
                        _stiffen_pair(look.next[t, b], lever, after, n, stiff)


@kernel()
def _balance(
    tree: Tree, goal: Goal, steady: float, fall: float, curved: bool, pose: Pose, look: Look
) -> None:
    """Second difference of the centre of mass: free fall without support, else the source's."""
    frames, bodies = pose.pos.shape[0], pose.pos.shape[1]
    com = np.zeros((frames, 3))
    for t in range(frames):
        for b in range(bodies):
            lx, ly, lz = rotate(pose.matrix[t, b], tree.com[b, 0], tree.com[b, 1], tree.com[b, 2])
            com[t, 0] += tree.mass[b] * (pose.pos[t, b, 0] + lx)
            com[t, 1] += tree.mass[b] * (pose.pos[t, b, 1] + ly)
            com[t, 2] += tree.mass[b] * (pose.pos[t, b, 2] + lz)
    pull = np.zeros((frames, 3))
    for t in range(frames - 2):
        free = goal.airborne[t]
        for i in range(3):
            second = com[t + 2, i] - 2.0 * com[t + 1, i] + com[t, i]
            drop = second + (_GRAVITY * goal.dt * goal.dt if i == 2 else 0.0)
            sway = second - goal.push[t, i]
            look.values[12] += free * drop * drop
            look.values[11] += (1.0 - free) * sway * sway
            f = 2.0 * (fall * free * drop + steady * (1.0 - free) * sway)
            pull[t, i] += f
            pull[t + 1, i] -= 2.0 * f
            pull[t + 2, i] += f
        if curved:
            look.com[t] = 2.0 * (fall * free + steady * (1.0 - free))
    for t in range(frames):
        for b in range(bodies):
            lx, ly, lz = rotate(pose.matrix[t, b], tree.com[b, 0], tree.com[b, 1], tree.com[b, 2])
            m = tree.mass[b]
            _push(look, t, b, lx, ly, lz, m * pull[t, 0], m * pull[t, 1], m * pull[t, 2])
