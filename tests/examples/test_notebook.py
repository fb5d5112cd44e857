"""The notebook as it is stored. `make interop` runs it in a kernel (tests/interop/test_notebook.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"


def test_the_notebook_is_stored_without_outputs_and_its_cells_are_python() -> None:
    stored: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in cells] == [
        "start",
        "read",
        "gaps",
        "frame",
        "plot",
        "book",
        "fresh",
        "stop",
    ]
    for cell in cells:
        assert (cell["outputs"], cell["execution_count"], cell["metadata"]) == ([], None, {})
        compile("".join(cell["source"]), cell["id"], "exec")
