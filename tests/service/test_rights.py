from __future__ import annotations

import pytest

from actors.service.rights import EVERY, OWNER, STRANGER, Caller, Right, with_implied


@pytest.mark.parametrize(
    ("given", "implied"),
    [
        (set(), set()),
        ({"look"}, {"look"}),
        ({"account"}, {"look", "account"}),
        ({"act"}, {"look", "act"}),
    ],
    ids=["none", "look", "account", "act"],
)
def test_account_and_act_imply_look_and_no_more(given: set[Right], implied: set[Right]) -> None:
    assert with_implied(frozenset(given)) == implied


def test_a_caller_may_what_its_rights_name() -> None:
    caller = Caller(frozenset({"look"}))
    assert caller.may("look")
    assert not caller.may("act")
    assert not caller.is_owner
    assert not STRANGER.may("look")
    assert OWNER.rights == EVERY
