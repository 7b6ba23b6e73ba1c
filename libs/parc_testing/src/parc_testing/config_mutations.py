"""Configurations as a careless or hostile user writes them: valid iteration files with random changes.

>>> mutated = mutate(text, random.Random(7))
>>> mutated.data, mutated.overrides
"""

from __future__ import annotations

import copy
import functools
import random
import string
from collections.abc import Callable
from typing import Any

import attrs
import yaml

__all__ = ["FRAGMENTS", "Mutated", "mutate"]

_LONG = "9" * 5000
FRAGMENTS = (  # texts of YAML that stand in place of a value
    "1__0", "1_000", "_1", "1_", "-0", "0", "1", "-1", "2", "1e-300", "1e300", "-1e300", "1e999", "5e-324",
    "0.1", "-0.0", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "4294967296",
    "1000000000", _LONG, f"-{_LONG}", f"'{_LONG}'", f"1.{_LONG}", f"1e{_LONG}", "'5'", "'1__0'", "'²'",
    "'٣'", "0x1F", "0o17", "017", "1:30", "12:30:45", ".nan", ".inf", "-.inf", "nan", "inf", "NaN", "true",
    "false", "yes", "no", "on", "null", "~", "", "''", "' '", "2026-01-02", "2026-99-99",
    "2001-12-14t21:59:43.10-05:00", "[]", "{}", "[[]]", "[1, 2]", "[1, two]", "[.nan]", "[null]", "{a: 1}",
    "{a: {b: {c: 1}}}", "{use: boxes}", "{use: astar, preset: nothing}", "{use: 3}", "{use: [boxes]}",
    "{use: {use: boxes}}", "{use: boxes, weight: 1__0}", "{preset: cpu}", "{weight: 2}", "boxes", "astar",
    "mdm", "dmppo", "retry", "mpc", "nobody", "local", "{1: {}}", "{2: {}}",
    "{2: {kin_gen: {candidates: 1__0}}}", "{x: {}}", "'parc_testing.quick:QuickEnv'",
    "'parc_testing.quick:Nothing'", "'no_such_module:Nothing'", "'./missing.py:x'", "'json:loads'",
    "'os:getcwd'", "'math:sin'", "'os:environ'", "'collections:OrderedDict'", "':'", "'a:b:c'", "'.py:'",
    "${HOME}", "'${HOME}'", "${NO_SUCH_VARIABLE}", "${NO_SUCH_VARIABLE:-5}", "${}", "'${1}'", "$${HOME}",
    "$HOME/x", "'${HOME'", "${PARC_FUZZ}", "~", "'~nobody_here/x'", "~/x", "/", ".", "..",
    "/proc/self/mem", "/dev/null", f"/{'x' * 300}", f"'{'x/' * 3000}'", "'a\\0b'", '"a\\0b"', '"\\ud800"',
    '"\\x07"', '"\\n\\n"', "'é ß 漢 😀'", "\u202e", "\ufeff", "\x07", "!!python/object/apply:os.system [x]",
    "!x 1", "!!int x", "!!float 1", "!!binary eA==", "&a 1", "*a", "*nothing", "&a [*a]", "|\n  text",
    ">\n  text", "- 1", "? x", "@a", "`a`", "%TAG", "---", "...", "<<: {a: 1}", "{<<: {a: 1}}", "[" * 100,
    "{a: " * 100, "[" * 70 + "]" * 70, "'" * 3, "\"", "# x", ": ", "a: b: c", "\t- x", "{a: 1, a: 2}",
    "x" * 70_000,
)  # fmt: skip
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_KEYS = (
    "use",
    "preset",
    "weight",
    "from",
    "parc",
    "a.b",
    "0",
    "",
    "<<",
    "é",
    "true",
    "1__0",
    _LONG,
    "x" * 2000,
    "2",
    "~",
)
_YAML_LETTERS = string.ascii_lowercase + string.digits + " \n\n  ::--[]{},&*!|>'\"#%@`~_.${}\t\\é漢\ud800\x00"


@attrs.frozen
class Mutated:
    """An iteration file and options ``--set`` beside it."""

    data: bytes
    overrides: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.data!r:.3000}  {self.overrides!r:.1000}"


def mutate(text: str, rng: random.Random) -> Mutated:
    """A valid file with one to four random changes: of values, keys, letters, bytes, or by options."""
    how = rng.choice(
        (_of_values, _of_values, _of_values, _of_options, _of_options, _of_letters, _of_bytes, _of_nothing)
    )
    return how(text, rng)


