"""One pose on its ground, seen from the side and a little from above, without perspective.

Columns and shapes are drawn from the far to the near, so that a box in front hides what is behind it; surface points
inside the ground are marked on top of everything.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import attrs
import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull

from parc_motion.clips import MotionClip
from parc_motion.draw.ground import FINE
from parc_motion.draw.style import BACKGROUND, Color
from parc_motion.errors import DataError
from parc_motion.geometry import PackedTerrains
from parc_motion.kinematics import Kinematics, surface_points
from parc_motion.kinematics import rotations as rot
from parc_motion.skeletons import Geom, Skeleton
from parc_motion.terrains import Terrain

__all__ = ["BURIED", "HELD", "Poses", "View", "draw_pose", "heading_of", "posed"]

_ELEVATION = np.deg2rad(22.0)
_DEEP = 0.01  # m, points that lie less deep are not marked
HELD, BURIED = (190, 40, 40), (230, 0, 200)  # bodies labeled as in contact, points inside the ground
_BODY, _FAR_LIMB = (96, 108, 124), (146, 156, 170)


@attrs.frozen(kw_only=True, eq=False)
class Poses:
    """A clip with everything that is drawn of it."""

    clip: MotionClip
    body_pos: np.ndarray  # [T, B, 3] m
    body_rot: np.ndarray  # [T, B, 4]
    points: np.ndarray  # [T, P, 3] m
    height: np.ndarray  # [T, P] m above the point's own column


def posed(clip: MotionClip, skeleton: Skeleton) -> Poses:
    """The clip's bodies and surface points.

    Raises:
        DataError: the clip has no terrain.
    """
    pose = [torch.tensor(a) for a in (clip.root_pos, clip.root_rot, clip.joint_rot)]
    body_pos, body_rot = Kinematics(skeleton).forward(*pose)
    points = surface_points(skeleton).world(body_pos, body_rot)
    ids = torch.zeros(len(points), dtype=torch.long)
    ground = PackedTerrains.of([_terrain(clip)]).height_at(ids, points[..., :2])
    height = (points[..., 2] - ground).numpy()
    return Poses(
        clip=clip, body_pos=body_pos.numpy(), body_rot=body_rot.numpy(), points=points.numpy(), height=height
    )


def heading_of(clip: MotionClip) -> float:
    """Direction of the way from the first frame to the last, rad; along x for a clip that stays where it is."""
    way = clip.root_pos[-1, :2] - clip.root_pos[0, :2]
    return math.atan2(float(way[1]), float(way[0])) if np.linalg.norm(way) > 0.3 else 0.0


def _terrain(clip: MotionClip) -> Terrain:
    if clip.terrain is None:
        raise DataError(f"clip '{clip.name}' has no terrain, so its ground cannot be drawn. Attach one.")
    return clip.terrain


@attrs.frozen(kw_only=True, eq=False)
class View:
    """Where the picture of a pose looks at."""

    center: np.ndarray  # [3] m, in the middle of the picture
    heading: float  # rad, direction that points to the right
    scale: float  # pixels per m
    width: int  # pixels
    height: int  # pixels

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels from the upper left corner, ``[..., 2]``, of points ``[..., 3]`` m."""
        d = np.asarray(points, dtype=np.float64) - self.center
        right = d[..., 0] * math.cos(self.heading) + d[..., 1] * math.sin(self.heading)
        up = d[..., 2] * math.cos(_ELEVATION) + self.depth(points) * math.sin(_ELEVATION)
        return np.stack([self.width / 2 + self.scale * right, self.height / 2 - self.scale * up], axis=-1)

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Distance away from the viewer in the ground plane, m from the center, ``[...]``."""
        d = np.asarray(points, dtype=np.float64)[..., :2] - self.center[:2]
        return d[..., 1] * math.cos(self.heading) - d[..., 0] * math.sin(self.heading)


def draw_pose(poses: Poses, frame: int, skeleton: Skeleton, view: View) -> Image.Image:
    """The pose of a frame."""
    fine = attrs.evolve(view, scale=view.scale * FINE, width=view.width * FINE, height=view.height * FINE)
    picture = Image.new("RGB", (fine.width, fine.height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    items = [*_columns(_terrain(poses.clip), fine, draw), *_shapes(poses, frame, skeleton, fine, draw)]
    for _, paint in sorted(items, key=lambda item: -item[0]):
        paint()
    for x, y in fine.project(poses.points[frame][poses.height[frame] < -_DEEP]):
        r = 2.2 * FINE
        draw.ellipse([x - r, y - r, x + r, y + r], fill=BURIED)
    return picture.resize((view.width, view.height), Image.Resampling.BOX)


Item = tuple[float, Callable[[], None]]


def _columns(terrain: Terrain, view: View, draw: ImageDraw.ImageDraw) -> list[Item]:
    """The columns that may be seen, each with its top and the sides that face the viewer."""
    reach = 0.5 * view.width / view.scale + terrain.cell
    deep = 1.3  # m before and behind the character
    nx, ny = terrain.shape
    i, j = np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij")
    x, y = terrain.origin_xy[0] + i * terrain.cell, terrain.origin_xy[1] + j * terrain.cell
    middle = np.stack([x, y, terrain.height], axis=-1).astype(np.float64)
    right = (middle[..., :2] - view.center[:2]) @ [math.cos(view.heading), math.sin(view.heading)]
    depth = view.depth(middle)
    bottom = float(view.center[2]) - view.height / view.scale
    items: list[Item] = []
    for a, b in np.argwhere((np.abs(right) < reach) & (np.abs(depth) < deep)):
        items.append(
            (float(depth[a, b]), functools.partial(_column, middle[a, b], terrain.cell, bottom, view, draw))
        )
    return items


def _column(top: np.ndarray, cell: float, bottom: float, view: View, draw: ImageDraw.ImageDraw) -> None:
    h = 0.5 * cell
    corners = top + np.array([[-h, -h, 0], [h, -h, 0], [h, h, 0], [-h, h, 0]])
    away = np.array([-math.sin(view.heading), math.cos(view.heading)])
    for k, normal in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        facing = -float(np.dot(normal, away))
        if facing > 1e-3:
            a, b = corners[k], corners[(k + 1) % 4]
            low = np.array([0, 0, bottom - top[2]])
            shade = round(150 + 45 * facing)
            _polygon(draw, view, np.stack([a, b, b + low, a + low]), (shade, shade, shade - 8))
    _polygon(draw, view, corners, (226, 226, 218))


def _polygon(draw: ImageDraw.ImageDraw, view: View, points: np.ndarray, color: Color) -> None:
    edge = tuple(max(c - 26, 0) for c in color)
    draw.polygon([tuple(p) for p in view.project(points)], fill=color, outline=edge)


def _shapes(
    poses: Poses, frame: int, skeleton: Skeleton, view: View, draw: ImageDraw.ImageDraw
) -> list[Item]:
    depths = view.depth(poses.body_pos[frame])
    depths = depths - depths[0]
    items: list[Item] = []
    for geom in skeleton.geoms:
        b = geom.body
        q = torch.tensor(poses.body_rot[frame, b], dtype=torch.float64)
        turn = rot.quat_to_matrix(rot.normalize(q)).numpy()
        own = rot.quat_to_matrix(torch.tensor(geom.rot, dtype=torch.float64)).numpy()
        center = poses.body_pos[frame, b] + turn @ geom.pos
        color = _FAR_LIMB if depths[b] > 0.05 else _BODY
        if poses.clip.contacts[frame, b] > 0.5:
            color = HELD
        paint = functools.partial(_shape, geom, center, turn @ own, view, draw, color)
        items.append((float(view.depth(center)), paint))
    return items


def _shape(
    geom: Geom, center: np.ndarray, turn: np.ndarray, view: View, draw: ImageDraw.ImageDraw, color: Color
) -> None:
    rim = tuple(max(c - 40, 0) for c in color)
    if geom.kind == "box":
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        draw.polygon(_hull(view.project(center + (signs * geom.size) @ turn.T)), fill=color, outline=rim)
        return
    length = float(geom.size[1]) if len(geom.size) > 1 else 0.0
    ends = view.project(np.stack([center - length * turn[:, 2], center + length * turn[:, 2]]))
    for radius, paint in ((float(geom.size[0]) * view.scale + 0.5 * FINE, rim),
                          (float(geom.size[0]) * view.scale - 0.5 * FINE, color)):  # fmt: skip
        draw.line([tuple(end) for end in ends], fill=paint, width=round(2 * radius))
        for x, y in ends:
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=paint)


def _hull(points: np.ndarray) -> list[tuple[float, float]]:
    """Corners of the convex hull of points ``[N, 2]``, in order around it."""
    return [tuple(points[i]) for i in ConvexHull(points).vertices]
