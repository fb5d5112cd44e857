from __future__ import annotations

from pathlib import Path

import pytest
import typer

from actors.cli.arguments import described_venue, known_name, settings_of


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quotse", "'quotse' is unknown; did you mean 'quotes'?"),
        ("x", "'x' is unknown; known: book, quotes."),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(name: str, message: str) -> None:
    known = {"quotes": 1, "book": 2}
    assert known_name("--feed", "book", known) == "book"
    with pytest.raises(typer.BadParameter) as error:
        known_name("--feed", name, known)
    assert (error.value.message, error.value.param_hint) == (message, "--feed")


@pytest.mark.parametrize("text", ["[runtime]\nnmae = 1\n", "name = [\n"])
def test_mistakes_in_a_file_are_printed_and_end_the_command(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "desk.toml"
    file.write_text(text)
    with pytest.raises(typer.Exit) as ended:
        settings_of(file)
    assert ended.value.exit_code == 78
    rows = capsys.readouterr().err.splitlines()
    assert rows
    assert all(row.startswith(f"{file}:") for row in rows)


def test_a_config_is_not_the_table_of_a_venue(tmp_path: Path) -> None:
    file = tmp_path / "desk.toml"
    file.write_text("[runtime]\n")
    assert described_venue(file) is None
