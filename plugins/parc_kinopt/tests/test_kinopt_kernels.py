"""Kernels are compiled once, kept, and compiled anew when any of their sources changes."""

from __future__ import annotations

import logging
import subprocess
import sys

import numba

from parc_kinopt.compiled import jit
from parc_kinopt.compiled.terms import look_at

_ONE_CLIP = """
from parc_kinopt.compiled.newton import _descend
from parc_kinopt.compiled.terms import look_at
from parc_kinopt.optimizer import KinematicOptimizer, KinoptConfig
from parc_motion.skeletons.mjcf import load_skeleton
from parc_testing.builders import make_clip
KinematicOptimizer(KinoptConfig(threads=1), skeleton=load_skeleton("humanoid")).refine([make_clip(6)])
print([len(kernel.stats.cache_misses) for kernel in (look_at, _descend)])
"""


def test_second_process_compiles_nothing():
    # the first may have to, when no other test did
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", _ONE_CLIP], capture_output=True, text=True, check=True)
        if done.stdout.strip() == "[0, 0]":
            break
    assert done.stdout.strip() == "[0, 0]"


def test_what_is_kept_depends_on_the_source_of_every_kernel():
    # a change of a callee in another file must not leave its caller as it was
    assert look_at._cache._cache_file._source_stamp[1] == jit.SOURCES


def test_folder_that_cannot_be_written_costs_time_and_not_the_run(monkeypatch, caplog):
    def refuse(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'twice': no locator available for file 'somewhere'")
        return numba.njit(**options)

    monkeypatch.setattr(jit, "njit", refuse)
    jit._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        twice = jit.kernel()(lambda x: 2 * x)
    assert twice(21) == 42
    assert "Set NUMBA_CACHE_DIR to a folder that can be written." in caplog.text
