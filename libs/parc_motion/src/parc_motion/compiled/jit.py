"""How the kernels of this package are compiled."""

from __future__ import annotations

import pathlib

from parc_motion.jit import compiler

__all__ = ["FOLDER", "kernel"]

#: the sources of these kernels; packages that call them give it to their own `compiler`
FOLDER = pathlib.Path(__file__).parent
kernel = compiler(FOLDER)
