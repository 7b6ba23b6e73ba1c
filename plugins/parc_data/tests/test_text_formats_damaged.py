"""Damaged BVH, ASF and AMC files: each of many mutations is read or refused, quickly, and nothing else happens."""

from __future__ import annotations

import pathlib
import time

import numpy as np
import pytest

from parc_data.formats import asf_amc, bvh
from parc_data.formats.format import Format, ReadOptions
from parc_motion.errors import DataError
from parc_testing.levels import rounds

MUTATIONS, NIGHTLY = 1000, 100_000

BVH = b"""HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT LeftUpLeg
 {
  OFFSET 10 0 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT LeftFoot
  {
   OFFSET 0 -83 0
   CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
   End Site
   {
    OFFSET 0 -5 15
   }
  }
 }
}
MOTION
Frames: 3
Frame Time: 0.0333333
0 90 0 1 2 3 1 2 3 0 -83 0 5 5 5
0 91 0 1 2.5 3 1 2 3e-1 0 -84 0 5 5 6
0 92.25 0 1 -2 3 1 2 3 0 -83 0 5 5 7
"""
ASF = b""":units
 length 0.45
 angle deg
:root
 order TX TY TZ RX RY RZ
 axis XYZ
 position 0 0 0
 orientation 0 0 0
:bonedata
 begin
  name lfemur
  direction 0 -1 0
  length 7.5
  axis 0 0 20 XYZ
  dof rx ry rz
  limits (-160.0 20.0)
         (-70.0 70.0)
         (-60.0 70.0)
 end
 begin
  name ltibia
  direction 0 -1 0
  length 7.5
  axis 0 0 20 XYZ
  dof rx
 end
 begin
  name lfoot
  direction 0 0 1
  length 2
  axis 0 0 0 XYZ
 end
:hierarchy
 begin
  root lfemur
  lfemur ltibia
  ltibia lfoot
 end
"""
AMC = b""":FULLY-SPECIFIED
:DEGREES
1
root 1 17 3 4 5 6
lfemur 10 20 30
ltibia 5
2
root 1 17 3 4 5 6.5
lfemur 10 20 31
ltibia 5e-1
"""


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """The data with one to three faults: flipped, replaced, deleted, doubled or swapped bytes, or cut off."""
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        start, length = int(rng.integers(len(data))), int(rng.integers(1, 30))
        part = data[start : start + length]
        other = int(rng.integers(len(data)))
        faults = [
            data[:start] + bytes([data[start] ^ (1 << int(rng.integers(8)))]) + data[start + 1 :],
            data[:start]
            + rng.choice([b"-", b"nan", b"1e999", b"{", b"}", b"\x00", b"\n", b"9" * 12])
            + data[start:],
            data[:start] + data[start + length :],
            data[:start] + part * int(rng.integers(2, 6)) + data[start + length :],
            data[:other] + part + data[other:],
            data[:start],
        ]
        data = faults[int(rng.integers(len(faults)))]
    return data


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("reader", "files", "damaged"),
    [
        (bvh.FORMAT, {"a.bvh": BVH}, "a.bvh"),
        (asf_amc.FORMAT, {"a.asf": ASF, "a.amc": AMC}, "a.asf"),
        (asf_amc.FORMAT, {"a.asf": ASF, "a.amc": AMC}, "a.amc"),
    ],
    ids=["bvh", "asf", "amc"],
)
def test_a_damaged_file_is_read_or_refused(
    tmp_path: pathlib.Path, reader: Format, files: dict[str, bytes], damaged: str, measured
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    path = tmp_path / list(files)[-1]
    assert reader.read(path, ReadOptions())
    rng, count, refused, slowest = np.random.default_rng(7), 0, 0, 0.0
    for _ in rounds(pr=MUTATIONS, nightly=NIGHTLY):
        (tmp_path / damaged).write_bytes(mutate(files[damaged], rng))
        started, count = time.process_time(), count + 1
        try:
            (motion,) = reader.read(path, ReadOptions())
            assert motion.num_frames > 0
        except DataError as err:
            refused += 1
            assert str(tmp_path) in str(err)
        slowest = max(slowest, time.process_time() - started)
    measured(
        f"mutated files, {damaged}",
        f"{count}, {refused} refused, the others read; at most {slowest:.2f} s CPU",
    )
    assert slowest < 2.0
    # both ends are reached: some mutations do no harm, most do
    assert 0.2 * count < refused < count
