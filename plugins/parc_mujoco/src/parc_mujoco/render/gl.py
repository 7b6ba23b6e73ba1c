"""An off-screen OpenGL context: EGL, else OSMesa.

Which one works is tested in a child process: PyOpenGL chooses a platform when it is first imported, and a
platform that failed cannot be exchanged afterwards.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from typing import Any

from parc_motion.errors import ParcError

__all__ = ["RenderUnavailable", "open_context"]

_PROBE = """
import importlib, sys
context = importlib.import_module("mujoco." + sys.argv[1]).GLContext(16, 16)
context.make_current()
context.free()
"""
_BACKENDS = ("egl", "osmesa")
_PROBE_S = 60.0


class RenderUnavailable(ParcError):
    """No way to draw on this machine."""


def open_context(width: int, height: int) -> Any:
    """A current OpenGL context; the caller calls its `free`.

    The environment variable ``MUJOCO_GL`` (egl or osmesa) limits the choice.

    Raises:
        RenderUnavailable: neither EGL nor OSMesa works; the text names the packages that bring them.
    """
    backend = _backend(os.environ.get("MUJOCO_GL", "").strip().lower())
    context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
    context.make_current()
    return context


@functools.cache
def _backend(wanted: str) -> str:
    reasons = []
    for name in (wanted,) if wanted in _BACKENDS else _BACKENDS:
        reason = _probe(name)
        if not reason:
            return name
        reasons.append(f"{name}: {reason}")
    raise RenderUnavailable(
        f"no off-screen OpenGL on this machine ({'; '.join(reasons)}). "
        "Install one of the Debian packages libegl1 (with libgl1-mesa-dri) or libosmesa6."
    )


def _probe(backend: str) -> str:
    """Empty when the backend works in a fresh process, else the last line of what it said."""
    environment = {key: value for key, value in os.environ.items() if key != "PYOPENGL_PLATFORM"}
    environment["MUJOCO_GL"] = backend
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, backend],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_S:.0f} s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1][:200] if lines else f"ended with status {done.returncode}"
