"""Every fuzz target with what it begins with, with that a little spoilt, and with what was once found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, VENUES, lines_of
from tests.support.examples import examples

ODD = [b"null", b"[]", b"{}", b"-1", b"1e999", b'""', b"\xff", b"\n", b"\\ud800", b"NaN"]
ODD += [b"[" * 2_000, b"9" * 400]
SEEDS = {name: list(seeds(name)) for name in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_fuzzer_begins_with_is_borne(target: str) -> None:
    assert SEEDS[target]
    for seed in SEEDS[target]:
        TARGETS[target](seed)


@pytest.mark.parametrize("venue", VENUES)
def test_every_line_of_a_venue_is_within_reach(venue: str) -> None:
    assert all(lines_of(venue).values())


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=examples(40))
@given(data=st.data())
def test_what_is_spoilt_is_borne(target: str, data: st.DataObject) -> None:
    """Pieces of what is right, cut anywhere and mixed with anything."""
    spoilt = bytearray(data.draw(st.sampled_from(SEEDS[target])))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(spoilt)))
        end = data.draw(st.integers(start, min(len(spoilt), start + 20)))
        spoilt[start:end] = data.draw(st.binary(max_size=8) | st.sampled_from(ODD))
    TARGETS[target](bytes(spoilt))
