"""The loss terms: value, forces on bodies and curvature, added up in one pass over a clip.

A force is the derivative of the weighted loss by a place; forces act on bodies at levers and become torques. The
non-smooth terms are rounded over `width`, and weigh in the curvature along their direction as 1 / width up to there
and `firmness` / size beyond (iteratively reweighted least squares), across it as slope / length.
"""

from __future__ import annotations

import math

import numpy as np

from parc_kinopt.compiled.goal import (
    BALLISTIC,
    BODY_CONSTRAINT,
    CONTACT,
    FOOT_LOCK,
    JERK,
    JOINT_LIMIT,
    JOINT_ROT,
    PENETRATION,
    ROOT_POS,
    ROOT_ROT,
    SLIDING,
    SMOOTHNESS,
    STEADINESS,
    Goal,
    LimbArrays,
    LossDerivatives,
)
from parc_kinopt.compiled.ground import Ground, column_of, surface_from
from parc_kinopt.compiled.jit import kernel
from parc_kinopt.compiled.tree import Pose, Tree, gradient_of_forces, pose_bodies
from parc_motion.compiled import apply_matrix, cross_product, expmap_between

__all__ = ["evaluate_loss"]

_SLIDE_WIDTH = 0.03  # m per frame, rounding of the sliding term; see parc_kinopt.kernels
_TINY = 1e-16
_GRAVITY = 9.81  # m/s^2
_FAR = 1e9  # m


@kernel()
def evaluate_loss(
    x: np.ndarray,
    tree: Tree,
    ground: Ground,
    goal: Goal,
    limbs: LimbArrays,
    weights: np.ndarray,
    width: float,
    firmness: float,
    curved: bool,
    pose: Pose,
    out: LossDerivatives,
) -> float:
    """The weighted total at the variables ``[T, V]``; values per term, gradient and curvature go into `out`.

    Args:
        weights: of the terms in the order of `TERMS`, ``[13]``; a term of weight 0 is not computed.
        width: rounding of the non-smooth terms, m or rad.
        firmness: share of slope / size that counts as curvature where a non-smooth term is straight.
        curved: whether the curvature is wanted.
    """
    out.values[:] = 0.0
    out.grad[:] = 0.0
    out.force[:] = 0.0
    out.torque[:] = 0.0
    if curved:
        out.same[:] = 0.0
        out.next[:] = 0.0
        out.far[:] = 0.0
        out.own[:] = 0.0
        out.com[:] = 0.0
    pose_bodies(x, tree, pose)
    _source(x, tree, goal, weights, curved, pose, out)
    if weights[SMOOTHNESS] > 0.0 or weights[SLIDING] > 0.0:
        _steps(goal, weights, curved, pose, out)
    if weights[PENETRATION] > 0.0 or weights[CONTACT] > 0.0:
        _ground(tree, ground, goal, weights, width, firmness, curved, pose, out)
    if weights[BODY_CONSTRAINT] > 0.0:
        _body_constraints(tree, goal, limbs, weights[BODY_CONSTRAINT], width, firmness, curved, pose, out)
    if weights[JERK] > 0.0:
        _jerk(goal, weights[JERK], width, firmness, curved, pose, out)
    if weights[JOINT_LIMIT] > 0.0:
        _limits(x, tree, weights[JOINT_LIMIT], width, firmness, curved, out)
    if weights[FOOT_LOCK] > 0.0:
        _locks(tree, goal, limbs, weights[FOOT_LOCK], width, firmness, curved, pose, out)
    if weights[STEADINESS] > 0.0 or weights[BALLISTIC] > 0.0:
        _balance(tree, goal, weights[STEADINESS], weights[BALLISTIC], curved, pose, out)
    gradient_of_forces(tree, pose, out.force, out.torque, out.grad)
    return (weights * out.values).sum()


@kernel(inline="always")
def _excess(r: float, width: float) -> tuple[float, float]:
    """Value and slope of max(r, 0) rounded over `width`."""
    if r <= 0.0:
        return 0.0, 0.0
    if r < width:
        return r * r / (2.0 * width), r / width
    return r - 0.5 * width, 1.0


@kernel(inline="always")
def _excess_curvature(r: float, width: float, firmness: float) -> float:
    """Curvature that `_excess` counts with."""
    if r <= 0.0:
        return 0.0
    return 1.0 / width if r < width else firmness / r


