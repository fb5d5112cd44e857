"""A program on Linewarden, a handler, the markers of a stream, and now and then the status."""

from __future__ import annotations

import threading

import actors
from benchmarks.clients.feeds import subscription
from benchmarks.reliability.clients.say import Handler, asked, say

LOOK = 0.5  # seconds
# Drops come every few seconds here: a life counts as stable after half a second, not after ten. And silence
# means something to this program, which has to be said.
RESTART = {"stable_after": 0.5}
STALE_AFTER = 5.0


def tell_markers(stream: actors.Stream[object]) -> None:
    for item in stream.with_markers():
        match item:
            case actors.Lifecycle(state=state):
                say(told=state)
            case actors.Gap():
                say(told="Gap")
            case actors.Closed():
                say(told="Closed")


def tell_status(runtime: actors.Runtime) -> None:
    """Each thing that status says for the first time, or otherwise than before."""
    before: set[str] = set()
    while True:
        found = {
            f"status: {topic.freshness.state}"
            for line in runtime.status().lines().values()
            for topic in line.topics
            if topic.stale and topic.freshness
        }
        found |= {
            f"status: handler_errors {each.handler_errors}"
            for each in runtime.status().streams
            if each.handler_errors
        }
        for words in sorted(found - before):
            say(told=words)
        before = found
        threading.Event().wait(LOOK)


def main() -> None:
    wanted = asked()
    handle, keys = Handler(wanted.raise_at), wanted.address["keys"]
    wants = subscription(wanted.address)
    channel, number = wants.channel, wants.mark()
    topic = {"channel": channel, "keys": keys, "stale_after": STALE_AFTER}
    feed = wants.feed | {"restart": RESTART, "subscribe": [topic]}
    with actors.start({"feeds": {"desk": feed}}, wait=10.0) as runtime:
        markers = runtime.subscribe("desk", channel, *keys)
        threading.Thread(target=tell_markers, args=(markers,), daemon=True).start()
        runtime.on("desk", channel, *keys, handler=lambda event: handle(number(event)))
        tell_status(runtime)


main()
