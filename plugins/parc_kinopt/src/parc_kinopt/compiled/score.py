"""What a selector weighs, measured on one candidate in one pass over its frames."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from parc_kinopt.compiled.ground import Ground, column_of, offset_to_column, surface_from
from parc_kinopt.compiled.jit import kernel
from parc_kinopt.compiled.tree import Tree
from parc_motion.compiled import apply_matrix, write_matrix, write_product

__all__ = ["Motion", "Route", "measure", "path_place"]


class Motion(NamedTuple):
    """One candidate; T frames, float64."""

    root_pos: np.ndarray  # [T, 3] m
    turn: np.ndarray  # [T, B, 4] rotation of the root and of every joint, xyzw
    contacts: np.ndarray  # [T, B] 0..1
    dt: float  # s


class Route(NamedTuple):
    """The path, and what the measures need to know beside it."""

    points: np.ndarray  # [P, 3] m
    feet: np.ndarray  # [F] int64, bodies
    center: np.ndarray  # [B, 3] m, middle of the surface points of each body, body frame
    radius: np.ndarray  # [B] m, reach of the points from there
    jerk_limit: float  # m/s^3
    min_label: float  # weaker contact labels count as none


@kernel()
def measure(motion: Motion, route: Route, tree: Tree, ground: Ground, out: np.ndarray) -> None:
    """Write the measures of a candidate in the order of the fields of `parc_kinopt.score.Raw`, ``[8]``."""
    frames, bodies = motion.contacts.shape
    pos, matrix = np.empty((frames, bodies, 3)), np.empty((frames, bodies, 3, 3))
    _place(motion, tree, pos, matrix)
    contact, penetration = _against_ground(motion, route, tree, ground, pos, matrix)
    out[0], out[1] = contact, penetration
    out[2], out[6] = _along(motion, route)
    out[3] = _roughness(motion)
    out[4] = _jerky(pos, route.jerk_limit * motion.dt**3)
    out[5] = _slide(motion, route, pos)
    out[7] = _goal(route, pos)


@kernel()
def _place(motion: Motion, tree: Tree, pos: np.ndarray, matrix: np.ndarray) -> None:
    """Positions ``[T, B, 3]`` and matrices ``[T, B, 3, 3]`` of the bodies."""
    frames, bodies = motion.contacts.shape
    quat = np.empty((bodies, 4))
    for t in range(frames):
        for b in range(bodies):
            if b == 0:
                pos[t, 0] = motion.root_pos[t]
                quat[0] = motion.turn[t, 0]
            else:
                p = tree.parent[b]
                x, y, z = apply_matrix(matrix[t, p], tree.offset[b, 0], tree.offset[b, 1], tree.offset[b, 2])
                pos[t, b, 0], pos[t, b, 1] = pos[t, p, 0] + x, pos[t, p, 1] + y
                pos[t, b, 2] = pos[t, p, 2] + z
                write_product(quat[p], motion.turn[t, b], quat[b])
            write_matrix(quat[b], matrix[t, b])


@kernel()
def _against_ground(
    motion: Motion, route: Route, tree: Tree, ground: Ground, pos: np.ndarray, matrix: np.ndarray
) -> tuple[float, float]:
    """Distance of bodies in contact from the ground, and depth of points inside it, both summed, m."""
    frames, bodies = motion.contacts.shape
    world = np.empty((np.max(np.diff(tree.start)), 3))
    contact, penetration = 0.0, 0.0
    for t in range(frames):
        for b in range(bodies):
            first, count = tree.start[b], tree.start[b + 1] - tree.start[b]
            if count == 0:
                continue
            label = motion.contacts[t, b]
            wanted = label > route.min_label
            m, p = matrix[t, b], pos[t, b]
            x, y, z = apply_matrix(m, route.center[b, 0], route.center[b, 1], route.center[b, 2])
            x, y, z, reach = p[0] + x, p[1] + y, p[2] + z, route.radius[b]
            if not wanted and z - reach > _highest(x, y, reach, ground):
                continue
            gap = math.inf
            for k in range(count):
                lx, ly, lz = apply_matrix(
                    m, tree.point[first + k, 0], tree.point[first + k, 1], tree.point[first + k, 2]
                )
                x, y, z = p[0] + lx, p[1] + ly, p[2] + lz
                world[k, 0], world[k, 1], world[k, 2] = x, y, z
                i, j = column_of(x, y, ground)
                above = z - ground.height[i, j]
                gap = min(gap, above)
                if above < 0.0:
                    depth, _, _, _ = surface_from(x, y, z, ground, True, -above)
                    penetration += depth
            if wanted and gap > 0.0:  # a body with a point inside touches
                contact += label * _clearance(world[:count], gap, ground)
    return contact, penetration


@kernel(inline="always")
def _highest(x: float, y: float, reach: float, ground: Ground) -> float:
    """Height of the highest column within a square of half side `reach`."""
    low_i, low_j = column_of(x - reach, y - reach, ground)
    high_i, high_j = column_of(x + reach, y + reach, ground)
    highest = -math.inf
    for i in range(low_i, high_i + 1):
        for j in range(low_j, high_j + 1):
            highest = max(highest, ground.height[i, j])
    return highest


@kernel()
def _clearance(world: np.ndarray, gap: float, ground: Ground) -> float:
    """Distance of the nearest of some points ``[K, 3]`` outside the ground, m.

    Args:
        gap: smallest height of a point above its own column, m; no distance is larger.
    """
    nx, ny = ground.height.shape
    x0 = y0 = z0 = math.inf
    x1 = y1 = -math.inf
    for k in range(len(world)):
        x0, x1 = min(x0, world[k, 0]), max(x1, world[k, 0])
        y0, y1 = min(y0, world[k, 1]), max(y1, world[k, 1])
        z0 = min(z0, world[k, 2])
    low_i, low_j = column_of(x0 - gap, y0 - gap, ground)
    high_i, high_j = column_of(x1 + gap, y1 + gap, ground)
    best = gap
    for i in range(low_i, high_i + 1):
        for j in range(low_j, high_j + 1):
            height = ground.height[i, j]
            dz = max(z0 - height, 0.0)
            if dz >= best:
                continue
            # the box around the points is nearer than any of them
            dx = _between(x0, x1, i, nx, ground.origin[0], ground.cell)
            dy = _between(y0, y1, j, ny, ground.origin[1], ground.cell)
            if dx * dx + dy * dy + dz * dz >= best * best:
                continue
            for k in range(len(world)):
                dx = offset_to_column(world[k, 0], i, nx, ground.origin[0], ground.cell)
                dy = offset_to_column(world[k, 1], j, ny, ground.origin[1], ground.cell)
                dz = max(world[k, 2] - height, 0.0)
                square = dx * dx + dy * dy + dz * dz
                if square < best * best:
                    best = math.sqrt(square)
    return best


@kernel(inline="always")
def _between(low: float, high: float, index: int, count: int, origin: float, cell: float) -> float:
    """Distance of an interval from that of a cell; 0 where they overlap."""
    after = offset_to_column(high, index, count, origin, cell)
    before = offset_to_column(low, index, count, origin, cell)
    return max(after, -before, 0.0)


@kernel()
def path_place(x: float, y: float, points: np.ndarray) -> tuple[float, float]:
    """Distance from a polyline ``[P, 3]`` in the ground plane, and how far along it the nearest place lies, m."""
    best, along, before = math.inf, 0.0, 0.0
    for s in range(len(points) - 1):
        wx, wy = points[s + 1, 0] - points[s, 0], points[s + 1, 1] - points[s, 1]
        ox, oy = x - points[s, 0], y - points[s, 1]
        square = wx * wx + wy * wy
        share = min(max((ox * wx + oy * wy) / square, 0.0), 1.0) if square > 1e-12 else 0.0
        distance = math.hypot(ox - share * wx, oy - share * wy)
        length = math.sqrt(square)
        if distance < best:
            best, along = distance, before + share * length
        before += length
    return best, along


@kernel()
def _along(motion: Motion, route: Route) -> tuple[float, float]:
    """Mean distance of the root from the path, and length of the path that is left at the farthest frame, m."""
    total, farthest = 0.0, 0.0
    for t in range(len(motion.root_pos)):
        distance, along = path_place(motion.root_pos[t, 0], motion.root_pos[t, 1], route.points)
        total += distance
        farthest = max(farthest, along)
    length = 0.0
    for s in range(len(route.points) - 1):
        step = route.points[s + 1] - route.points[s]
        length += math.hypot(step[0], step[1])
    return total / len(motion.root_pos), max(length - farthest, 0.0)


@kernel()
def _roughness(motion: Motion) -> float:
    """Mean change of the horizontal root velocity from frame to frame, m/s."""
    pos, total = motion.root_pos, 0.0
    for t in range(len(pos) - 2):
        x = pos[t + 2, 0] - 2.0 * pos[t + 1, 0] + pos[t, 0]
        y = pos[t + 2, 1] - 2.0 * pos[t + 1, 1] + pos[t, 1]
        total += math.hypot(x, y)
    return total / (motion.dt * max(len(pos) - 2, 1))


@kernel()
def _jerky(pos: np.ndarray, limit: float) -> float:
    """Share of frames with a body whose third difference is above a limit, m per frame^3."""
    count = 0
    for t in range(len(pos) - 3):
        for b in range(pos.shape[1]):
            square = 0.0
            for c in range(3):
                d = pos[t + 3, b, c] - pos[t, b, c] + 3.0 * (pos[t + 1, b, c] - pos[t + 2, b, c])
                square += d * d
            if square > limit * limit:
                count += 1
                break
    return count / max(len(pos) - 3, 1)


@kernel()
def _slide(motion: Motion, route: Route, pos: np.ndarray) -> float:
    """Mean horizontal speed of feet in contact, weighted by their labels, m/s."""
    way, weight = 0.0, 0.0
    for t in range(len(pos) - 1):
        for f in route.feet:
            grip = min(motion.contacts[t, f], motion.contacts[t + 1, f])
            way += grip * math.hypot(pos[t + 1, f, 0] - pos[t, f, 0], pos[t + 1, f, 1] - pos[t, f, 1])
            weight += grip
    return way / (motion.dt * max(weight, 1.0))


@kernel()
def _goal(route: Route, pos: np.ndarray) -> float:
    """Distance of the feet's middle from the end of the path, at the frame nearest to it, m."""
    goal, best = route.points[-1], math.inf
    for t in range(len(pos)):
        square = 0.0
        for c in range(3):
            middle = 0.0
            for f in route.feet:
                middle += pos[t, f, c] / len(route.feet)
            square += (middle - goal[c]) ** 2
        best = min(best, square)
    return math.sqrt(best)
