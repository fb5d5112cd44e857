"""`include`: feeds and calendars in files of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.cli.configured_service import read_settings
from actors.errors import ConfigError
from actors.settings import Settings, included, load
from actors.settings.diff import compare

Write = Callable[[str, str], Path]
FEED = '[feeds.{}]\nvenue = "o2"\n'


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def config(write: Write) -> Path:
    return write("desk.toml", 'include = ["feeds.d/*.toml"]\n' + FEED.format("main"))


def mistakes(config: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(config, {})
    return [problem.replace(f"{config.parent}{os.sep}", "") for problem in caught.value.problems]


def names(settings: Settings) -> list[str]:
    return [Path(name).name for name in settings.included]


def test_feeds_of_other_files_stand_beside_those_of_the_config(config: Path, write: Write) -> None:
    write("feeds.d/b.toml", FEED.format("b"))
    write("feeds.d/a.toml", FEED.format("a2") + FEED.format("a1"))
    write("feeds.d/.#a.toml", "what an editor leaves")
    write("feeds.d/notes.txt", "another")
    settings = load(config, {})
    assert list(settings.feeds) == ["main", "a2", "a1", "b"]
    assert names(settings) == ["a.toml", "b.toml"]
    assert settings.warnings == ()


def test_calendars_and_defaults_are_shared(config: Path, write: Write) -> None:
    config.write_text(config.read_text() + '[defaults]\ncompression = "deflate"\n')
    write("feeds.d/a.toml", '[calendars.us]\nzone = "UTC"\nsessions = ["Mon-Fri 09:30-16:00"]\n')
    write(
        "feeds.d/b.toml",
        FEED.format("b")
        + f'subscribe = [{{ channel = "trades", keys = ["0x{"a" * 64}"], calendar = "us" }}]',
    )
    feed = load(config, {}).feeds["b"]
    assert feed.compression == "deflate"
    assert feed.subscribe[0].calendar is not None


def test_a_relative_path_starts_at_the_file_in_which_it_stands(config: Path, write: Write) -> None:
    write("feeds.d/ca.pem", "")
    write("feeds.d/a.toml", FEED.format("a") + 'ca_file = "ca.pem"\n')
    assert load(config, {}).feeds["a"].ca_file == str(config.parent / "feeds.d" / "ca.pem")
    config.write_text(config.read_text() + '[defaults]\nca_file = "ours.pem"\n')
    write("ours.pem", "")
    assert load(config, {}).feeds["main"].ca_file == str(config.parent / "ours.pem")
    write("feeds.d/a.toml", FEED.format("a"))
    assert load(config, {}).feeds["a"].ca_file == str(config.parent / "ours.pem")


def test_each_mistake_is_named_with_its_own_file(config: Path, write: Write) -> None:
    write("feeds.d/a.toml", FEED.format("a") + 'compresion = "deflate"\n[feeds.a.restart]\ninitial = -1\n')
    write("feeds.d/b.toml", "[feeds.b\n")
    write("feeds.d/c.toml", 'include = ["x"]\n[runtime]\n[service]\n[defaults]\n')
    write("feeds.d/d.toml", '[calendars.us]\nzone = "Mars/Base"\nsessions = ["Mon-Fri 09:30-16:00"]\n')
    write("feeds.d/e.toml", "feeds = 3\n")
    write("feeds.d/f.toml", FEED.format("f") + 'subscribe = [{ channel = "trade" }]\n')
    config.write_text(config.read_text() + "proxy = 1\n")
    told = mistakes(config)
    only = "an included file has no such table; it has [feeds.NAME] and [calendars.NAME] only."
    assert [text for text in told if text.startswith("feeds.d/c.toml")] == [
        f"feeds.d/c.toml: [{key}]: {only}" for key in ("include", "runtime", "service", "defaults")
    ]
    assert [text.partition(": ")[::2] for text in told if not text.startswith("feeds.d/c.toml")] == [
        ("feeds.d/b.toml:1:9", "this is not TOML: expected ']' at the end of a table declaration."),
        ("feeds.d/e.toml", "[feeds]: expected a table, found 3."),
        (
            "feeds.d/d.toml",
            '[calendars.us] zone: there is no such time zone; expected a name such as "America/New_York".',
        ),
        ("desk.toml", "[feeds.main] proxy: expected text, found 1."),
        ("feeds.d/a.toml", "[feeds.a] compresion: there is no such key; did you mean 'compression'?"),
        (
            "feeds.d/a.toml",
            "[feeds.a.restart] initial: expected seconds, more than 0 and at most a year, found -1.",
        ),
        (
            "feeds.d/f.toml",
            "[feeds.f] subscribe entry 1 channel: venue o2 has no channel 'trade'; did you mean 'trades'?",
        ),
    ]


def test_a_feed_that_is_in_two_files_names_both(config: Path, write: Write) -> None:
    write("feeds.d/a.toml", FEED.format("a") + FEED.format("main"))
    write("feeds.d/b.toml", FEED.format("a"))
    told = mistakes(config)
    assert told[0] == f"feeds.d/a.toml: [feeds.main]: {config} has a feed of this name, too.".replace(
        f"{config.parent}{os.sep}", ""
    )
    assert told[1] == "feeds.d/b.toml: [feeds.a]: feeds.d/a.toml has a feed of this name, too."
    assert len(told) == 2


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"feeds.d/*.toml"', 'expected a list of texts, such as ["feeds.d/*.toml"], found text.'),
        ("[3]", 'expected a list of texts, such as ["feeds.d/*.toml"], found a list that contains 3.'),
        ('["none.toml"]', "'none.toml' cannot be read (No such file or directory)."),
        ('["feeds.d"]', "'feeds.d' is no regular file."),
        ('["**/*.toml"]', "'**/*.toml': expected a path in which * stands in the name of the file only."),
        ('["?/a.toml"]', "'?/a.toml': expected a path in which * stands in the name of the file only."),
        (
            '["none.d/*.toml"]',
            "'none.d/*.toml': the folder 'none.d' cannot be read (No such file or directory).",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_a_mistake(config: Path, write: Write, value: str, problem: str) -> None:
    write("feeds.d/a.toml", "")
    config.write_text(f"include = {value}\n")
    assert mistakes(config) == [f"desk.toml: include: {problem}"]


def test_a_pattern_that_matches_nothing_is_a_warning(config: Path) -> None:
    (config.parent / "feeds.d").mkdir()
    (warning,) = load(config, {}).warnings
    assert warning == f"{config}: include: 'feeds.d/*.toml' matches no file."


def test_a_file_is_read_once_and_the_config_does_not_include_itself(config: Path, write: Write) -> None:
    write("a.toml", FEED.format("a"))
    config.write_text('include = ["*.toml", "a.toml", "./a*"]\n')
    settings = load(config, {})
    assert (list(settings.feeds), names(settings)) == (["a"], ["a.toml"])


def test_files_are_bounded_in_number_and_size(
    config: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(included, "MOST_FILES", 2)
    for name in "abcd":
        write(f"feeds.d/{name}.toml", FEED.format(name))
    assert mistakes(config) == [
        "desk.toml: include: 'feeds.d/*.toml': at most 2 files can be included.",
    ]
    monkeypatch.setattr(included, "MOST_FILES", 1_000)
    monkeypatch.setattr(included, "LARGEST", 10)
    assert mistakes(config)[0] == "desk.toml: include: 'feeds.d/a.toml' has more than 10 bytes."


def test_a_reload_reads_the_files_that_are_there_then(config: Path, write: Write) -> None:
    write("feeds.d/a.toml", FEED.format("a"))
    before = load(config, {})
    write("feeds.d/b.toml", FEED.format("b"))
    write("feeds.d/a.toml", FEED.format("a") + 'compression = "deflate"\n')
    plan = compare(before, load(config, {}))
    assert [change.text for change in plan.changes] == [
        "feed a is reconnected: compression changed",
        "feed b is added",
    ]


def test_a_table_alone_is_read_without_the_other_files(config: Path, write: Write) -> None:
    write("feeds.d/a.toml", "[feeds.a\n")
    config.write_text(config.read_text() + '[runtime]\nname = "desk"\n')
    assert read_settings(config, "runtime").runtime.name == "desk"
