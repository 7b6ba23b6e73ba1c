"""One clip's character and ground as a MuJoCo scene, drawn off screen."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np

from parc_motion.clips import MotionClip
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain
from parc_mujoco.config import MujocoConfig
from parc_mujoco.convert import StateLayout
from parc_mujoco.messages import messages_to_log
from parc_mujoco.model import build_spec
from parc_mujoco.render.gl import open_context

__all__ = ["Camera", "ClipScene", "Screen"]

_AROUND = 2.4  # m of ground shown around the path
_NEUTRAL = np.array([0.36, 0.52, 0.68])
_LATE = np.array([0.93, 0.62, 0.26])  # color that a stroboscopic picture ends with
_TOUCHING = np.array([0.85, 0.25, 0.22])  # bodies that carry a contact label
_LOW, _MIDDLE, _HIGH = (np.array(c) for c in ([0.47, 0.55, 0.63], [0.80, 0.79, 0.75], [0.90, 0.74, 0.55]))
_HEIGHT_SPAN = 1.0  # m above or below the usual ground where the colors end


@attrs.frozen(kw_only=True)
class Camera:
    """Where a picture is taken from."""

    lookat: tuple[float, float, float]  # m
    distance: float  # m
    azimuth: float  # degrees, direction of view in the ground plane
    elevation: float = -18.0  # degrees


class Screen:
    """An off-screen picture of a fixed size; close it, or use it in a `with`."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._context = open_context(width, height)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the context; may be called twice."""
        if self._context is not None:
            self._context.free()
            self._context = None


