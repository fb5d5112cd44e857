"""Makes data frames of rows that a test has pickled, by the libraries of this Python; tells of them."""

# The libraries are in a virtualenv of their own.
# mypy: ignore-errors

from __future__ import annotations

import json
import pickle
import sys
import time
from pathlib import Path


def events(library: str, path: str) -> None:
    """Events of several kinds: the types of their columns, and how long it takes to make the frame."""
    rows = pickle.loads(Path(path).read_bytes())
    begun = time.monotonic()
    if library == "pandas":
        import pandas

        frame = pandas.DataFrame(rows)
        types = {name: str(kind) for name, kind in frame.dtypes.items()}
        gaps = int((frame.event_type == "Gap").sum())
    else:
        import polars

        frame = polars.DataFrame(rows, infer_schema_length=None)
        types = {name: str(kind) for name, kind in frame.schema.items()}
        gaps = frame.filter(polars.col("event_type") == "Gap").height
    told = {"rows": len(frame), "types": types, "gaps": gaps, "seconds": time.monotonic() - begun}
    sys.stdout.write(json.dumps(told))


def main(library: str, path: str) -> None:
    rows = pickle.loads(Path(path).read_bytes())
    if library == "pandas":
        import pandas

        frame = pandas.DataFrame(rows)
        types = {name: str(kind) for name, kind in frame.dtypes.items()}
        whole = frame.set_index("start").resample("1h").agg({"high": "max", "volume": "sum"})
        told = {"rows": len(frame), "highs": list(whole["high"]), "volumes": list(whole["volume"])}
    else:
        import polars

        frame = polars.DataFrame(rows)
        types = {name: str(kind) for name, kind in frame.schema.items()}
        whole = frame.group_by_dynamic("start", every="1h").agg(polars.max("high"), polars.sum("volume"))
        told = {"rows": len(frame), "highs": list(whole["high"]), "volumes": list(whole["volume"])}
    sys.stdout.write(json.dumps({"types": types, **told}, default=str))


if __name__ == "__main__":
    {"bars": main, "events": events}[sys.argv[1]](*sys.argv[2:])
