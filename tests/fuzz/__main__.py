"""`python -m tests.fuzz TARGET SECONDS`: atheris on one target, for so long, or until it finds something.

What is found is written to `.fuzz/TARGET-crash-…`; it becomes a named test in `test_targets.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

HERE = Path(".fuzz")


def main(name: str, seconds: str) -> None:
    with atheris.instrument_imports(include=["actors"]):
        from tests.fuzz.seeds import seeds
        from tests.fuzz.targets import TARGETS

    corpus = HERE / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=2048"]
    options += [f"-artifact_prefix={HERE}/{name}-", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


main(*sys.argv[1:])