class ClipScene:
    """A clip on its ground, ready to be drawn on a screen; close it before the screen."""

    def __init__(self, clip: MotionClip, skeleton: Skeleton, screen: Screen) -> None:
        messages_to_log()
        clip.require_skeleton(skeleton.id, skeleton.num_joints)
        self.clip = clip
        self._screen, self._skeleton = screen, skeleton
        self._qpos = StateLayout.of(skeleton).qpos(clip.root_pos, clip.root_rot, clip.joint_rot)
        self._model = _model(clip, skeleton, screen)
        self._data = mujoco.MjData(self._model)
        self._scene = mujoco.MjvScene(self._model, maxgeom=self._model.ngeom + 64 * len(skeleton.geoms) + 100)
        self._renderer = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._renderer)

    def __enter__(self) -> ClipScene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free what lies on the graphics card."""
        self._renderer.free()

    def draw(self, frame: int, camera: Camera, size: tuple[int, int] | None = None) -> np.ndarray:
        """The character at a frame, bodies with contact labels red: ``[height, width, 3]`` uint8."""
        self._begin(frame, camera)
        self._paint(0, _NEUTRAL, self.clip.contacts[frame])
        return self._finish(size)

    def strobe(self, frames: list[int], camera: Camera, size: tuple[int, int] | None = None) -> np.ndarray:
        """The character at several frames in one picture, from blue (early) to orange (late)."""
        self._begin(frames[0], camera)
        for i, frame in enumerate(frames):
            first = self._scene.ngeom if i else 0
            if i:
                self._pose(frame)
                dynamic = mujoco.mjtCatBit.mjCAT_DYNAMIC.value
                options, drag = mujoco.MjvOption(), mujoco.MjvPerturb()
                mujoco.mjv_addGeoms(self._model, self._data, options, drag, dynamic, self._scene)
            late = i / max(len(frames) - 1, 1)
            self._paint(first, (1 - late) * _NEUTRAL + late * _LATE, None)
        return self._finish(size)

    def _pose(self, frame: int) -> None:
        self._data.qpos[:] = self._qpos[frame]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def _begin(self, frame: int, camera: Camera) -> None:
        self._pose(frame)
        view = mujoco.MjvCamera()
        view.lookat[:] = camera.lookat
        view.distance, view.azimuth, view.elevation = camera.distance, camera.azimuth, camera.elevation
        categories = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(
            self._model, self._data, mujoco.MjvOption(), None, view, categories, self._scene
        )

    def _paint(self, first: int, color: np.ndarray, contacts: np.ndarray | None) -> None:
        for geom in self._scene.geoms[first : self._scene.ngeom]:
            if geom.category == mujoco.mjtCatBit.mjCAT_DYNAMIC.value:
                body = self._model.geom_bodyid[geom.objid] - 1
                touching = contacts is not None and contacts[body] > 0.5
                geom.rgba[:3] = _TOUCHING if touching else color

    def _finish(self, size: tuple[int, int] | None) -> np.ndarray:
        width, height = size or (self._screen.width, self._screen.height)
        view = mujoco.MjrRect(0, 0, width, height)
        picture = np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_render(view, self._scene, self._renderer)
        mujoco.mjr_readPixels(picture, None, view, self._renderer)
        return np.flipud(picture)


def _model(clip: MotionClip, skeleton: Skeleton, screen: Screen) -> mujoco.MjModel:
    spec = build_spec(skeleton, MujocoConfig(), (np.zeros((0, 3)), np.zeros((0, 3))), 0)
    spec.visual.global_.offwidth, spec.visual.global_.offheight = screen.width, screen.height
    # most of the time of a picture drawn by software goes into the shadows
    spec.visual.quality.shadowsize = 2048 if screen.height >= 400 else 768
    spec.visual.quality.offsamples = 4
    spec.visual.headlight.ambient[:] = 0.42
    spec.visual.headlight.diffuse[:] = 0.30
    spec.visual.headlight.specular[:] = 0.0
    spec.stat.extent = 4.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 10.0
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.95, 0.98],
        rgb2=[0.72, 0.79, 0.88],
        width=128,
        height=768,
    )
    spec.visual.map.shadowclip = 1.5 * max(1.0, 0.25 * float(np.ptp(clip.root_pos[:, :2], axis=0).max()))
    middle = 0.5 * (clip.root_pos.min(axis=0) + clip.root_pos.max(axis=0)).astype(np.float64)
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=middle + np.array([-1.5, -2.0, 5.0]),
        dir=[0.3, 0.4, -1.0],
        diffuse=[0.55, 0.54, 0.52],
        specular=[0.1, 0.1, 0.1],
        castshadow=True,
    )
    _add_cells(spec, clip)
    return spec.compile()


def _add_cells(spec: mujoco.MjSpec, clip: MotionClip) -> None:
    """One column per cell near the path, checkered, tinted by height."""
    terrain = clip.terrain if clip.terrain is not None else _level_ground(clip)
    first = np.floor(
        (clip.root_pos[:, :2].min(axis=0) - _AROUND - terrain.origin_xy) / terrain.cell + 0.5
    ).astype(int)
    last = np.floor(
        (clip.root_pos[:, :2].max(axis=0) + _AROUND - terrain.origin_xy) / terrain.cell + 0.5
    ).astype(int)
    i, j = np.meshgrid(np.arange(first[0], last[0] + 1), np.arange(first[1], last[1] + 1), indexing="ij")
    xy = terrain.origin_xy + np.stack([i, j], axis=-1) * terrain.cell
    height = terrain.height_at(xy)  # past the border the nearest cell answers, as for the simulator
    usual = float(np.median(terrain.height_at(clip.root_pos[:, :2])))
    bottom = min(float(height.min()), usual) - 0.3
    colors = _height_colors(height - usual) * np.where((i + j) % 2 == 0, 1.0, 0.93)[..., None]
    for center, top, color in zip(xy.reshape(-1, 2), height.reshape(-1), colors.reshape(-1, 3)):
        half = 0.5 * (float(top) - bottom)
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[*center, bottom + half],
            size=[0.5 * terrain.cell, 0.5 * terrain.cell, half],
            rgba=[*color, 1.0],
            contype=0,
            conaffinity=0,
        )


def _level_ground(clip: MotionClip) -> Terrain:
    lowest = float(clip.root_pos[:, 2].min()) - 0.9
    return Terrain(height=np.full((1, 1), lowest), origin_xy=clip.root_pos[0, :2], cell=0.4)


def _height_colors(height: np.ndarray) -> np.ndarray:
    share = np.clip(height / _HEIGHT_SPAN, -1.0, 1.0)[..., None]
    return np.where(share > 0, _MIDDLE + share * (_HIGH - _MIDDLE), _MIDDLE - share * (_LOW - _MIDDLE))
