"""Two network namespaces and the wire between them: a venue on one side, a runtime on the other.

Each side is a process with a namespace of its own, which ends with it. Its only way out is a TUN device. The
wire in this process carries the packets to the other side, or loses them. So the kernel's own TCP meets what
a network does, and no packet leaves the machine. It needs neither netem nor iptables.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import json
import os
import queue
import random
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from msgspec import Struct

CLIENT, VENUE = "10.77.0.1", "10.77.0.2"
HOST: Final = "venue.test"  # as the venue's side answers for any name
DNS: Final = 53
MTU: Final = 1500
PATIENCE: Final = 60.0  # seconds for what is not the test's subject

Direction = Literal["out", "in"]  # from the runtime to the venue, and back
BOTH: Final[frozenset[Direction]] = frozenset({"out", "in"})
Phase = Literal["syn", "data", "second", "live"]

# ── namespaces: for a side's process ──

_NEWNS, _NEWUSER, _NEWNET = 0x00020000, 0x10000000, 0x40000000  # sched.h
_REC, _PRIVATE, _BIND = 0x4000, 1 << 18, 0x1000  # mount.h
_TUNSETIFF, _TUN, _NO_PI = 0x400454CA, 0x0001, 0x1000  # if_tun.h
_SETFLAGS, _SETADDR, _SETMASK, _SETMTU = 0x8914, 0x8916, 0x891C, 0x8922  # sockios.h
_UP, _RUNNING = 0x1, 0x40  # if.h
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter(address: str, channel: socket.socket) -> None:
    """This process moves into a namespace of its own, where `address` is its only address but loopback's.

    Raises OSError: the machine does not allow it. The TUN device goes to the other end of `channel`.
    """
    user, group = os.geteuid(), os.getegid()
    _checked(_libc.unshare(_NEWNET | _NEWNS | (_NEWUSER if user else 0)), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _checked(_libc.mount(None, b"/", None, _REC | _PRIVATE, None), "mount")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH14x", b"wire", _TUN | _NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for number, text in ((_SETADDR, address), (_SETMASK, "255.255.255.0")):
            fcntl.ioctl(control, number, struct.pack("16sHH4s8x", b"wire", socket.AF_INET, 0, _packed(text)))
        fcntl.ioctl(control, _SETMTU, struct.pack("16si12x", b"wire", MTU))
        for name in (b"lo", b"wire"):
            fcntl.ioctl(control, _SETFLAGS, struct.pack("16sH14x", name, _UP | _RUNNING))
    channel.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [device]))])
    os.close(device)


def use_nameserver(address: str, folder: Path) -> None:
    """Names are looked up there; once in a namespace."""
    file = folder / "resolv.conf"
    file.write_text(f"nameserver {address}\n")
    _checked(_libc.mount(os.fsencode(file), b"/etc/resolv.conf", None, _BIND, None), "mount")


def _packed(address: str) -> bytes:
    return socket.inet_aton(address)


# ── the wire ──


class Packet(Struct, frozen=True):
    """What of an IP packet decides about it. `payload`: bytes of TCP's or UDP's data."""

    direction: Direction
    size: int
    protocol: int
    ports: tuple[int, int]  # of the runtime's side, and of the venue's
    payload: int = 0
    is_syn: bool = False


def read_packet(raw: bytes, direction: Direction) -> Packet | None:
    """None: it is not IPv4, or another protocol than TCP and UDP."""
    if len(raw) < 28 or raw[0] >> 4 != 4 or raw[9] not in {socket.IPPROTO_TCP, socket.IPPROTO_UDP}:
        return None
    head = 4 * (raw[0] & 15)
    source, target = struct.unpack_from("!HH", raw, head)
    ports = (source, target) if direction == "out" else (target, source)
    if raw[9] == socket.IPPROTO_UDP:
        return Packet(direction, len(raw), raw[9], ports, len(raw) - head - 8)
    flags, offset = raw[head + 13], 4 * (raw[head + 12] >> 4)
    return Packet(direction, len(raw), raw[9], ports, len(raw) - head - offset, bool(flags & 2))


class Weather(Struct, frozen=True):
    """What the wire does to packets."""

    cut: frozenset[Direction] = frozenset()  # the directions in which it loses what it loses
    # Of new connections from the SYN, or our first or second packet with data on; "live": of all there are.
    phase: Phase = "live"
    largest: int = MTU  # bytes of a packet; larger ones vanish
    loss: float = 0.0  # share of packets
    dns: bool = True  # whether name servers are reached


FAIR: Final = Weather()


class Flow:
    """How far one TCP connection has come."""

    def __init__(self) -> None:
        self.is_cut = False
        self.sent = 0  # packets with data, by the runtime's side


class Wire(threading.Thread):
    """Carries packets both ways, as the weather allows. One thread."""

    def __init__(self, seed: int) -> None:
        super().__init__(name="wire", daemon=True)
        self.weather = FAIR
        self.lost = 0  # packets
        self._devices: dict[Direction, int] = {}  # by the direction of what comes out of it
        self._flows: dict[tuple[int, int], Flow] = {}
        self._random = random.Random(seed)
        self._is_ending = False

    def attach(self, direction: Direction, device: int) -> None:
        self._devices[direction] = device

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for direction, device in self._devices.items():
                selector.register(device, selectors.EVENT_READ, direction)
            while not self._is_ending:
                for key, _ in selector.select(0.1):
                    self._carry(key.fd, key.data)

    def stop(self) -> None:
        self._is_ending = True
        if self.is_alive():
            self.join()
        for device in self._devices.values():
            os.close(device)

    def _carry(self, device: int, direction: Direction) -> None:
        other = self._devices["in" if direction == "out" else "out"]
        with suppress(BlockingIOError):
            for _ in range(100):
                raw = os.read(device, 65_536)
                packet = read_packet(raw, direction)
                if packet is None or not self._passes(packet, self.weather):
                    self.lost += packet is not None
                    continue
                try:
                    os.write(other, raw)
                except OSError as error:  # the other side has ended
                    if error.errno not in {errno.EIO, errno.ENETDOWN, errno.EINVAL}:
                        raise

    def _passes(self, packet: Packet, weather: Weather) -> bool:
        if packet.protocol == socket.IPPROTO_UDP:
            return weather.dns or packet.ports[1] != DNS
        flow = self._flow(packet, weather)
        if packet.size > weather.largest or self._random.random() < weather.loss:
            return False
        if packet.direction not in weather.cut:
            return True
        match weather.phase:
            case "live":
                return False
            case "syn":
                return not flow.is_cut
            case "data":
                return not (flow.is_cut and flow.sent)
            case "second":
                return not (flow.is_cut and flow.sent > 1)

    def _flow(self, packet: Packet, weather: Weather) -> Flow:
        """In a phase before "live", connections that are there go on."""
        if packet.is_syn and packet.direction == "out" and packet.ports not in self._flows:
            self._flows[packet.ports] = Flow()
            self._flows[packet.ports].is_cut = bool(weather.cut)
        flow = self._flows.setdefault(packet.ports, Flow())
        flow.sent += packet.direction == "out" and packet.payload > 0
        return flow


# ── the two sides ──


class Side:
    """A process in a namespace: it is told a line of JSON, and tells lines of JSON."""

    def __init__(self, module: str, address: str, *arguments: str) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, address, str(theirs.fileno()), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                text=True,
                bufsize=1,
            )
            theirs.close()
            self.device = self._take_device(ours)
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _take_device(self, channel: socket.socket) -> int:
        """Skips the test where the machine has no such namespaces; the side has said why."""
        channel.settimeout(PATIENCE)
        said, descriptors, _, _ = socket.recv_fds(channel, 1_000, 1)
        if descriptors:
            return descriptors[0]
        self.end()
        pytest.skip(f"no network namespaces here: {said.decode() or 'the process ended'}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.put(json.loads(line))

    def tell(self, **message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")

    def next(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE) -> dict[str, Any]:
        """The next that is told and wanted; what comes before it is passed over."""
        deadline = time.monotonic() + seconds
        passed: list[dict[str, Any]] = []
        while (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                told = self.told.get(timeout=left)
                if wanted(told):
                    return told
                passed.append(told)
        raise AssertionError(f"not within {seconds:g} s; instead: {passed}")

    def end(self) -> None:
        """Its namespace goes with it."""
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(20.0)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            if hasattr(self, "_reader"):
                self._reader.join()
            self._process.stdout.close()


class Room:
    """Both sides and their wire."""

    def __init__(self, wire: Wire, venue: Side, client: Side) -> None:
        self.wire, self.venue, self.client = wire, venue, client

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A method of the simulator."""
        self.venue.tell(call=method, arguments=arguments, named=named)
        return self.venue.next(lambda told: "result" in told)["result"]

    def turn(self, weather: Weather) -> float:
        """Other weather from now on; this moment, in monotonic seconds of all processes."""
        self.wire.weather = weather
        return time.monotonic()

    def word(self, *words: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The next marker or event of one of these kinds: `Gap`, a state of the line, or a trade's number."""
        return self.client.next(lambda told: told.get("word") in words, seconds)

    def hears(self, number: int, seconds: float = PATIENCE) -> dict[str, Any]:
        """A trade is made, and reaches the stream."""
        self.call("trade", "AAPL", i=number)
        return self.word(str(number), seconds=seconds)

    def status(self) -> dict[str, Any]:
        """What the runtime says of its line, and for how many seconds it thought."""
        self.client.tell(ask="status")
        found: dict[str, Any] = self.client.next(lambda told: "status" in told)["status"]
        return found


@contextmanager
def room(
    folder: Path, *, scheme: str = "ws", host: str = VENUE, seed: int = 1, **feed: Any
) -> Iterator[Room]:
    """A runtime whose line is live, and has brought trade 1."""
    wire = Wire(seed)
    sides: list[Side] = []
    try:
        venue = Side("tests.network.venue", VENUE, str(folder))
        sides.append(venue)
        wire.attach("in", venue.device)
        ports = venue.next(lambda told: "ports" in told)["ports"]
        url = f"{scheme}://{host}:{ports[scheme]}/v2/iex"
        tls = {"ca_file": str(folder / "ca.pem")} if scheme == "wss" else {}
        client = Side("tests.network.client", CLIENT, str(folder), json.dumps({"url": url, **tls, **feed}))
        sides.append(client)
        wire.attach("out", client.device)
        wire.start()
        here = Room(wire, venue, client)
        here.word("live")
        here.hears(1)
        yield here
    finally:
        for side in reversed(sides):
            side.end()
        wire.stop()
