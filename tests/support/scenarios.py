"""What a hunt plays: scenarios that lead to a rare state each, and noise that may come at any time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actors import RotationFailed
from actors.rules.stream_buffer import Policy
from tests.support.field import BOUND, BURST, FEEDS, GUEST, LEFT, MOMENT, RIGHT, Field
from tests.support.internals import WORKERS
from tests.support.listeners import DEPTH, ORDERS, TRADES, VIEW
from tests.support.rare import Rare

FIRST = 4  # rounds of a seed in which each scenario has its turn
EXTRA = 5_000  # the capacity of streams that come and go

# ── what may happen at any time ──


def noise(field: Field) -> None:
    for _ in range(0 if field.quiet else field.dice.randint(0, 3)):
        field.dice.choices(list(NOISE), list(NOISE.values()))[0](field)


def burst(field: Field) -> None:
    field.talk(field.dice.choice(FEEDS))


def look(field: Field) -> None:
    for _ in range(field.dice.randint(1, 20)):
        field.runtime.status()


def change_keys(field: Field) -> None:
    field.toggle(field.dice.choice([each for each in field.listeners if each.channel is not ORDERS]))


def change_a_gate(field: Field) -> None:
    listener = field.dice.choice(field.listeners)
    if listener.stream.policy == "block" and listener.stream.capacity < 100:
        return  # it would hold its line, which a scenario does on purpose
    if listener.gate.is_set():
        field.shut(listener)
    else:
        listener.gate.set()


def open_or_close(field: Field) -> None:
    """Streams come and go at any moment."""
    extra = [each for each in field.listeners if each.stream.capacity == EXTRA]
    feed, channel = field.dice.choice((LEFT, RIGHT)), field.dice.choice((TRADES, DEPTH, VIEW))
    policy: Policy = field.dice.choice(("drop_oldest", "drop_newest", "block"))
    if len(extra) > 2:
        field.close_stream(field.dice.choice(extra))
    else:
        field.open_stream(feed, channel, field.venues[feed].markets[:1], policy=policy, capacity=EXTRA)


def kill_any(field: Field) -> None:
    role = field.dice.choice((*WORKERS, "connection/left", "connection/left/2", "connection/right"))
    field.kill(role, newest=field.dice.random() < 0.5, calls=field.dice.randint(0, 12))


def wedge_any(field: Field) -> None:
    field.wedge(field.dice.choice((*WORKERS, "connection/right")))


def rotate_any(field: Field) -> None:
    field.rotate(field.dice.choice((LEFT, RIGHT)))


def restart_any(field: Field) -> None:
    field.restart(field.dice.choice((LEFT, RIGHT)))


def drop_any(field: Field) -> None:
    feed = field.dice.choice(FEEDS)
    field.step(f"drop {feed}")
    field.venues[feed].drop()


def trouble(field: Field) -> None:
    feed = field.dice.choice(FEEDS)
    venue, market = field.venues[feed], field.dice.choice(field.venues[feed].markets)
    what, do = field.dice.choice(
        [
            ("garbage", lambda: venue.garbage("json")),
            ("an error", venue.error),
            ("resync_required", lambda: venue.resync_required(market)),
            ("a lost acknowledgement", venue.lose_ack),
            ("delayed acknowledgements", lambda: venue.delay_ack(0.1)),
            ("a refusal", venue.refuse),
        ]
    )
    field.step(f"{what} at {feed}")
    do()


# ── scenarios ──


def hold_over_a_rotation(field: Field) -> None:
    holder = field.holders[LEFT]
    if be_held_over_a_rotation(field):
        field.note(Rare.HELD_OVER_ROTATION)
    then = field.dice.choice(("stands", "stands", "goes on", "is closed"))
    field.step(f"the reader of {holder} {then}")
    if then == "goes on":
        holder.gate.set()
    elif then == "is closed":
        field.reopen_holder(LEFT)


def late_candidate(field: Field) -> None:
    if be_held_over_a_rotation(field):
        field.note(Rare.LATE_CANDIDATE)
    field.kill("connection/left")


def late_predecessor(field: Field) -> None:
    if be_held_over_a_rotation(field):
        field.note(Rare.LATE_PREDECESSOR)
    field.kill("connection/left", newest=False)


def be_held_over_a_rotation(field: Field) -> bool:
    """Whether a stream holds the connection while that which takes over has all its subscriptions."""
    venue, holder = field.venues[LEFT], field.holders[LEFT]
    field.free(LEFT)
    venue.delay_ack(0.3)
    lives = venue.lives
    field.rotate(LEFT)
    field.until(lambda: venue.lives > lives)
    held = field.hold(LEFT)
    noise(field)
    both = field.until(lambda: venue.subscribers("trades", holder.keys[0]) == 2)
    field.step(f"held: {held}, both are subscribed: {both}")
    return held and both and holder.is_full


def refused_candidate(field: Field) -> None:
    feed = field.dice.choice((LEFT, RIGHT))
    field.venues[feed].refuse(n=2)
    rotation = field.rotate(feed)
    field.talk(feed)
    if isinstance(rotation.exception(timeout=BOUND), RotationFailed):
        field.note(Rare.REFUSED_CANDIDATE)


def dispatcher_dies_in_an_outage(field: Field) -> None:
    die_in_an_outage(field, "dispatcher")


def registry_dies_in_an_outage(field: Field) -> None:
    die_in_an_outage(field, "registry")


def die_in_an_outage(field: Field, role: str) -> None:
    feed = field.dice.choice((LEFT, RIGHT))
    venue, paused = field.venues[feed], field.dice.random() < 0.4
    listener = next(each for each in field.listeners if each.stream.feed == feed)
    if paused:
        field.pause(feed)
    else:
        field.step(f"drop {feed} and refuse it")
        venue.refuse(n=1_000)
        venue.drop()
    down = field.until(lambda: field.line(feed).state != "live")
    before = field.incarnation(role)
    field.kill(role, calls=field.dice.randint(0, 2))
    field.toggle(listener)
    again = field.until(lambda: field.incarnation(role) > before)
    if down and field.line(feed).state != "live":
        field.note(Rare.ADDED_WHILE_DOWN)
        if again:
            field.note(Rare.DISPATCHER_IN_OUTAGE if role == "dispatcher" else Rare.REGISTRY_IN_OUTAGE)


def paused(field: Field) -> None:
    field.pause(field.dice.choice((LEFT, RIGHT)))


def cut_and_joined(field: Field) -> None:
    feed = field.dice.choice((LEFT, RIGHT))
    cut, market = field.books(feed), field.venues[feed].markets[0]
    dropped, renewed = cut.stream.dropped, cut.renewed
    field.shut(cut)
    field.talk(feed)
    was_cut = field.until(lambda: cut.stream.dropped > dropped)
    newcomer = field.open_stream(feed, DEPTH, [market])
    if was_cut and not cut.gate.is_set():
        field.note(Rare.JOINED_BESIDE_CUT)
    if field.dice.random() < 0.3:
        field.toggle(cut)
    noise(field)
    cut.gate.set()
    if field.until(lambda: cut.renewed > renewed):
        field.note(Rare.CUT)
    field.close_stream(newcomer)


def removed_in_a_resync(field: Field) -> None:
    venue = field.venues[LEFT]
    market = venue.markets[2]
    (listener,) = [each for each in field.listeners if each.channel is DEPTH and field.bad in each.keys]
    field.free(LEFT)
    venue.delay_ack(0.3)
    asked = _subscriptions(venue, market)
    wholes = listener.wholes[market]
    venue.resync_required(market)
    pending = field.until(lambda: _subscriptions(venue, market) > asked)
    field.remove_key(listener, market)
    if pending and listener.wholes[market] == wholes:
        field.note(Rare.REMOVED_IN_RESYNC)
    noise(field)
    field.add_key(listener, market)


def wedged_dispatcher(field: Field) -> None:
    hang_and_wake(field, "dispatcher", Rare.WOKE_DISPATCHER)


def wedged_registry(field: Field) -> None:
    hang_and_wake(field, "registry", Rare.WOKE_REGISTRY)


def wedged_connection(field: Field) -> None:
    hang_and_wake(field, "connection/guest", Rare.WOKE_CONNECTION)


def hang_and_wake(field: Field, role: str, state: Rare) -> None:
    """A thread hangs in the middle of something, is replaced, and goes on while the venue is sending.

    The guest's streams have room, and trades are not acknowledged: nothing is asked for on that line
    that would end it for the want of an answer.
    """
    listener = next(each for each in field.listeners if (each.stream.feed, each.channel) == (GUEST, TRADES))
    field.talk(GUEST)
    wedge = field.wedge(role)
    if wedge is None:
        return
    for _ in range(4):
        field.talk(GUEST)
        field.toggle(listener)
    replaced = field.until(lambda: wedge.is_in(field.status()))
    for _ in range(4):
        field.talk(GUEST)
    noise(field)
    until = listener.stream.received + field.dice.randint(0, 2 * BURST)
    field.until(lambda: listener.stream.received >= until, 0.2)
    sending = not field.talks[GUEST][-1].done()
    field.wake()
    if replaced and field.until(lambda: not wedge.is_in(field.status())):
        field.note(state)
        if sending:
            field.note(Rare.WOKE_IN_BURST)


def lost_while_full(field: Field) -> None:
    feed = field.dice.choice((LEFT, RIGHT))
    how = field.dice.choice(("drop", "kill", "restart", "pause"))
    held, epoch = field.hold(feed), field.line(feed).epoch
    field.step(f"held {held}; {how}")
    match how:
        case "drop":
            field.venues[feed].drop()
        case "kill":
            field.kill(f"connection/{feed}", calls=field.dice.randint(0, 2))
        case "restart":
            field.restart(feed)
        case "pause":
            field.pause(feed)
            noise(field)
            field.resume(feed)
    if held and field.until(lambda: field.line(feed).epoch > epoch):
        field.note(Rare.LOST_WHILE_FULL)


def closed_while_full(field: Field) -> None:
    held = field.hold(LEFT)
    field.reopen_holder(LEFT)
    if held:
        field.note(Rare.CLOSED_WHILE_FULL)


def added_while_held(field: Field) -> None:
    listener = next(each for each in field.listeners if each.stream.feed == LEFT)
    held = field.hold(LEFT)
    field.toggle(listener)
    field.toggle(listener)
    if held and field.is_held(LEFT):
        field.note(Rare.ADDED_WHILE_HELD)


def feed_goes_and_comes(field: Field) -> None:
    held = field.hold(GUEST)
    if field.dice.random() < 0.5:
        field.rotate(GUEST)
    field.reload(has_guest=False)
    if held:
        field.note(Rare.FEED_REMOVED_WHILE_FULL)
    gone = [each for each in field.listeners if each.stream.feed == GUEST]
    field.leaving += gone
    field.listeners = [each for each in field.listeners if each not in gone]
    field.talk(LEFT)
    field.kill(field.dice.choice(WORKERS))
    field.reload()
    field.open_guest()
    field.open_holder(GUEST)
    field.note(Rare.FEED_BACK)


def overflow(field: Field) -> None:
    holder = field.holders[RIGHT]
    field.shut(holder)
    field.talk(RIGHT)
    field.until(lambda: holder.stream.dropped)
    holder.gate.set()
    field.talk(RIGHT)
    if field.until(lambda: holder.reasons["overflow"]):
        field.note(Rare.OVERFLOWED)


def die_together(field: Field) -> None:
    roles = ("registry", "dispatcher", "heartbeat", "connection/right")
    before = [field.incarnation(role) for role in roles]
    field.talk(RIGHT)
    for role in roles:
        field.kill(role)
    if field.until(
        lambda: all(field.incarnation(role) > was for role, was in zip(roles, before, strict=True))
    ):
        field.note(Rare.DIED_TOGETHER)


def dead_reader(field: Field) -> None:
    listener = next(each for each in field.listeners if each.stream.policy == "drop_oldest")
    feed = listener.stream.feed
    field.shut(listener)
    field.talk(feed)
    gaps, epoch = listener.reasons["disconnect"], field.line(feed).epoch
    field.venues[feed].drop()
    field.until(lambda: field.line(feed).epoch > epoch and field.line(feed).state == "live")
    field.talk(feed)
    if listener.reasons["disconnect"] == gaps and not listener.gate.is_set():
        listener.gate.set()
        if field.until(lambda: listener.reasons["disconnect"] > gaps):
            field.note(Rare.DEAD_READER)


# ── scenarios with processes ──


def stop_a_venue(field: Field) -> None:
    feed = field.dice.choice((LEFT, RIGHT))
    field.free(feed)  # a line that is not read does not judge its venue's silence
    field.finish_talks()
    venue, epoch = field.venues[feed], field.line(feed).epoch
    field.step(f"SIGSTOP {feed}")
    venue.suspend()
    try:
        field.kill(field.dice.choice(WORKERS))
        lost = field.until(lambda: field.line(feed).epoch > epoch, 3 * MOMENT)
    finally:
        venue.proceed()
    field.step(f"SIGCONT {feed}")
    if lost:
        field.note(Rare.VENUE_STOPPED)


def stop_the_program(field: Field) -> None:
    field.finish_talks()
    seconds = field.dice.choice((0.1, 0.3, 1.0))
    for feed in (LEFT, RIGHT):
        field.free(feed)
        field.talk(feed, 4 * BURST)
    field.step(f"SIGSTOP of this program for {seconds:g} s")
    field.venues[RIGHT].freeze(seconds)
    field.note(Rare.PROGRAM_STOPPED)


def _subscriptions(venue: Any, market: str) -> int:
    """How often the venue was asked for that book."""
    asked = {"action": "subscribe_depth", "market_id": market}
    return sum(isinstance(each, dict) and asked.items() <= each.items() for each in venue.heard)


Scenario = Callable[[Field], None]

NOISE: Mapping[Scenario, int] = {
    burst: 8,
    look: 2,
    change_keys: 3,
    change_a_gate: 2,
    open_or_close: 2,
    kill_any: 4,
    wedge_any: 1,
    Field.wake: 1,
    rotate_any: 1,
    drop_any: 1,
    trouble: 3,
    Field.reload: 1,
    restart_any: 1,
}
# What each of them is about.
SCENARIOS: Mapping[Scenario, Rare] = {
    hold_over_a_rotation: Rare.HELD_OVER_ROTATION,
    dispatcher_dies_in_an_outage: Rare.DISPATCHER_IN_OUTAGE,
    cut_and_joined: Rare.CUT,
    wedged_dispatcher: Rare.WOKE_DISPATCHER,
    lost_while_full: Rare.LOST_WHILE_FULL,
    removed_in_a_resync: Rare.REMOVED_IN_RESYNC,
    wedged_registry: Rare.WOKE_REGISTRY,
    feed_goes_and_comes: Rare.FEED_REMOVED_WHILE_FULL,
    overflow: Rare.OVERFLOWED,
    registry_dies_in_an_outage: Rare.REGISTRY_IN_OUTAGE,
    closed_while_full: Rare.CLOSED_WHILE_FULL,
    wedged_connection: Rare.WOKE_CONNECTION,
    refused_candidate: Rare.REFUSED_CANDIDATE,
    added_while_held: Rare.ADDED_WHILE_HELD,
    die_together: Rare.DIED_TOGETHER,
    dead_reader: Rare.DEAD_READER,
    late_candidate: Rare.LATE_CANDIDATE,
    late_predecessor: Rare.LATE_PREDECESSOR,
    paused: Rare.PAUSED,
}
STOPS: Mapping[Scenario, Rare] = {
    stop_a_venue: Rare.VENUE_STOPPED,
    stop_the_program: Rare.PROGRAM_STOPPED,
}


def scenarios(seed: int, number: int) -> Sequence[Scenario]:
    """Of a round: in the first ones each has its turn, so that a few seeds come through them all."""
    every = [*SCENARIOS]
    if number < FIRST:
        turn = 2 * (FIRST * seed + number)
        return [every[each % len(every)] for each in (turn, turn + 1)]
    return random.Random(f"{seed}/{number}").choices(every, k=2)


def comes_through(seeds: Sequence[int], rounds: int) -> bool:
    """Whether each scenario has a turn."""
    played = {each for seed in seeds for number in range(rounds) for each in scenarios(seed, number)}
    return played == SCENARIOS.keys()
