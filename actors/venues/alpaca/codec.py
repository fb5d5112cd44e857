"""JSON and msgpack, told apart by their first byte: an array or map of msgpack begins with no ASCII.

So neither the kind of the frame nor what was negotiated has to be right: Alpaca's paper host sends
JSON in binary frames.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct, structs
from msgspec.msgpack import Ext
from msgspec.structs import force_setattr

from actors.protocol import is_bounded
from actors.venues.alpaca.account_messages import (
    ORDER_TIMES,
    AccountAnswer,
    AccountFrame,
    Amount,
    Execution,
    Order,
    TradeUpdate,
)
from actors.venues.alpaca.messages import TIMES, Inbound, Named
from actors.venues.alpaca.timestamps import from_extension

T = TypeVar("T")
S = TypeVar("S", bound=Struct)

AMOUNTS = (Amount, dict[str, Decimal] | None)  # types of fields that no fill is to be without

Encoding = Literal["json", "msgpack"]

PACKED = b"\x80"  # the first byte of msgpack that is no ASCII (msgpack specification, "Formats")
_MAPS = {b"{", *(bytes([first]) for first in (*range(0x80, 0x90), 0xDE, 0xDF))}

decode_json = msgspec.json.Decoder(list[Inbound] | Inbound).decode
_msgpack_many = msgspec.msgpack.Decoder(list[Inbound] | Inbound).decode


def encode(message: Mapping[str, Any] | Sequence[Any], encoding: Encoding) -> str | bytes:
    """One message, as it is sent."""
    if encoding == "msgpack":
        return msgspec.msgpack.encode(message)
    return msgspec.json.encode(message).decode()


def decode(payload: bytes) -> list[Inbound]:
    """Raises: Exception: something in it cannot be read."""
    if payload[:1] < PACKED:
        items = decode_json(payload)
        return items if type(items) is list else [items]
    items = _msgpack_many(payload)
    several = items if isinstance(items, list) else [items]
    for item in several:
        _settle(item, TIMES.get(type(item), ("timestamp",)))
    return several


def elements(payload: bytes) -> list[bytes]:
    """What an array holds, unread; a lone object is an array of one.

    Raises:
        Exception: it is neither.
    """
    kind: Any = list[msgspec.Raw] | dict[str, msgspec.Raw]  # no class, and so no type[T]
    found = _read(payload, kind)
    return [bytes(raw) for raw in found] if isinstance(found, list) else [payload]


def named(payload: bytes) -> Named | None:
    """What it says of itself, as far as it can be read; None: it is no message."""
    try:
        return _read(payload, Named)
    except Exception:
        return Named() if payload[:1] in _MAPS else None


def account_frame(payload: bytes) -> AccountFrame:
    """Raises: Exception: it cannot be read."""
    return _read(payload, AccountFrame)


def answer(frame: AccountFrame) -> AccountAnswer:
    """What its data says; nothing, where it has none that can be read."""
    try:
        return _read(bytes(frame.data), AccountAnswer)
    except Exception:
        return AccountAnswer()


def trade_update(frame: AccountFrame) -> TradeUpdate:
    """Raises: Exception: it cannot be read."""
    payload = bytes(frame.data)
    try:
        update = _read(payload, TradeUpdate)
    except msgspec.ValidationError:  # a new type of one field costs that field, and no fill
        update = mended(_read(payload, dict[str, Any]), TradeUpdate)
    _check_amounts(update)
    _settle(update, ("timestamp", "at"))
    for leg in update.legs or ():
        _settle(leg, ("timestamp",))
    _settle_order(update.order)
    return update


def mended(raw: object, kind: type[S]) -> S:
    """The same, where a field that may be missing has another type: numbers become text, others are left out.

    Raises:
        ValidationError: an amount, or a field that is needed, cannot be read.
    """
    if not isinstance(raw, dict):
        raise msgspec.ValidationError(f"Expected `object`, got `{type(raw).__name__}`")
    values: dict[str, Any] = {}
    for each in structs.fields(kind):
        if each.encode_name not in raw:
            continue
        value = raw[each.encode_name]
        try:
            values[each.name] = msgspec.convert(value, each.type)
        except msgspec.ValidationError as error:
            if each.name == "order":
                values[each.name] = mended(value, Order)
            elif each.name == "legs" and isinstance(value, list):
                part: type[Any] = Order if issubclass(kind, Order) else Execution
                values[each.name] = tuple(mended(leg, part) for leg in value)
            elif each.required or each.type in AMOUNTS:
                raise msgspec.ValidationError(f"{error} - at `$.{each.encode_name}`") from None
            elif type(value) in (int, float, Decimal):
                with contextlib.suppress(msgspec.ValidationError):
                    values[each.name] = msgspec.convert(str(value), each.type)
    return kind(**values)


def _read(payload: bytes, kind: type[T]) -> T:
    if payload[:1] < PACKED:
        return msgspec.json.decode(payload, type=kind)
    return msgspec.msgpack.decode(payload, type=kind)


def _check_amounts(update: TradeUpdate) -> None:
    """Raises: ValueError: one has digits or an exponent without end."""
    parts: list[Struct] = [update, *(update.legs or ()), update.order, *(update.order.legs or ())]
    amounts = [value for part in parts for value in structs.astuple(part) if isinstance(value, Decimal)]
    amounts += (update.position_qtys or {}).values()
    if not all(map(is_bounded, amounts)):
        raise ValueError("an amount that is no finite number of a sensible length")


def _settle_order(order: Order) -> None:
    _settle(order, ORDER_TIMES)
    for leg in order.legs or ():
        _settle_order(leg)


def _settle(item: Struct, times: tuple[str, ...]) -> None:
    """Nanoseconds in the place of msgpack's extension, before the event is delivered."""
    for name in times:
        stamp = getattr(item, name)
        if isinstance(stamp, Ext):
            force_setattr(item, name, from_extension(stamp))