@kernel(inline="always")
def _add_force(
    out: LossDerivatives, t: int, b: int, lx: float, ly: float, lz: float, fx: float, fy: float, fz: float
) -> None:
    """A force on a body at a lever from its origin."""
    out.force[t, b, 0] += fx
    out.force[t, b, 1] += fy
    out.force[t, b, 2] += fz
    mx, my, mz = cross_product(lx, ly, lz, fx, fy, fz)
    out.torque[t, b, 0] += mx
    out.torque[t, b, 1] += my
    out.torque[t, b, 2] += mz


@kernel(inline="always")
def _add_curvature(
    block: np.ndarray, lx: float, ly: float, lz: float, nx: float, ny: float, nz: float, weight: float
) -> None:
    """Add weight * row^T row to ``[6, 6]``; the row moves a place at a lever along a direction."""
    row = (nx, ny, nz, ly * nz - lz * ny, lz * nx - lx * nz, lx * ny - ly * nx)
    for i in range(6):
        for j in range(6):
            block[i, j] += weight * row[i] * row[j]


@kernel(inline="always")
def _subtract_cross_curvature(
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
    x: np.ndarray, tree: Tree, goal: Goal, weights: np.ndarray, curved: bool, pose: Pose, out: LossDerivatives
) -> None:
    """Distance to the source: root position, root rotation, joint rotations.

    |p - p0|^2 with gradient 2 (p - p0) and Hessian 2 I; angle(q0, q)^2, whose gradient by a coordinate is 2 a . e with
    its axis a and the exponential map e from q0 to q, and whose Gauss-Newton Hessian is 2 a_i . a_j.
    """
    for t in range(len(x)):
        for i in range(3):
            d = x[t, i] - goal.root_pos[t, i]
            out.values[ROOT_POS] += d * d
            out.grad[t, i] += 2.0 * weights[ROOT_POS] * d
            if curved:
                out.own[t, i, i] += 2.0 * weights[ROOT_POS]
        for b in range(len(tree.parent)):
            term = ROOT_ROT if b == 0 else JOINT_ROT
            angle, ex, ey, ez = expmap_between(goal.turn[t, b], pose.joint[t, b])
            out.values[term] += angle * angle
            w, count = 2.0 * weights[term], tree.width[b]
            if w == 0.0 or count == 0:
                continue
            if b > 0:
                ex, ey, ez = apply_matrix(pose.matrix[t, tree.parent[b]], ex, ey, ez)
            k = tree.first[b]
            for i in range(k, k + count):
                a = pose.axis[t, i]
                out.grad[t, i] += w * (a[0] * ex + a[1] * ey + a[2] * ez)
                if curved:
                    for j in range(k, k + count):
                        c = pose.axis[t, j]
                        out.own[t, i, j] += w * (a[0] * c[0] + a[1] * c[1] + a[2] * c[2])


