"""Kernels are compiled once, kept, and compiled anew when any of their sources changes."""

from __future__ import annotations

import logging
import subprocess
import sys

import numba

import parc_motion.jit
from parc_kinopt.compiled import jit
from parc_kinopt.compiled.terms import evaluate_loss

_ONE_CLIP = """
from parc_kinopt.compiled.curvature import fill_blocks
from parc_kinopt.compiled.terms import evaluate_loss
from parc_kinopt.optimizer import KinematicOptimizer, KinoptConfig
from parc_motion.skeletons.mjcf import load_skeleton
from parc_testing.builders import make_clip
KinematicOptimizer(KinoptConfig(threads=1), skeleton=load_skeleton("humanoid")).refine([make_clip(6)])
print([len(kernel.stats.cache_misses) for kernel in (evaluate_loss, fill_blocks)])
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
    assert jit.SOURCES[:12] in evaluate_loss._cache._cache_file._index_path


def test_folder_that_cannot_be_written_costs_time_and_not_the_run(monkeypatch, caplog, tmp_path):
    njit = numba.njit

    def refuse(*functions, cache=False, **options):
        if cache and not functions:
            raise RuntimeError("cannot cache function 'twice': no locator available for file 'somewhere'")
        return njit(*functions, **options)

    monkeypatch.setattr(numba, "njit", refuse)
    parc_motion.jit._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        twice = parc_motion.jit.compiler(tmp_path)()(lambda x: 2 * x)
    assert twice(21) == 42
    assert "Set NUMBA_CACHE_DIR to a folder that can be written." in caplog.text
