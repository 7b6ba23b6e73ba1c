"""The Warp kernel of `bench_kernels`; in a separate file, because Warp reads a kernel's annotations as its types."""

import warp as wp

__all__ = ["heights"]


@wp.kernel
def heights(
    place: wp.array2d(dtype=wp.vec3d),
    matrix: wp.array2d(dtype=wp.mat33d),
    points: wp.array(dtype=wp.vec3d),
    body: wp.array(dtype=wp.int32),
    height: wp.array2d(dtype=wp.float64),
    cell: wp.float64,
    out: wp.array2d(dtype=wp.float64),
):
    """Height of point p in frame t above its own column, m."""
    t, p = wp.tid()
    b = body[p]
    v = place[t, b] + matrix[t, b] * points[p]
    half = wp.float64(0.5)
    i = wp.clamp(int(wp.floor(v[0] / cell + half)), 0, height.shape[0] - 1)
    j = wp.clamp(int(wp.floor(v[1] / cell + half)), 0, height.shape[1] - 1)
    out[t, p] = v[2] - height[i, j]