@kernel()
def _steps(goal: Goal, weights: np.ndarray, curved: bool, pose: Pose, out: LossDerivatives) -> None:
    """Change from frame to frame against the source's: smoothness, and sliding of bodies in contact.

    With the difference d of the steps and da of the angles: smoothness |d|^2 + da^2; sliding c (sqrt(|d|^2 + s^2) - s),
    and the same of da, with the contact c of both frames and s = `_SLIDE_WIDTH`: slope d / sqrt(|d|^2 + s^2), counted
    in the Hessian as 1 / sqrt(|d|^2 + s^2) (iteratively reweighted least squares). Both frames take part, with
    opposite signs.
    """
    smooth, slide = weights[SMOOTHNESS], weights[SLIDING]
    for t in range(len(goal.step)):
        for b in range(goal.step.shape[1]):
            dx = pose.pos[t + 1, b, 0] - pose.pos[t, b, 0] - goal.step[t, b, 0]
            dy = pose.pos[t + 1, b, 1] - pose.pos[t, b, 1] - goal.step[t, b, 1]
            dz = pose.pos[t + 1, b, 2] - pose.pos[t, b, 2] - goal.step[t, b, 2]
            square = dx * dx + dy * dy + dz * dz
            angle, ux, uy, uz = expmap_between(pose.quat[t, b], pose.quat[t + 1, b])
            if angle > 1e-12:
                ux, uy, uz = ux / angle, uy / angle, uz / angle
            da = angle - goal.angle[t, b]
            linear_slope = linear_curvature = angular_curvature = 2.0 * smooth
            angular_slope = 2.0 * smooth * da
            if smooth > 0.0:
                out.values[SMOOTHNESS] += square + da * da
            if slide > 0.0 and goal.contact_pair[t, b] > 0.0:
                g = goal.contact_pair[t, b]
                away = math.sqrt(square + _SLIDE_WIDTH**2)
                turned = math.sqrt(da * da + _SLIDE_WIDTH**2)
                out.values[SLIDING] += g * (away + turned - 2.0 * _SLIDE_WIDTH)
                linear_slope += slide * g / away
                angular_slope += slide * g * da / turned
                linear_curvature += slide * g / away
                angular_curvature += slide * g / turned
            for s in range(2):
                sign = 1.0 if s else -1.0
                f, m = out.force[t + s, b], out.torque[t + s, b]
                f[0] += sign * linear_slope * dx
                f[1] += sign * linear_slope * dy
                f[2] += sign * linear_slope * dz
                m[0] += sign * angular_slope * ux
                m[1] += sign * angular_slope * uy
                m[2] += sign * angular_slope * uz
            if curved:
                across = angular_curvature * min(max(da / angle, 0.0), 1.0) if angle > 1e-12 else 0.0
                u = (ux, uy, uz)
                here, there, pair = out.same[t, b], out.same[t + 1, b], out.next[t, b]
                for i in range(3):
                    here[i, i] += linear_curvature
                    there[i, i] += linear_curvature
                    pair[i, i] -= linear_curvature
                    for j in range(3):
                        value = (angular_curvature - across) * u[i] * u[j] + (across if i == j else 0.0)
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
    out: LossDerivatives,
) -> None:
    """Penetration: depth of surface points in the ground; contact: distance of labeled bodies from it.

    Sums of `_excess` of depth, and of label times distance of a body's nearest point; the gradient is along the line to
    the nearest place of the surface.
    """
    for t in range(len(pose.pos)):
        for b in range(len(tree.parent)):
            label = goal.contacts[t, b]
            wanted = weights[CONTACT] > 0.0 and label > 1e-6
            m, p = pose.matrix[t, b], pose.pos[t, b]
            near, nlx, nly, nlz, ndx, ndy, ndz = _FAR, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(tree.start[b], tree.start[b + 1]):
                lx, ly, lz = apply_matrix(m, tree.point[k, 0], tree.point[k, 1], tree.point[k, 2])
                px, py, pz = p[0] + lx, p[1] + ly, p[2] + lz
                i, j = column_of(px, py, ground)
                gap = pz - ground.height[i, j]
                if gap < 0.0:
                    near = -1.0
                    if weights[PENETRATION] == 0.0:
                        continue
                    depth, dx, dy, dz = surface_from(px, py, pz, ground, True, -gap + 1e-9)
                    value, slope = _excess(depth, width)
                    out.values[PENETRATION] += value
                    if depth > 1e-9:
                        # the way out points against the growing depth
                        dx, dy, dz = dx / depth, dy / depth, dz / depth
                        f = -weights[PENETRATION] * slope
                        _add_force(out, t, b, lx, ly, lz, f * dx, f * dy, f * dz)
                        if curved:
                            curvature = weights[PENETRATION] * _excess_curvature(depth, width, firmness)
                            _add_curvature(out.same[t, b], lx, ly, lz, dx, dy, dz, curvature)
                elif wanted and near > 0.0:
                    most = min(near, gap + 1e-9)
                    distance, dx, dy, dz = surface_from(px, py, pz, ground, False, most)
                    if distance < near:
                        near, nlx, nly, nlz, ndx, ndy, ndz = distance, lx, ly, lz, dx, dy, dz
            if wanted and 1e-9 < near < _FAR:
                value, slope = _excess(near, width)
                out.values[CONTACT] += label * value
                nx, ny, nz = -ndx / near, -ndy / near, -ndz / near
                f = weights[CONTACT] * label * slope
                _add_force(out, t, b, nlx, nly, nlz, f * nx, f * ny, f * nz)
                if curved:
                    curvature = weights[CONTACT] * label * _excess_curvature(near, width, firmness)
                    _add_curvature(out.same[t, b], nlx, nly, nlz, nx, ny, nz, curvature)


