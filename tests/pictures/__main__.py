"""The pictures of the docs: `python -m tests.pictures` draws terminals of real runs."""

from __future__ import annotations

from typing import Annotated

import typer

from tests.pictures.demo import draw_demo
from tests.pictures.operator import draw_operator


def main(seconds: Annotated[float, typer.Argument(help="The length of the demo's run.")] = 20.0) -> None:
    draw_operator()
    draw_demo(seconds)


if __name__ == "__main__":
    typer.run(main)
