"""The way from a value to its HTML, which is imported when a notebook shows the first one."""

from __future__ import annotations

from actors.lazy import imported


def html_of(value: object, page: str) -> str | None:
    """Returns what a notebook shows of the value; `page` is a `module:function` in `actors.display`.

    None: it could not be made, and the notebook shows the value's `repr`. Raises nothing, as `repr`.
    """
    try:
        html: str = imported(f"actors.display.{page}")(value)
    except Exception:
        return None
    return html