@kernel()
def _body_constraints(
    tree: Tree,
    goal: Goal,
    limbs: LimbArrays,
    weight: float,
    width: float,
    firmness: float,
    curved: bool,
    pose: Pose,
    out: LossDerivatives,
) -> None:
    """Body constraints: feet and hands near a given point.

    `_excess` of | |p - target| - radius |, for feet only outside of the radius; along the line to the target the
    curvature is that of `_excess`, across it slope / length.
    """
    for t in range(len(pose.pos)):
        for g in range(len(limbs.body)):
            b = limbs.body[g]
            if goal.held[t, b] == 0.0:
                continue
            foot, m, p, target = limbs.is_foot[g], pose.matrix[t, b], pose.pos[t, b], goal.point[t, b]
            for s in range(limbs.sole_count[g] if foot else 1):
                local = tree.point[limbs.sole[g, s]] if foot else limbs.center[g]
                lx, ly, lz = apply_matrix(m, local[0], local[1], local[2])
                dx, dy, dz = p[0] + lx - target[0], p[1] + ly - target[1], p[2] + lz - target[2]
                length = math.sqrt(dx * dx + dy * dy + dz * dz + _TINY)
                away = length - limbs.radius[g]
                size = away if foot else abs(away)
                value, slope = _excess(size, width)
                out.values[BODY_CONSTRAINT] += value
                if slope == 0.0:
                    continue
                nx, ny, nz = dx / length, dy / length, dz / length
                f = weight * slope * (1.0 if away > 0.0 else -1.0)
                _add_force(out, t, b, lx, ly, lz, f * nx, f * ny, f * nz)
                if curved:
                    along = weight * _excess_curvature(size, width, firmness)
                    across = min(weight * slope / length, along) if away > 0.0 else 0.0
                    block = out.same[t, b]
                    _add_curvature(block, lx, ly, lz, nx, ny, nz, along - across)
                    _add_curvature(block, lx, ly, lz, 1.0, 0.0, 0.0, across)
                    _add_curvature(block, lx, ly, lz, 0.0, 1.0, 0.0, across)
                    _add_curvature(block, lx, ly, lz, 0.0, 0.0, 1.0, across)


@kernel()
def _jerk(
    goal: Goal, weight: float, width: float, firmness: float, curved: bool, pose: Pose, out: LossDerivatives
) -> None:
    """Jerk: `_excess` of |third difference of body positions| - limit, over frames t .. t + 3."""
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
            out.values[JERK] += value
            if slope == 0.0:
                continue
            n = (x / size, y / size, z / size)
            for i in range(4):
                for c in range(3):
                    out.force[t + i, b, c] += weight * slope * share[i] * n[c]
            if curved:
                along = weight * _excess_curvature(over, width, firmness)
                across = min(weight * slope / size, along)
                for i in range(4):
                    for j in range(i, 4):
                        both = share[i] * share[j]
                        for c in range(3):
                            for d in range(3):
                                value = both * ((along - across) * n[c] * n[d] + (across if c == d else 0.0))
                                if j == i:
                                    out.same[t + i, b, c, d] += value
                                elif j == i + 1:
                                    out.next[t + i, b, c, d] += value
                                else:
                                    out.far[j - i - 2, t + i, b, c, d] += value


@kernel()
def _limits(
    x: np.ndarray,
    tree: Tree,
    weight: float,
    width: float,
    firmness: float,
    curved: bool,
    out: LossDerivatives,
) -> None:
    """Joint limits: `_excess` of scalar joint coordinates beyond their limits."""
    for t in range(len(x)):
        for k in range(6, x.shape[1]):
            below, above = tree.lower[k - 6] - x[t, k], x[t, k] - tree.upper[k - 6]
            over = max(below, above)
            value, slope = _excess(over, width)
            out.values[JOINT_LIMIT] += value
            if slope > 0.0:
                out.grad[t, k] += weight * slope * (1.0 if above > below else -1.0)
                if curved:
                    out.own[t, k, k] += weight * _excess_curvature(over, width, firmness)


