"""The beginning of a JSON message reads as a message."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.venues.declarative.beginning import whole

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
messages = st.dictionaries(st.text(), values, min_size=1) | st.lists(values, min_size=1)


@given(messages, st.floats(0.0, 1.0), st.booleans())
def test_every_beginning_is_json_and_holds_what_was_complete(
    value: Any, part: float, ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    beginning = text[: max(1, int(part * len(text)))]
    read = json.loads(whole(beginning))
    assert type(read) is type(value)
    if len(beginning) == len(text):
        assert read == value


def test_what_stands_before_the_cut_is_there() -> None:
    text = '{"type": "snapshot", "id": "a,b}\\"]", "bids": [[1, "2"], [3, "4'
    assert json.loads(whole(text)) == {"type": "snapshot", "id": 'a,b}"]', "bids": [[1, "2"], [3]]}
