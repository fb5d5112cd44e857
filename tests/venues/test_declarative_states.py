"""`[[venue_states]]`: what a table makes of messages in which the venue speaks of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.errors import ConfigError
from actors.protocol import TEXT, Deliver, Effect, Opening, Scope, Topic, VenueState
from actors.protocol.session import ConnectionCloses
from actors.settings.venue_tables import read_venue
from actors.venues.declarative.session import DeclaredSession

TABLE = """
name = "quay"
about = "for tests"
url = "wss://quay.example"
[keys.token]
secret = true
default = "SECRET"
[channels.trades]
about = "trades"
key = "market"
spelling = "upper"
[channels.news]
about = "news"
[[events]]
when = { ch = "{any}" }
wire = "ch"
key = "m"
"""


def session_of(states: str, *topics: tuple[str, str]) -> DeclaredSession:
    kind = read_venue(TABLE + states, "quay.toml")
    session = kind("quay", kind.Settings()).session(Opening("quay"))
    assert isinstance(session, DeclaredSession)
    session.opened(0.0)
    session.subscribe([Topic("quay", *topic) for topic in topics], 0.0)
    return session


def effects(session: DeclaredSession, *messages: Any) -> list[Effect]:
    return session.received([(TEXT, json.dumps(message).encode()) for message in messages], 1.0)


def told(session: DeclaredSession, *messages: Any) -> list[VenueState]:
    return [effect for effect in effects(session, *messages) if isinstance(effect, VenueState)]


SYSTEM = """
[[venue_states]]
when = { type = "system" }
value = "state"
states = { 0 = "open", 1 = "halted", true = "degraded", "pre open" = "maintenance" }
"""


@pytest.mark.parametrize(
    ("word", "state"),
    [(0, "open"), (1, "halted"), ("1", "halted"), (True, "degraded"), ("pre open", "maintenance")],
)
def test_a_word_is_looked_up_as_the_table_writes_it(word: Any, state: str) -> None:
    (found,) = told(session_of(SYSTEM), {"type": "system", "state": word})
    assert (found.state, found.scope) == (state, Scope())


@pytest.mark.parametrize("word", [2, False, "", None, 1.0, ["1"], {"1": 1}, "x" * 10_000])
def test_a_word_that_the_table_does_not_name_counts_as_unrouted(word: Any) -> None:
    session = session_of(SYSTEM)
    assert told(session, {"type": "system", "state": word}) == []
    assert session.heard == {"unrouted": 1}


def test_text_and_time_stand_where_the_table_says() -> None:
    session = session_of(SYSTEM + 'text = "why.words"\nuntil = "ends"\nunit = "s"\n')
    message = {"type": "system", "state": 1, "why": {"words": "because of SECRET"}, "ends": "1700000000"}
    (found,) = told(session, message)
    assert "SECRET" not in found.text
    assert found.text.startswith("because of ")
    assert found.until_ns == 1_700_000_000 * 10**9
    (found,) = told(session, {"type": "system", "state": 1, "ends": "soon"})
    assert (found.text, found.until_ns) == ("1", None)


@pytest.mark.parametrize(
    ("about", "scope"),
    [
        ("", Scope()),
        ('channel = "trades"\n', Scope("trades")),
        ('key = "m"\n', Scope(key="BTC-EUR")),
        ('channel = "trades"\nkey = "m"\n', Scope("trades", "BTC-EUR")),
    ],
)
def test_a_state_is_of_the_line_a_channel_or_a_key_as_we_spell_it(about: str, scope: Scope) -> None:
    (found,) = told(session_of(SYSTEM + about), {"type": "system", "state": 1, "m": "btc-eur"})
    assert found.scope == scope


def test_an_element_without_a_key_is_not_of_the_whole_line() -> None:
    assert told(session_of(SYSTEM + 'key = "m"\n'), {"type": "system", "state": 1}) == []


def test_a_message_of_events_is_looked_at_where_the_table_says_so() -> None:
    states = """
[[venue_states]]
when = { ch = "trades", halted = [true, false] }
key = "m"
value = "halted"
states = { true = "halted", false = "open" }
in_events = true
"""
    session = session_of(states, ("trades", "A"), ("trades", "B"))
    plain = [{"ch": "trades", "m": "a", "n": number} for number in range(4)]
    halted = {"ch": "trades", "m": "a", "n": 9, "halted": True}
    found = effects(session, *plain[:2], halted, *plain[2:], halted)
    shape = [len(effect.events) if isinstance(effect, Deliver) else type(effect).__name__ for effect in found]
    assert shape == [2, "VenueState", 3, "VenueState", 1]
    assert session.heard["event"] == 6
    without = session_of(states.replace("in_events = true", ""), ("trades", "A"))
    assert told(without, halted) == []


def test_a_connection_that_will_be_closed_is_told_with_the_words() -> None:
    states = '[[venue_states]]\nwhen = { bye = "{any}" }\nstate = "degraded"\ntext = "bye"\ncloses = true\n'
    found = effects(session_of(states), {"bye": "an upgrade"})
    assert found == [VenueState(Scope(), "degraded", "an upgrade"), ConnectionCloses("an upgrade")]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ('value = "x"\nstates = { a = "open" }', "when: missing; expected a table such as"),
        ("when = { a = 1 }", "state: expected state, or value (where it stands) with states."),
        ('when = { a = 1 }\nstate = "halted"\nvalue = "x"', "state: expected state, or value"),
        ('when = { a = 1 }\nvalue = "x"', "states: missing; expected what each value means"),
        ('when = { a = 1 }\nstate = "halted"\nstates = { a = "open" }', "value: missing: states says"),
        ('when = { a = 1 }\nstate = "halt"', "state: expected one of: "),
        (
            'when = { a = 1 }\nvalue = "x"\nstates = { a = "shut" }',
            "states: expected a table from a value to open,",
        ),
        ('when = { a = 1 }\nstate = "open"\nkey = "r[*].m"', "key: [*] means each of several; add each"),
        ('when = { a = 1 }\nstate = "open"\nchannel = "trade"', "channel: there is no channel 'trade';"),
        ('when = { a = 1 }\nstate = "open"\nchannel = "news"\nkey = "m"', "key: channel news takes no key."),
        ('when = "x"\nstate = "open"', "when: expected a table such as"),
        ('when = { a = 1 }\nstate = "open"\nwire = "ch"', "wire: there is no such key"),
    ],
)
def test_a_mistake_is_told_with_its_place(wrong: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_venue(f"{TABLE}[[venue_states]]\n{wrong}\n", "quay.toml")
    (found,) = caught.value.problems
    assert found.removeprefix("quay.toml: ").startswith(f"[[venue_states]] entry 1 {problem}")
