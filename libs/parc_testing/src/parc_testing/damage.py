"""Random damage to the bytes of files, for tests of their readers."""

from __future__ import annotations

import random

__all__ = ["damaged"]

_SPLICES = [
    b"", b"\0", b"\xff" * 8, b"(", b".", b"0", b"R", b"b", b"N", b"]", b"}", b"K\x01", b"\x80\x04", b"nan", b"1e999",
    b"-", b"[", b"{", b"<", b'"', b"\n", b"9" * 12,
]  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes after one to four random changes: flips, cuts, repeats, splices, an early end."""
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 8, 40])
        change = rng.randrange(5)
        if change == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif change == 1:
            data = data[:at] + data[at + size :]
        elif change == 2:
            data = data[:at] + data[at : at + size] * rng.randint(2, 9) + data[at + size :]
        elif change == 3:
            data = data[:at] + rng.choice(_SPLICES) + data[at + rng.choice([0, size]) :]
        elif rng.random() < 0.3:
            data = data[:at]
    return data
