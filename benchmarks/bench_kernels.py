"""CPU time of kernels and of what they are held against, one core: the choices of ADR 0005.

The kernel places every surface point of 60 frames and 15 bodies in the world and takes its height above its own column,
in float64: what the terrain terms do for all points before they search around the few that fail. It is timed in Numba
and in NVIDIA Warp. ``bodies_256`` places the bodies of 256 characters, what a simulator does after each control step,
in Numba with velocities and in torch without.
"""

from __future__ import annotations

import sys

import numba
import numpy as np
import torch
from measure import Figure, arguments, cpu_ms, report

from parc_motion.compiled import add_body_velocities, place_bodies
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.skeletons import load_skeleton

FRAMES, CELLS, CELL = 60, 40, 0.4
CHARACTERS = 256
MOST = 1e-12  # m, largest difference of the two results


def main() -> None:
    """Measure and print."""
    args = arguments(__doc__, repeat=50)
    figures = []
    work = problem()
    expected = np.zeros((FRAMES, len(work[2])))
    _heights_numba(*work, expected)
    figures.append(cpu_ms("heights_numba", lambda i: _heights_numba(*work, expected), args.repeat))
    figures += forward_kinematics(args.repeat)
    try:
        import warp
    except ModuleNotFoundError:
        print("heights_warp left out: warp-lang is not installed", file=sys.stderr)
    else:
        figures.append(in_warp(warp, work, expected, args.repeat))
    report(figures, args.json)


def problem() -> tuple[np.ndarray, ...]:
    """Places and rotation matrices of bodies, points with their bodies, and the ground."""
    rng = np.random.default_rng(0)
    surface = surface_points(load_skeleton("humanoid"), dtype=torch.float64)
    bodies = len(surface.counts)
    matrix = np.linalg.qr(rng.normal(size=(FRAMES, bodies, 3, 3)))[0]
    place = rng.uniform(1.0, 14.0, (FRAMES, bodies, 3))
    return place, matrix, surface.points.numpy(), surface.body.numpy(), rng.uniform(0, 1, (CELLS, CELLS))


def forward_kinematics(repeat: int) -> list[Figure]:
    """Both forms of the forward kinematics of `parc_motion`, in float64."""
    skeleton, rng = load_skeleton("humanoid"), np.random.default_rng(0)
    joint = rng.normal(size=(CHARACTERS, skeleton.num_bodies, 4))
    joint /= np.linalg.norm(joint, axis=-1, keepdims=True)
    pos, rot = rng.normal(size=(CHARACTERS, skeleton.num_bodies, 3)), joint.copy()
    vel, ang_vel = np.zeros_like(pos), np.zeros_like(pos)
    parents, offsets = np.array(skeleton.parents), skeleton.offsets.astype(np.float64)
    kinematics = Kinematics(skeleton, dtype=torch.float64)
    given = [torch.from_numpy(part.copy()) for part in (pos[:, 0], rot[:, 0], joint[:, 1:])]

    def in_numba(_: int) -> None:
        place_bodies(parents, offsets, joint, pos, rot)
        add_body_velocities(parents, vel, pos, rot, vel, ang_vel)

    in_numba(0)
    expected = kinematics.forward(*given)[0].numpy()
    assert np.abs(pos - expected).max() < MOST
    return [
        cpu_ms("bodies_256_numba", in_numba, repeat, note="with velocities"),
        cpu_ms("bodies_256_torch", lambda _: kinematics.forward(*given), repeat),
    ]


@numba.njit(fastmath=False)
def _heights_numba(place, matrix, points, body, height, out):
    for t in range(place.shape[0]):
        for p in range(len(points)):
            b = body[p]
            m, v, w = matrix[t, b], points[p], place[t, b]
            x = w[0] + m[0, 0] * v[0] + m[0, 1] * v[1] + m[0, 2] * v[2]
            y = w[1] + m[1, 0] * v[0] + m[1, 1] * v[1] + m[1, 2] * v[2]
            z = w[2] + m[2, 0] * v[0] + m[2, 1] * v[1] + m[2, 2] * v[2]
            i = min(max(int(np.floor(x / CELL + 0.5)), 0), CELLS - 1)
            j = min(max(int(np.floor(y / CELL + 0.5)), 0), CELLS - 1)
            out[t, p] = z - height[i, j]


def in_warp(warp, work: tuple[np.ndarray, ...], expected: np.ndarray, repeat: int) -> Figure:
    """The same kernel on Warp's CPU device, its launch included."""
    from warp_heights import heights

    place, matrix, points, body, height = work
    device = "cpu"
    given = [
        warp.array(place, dtype=warp.vec3d, device=device),
        warp.array(matrix, dtype=warp.mat33d, device=device),
        warp.array(points, dtype=warp.vec3d, device=device),
        warp.array(body.astype(np.int32), dtype=warp.int32, device=device),
        warp.array(height, dtype=warp.float64, device=device),
    ]
    out = warp.zeros(expected.shape, dtype=warp.float64, device=device)

    def launch(i: int) -> None:
        warp.launch(heights, dim=expected.shape, inputs=[*given, CELL], outputs=[out], device=device)

    launch(0)
    worst = float(np.abs(out.numpy() - expected).max())
    if worst > MOST:
        sys.exit(f"heights_warp differs from heights_numba by {worst:.2g} m; at most {MOST} m is rounding.")
    return cpu_ms("heights_warp", launch, repeat)


if __name__ == "__main__":
    main()
