"""Code in a plain Python file that a user names in an iteration file: ``my_terms.py:feet_apart``.

The file is imported once per process, under a module name made from its path. It is not on the import path: what it
imports has to be installed, and it cannot import its neighbors.
"""

from __future__ import annotations

import os
import pathlib
import sys
from types import ModuleType

from parc_core.errors import BrokenPlugin, describe_error, is_interrupt
from parc_core.paths import is_file

__all__ = ["is_file_name", "load_file", "locate"]


def is_file_name(name: str) -> bool:
    """Whether a provider's name is ``path/to/file.py:attribute``."""
    return name.rpartition(":")[0].endswith(".py")


def locate(text: str, base: pathlib.Path | None) -> tuple[pathlib.Path | None, list[pathlib.Path]]:
    """The absolute path of a file, None if it does not exist, and the places that were searched.

    Args:
        base: folder of the file that names it; it is searched first, then the current directory.
    """
    name = os.path.expanduser(text)
    beside = [os.path.abspath(os.path.join(base, name))] if base is not None else []
    places = [pathlib.Path(place) for place in dict.fromkeys([*beside, os.path.abspath(name)])]
    return next((place for place in places if is_file(place)), None), places


def load_file(path: pathlib.Path) -> ModuleType:
    """The module in a file; the second call for the same file returns the same module.

    Raises:
        BrokenPlugin: the file cannot be read, or executing it raised.
    """
    import hashlib  # here, and importlib.util too: `parc --help` starts without them
    import importlib.util

    path = path.resolve()
    name = f"parc_file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BrokenPlugin(f"{path}: is not a Python file. Expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: attrs and dataclasses look their class's module up
    try:
        spec.loader.exec_module(module)
    except BaseException as err:
        del sys.modules[name]
        if is_interrupt(err):
            raise
        raise BrokenPlugin(
            f"{path}{_line(err, path)}: importing the file raised {describe_error(err)}"
        ) from err
    return module


def _line(err: BaseException, path: pathlib.Path) -> str:
    """``:line`` of the innermost place in the file at which an exception was raised."""
    import traceback

    lines = [frame.lineno for frame in traceback.extract_tb(err.__traceback__) if frame.filename == str(path)]
    if isinstance(err, SyntaxError) and err.filename == str(path):
        lines.append(err.lineno)
    return f":{lines[-1]}" if lines else ""
