"""The beginning of a JSON message, as a message of its own."""

from __future__ import annotations

CLOSERS = {"{": "}", "[": "]"}


def whole(text: str) -> str:
    """The longest beginning of `text` that is JSON once its objects and lists are closed."""
    closers: list[str] = []
    end, closing = 0, ""
    in_string = escaped = False
    for position, character in enumerate(text):
        if in_string:
            in_string = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            in_string = True
        elif character in CLOSERS:
            closers.append(CLOSERS[character])
            end, closing = position + 1, "".join(reversed(closers))
        elif character in "}]" and closers:
            closers.pop()
            end, closing = position + 1, "".join(reversed(closers))
        elif character == ",":
            end, closing = position, "".join(reversed(closers))
    return text[:end] + closing
