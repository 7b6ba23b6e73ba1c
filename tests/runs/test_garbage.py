"""What providers leave in circles of references is collected after each job that took long."""

import gc
import os
import pathlib

from parc_core.stages import job

CODE = """
from parc_testing.quick import Epochs, QuickGenerator

class Circular(QuickGenerator):
    def __init__(self, config: Epochs, *, skeleton, device: str) -> None:
        super().__init__(config, skeleton=skeleton, device=device)
        self.me, self.file = self, open(__file__ + ".held", "w")
"""


def test_files_of_circular_garbage_are_closed(parc, home, monkeypatch):
    (home / "circular.py").write_text(CODE)
    monkeypatch.setattr(job, "_LONG_S", 0.0)
    gc.disable()
    try:
        assert parc("quick.yaml", "--set", f"train_gen.generator.use={home}/circular.py:Circular")[0] == 0
        held = [os.readlink(file) for file in pathlib.Path("/proc/self/fd").iterdir() if file.exists()]
    finally:
        gc.enable()
    assert (home / "circular.py.held").exists() and str(home / "circular.py.held") not in held
