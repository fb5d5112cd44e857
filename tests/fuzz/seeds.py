"""What a fuzzer begins with: what venues send, and configs, as they stand in this repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from actors.wire.frames import TEXT
from tests.venues.transcript import transcripts

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "actors" / "venues" / "tables"
END = b"\x1e"  # of a hub's record
HUBS = ("projectx", "signalr", "records")


def seeds(target: str) -> Iterator[bytes]:
    """A few inputs that are right, or nearly."""
    match target:
        case "frames":
            yield from (unmasked(each) for each in heard("o2"))
        case "config":
            yield from (path.read_bytes() for path in sorted((ROOT / "config").glob("*.toml")))
        case "table":
            yield from (path.read_bytes() for path in sorted(TABLES.glob("*.toml")))
        case "logins":
            yield b'\0{"token":"t","nonce":"n","success":true,"errorCode":0,"expires_at":1}'
            yield b'\0{"connectionToken":"c","connectionId":"i","availableTransports":[]}'
            yield b'\2{"error":{"code":"NONCE_EXPIRED","message":"m"}}\n\0{"newToken":"t"}'
        case _:
            for each in heard("projectx" if target in HUBS else target):
                yield b"\0" + (each.replace(b"\n", END + b"\n") + END if target in HUBS else each)


def heard(venue: str) -> Iterator[bytes]:
    """All that the venue says in each of its transcripts, a message a line."""
    rooms = [ROOT / "tests" / "venues" / venue, ROOT / "tests" / "venues" / "tables"]
    for room in rooms:
        for each in transcripts(room):
            if room.name == venue or each.title.startswith(f"{venue}:"):
                said = [line.partition(" ")[2] for line in each.lines if line.startswith("<")]
                yield "\n".join(said).encode()


def unmasked(messages: bytes) -> bytes:
    """Frames as a server sends them: RFC 6455, 5.1."""
    frames = b""
    for message in messages.split(b"\n"):
        size = len(message)
        head = (
            bytes([0x80 | TEXT, size]) if size < 126 else bytes([0x80 | TEXT, 126]) + size.to_bytes(2, "big")
        )
        frames += head + message
    return frames
