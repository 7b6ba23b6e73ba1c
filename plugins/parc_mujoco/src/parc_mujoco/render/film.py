"""Moving pictures: MP4 by ffmpeg, GIF by Pillow."""

from __future__ import annotations

import importlib.util
import io
import pathlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from parc_motion import storage
from parc_motion.clips import MotionClip
from parc_motion.draw import label
from parc_motion.skeletons import Skeleton
from parc_mujoco.render.gl import RenderUnavailable
from parc_mujoco.render.scene import ClipScene, Screen
from parc_mujoco.render.sheet import title
from parc_mujoco.render.views import follow_cameras

__all__ = ["film", "write_gif", "write_mp4"]


def film(clips: Iterable[MotionClip], skeleton: Skeleton, screen: Screen, fps: float) -> Iterator[np.ndarray]:
    """The pictures of the clips one after the other, ``[height, width, 3]`` uint8 each, at `fps` per second."""
    for clip in clips:
        text, cameras = title(clip), follow_cameras(clip)
        count = max(1, round(clip.length * fps) + 1)
        with ClipScene(clip, skeleton, screen) as scene:
            for i in range(count):
                frame = min(round(i * clip.fps / fps), clip.num_frames - 1)
                yield label(scene.draw(frame, cameras[frame]), text)


def write_gif(path: pathlib.Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Write an endless GIF durably."""
    images = [Image.fromarray(picture).quantize(128) for picture in pictures]
    stream = io.BytesIO()
    duration = max(20, round(1000.0 / fps))
    images[0].save(stream, format="GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)
    storage.write_bytes(path, stream.getvalue())


def write_mp4(path: pathlib.Path, pictures: Iterable[np.ndarray], size: tuple[int, int], fps: float) -> None:
    """Write an H.264 film durably.

    Args:
        size: width and height of the pictures; both even, H.264 has no odd ones.

    Raises:
        RenderUnavailable: no ffmpeg here, or it failed; the text ends with what it said.
    """
    program = _ffmpeg()

    def encode(temporary: pathlib.Path) -> None:
        command = [program, "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "-"]
        command += [
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-crf",
            "21",
            "-movflags",
            "+faststart",
            str(temporary),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdin is not None  # it is a pipe
        try:
            for picture in pictures:
                process.stdin.write(np.ascontiguousarray(picture).tobytes())
        except BrokenPipeError:
            pass  # ffmpeg ended early; its own words say why
        except BaseException:
            process.kill()
            raise
        _, said = process.communicate()
        if process.returncode != 0:
            raise RenderUnavailable(f"{path}: ffmpeg failed: {said.decode(errors='replace').strip()[-300:]}")

    storage.write_with(path, encode)


def _ffmpeg() -> str:
    program = shutil.which("ffmpeg")
    if program is None and importlib.util.find_spec("imageio_ffmpeg") is not None:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
    if program is None:
        raise RenderUnavailable(
            "no ffmpeg on PATH, which MP4 films need. Install the Debian package ffmpeg or "
            "`pip install imageio-ffmpeg`, or write a .gif instead."
        )
    return program
