"""From the bytes of a frame to events: typed where the shape is fixed, by way of dicts for variants.

Where the venue names a variant by a key around it (`{"Removed": {…}}`) or by a `type` within
(`{"type": "removed", …}`, as older servers do), we know it by its `kind`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import structs

from actors.protocol import exact_decimal
from actors.venues.tplus import messages as m

T = TypeVar("T")
Decode = Callable[[bytes], Any]  # one document: an event, or a list of events

_KIND = "kind"
_SPACE = re.compile(r"[\s\x1e]*")
_untyped = msgspec.json.Decoder(float_hook=exact_decimal).decode
_pieces = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_control = msgspec.json.Decoder(m.Control).decode


def plain(kind: type[T]) -> Callable[[bytes], T | list[T]]:
    """Reads one of these, or a list of them. Not strict: "123" is read as the integer 123."""
    return msgspec.json.Decoder(kind | list[kind], strict=False).decode  # type: ignore[valid-type]


decode_book = plain(m.BookFrame)
decode_snapshot = msgspec.json.Decoder(m.BookFrame, strict=False).decode
decode_level = msgspec.json.Decoder(m.PriceLevelUpdate, strict=False).decode


def typed(kind: type[T]) -> Callable[[bytes], T | list[T]]:
    """Reads what `plain` does, and what must be mended before."""
    one_or_many = kind | list[kind]  # type: ignore[valid-type]
    plainly = plain(kind)

    def decode(payload: bytes) -> T | list[T]:
        try:
            return plainly(payload)
        except msgspec.ValidationError:
            return converted(_untyped(payload), one_or_many)  # type: ignore[no-any-return]

    return decode


def converted(value: Any, kind: Any) -> Any:
    """As this kind; if need be with nulls left out and numbers for assets' ids as texts."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return msgspec.convert(_mended(value), kind, strict=False)


def _mended(value: Any) -> Any:
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {
            name: str(each) if name in m.ASSETS and isinstance(each, int) else _mended(each)
            for name, each in value.items()
            if each is not None
        }
    return value


def documents(payload: bytes) -> Iterator[bytes]:
    """Each JSON object of a frame that may hold several, one behind the other or in a list.

    The rest from where it is no JSON comes as one piece. One frame holds one document, as far as is
    known; but the server flushes up to twenty at once.
    """
    text = payload.decode("utf-8", "surrogateescape")
    scan = json.JSONDecoder(parse_float=str, parse_int=str).raw_decode
    at = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    while at < len(text):
        try:
            _, end = scan(text, at)
        except (ValueError, RecursionError):
            end = len(text)
        piece = text[at:end].encode("utf-8", "surrogateescape")
        yield from _elements(piece)
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]


def _elements(piece: bytes) -> Iterator[bytes]:
    if not piece.startswith(b"["):
        yield piece
        return
    try:
        pieces = _pieces(piece)
    except Exception:
        yield piece
    else:
        yield from map(bytes, pieces)


# ── variants ──


def _names(union: Any) -> dict[str, str]:
    kinds = [kind for kind in get_args(union) if kind is not m.Unknown]
    return {_normal(kind.__name__): kind.__name__ for kind in kinds}


def _normal(name: str) -> str:
    return name.replace("_", "").upper()


ORDER_EVENTS = _names(m.OrderEvent)
ACCOUNT_EVENTS = _names(m.AccountEvent)
DETAILS = _names(m.Limit | m.Market)
IN_FORCE = _names(m.GTC | m.GTD | m.IOC)
QUANTITIES = _names(m.BaseAsset | m.QuoteAsset)
CONDITIONS = _names(m.PriceAbove | m.PriceBelow)
STATUSES = {_normal(name): name for name in ("Pending", "Confirmed", "Rollbacked")}


def tagged(value: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """A variant as a dict with its `kind`, whichever way the venue tagged it.

    Raises:
        ValueError: nothing in it is a variant's name.
    """
    if isinstance(value, str):
        name, fields = value, {}
    elif isinstance(value, dict) and (known := [key for key in value if _normal(key) in names]):
        name, fields = known[0], value[known[0]]
    elif isinstance(value, dict) and isinstance(value.get("type"), str):
        name, fields = value["type"], {key: inner for key, inner in value.items() if key != "type"}
    elif isinstance(value, dict) and len(value) == 1:
        [(name, fields)] = value.items()
    else:
        raise ValueError("an object that names no variant")
    kind = names.get(_normal(name))
    if kind is None:
        return {_KIND: "Unknown", "name": name, "fields": fields}
    return {**(fields or {}), _KIND: kind}


def _each(value: Any, read: Callable[[Any], Any]) -> Any:
    return [read(each) for each in value] if isinstance(value, list) else read(value)


def by_dicts(read: Callable[[Any], Any]) -> Decode:
    """Decodes events, or lists of them, into dicts first."""
    return lambda payload: _each(_untyped(payload), read)


def order_event(value: Any) -> m.OrderEvent:
    event = tagged(value, ORDER_EVENTS)
    if "user_order" in event and event[_KIND] != "Unknown":
        event["user_order"] = _order(event["user_order"])
    return converted(event, m.OrderEvent)  # type: ignore[no-any-return]


def _order(value: Any) -> dict[str, Any]:
    details = tagged(value["details"], DETAILS)
    if details[_KIND] == "Limit" and details.get("time_in_force") is not None:
        details["time_in_force"] = tagged(details["time_in_force"], IN_FORCE)
    elif details[_KIND] == "Market":
        details["quantity"] = tagged(details["quantity"], QUANTITIES)
    trigger = value.get("trigger")
    if trigger is not None:
        trigger = {**trigger, "condition": tagged(trigger["condition"], CONDITIONS)}
    return {**value, "details": details, "trigger": trigger}


def account_event(value: Any) -> m.AccountEvent:
    return converted(tagged(value, ACCOUNT_EVENTS), m.AccountEvent)  # type: ignore[no-any-return]


def with_status(kind: type[m.Trade] | type[m.UserTrade]) -> Decode:
    """Reads trades that come bare, or wrapped in the name of their status."""
    bare = typed(kind)

    def one(value: Any) -> Any:
        wrapped = tagged(value, STATUSES)
        if wrapped[_KIND] == "Unknown":
            return msgspec.convert(wrapped, m.Unknown)
        trade = converted(wrapped, kind)
        return structs.replace(trade, status=wrapped[_KIND])

    def decode(payload: bytes) -> Any:
        try:
            return bare(payload)
        except msgspec.ValidationError as error:
            try:
                return _each(_untyped(payload), one)
            except ValueError:  # it was no wrapped one: what was wrong with it as a bare one?
                raise error from None

    return decode


def account_stats(value: Any) -> m.AccountStats:
    if not isinstance(value, dict):
        raise ValueError("statistics that are no object")  # noqa: TRY004  # as msgspec's
    return m.AccountStats(value)
