"""What the pages of all venues share."""

from __future__ import annotations

from typing import Any


class RequestRefused(Exception):  # noqa: N818  (an answer, not an error of ours)
    """A request that a venue refuses: the code and the text are the venue's own, and so is `also`."""

    def __init__(self, code: int, text: str = "", **also: Any) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.also = also
