"""The account view's rules: the table of its states."""

from __future__ import annotations

from actors.rules.account.states import following


def test_an_interruption_ends_what_was_known_in_each_state() -> None:
    for state in ("syncing", "synced", "doubted", "untrusted", "disputed"):
        assert following(state, "interrupted") == "down"


def test_what_is_not_in_the_table_changes_nothing() -> None:
    assert following("down", "taken") == "down"
