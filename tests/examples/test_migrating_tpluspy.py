"""The ports of tpluspy's examples run as their reader would run them; what they print is true."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.examples.running import EXAMPLES, ROOT, run
from tests.venues.test_tplus_keystore import PASSWORD, WRITTEN

PORTS = EXAMPLES / "migrating" / "tpluspy"
Printed = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def printed() -> Iterator[Printed]:
    """The lines that a port prints. All of them run at the same time: they wait more than they work."""
    scripts = sorted(PORTS.glob("*.py"))
    with ThreadPoolExecutor(len(scripts)) as pool:
        running = {each.stem: pool.submit(run, str(each.relative_to(EXAMPLES))) for each in scripts}
        yield lambda port: running[port].result()


def test_the_page_names_each_port_and_each_is_run_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    page = (ROOT / "docs" / "migrating" / "tpluspy.md").read_text(encoding="utf-8")
    for port in PORTS.glob("*.py"):
        assert f'printed("{port.stem}")' in here
        assert f"tpluspy/{port.name})" in page


def test_websocket_usage_shows_a_clean_close_and_goes_on(printed: Printed) -> None:
    told = printed("websocket_usage")
    depth = [line for line in told if line.startswith("[depth] ")]
    trades = [line for line in told if line.startswith("[trades] ")]
    assert depth[0].startswith("[depth] snapshot ")
    numbers = [int(line.split()[2].rstrip(":")) for line in depth if line.startswith("[depth] change")]
    assert numbers == sorted(set(numbers))
    sold = [number for number, line in enumerate(trades) if re.fullmatch(r"\[trades] \d+: .*", line)]
    gap = trades.index("[trades] events may be missing: disconnect")
    assert len(sold) == 30
    assert sold[0] < gap < sold[-1]
    assert told[-1] == "both listeners have finished"


def test_rest_usage_looks_at_market_and_account(printed: Printed) -> None:
    book, price, bars, *account = printed("rest_usage")
    assert re.fullmatch(r"book \d+: [1-9]\d* asks, [1-9]\d* bids", book)
    found = re.fullmatch(r"bid ([\d.]+), ask ([\d.]+), from (stream|rest)", price)
    assert found is not None
    assert float(found[1]) < float(found[2])
    assert re.fullmatch(r"\d+ bars are finished, and (one|none) forms?s?", bars)
    assert len(account) == 3
    # Two connections bring them: which of two events is first is not certain on a busy machine.
    event = re.compile(r"order event: (Created|Removed)|fill: (bought|sold) [\d.]+ at [\d.]+, \w+")
    assert all(event.fullmatch(each) for each in account)
    assert any(each.startswith("order event: ") for each in account)


def test_two_users_trade_counts_only_what_is_final(printed: Printed) -> None:
    told = printed("two_users_trade")
    fills = Counter(line.split(":")[0] for line in told if line.endswith(" Confirmed"))
    for line in told[-2:]:
        found = re.fullmatch(r"(alice|bob): (\d+) fills, [+-][\d.]+ in all", line)
        assert found is not None
        assert fills[found[1]] == int(found[2]) >= 3


def test_account_streams_are_four_on_one_login(printed: Printed) -> None:
    told = printed("account_streams")
    assert told[0] == "logged in, and four streams are open"
    assert len(told) == 9
    assert any(re.fullmatch(r"order o-\d+: (Buy|Sell) of \w+", line) for line in told)


def test_account_streams_log_in_with_a_key_file_of_tpluspy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file, config = tmp_path / "alice", tmp_path / "linewarden.toml"
    key_file.write_text(WRITTEN, "utf-8")
    key_file.chmod(0o600)
    keys = 'venue = "tplus"\nurl = "sim://tplus?rate=50"\nkeystore = "alice"'
    config.write_text(f'[feeds.tplus]\n{keys}\nkeystore_password = "${{TPLUS_PASSWORD}}"\n', "utf-8")
    monkeypatch.setenv("TPLUS_PASSWORD", PASSWORD)
    told = run("migrating/tpluspy/account_streams.py", str(config))
    assert told[0] == "logged in, and four streams are open"
    assert len(told) == 9
