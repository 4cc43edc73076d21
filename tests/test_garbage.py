"""How the garbage collector is told what kind of program it works for."""

import gc

from taxiway.cli.garbage import rarely_collecting


def test_nothing_is_collected_while_the_program_loads() -> None:
    """Until all is loaded the collector rests; then it keeps off what was loaded, and works rarely."""
    with rarely_collecting() as loaded:
        resting = not gc.isenabled()
        loaded()

        assert resting
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > 700


def test_the_collector_is_left_as_it_was() -> None:
    """A program that ends, or fails while it loads, leaves the collector of its process as it found it."""
    before = gc.get_threshold()
    with rarely_collecting():
        pass

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
