"""Digests of files that are asked for again and again: read once, and again when they changed."""

import hashlib
import os
import time

import pytest

from parc_motion.errors import DataError
from parc_motion.storage import digest_unchanged, digests


@pytest.fixture
def reads(monkeypatch):
    """The files whose content is read, in order."""
    seen = []
    read = digests.digest_file

    def counted(path):
        seen.append(path)
        return read(path)

    monkeypatch.setattr(digests, "digest_file", counted)
    return seen


def test_a_new_file_is_read_once(tmp_path, reads):
    file = tmp_path / "clip"
    file.write_bytes(b"walk")
    assert {digest_unchanged(file) for _ in range(3)} == {hashlib.sha256(b"walk").hexdigest()}
    assert reads == [file]


def test_a_renamed_file_is_not_read_again(tmp_path, reads):
    (tmp_path / "clip.partial").write_bytes(b"walk")
    digest_unchanged(tmp_path / "clip.partial")
    file = (tmp_path / "clip.partial").rename(tmp_path / "clip")
    digest_unchanged(file)
    assert len(reads) == 1


def test_changes_right_after_a_digest_are_noticed(tmp_path):
    # of the same size, and as fast as the clock of a file system could hide them
    file = tmp_path / "clip"
    for content in (b"%03d" % number for number in range(20)):
        file.write_bytes(content)
        assert digest_unchanged(file) == hashlib.sha256(content).hexdigest()


def test_a_file_from_the_future_is_read_each_time(tmp_path, reads):
    file = tmp_path / "clip"
    file.write_bytes(b"walk")
    soon = time.time() + 3600
    os.utime(file, (soon, soon))
    digest_unchanged(file)
    file.write_bytes(b"jump")
    os.utime(file, (soon, soon))
    assert digest_unchanged(file) == hashlib.sha256(b"jump").hexdigest()
    assert len(reads) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="gone"):
        digest_unchanged(tmp_path / "gone")