@kernel()
def _locks(
    tree: Tree,
    goal: Goal,
    limbs: LimbArrays,
    weight: float,
    width: float,
    firmness: float,
    curved: bool,
    pose: Pose,
    out: LossDerivatives,
) -> None:
    """Foot lock: corners of standing soles, their height over the ground and their movement from frame to frame.

    `_excess` of |height - ground's height| and of |p(t + 1) - p(t)|, each times the weight of its corner.
    """
    frames = len(pose.pos)
    for f in range(len(limbs.foot)):
        b = limbs.foot[f]
        for c in range(4):
            local = tree.point[limbs.corner[f, c]]
            for t in range(frames):
                lever = apply_matrix(pose.matrix[t, b], local[0], local[1], local[2])
                lock = weight * goal.lock[t, f, c]
                if lock > 0.0:
                    rise = pose.pos[t, b, 2] + lever[2] - goal.lock_height[t, f]
                    value, slope = _excess(abs(rise), width)
                    out.values[FOOT_LOCK] += goal.lock[t, f, c] * value
                    if slope > 0.0:
                        force = lock * slope * (1.0 if rise > 0.0 else -1.0)
                        _add_force(out, t, b, lever[0], lever[1], lever[2], 0.0, 0.0, force)
                        if curved:
                            curvature = lock * _excess_curvature(abs(rise), width, firmness)
                            _add_curvature(
                                out.same[t, b], lever[0], lever[1], lever[2], 0.0, 0.0, 1.0, curvature
                            )
                if t + 1 == frames or goal.lock_pair[t, f, c] == 0.0:
                    continue
                after = apply_matrix(pose.matrix[t + 1, b], local[0], local[1], local[2])
                dx = pose.pos[t + 1, b, 0] + after[0] - pose.pos[t, b, 0] - lever[0]
                dy = pose.pos[t + 1, b, 1] + after[1] - pose.pos[t, b, 1] - lever[1]
                dz = pose.pos[t + 1, b, 2] + after[2] - pose.pos[t, b, 2] - lever[2]
                length = math.sqrt(dx * dx + dy * dy + dz * dz + _TINY)
                pair = weight * goal.lock_pair[t, f, c]
                value, slope = _excess(length, width)
                out.values[FOOT_LOCK] += goal.lock_pair[t, f, c] * value
                nx, ny, nz = dx / length, dy / length, dz / length
                force = pair * slope
                _add_force(out, t + 1, b, after[0], after[1], after[2], force * nx, force * ny, force * nz)
                _add_force(out, t, b, lever[0], lever[1], lever[2], -force * nx, -force * ny, -force * nz)
                if curved:
                    along = pair * _excess_curvature(length, width, firmness)
                    across = min(pair * slope / length, pair / width)
                    for axis in range(4):
                        if axis == 3:
                            n, curvature = (nx, ny, nz), along - across
                        else:
                            n = (
                                1.0 if axis == 0 else 0.0,
                                1.0 if axis == 1 else 0.0,
                                1.0 if axis == 2 else 0.0,
                            )
                            curvature = across
                        _add_curvature(
                            out.same[t, b], lever[0], lever[1], lever[2], n[0], n[1], n[2], curvature
                        )
                        _add_curvature(
                            out.same[t + 1, b], after[0], after[1], after[2], n[0], n[1], n[2], curvature
                        )
                        _subtract_cross_curvature(out.next[t, b], lever, after, n, curvature)


@kernel()
def _balance(
    tree: Tree, goal: Goal, steady: float, fall: float, curved: bool, pose: Pose, out: LossDerivatives
) -> None:
    """Balance: second difference of the center of mass, that of free fall in the air (ballistic), else the source's.

    Ballistic: |c'' + g dt^2 z|^2 in frames without support; steadiness: |c'' - c0''|^2 in the others. A force on the
    center of mass acts on every body in proportion to its mass.
    """
    frames, bodies = pose.pos.shape[0], pose.pos.shape[1]
    com = np.zeros((frames, 3))
    for t in range(frames):
        for b in range(bodies):
            lx, ly, lz = apply_matrix(pose.matrix[t, b], tree.com[b, 0], tree.com[b, 1], tree.com[b, 2])
            com[t, 0] += tree.mass[b] * (pose.pos[t, b, 0] + lx)
            com[t, 1] += tree.mass[b] * (pose.pos[t, b, 1] + ly)
            com[t, 2] += tree.mass[b] * (pose.pos[t, b, 2] + lz)
    force = np.zeros((frames, 3))
    for t in range(frames - 2):
        free = goal.airborne[t]
        for i in range(3):
            second = com[t + 2, i] - 2.0 * com[t + 1, i] + com[t, i]
            drop = second + (_GRAVITY * goal.dt * goal.dt if i == 2 else 0.0)
            sway = second - goal.com_step[t, i]
            out.values[BALLISTIC] += free * drop * drop
            out.values[STEADINESS] += (1.0 - free) * sway * sway
            f = 2.0 * (fall * free * drop + steady * (1.0 - free) * sway)
            force[t, i] += f
            force[t + 1, i] -= 2.0 * f
            force[t + 2, i] += f
        if curved:
            out.com[t] = 2.0 * (fall * free + steady * (1.0 - free))
    for t in range(frames):
        for b in range(bodies):
            lx, ly, lz = apply_matrix(pose.matrix[t, b], tree.com[b, 0], tree.com[b, 1], tree.com[b, 2])
            m = tree.mass[b]
            _add_force(out, t, b, lx, ly, lz, m * force[t, 0], m * force[t, 1], m * force[t, 2])
