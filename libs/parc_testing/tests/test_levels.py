import pytest

from parc_testing.levels import at_level, level, rounds


def test_the_default_level_is_that_of_every_change(monkeypatch):
    monkeypatch.delenv("PARC_TEST_LEVEL", raising=False)
    assert (level(), at_level(pr=3, nightly=9)) == ("pr", 3)


def test_rounds_are_exact_by_day_and_end_in_time_at_night(monkeypatch):
    monkeypatch.setenv("PARC_TEST_LEVEL", "pr")
    assert list(rounds(pr=3, nightly=9, at_most_s=-1.0)) == [0, 1, 2]
    monkeypatch.setenv("PARC_TEST_LEVEL", "nightly")
    assert list(rounds(pr=3, nightly=9)) == list(range(9))
    assert list(rounds(pr=3, nightly=9, at_most_s=-1.0)) == [0]


def test_an_unknown_level_is_an_error(monkeypatch):
    monkeypatch.setenv("PARC_TEST_LEVEL", "weekly")
    with pytest.raises(ValueError, match="PARC_TEST_LEVEL is 'weekly', expected one of pr, nightly"):
        level()
