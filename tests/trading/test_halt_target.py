"""What a halt is about, as it is named."""

from __future__ import annotations

import pytest

from actors import LinewardenError
from actors.trading.halt_target import HaltTarget, halt_target

HOSTS = {"projectx": "api.venue.example", "iex": None}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("", HaltTarget()),
        ("all", HaltTarget()),
        ("projectx", HaltTarget("api.venue.example")),
        ("projectx/4242", HaltTarget("api.venue.example", 4242)),
        ("API.other.example/7", HaltTarget("api.other.example", 7)),
        ("127.0.0.1:8080", HaltTarget("127.0.0.1:8080")),
        ("localhost/7", HaltTarget("localhost", 7)),
    ],
)
def test_a_target_is_all_a_feed_a_host_or_an_account_of_these(name: str, target: HaltTarget) -> None:
    assert halt_target(name, HOSTS) == target


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("projectx/market", "expected the number of an account"),
        ("projectx/", "expected the number of an account"),
        ("all/7", "'all' is no feed and no host; known: all, projectx, iex"),
        ("iex", "feed iex takes no orders"),
        ("project", "'project' is no feed and no host"),
    ],
)
def test_what_names_nothing_halts_nothing(name: str, why: str) -> None:
    with pytest.raises(LinewardenError, match=why) as raised:
        halt_target(name, HOSTS)
    assert str(raised.value).endswith("Nothing is halted.")


def test_a_target_covers_its_host_and_all_covers_every_one() -> None:
    assert HaltTarget().covers("api.venue.example")
    assert HaltTarget("api.venue.example", 7).covers("api.venue.example")
    assert not HaltTarget("api.other.example").covers("api.venue.example")
