from __future__ import annotations

import pytest

from actors.rules.admission import Standing
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


@pytest.mark.parametrize(
    ("caller", "standing", "acting"),
    [
        (STRANGER, "stranger", "stranger"),
        (Caller(is_local_user=True, name="uid 65534"), "stranger", "stranger"),
        (Caller(frozenset({"look"})), "known", "known"),
        (Caller(EVERY), "known", "acting"),
        (OWNER, "owner", "owner"),
    ],
    ids=["stranger", "user without rights", "look", "every right", "owner"],
)
def test_places_are_kept_apart_by_what_a_caller_has_proved_and_does(
    caller: Caller, standing: Standing, acting: Standing
) -> None:
    assert (caller.standing("look"), caller.standing("act")) == (standing, acting)


def test_a_client_is_an_address_or_user_with_its_rights() -> None:
    rights: tuple[frozenset[Right], ...] = (frozenset({"look"}), frozenset({"act"}))
    callers = [Caller(each, name=name) for name in ("::1", "::2") for each in rights]
    assert len({caller.client for caller in callers}) == len(callers)


def test_a_caller_may_what_its_rights_name() -> None:
    caller = Caller(frozenset({"look"}))
    assert caller.may("look")
    assert not caller.may("act")
    assert not caller.is_owner
    assert not STRANGER.may("look")
    assert OWNER.rights == EVERY
