"""Writes `docs/api.md`, every public name with its one import path; `make api` runs it, a test compares."""

from __future__ import annotations

import importlib
import inspect
import pathlib
from types import ModuleType

__all__ = ["PUBLIC", "page"]

#: modules whose `__all__` is the public interface
PUBLIC = (
    "parc_core",
    "parc_core.config",
    "parc_core.errors",
    "parc_core.interfaces",
    "parc_core.interfaces.evaluation",
    "parc_core.interfaces.survival",
    "parc_core.plugins",
    "parc_motion.checks",
    "parc_motion.clips",
    "parc_motion.compiled",
    "parc_motion.draw",
    "parc_motion.errors",
    "parc_motion.geometry",
    "parc_motion.jit",
    "parc_motion.kinematics",
    "parc_motion.kinematics.rotations",
    "parc_motion.metrics",
    "parc_motion.playback",
    "parc_motion.published",
    "parc_motion.resample",
    "parc_motion.skeletons",
    "parc_motion.storage",
    "parc_motion.terrains",
    "parc_testing.builders",
    "parc_testing.context",
    "parc_testing.contracts.agent",
    "parc_testing.contracts.executor",
    "parc_testing.contracts.generator",
    "parc_testing.contracts.metric_sink",
    "parc_testing.contracts.motion_source",
    "parc_testing.contracts.optimizer",
    "parc_testing.contracts.planner",
    "parc_testing.contracts.policy_network",
    "parc_testing.contracts.recorder",
    "parc_testing.contracts.selector",
    "parc_testing.contracts.simulator",
    "parc_testing.contracts.terrain_source",
    "parc_testing.contracts.tracker_env",
    "parc_testing.contracts.tracking_terms",
    "parc_testing.fake_env",
    "parc_testing.fake_simulator",
    "parc_testing.frames",
    "parc_testing.plugins",
)

_HEADING = """# Public names

Every public name and the one path to import it from. Generated from the code by `make api`.

What `PARC_API = ({major}, {minor})` promises: within one major number these names stay, keep their meaning, and
functions keep accepting the arguments that they accept; names may be added, which raises the minor number. Whatever is
not listed here may change at any time. A plugin states the version that it was written for (`PARC_API` in its module)
and is refused, with advice, where it does not fit.
"""


def page() -> str:
    """The text of `docs/api.md`."""
    import parc_core

    major, minor = parc_core.PARC_API
    parts = [_HEADING.format(major=major, minor=minor)]
    for name in PUBLIC:
        module = importlib.import_module(name)
        rows = "".join(
            f"| `{item}` | {_line(module, item)} |\n" for item in sorted(module.__all__, key=str.lower)
        )
        parts.append(
            f"## {name}\n\n{_first_line(module.__doc__)}\n\n| name | what it is |\n| --- | --- |\n{rows}"
        )
    return "\n".join(parts)


def _line(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    if inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value):
        return _first_line(inspect.getdoc(value)).replace("|", "\\|")
    text = repr(value) if isinstance(value, (str, int, float, tuple)) else ""
    return f"`{text}`" if 0 < len(text) <= 80 else f"a {type(value).__name__}"


def _first_line(text: str | None) -> str:
    return " ".join((text or "").strip().partition("\n\n")[0].split())


if __name__ == "__main__":
    target = pathlib.Path(__file__).with_name("api.md")
    target.write_text(page())
