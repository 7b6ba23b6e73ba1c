"""How the kernels of this package are compiled."""

from __future__ import annotations

import pathlib

from parc_motion.compiled import FOLDER
from parc_motion.jit import compiler, digest_of_sources

__all__ = ["SOURCES", "kernel"]

_FOLDER = pathlib.Path(__file__).parent
#: digest of every kernel's source
SOURCES = digest_of_sources(_FOLDER, FOLDER)
kernel = compiler(_FOLDER, FOLDER)