def _of_values(text: str, rng: random.Random) -> Mutated:
    """Some values replaced, keys added, renamed, repeated or removed."""
    tree, raw = _parsed(text), dict[str, str]()
    for _ in range(rng.randint(1, 4)):
        spots = list(_spots(tree))
        box, key = rng.choice(spots)
        rng.choice(_CHANGES)(box, key, raw, rng)
    made = yaml.dump(tree, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    for token, fragment in raw.items():
        made = made.replace(token, fragment)
    return Mutated(made.encode(errors="surrogatepass"))


def _of_options(text: str, rng: random.Random) -> Mutated:
    """Options that address values of the file, or what is not there."""
    tree = _parsed(text)
    overrides = []
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(_paths(tree)))
        if rng.random() < 0.3:
            path = ".".join((path, rng.choice(_KEYS), rng.choice(_KEYS))[: rng.randint(1, 3)])
        if rng.random() < 0.1:
            path = f"from.{rng.choice(('2', '3', _LONG, '1', 'x', '٣', '-2', '1__0'))}.{path}"
        overrides.append(f"{path}{rng.choice(('=', '=', '=', '=', '', '=='))}{rng.choice(FRAGMENTS)}")
    return Mutated(text.encode(), tuple(overrides))


def _of_letters(text: str, rng: random.Random) -> Mutated:
    """Letters and lines removed, repeated and inserted; seldom nothing but random letters."""
    if rng.random() < 0.15:
        made = "".join(rng.choices(_YAML_LETTERS, k=rng.randint(0, 400)))
        return Mutated(made.encode(errors="surrogatepass"))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        until = min(len(text), at + rng.choice((0, 0, 1, 1, 3, 30)))
        new = rng.choice((rng.choice(_YAML_LETTERS), rng.choice(FRAGMENTS), text[at:until] * 2, ""))
        text = text[:at] + new + text[until:]
    return Mutated(text.encode(errors="surrogatepass"))


def _of_bytes(text: str, rng: random.Random) -> Mutated:
    """Bytes garbled, the file cut, or written in another encoding."""
    if rng.random() < 0.1:
        return Mutated(text.encode(rng.choice(("utf-16", "utf-32", "utf-7", "utf-8-sig"))))
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 5)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return Mutated(bytes(data[: rng.choice((len(data), len(data), rng.randrange(len(data))))]))


def _of_nothing(text: str, rng: random.Random) -> Mutated:
    """The file as it is, or a bomb of aliases before it."""
    if rng.random() < 0.5:
        return Mutated(text.encode())
    width, levels = rng.randint(2, 12), rng.randint(1, 12)
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return Mutated(("\n".join(lines) + "\n" + text).encode())


@functools.cache
def _loaded(text: str) -> Any:
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _parsed(text: str) -> Any:
    return copy.deepcopy(_loaded(text))


def _replace(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    box[key] = _token(raw, rng.choice(FRAGMENTS))


def _replace_by_number(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    sign, size = rng.choice((-1, 1)), 10.0 ** rng.uniform(-12, 18)
    box[key] = rng.choice((sign * size, sign * int(size), rng.randint(-3, 3)))


def _replace_by_other(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    others = [other for one, name in _spots(box) if isinstance(other := one[name], str | int | float | bool)]
    box[key] = rng.choice(others) if others else None


def _wrap(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 10))):
        box[key] = [box[key]] if rng.random() < 0.5 else {rng.choice(("use", "x")): box[key]}


def _add_key(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    if isinstance(box, dict):
        box[rng.choice(_KEYS)] = _token(raw, rng.choice(FRAGMENTS))


def _add_block(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    if isinstance(box, dict):
        numbers = rng.choices((2, 3, 7, 1, 0, -1, 10**7, "x", None), k=rng.randint(1, 3))
        values: tuple[Any, ...] = (
            {},
            None,
            {"kin_gen": {"candidates": 64}},
            {"seed": 3},
            {"train_gen": {"generator": "mdm"}},
            {"x": 1},
        )
        box["from"] = {number: rng.choice(values) for number in numbers}


def _remove(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    del box[key]


def _rename(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    if isinstance(box, dict):
        box[rng.choice((*_KEYS, f"{key}x", str(key)[1:], str(key).upper()))] = box.pop(key)


def _repeat(box: Any, key: Any, raw: dict[str, str], rng: random.Random) -> None:
    if isinstance(box, dict) and isinstance(key, str):
        box[_token(raw, f"{key}")] = box[key]


_CHANGES: tuple[Callable[[Any, Any, dict[str, str], random.Random], None], ...] = (
    _replace, _replace, _replace, _replace, _replace_by_number, _replace_by_number, _replace_by_other, _wrap, _add_key,
    _add_block, _remove, _rename, _repeat,
)  # fmt: skip


def _token(raw: dict[str, str], fragment: str) -> str:
    """A word that is replaced by the fragment once the file is written."""
    raw[f"TOKEN{len(raw)}Z"] = fragment
    return f"TOKEN{len(raw) - 1}Z"


def _spots(tree: Any) -> list[tuple[Any, Any]]:
    """Every place of a value: the mapping or list that holds it, and its key or index."""
    items = list(
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    )
    return [(tree, key) for key, _ in items] + [spot for _, value in items for spot in _spots(value)]


def _paths(tree: Any, above: str = "") -> list[str]:
    items = list(
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    )
    own = [f"{above}{key}" for key, _ in items]
    return own + [path for key, value in items for path in _paths(value, f"{above}{key}.")]
