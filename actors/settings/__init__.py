"""config/*.toml as frozen Structs; a mistake is named by file, table and key, and all at once.

`schema` has the tables of a config. `loading` reads one; `config` reads it table by table, `table_reader` key
by key; `wording` and `addresses` word the mistakes. `secret_files` reads files with a secret in them.
`venue_tables` reads the tables that describe venues. A name is imported when it is used: a client of the
service reads no config, and needs `service_address` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.lazy import imported

__all__ = [
    "FeedSettings",
    "RuntimeSettings",
    "ServiceSettings",
    "Settings",
    "TradingSettings",
    "WantedTopics",
    "described",
    "expected",
    "known_venues",
    "load",
    "load_feed",
    "venue_class",
]

if TYPE_CHECKING:
    from actors.settings.loading import described, known_venues, load, load_feed
    from actors.settings.schema import (
        FeedSettings,
        RuntimeSettings,
        ServiceSettings,
        Settings,
        TradingSettings,
        WantedTopics,
    )
    from actors.settings.venue_lookup import venue_class
    from actors.settings.wording import expected
else:
    _ELSEWHERE = {"venue_class": "venue_lookup", "expected": "wording"}

    def _module_of(name: str) -> str:
        return _ELSEWHERE.get(name, "schema" if name[0].isupper() else "loading")

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        found = globals()[name] = imported(f"{__name__}.{_module_of(name)}:{name}")
        return found
