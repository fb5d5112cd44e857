"""What a simulator of a transcript can be told."""

from __future__ import annotations

from typing import Annotated

from actors.simulators.base.settings import SimulatorSettings


class TableSettings(SimulatorSettings, kw_only=True):
    """The settings of a transcript."""

    talk: Annotated[str, "the file of the transcript"]
    repeat: Annotated[bool, "the frames behind the last `>` are sent again, one per market step"] = False
    page: Annotated[str, "a JSON file: the rows of history that every path has, oldest first"] = ""
    page_id: Annotated[str, "the member of a row that is its id"] = "id"
    page_from: Annotated[str, "the parameter with the first id that is wanted"] = "fromId"
    page_limit: Annotated[str, "the parameter with how many rows are wanted"] = "limit"
