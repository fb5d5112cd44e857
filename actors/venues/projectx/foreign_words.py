"""The names that project-x-py has for what Linewarden has too; docs/migrating has all of them."""

from __future__ import annotations

from actors.protocol import ForeignWords

WORDS = (
    ForeignWords(
        sdk="project-x-py",
        channels={"quote_update": "channel 'quotes'"},
        calls={"TradingSuite": "actors.start(...), with runtime.bars, runtime.account and runtime.ask"},
    ),
)
