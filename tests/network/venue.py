"""The venue's side of the room: a simulator, a relay before it in clear and with TLS, and a name server."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import trustme

from actors.simulators import SimulatedAlpaca
from tests.network.room import DNS, HOST, VENUE, enter


def main(address: str, channel: socket.socket, folder: Path) -> None:
    enter(address, channel)
    serve_names()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, VENUE).configure_cert(context)
    with SimulatedAlpaca(rate=0, connections=0) as simulator:
        ports = {"ws": relay(simulator.port, None), "wss": relay(simulator.port, context)}
        say(ports=ports)
        for line in sys.stdin:
            asked = json.loads(line)
            result = getattr(simulator, asked["call"])(*asked["arguments"], **asked["named"])
            told = result if isinstance(result, int | str | None) else None
            say(result=told)


def say(**message: Any) -> None:
    """A line for the test."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def serve_names() -> None:
    """Every name is the venue's."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((VENUE, DNS))

    def answer() -> None:
        while True:
            query, asker = server.recvfrom(2_048)
            end = query.index(0, 12) + 5  # of the question: the name, its type and class
            is_ipv4 = query[end - 4 : end - 2] == b"\0\1"
            answers = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(VENUE) if is_ipv4 else b""
            head = query[:2] + b"\x84\0" + query[4:6] + (b"\0\1" if is_ipv4 else b"\0\0") + b"\0\0\0\0"
            server.sendto(head + query[12:end] + answers, asker)

    threading.Thread(target=answer, daemon=True).start()


def relay(port: int, context: ssl.SSLContext | None) -> int:
    """The simulators listen on loopback alone; this is their port on the wire."""
    server = socket.create_server((VENUE, 0))

    def accept() -> None:
        while True:
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    def serve(client: socket.socket) -> None:
        with suppress(OSError), client:
            client.settimeout(10.0)
            outside: socket.socket = client
            if context is not None:
                outside = context.wrap_socket(client, server_side=True)
            outside.settimeout(None)
            with socket.create_connection(("127.0.0.1", port)) as inside:
                inwards = threading.Thread(target=copy, args=(outside, inside), daemon=True)
                inwards.start()
                copy(inside, outside)

    threading.Thread(target=accept, daemon=True).start()
    return int(server.getsockname()[1])


def copy(source: socket.socket, target: socket.socket) -> None:
    """Until one of them ends; then both do, as the source did."""
    reset = False
    with suppress(OSError):
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except ConnectionResetError:
            reset = True
    for each in (source, target):
        with suppress(OSError):
            if reset:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                each.close()
            else:
                each.shutdown(socket.SHUT_RDWR)


def run(main: Any) -> None:
    """A side's process: what the machine does not allow is told to the test, which is skipped."""
    address, descriptor, *arguments = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as channel:
        try:
            main(address, channel, *arguments)
        except OSError as error:
            with suppress(OSError):
                channel.sendall(str(error).encode())
            raise


if __name__ == "__main__":
    run(lambda address, channel, folder: main(address, channel, Path(folder)))
