from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from actors.secret import Secret
from actors.service import Service
from actors.service.responses import to_json
from tests.service.visitor import ask


def test_head_is_get_without_the_body(service: Service) -> None:
    told, length = ask(service, "/healthz", "HEAD"), len(ask(service, "/healthz").raw)
    assert (told.status, told.raw, told.headers["content-length"]) == (200, b"", str(length))


def test_numbers_are_exact() -> None:
    assert to_json({"a": 2**53 + 1, "b": 2**70, "c": Decimal("1.10"), "d": Decimal("1E+3")}) == (
        b'{"a":9007199254740993,"b":1180591620717411303424,"c":"1.10","d":"1E+3"}'
    )


def test_what_json_does_not_know_is_shown_as_text() -> None:
    assert to_json([Secret("x"), MappingProxyType({"a": 1}), Path("p")]) == b'["\xe2\x80\xa6",{"a":1},"p"]'
