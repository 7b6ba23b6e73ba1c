"""CPU time of the generator with `preset: paper` or `small`, in float32 and (suffix ``_bf16``) in bfloat16.

``train_step_b64`` is a step of the trainer over 64 windows: drawing them, prediction, losses, gradient, clipping, AdamW
and averaging. ``sampler_b64`` draws 64 windows with changed ground. ``ddim5_b32`` makes 32 windows in 5 DDIM steps with
guidance. ``path_10s_b32`` makes 32 motions of 10 s along a path that none of them finishes, and scores them with the
selector `heuristic`. Weights are random and motions procedural: neither changes the work.
"""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Callable

import attrs
import numpy as np
import torch
from measure import Figure, cpu_ms, make_parser, report

from parc_core.config import Use
from parc_core.interfaces import SeedStreams
from parc_core.plugins import Registry
from parc_mdm.config import MdmConfig
from parc_mdm.features import NUM_HISTORY
from parc_mdm.generator import MdmGenerator
from parc_mdm.model import MotionModel
from parc_mdm.sampler import sample_windows
from parc_mdm.store import MotionStore
from parc_mdm.train import Trainer
from parc_mdm.windows import draw_windows
from parc_motion.clips import MotionClip
from parc_motion.skeletons import load_skeleton
from parc_motion.terrains import Path, Terrain
from parc_testing.context import make_context

SKELETON = load_skeleton("humanoid")
WINDOW = 15  # frames
CANDIDATES = 32
PUBLISHED = {"sampler_b64": 53.3}
PUBLISHED |= {f"train_step_b64{suffix}": 1.303 for suffix in ("", "_bf16")}
PUBLISHED |= {f"ddim5_b32{suffix}": 1.74 for suffix in ("", "_bf16")}
PUBLISHED |= {f"path_10s_b32{suffix}": 157.7 for suffix in ("", "_bf16")}


def main() -> None:
    """Measure and print."""
    parser = make_parser(__doc__, repeat=5)
    parser.add_argument("--preset", choices=("paper", "small"), default="paper")
    parser.add_argument("--parts", action="store_true", help="leave out the whole paths")
    args = parser.parse_args()
    torch.set_num_threads(1)
    store = procedural()
    figures = [sampler(store, 4 * args.repeat)]
    published = PUBLISHED if args.preset == "paper" else {}
    for precision, suffix in (("float32", ""), ("bfloat16", "_bf16")):
        model = fresh(precision, args.preset)
        figures.append(train_step(model, store, args.repeat, suffix))
        figures.append(ddim(model, store, args.repeat, suffix))
        if not args.parts:
            figures.append(path(model, suffix))
    figures = [attrs.evolve(figure, published=published.get(figure.name)) for figure in figures]
    report(figures, args.json)


def procedural() -> MotionStore:
    """The motions that come with the plugin parc-data, with their mirror images."""
    source = Registry.discover().create(
        "motion_source", Use(name="procedural"), skeleton=SKELETON, seeds=SeedStreams(0)
    )
    clips = list(source.clips())
    return MotionStore.of(clips, np.ones(len(clips)), SKELETON, WINDOW, mirror=True, device="cpu")


def fresh(precision: str, preset: str = "paper") -> MotionModel:
    """A model with random weights."""
    torch.manual_seed(0)
    return MotionModel.of(MdmConfig.preset(preset, precision=precision), SKELETON, "cpu")


def sampler(store: MotionStore, repeat: int) -> Figure:
    """64 windows."""
    model, generator = fresh("float32"), torch.Generator().manual_seed(0)
    return cpu_ms(
        "sampler_b64",
        lambda i: draw_windows(store, model.layout, model.config, WINDOW, generator),
        repeat,
    )


def train_step(model: MotionModel, store: MotionStore, repeat: int, suffix: str) -> Figure:
    """One step of the trainer, the drawing of its windows included."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, store, make_context(pathlib.Path(folder)))
        model.denoiser.train()
        figure = cpu_ms(f"train_step_b64{suffix}", lambda i: trainer.step(), repeat)
    model.denoiser.eval()
    return in_seconds(figure, "with drawing; published without (with: 1.386)")


def ddim(model: MotionModel, store: MotionStore, repeat: int, suffix: str) -> Figure:
    """32 windows in 5 steps, both predictions of each."""
    generator = torch.Generator().manual_seed(0)
    drawn = draw_windows(store, model.layout, model.config, WINDOW, generator)
    known = drawn.features[:CANDIDATES, :NUM_HISTORY]
    noise = torch.randn(CANDIDATES, WINDOW, model.layout.width, generator=generator)
    given = drawn.patch[:CANDIDATES], drawn.target[:CANDIDATES], known
    call = lambda i: sample_windows(model, noise, *given, generator)  # noqa: E731
    return in_seconds(cpu_ms(f"ddim5_b32{suffix}", call, repeat), "with guidance")


def path(model: MotionModel, suffix: str) -> Figure:
    """32 motions of 10 s and their scores, once: 43 windows each."""
    generator = MdmGenerator(model.config, skeleton=SKELETON)
    generator.model = model
    selector = Registry.discover().create("selector", Use(name="heuristic"), skeleton=SKELETON, device="cpu")
    height = np.random.default_rng(0).uniform(-0.1, 0.1, (120, 40))
    terrain = Terrain(height=height, origin_xy=(-8.0, -8.0), cell=0.4)
    way = Path(points=[[0.4 * i, 0.0, 0.0] for i in range(90)], kinds=[0] * 89)
    selector.select(generator_clips(generator, terrain, way, 0.5), terrain, way)  # loads what is compiled

    def call(i: int) -> None:
        selector.select(generator_clips(generator, terrain, way, 10.0), terrain, way)

    return in_seconds(cpu_ms_once(f"path_10s_b32{suffix}", call), "one run; 43 windows, scores included")


def generator_clips(generator: MdmGenerator, terrain: Terrain, way: Path, seconds: float) -> list[MotionClip]:
    """Candidates of the given length in seconds."""
    model = generator.model
    assert model is not None
    generator.model = attrs.evolve(model, config=attrs.evolve(model.config, max_motion_length=seconds))
    clips = generator.propose(terrain, way, CANDIDATES, np.random.default_rng(0))
    generator.model = model
    return clips


def cpu_ms_once(name: str, call: Callable[[int], object]) -> Figure:
    """CPU time of one call."""
    start = time.process_time_ns()
    call(0)
    return Figure(name=name, value=(time.process_time_ns() - start) / 1e6)


def in_seconds(figure: Figure, note: str) -> Figure:
    """A figure in ms as one in seconds."""
    spread = figure.spread and tuple(value / 1000.0 for value in figure.spread)
    return attrs.evolve(figure, value=figure.value / 1000.0, unit="s CPU", spread=spread, note=note)


if __name__ == "__main__":
    main()
