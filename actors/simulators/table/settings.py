"""What a simulator of a transcript can be told."""

from __future__ import annotations

from typing import Annotated

from actors.simulators.base.settings import SimulatorSettings


class TableSettings(SimulatorSettings, kw_only=True):
    """The settings of a transcript."""

    talk: Annotated[str, "the file of the transcript"]
    repeat: Annotated[bool, "the frames behind the last `>` are sent again, one per market step"] = False
