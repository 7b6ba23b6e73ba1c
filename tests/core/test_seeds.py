"""Named random streams."""

from parc_core.interfaces import SeedStreams


def test_a_new_consumer_of_randomness_shifts_nobody():
    seeds = SeedStreams(7).child("kin_gen")
    first = seeds.numpy("motion", id=3).random()
    seeds.numpy("somebody else").random()
    assert seeds.numpy("motion", id=3).random() == first
    assert seeds.numpy("motion", id=4).random() != first
    assert SeedStreams(8).child("kin_gen").numpy("motion", id=3).random() != first
