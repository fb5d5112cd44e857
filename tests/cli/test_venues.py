from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Invoke, rows


def test_venues_are_listed_and_told(linewarden: Invoke) -> None:
    assert rows(linewarden("venues").stdout)[2] == "desk for tests depth, account"
    told = rows(linewarden("venues", "desk").stdout)
    assert told[0] == "desk: for tests"
    assert "depth the book market precision: 1 to 18" in told
    assert "key text required" in told
    assert 'network one of: "mainnet", "testnet" mainnet' in told
    unknown = linewarden("venues", "dask")
    assert unknown.exit_code == 2
    assert "did you mean 'desk'?" in unknown.stderr


def test_a_file_that_is_no_table_is_1(linewarden: Invoke, desk_config: Path, tmp_path: Path) -> None:
    none = linewarden("venues", tmp_path / "none.toml")
    assert (none.exit_code, none.stderr) == (1, f"{tmp_path / 'none.toml'}: there is no such file.\n")
    other = linewarden("venues", desk_config)
    assert (other.exit_code, other.stderr) == (1, f"{desk_config}: this is not the table of a venue.\n")


def test_venues_tells_of_a_table(linewarden: Invoke, pier: Path) -> None:
    told = rows(linewarden("venues", pier).stdout)
    assert told[:2] == ["pier: a pier", "url: wss://pier.example/${way}"]
    assert "status how it is" in told
    assert 'way one of: "in", "out" in' in told
    assert 'api_key text, such as "${PIER_KEY}" required' in told
    assert "connections 3 a minute" in told
    assert "topics 7 on one connection; more open another" in told
    assert "PIER_KEY its key" in told


def test_venues_lists_the_tables_that_come_along(linewarden: Invoke) -> None:
    listed = [row.split()[0] for row in rows(linewarden("venues").stdout)]
    assert listed[2] == "desk"
    assert "binance" in listed
    assert linewarden("venues", "binance").exit_code == 0


def test_venues_tells_of_a_class(linewarden: Invoke) -> None:
    told = rows(linewarden("venues", "tests.venues.ticks.venue:Ticks").stdout)
    assert told[0] == "ticks: Ticks: prices of an imaginary exchange"
    assert "key text required" in told
    none = linewarden("venues", "tests.venues.ticks.venue:Tocks")
    assert none.exit_code == 1
    assert none.stderr.startswith("'tests.venues.ticks.venue:Tocks' cannot be imported (AttributeError: ")


def test_venues_tells_which_states_a_venue_tells_of_itself(linewarden: Invoke) -> None:
    told = rows(linewarden("venues", "kraken").stdout)
    assert "open, maintenance, halted, degraded the whole line" in told
    told = rows(linewarden("venues", "binance").stdout)
    assert "degraded the whole line; the line is rotated" in told
    assert not any(row.startswith("state of the venue") for row in rows(linewarden("venues", "desk").stdout))


def test_venues_says_which_variables_are_taken(linewarden: Invoke) -> None:
    taken = "a feed that names no login takes it"
    told = linewarden("venues", "actors.venues.projectx:ProjectX").stdout
    assert f"the key, for api_key; {taken}" in told
    told = " ".join(linewarden("venues", "actors.venues.tplus:Tplus").stdout.split())
    assert "for keystore_password; a feed that has keystore and names no login takes it" in told
    assert taken not in told
