"""`env_file`: variables in a file, as systemd reads one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.cli.configured_service import read_settings
from actors.errors import ConfigError
from actors.settings import Settings, load, load_feed
from actors.settings.diff import compare
from actors.settings.env_file import variables_of

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
CANARY = "canary-77aa"
FEED: dict[str, Any] = {"venue": "alpaca", "key": "${KEY}", "secret": "${SECRET}"}
CONFIG = '[feeds.a]\nvenue = "alpaca"\nkey = "${KEY}"\nsecret = "${SECRET}"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "desk.toml"
    file.write_text(f'env_file = "keys.env"\n{CONFIG}')
    return file


def keys(config: Path, text: str, mode: int = 0o600) -> None:
    file = config.parent / "keys.env"
    file.write_text(text)
    file.chmod(mode)


def login(settings: Settings) -> tuple[str, str]:
    own: Any = settings.feeds["a"].own
    return own.key.reveal(), own.secret.reveal()


def mistakes(config: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(config, environ)
    return [problem.replace(f"{config.parent}/", "") for problem in caught.value.problems]


# ── the syntax: systemd.exec(5), EnvironmentFile= ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\n  # comment\n; another = one\n\t\nA=1\n", {"A": "1"}),
        ("# a comment does not go on \\\nA=1\n", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("  A = two  words \t\n", {"A": "two  words"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=$HOME ${HOME}", {"A": "$HOME ${HOME}"}),
        ("A=one\\\ntwo\n", {"A": "onetwo"}),
        ('A=\\\\ \\a \\"\n', {"A": '\\ a "'}),
        ("A=x\\ \n", {"A": "x "}),
        ('A=it\'s "here"\n', {"A": 'it\'s "here"'}),
        ("A='two\nlines'\nB=2", {"A": "two\nlines", "B": "2"}),
        ("A='a\\b$c\"'\n", {"A": 'a\\b$c"'}),
        ('A=" a \\" \\\\ \\` \\$ \\n \\\nb "\n', {"A": ' a " \\ ` $ \\n b '}),
        ("A='a' \"b\"c\n", {"A": "abc"}),
        ("A=#hash\n", {"A": "#hash"}),
        ("_a1=x", {"_a1": "x"}),
    ],
)
def test_a_file_is_read_as_systemd_reads_it(text: str, values: dict[str, str]) -> None:
    read = variables_of(text, "keys.env")
    assert (read.values, read.problems, read.warnings) == (values, (), ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"A=1\n{CANARY}\n", "keys.env:2: expected NAME=value, found no =."),
        ("export A=1\n", "keys.env:1: expected NAME=value without export, which systemd does not read."),
        (
            f"{CANARY}=x\n",
            "keys.env:1: expected NAME=value, with a name of letters, digits and _ before the =.",
        ),
        ("=x\n", "keys.env:1: expected NAME=value, with a name of letters, digits and _ before the =."),
        ("A=1\n\nA=2\n", "keys.env:3: A is in line 1 already."),
        (f"A='{CANARY}\n", "keys.env:1: the quote ' is not closed."),
        (f'\nA="{CANARY}\\"\n', 'keys.env:2: the quote " is not closed.'),
        (f"A={CANARY}\0\n", "keys.env:1: the value of A contains a NUL."),
    ],
)
def test_a_line_that_systemd_would_pass_over_is_a_mistake(text: str, problem: str) -> None:
    assert variables_of(text, "keys.env").problems == (problem,)


def test_what_looks_like_a_comment_in_a_value_is_a_warning() -> None:
    read = variables_of("A=x # mine\nB='x # y'\n", "keys.env")
    assert read.values == {"A": "x # mine", "B": "x # y"}
    told = (
        "the value of A contains what looks like a comment; it is a part of the value, as it is for systemd."
    )
    assert read.warnings == (f"keys.env:1: {told}",)


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), max_size=20)


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), TEXTS, max_size=5))
def test_quoted_texts_come_back_as_they_were(values: dict[str, str]) -> None:
    doubled = {name: re.sub(r'(["\\`$])', r"\\\1", value) for name, value in values.items()}
    assert variables_of("".join(f'{name}="{text}"\n' for name, text in doubled.items()), "f").values == values
    single = {name: value.replace("'", "'\"'\"'") for name, value in values.items()}
    assert variables_of("".join(f"{name}='{text}'\n" for name, text in single.items()), "f").values == values


@given(st.text(max_size=60))
def test_any_text_is_read_or_told_and_repeated_nowhere(text: str) -> None:
    read = variables_of(f"{text}\nLAST='{CANARY}'\n", "f")
    assert not any(CANARY in told for told in (*read.problems, *read.warnings))


def test_the_example_of_the_page() -> None:
    (block,) = re.findall(r"^```\n(# keys\.env.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert variables_of(block, "keys.env").values == {
        "ALPACA_API_KEY": "PK0123",
        "ALPACA_API_SECRET": 'a text with "quotes" and $ signs',
    }  # of configuration.md


# ── in a config ─────────────────────────────────────────────────────────────────────────────────


def test_its_variables_are_those_of_the_config(config: Path) -> None:
    keys(config, "KEY=k\nSECRET=s\n")
    assert login(load(config, {})) == ("k", "s")


def test_a_variable_of_the_process_comes_first(config: Path) -> None:
    keys(config, "KEY=k\nSECRET=s\n")
    assert login(load(config, {"KEY": "mine"})) == ("mine", "s")
    assert mistakes(config, KEY="") == ["desk.toml: [feeds.a] key: expected text that is not empty."]


def test_a_login_from_the_environment_may_be_in_it(config: Path) -> None:
    config.write_text('env_file = "keys.env"\n[feeds.a]\nvenue = "alpaca"\n')
    keys(config, "ALPACA_API_KEY=k\nALPACA_API_SECRET=s\n")
    settings = load(config, {})
    assert login(settings) == ("k", "s")
    assert settings.feeds["a"].login_variables == ("ALPACA_API_KEY", "ALPACA_API_SECRET")


def test_a_feed_that_is_added_reads_the_file_again(config: Path) -> None:
    keys(config, "KEY=k\nSECRET=s\n")
    settings = load(config, {})
    keys(config, "KEY=k2\nSECRET=s\n")
    own: Any = load_feed("b", FEED, settings, {}).own
    assert own.key.reveal() == "k2"


def test_a_reload_reads_the_file_again_and_reconnects_the_feeds_that_use_it(config: Path) -> None:
    config.write_text(config.read_text() + CONFIG.replace("feeds.a", "feeds.b").replace("KEY", "OTHER"))
    keys(config, "KEY=k\nOTHER=o\nSECRET=s\n")
    before = load(config, {})
    keys(config, "KEY=k2\nOTHER=o\nSECRET=s\n")
    (change,) = compare(before, load(config, {})).changes
    assert change.text == "feed a is reconnected: key changed"


def test_a_command_reads_it_for_a_table_that_names_a_variable(config: Path) -> None:
    keys(config, "DESK_OF_THIS_TEST=desk\n", 0o644)
    assert read_settings(config, "runtime").runtime.name == "linewarden"  # the file is not needed
    config.write_text(config.read_text() + '[runtime]\nname = "${DESK_OF_THIS_TEST}"\n')
    with pytest.raises(ConfigError, match="is open to every user"):
        read_settings(config, "runtime")
    (config.parent / "keys.env").chmod(0o600)
    assert read_settings(config, "runtime").runtime.name == "desk"


def test_what_can_be_read_of_it_counts_beside_its_mistakes(config: Path) -> None:
    keys(config, "KEY=k\nwhat\n")
    assert mistakes(config) == [
        "keys.env:2: expected NAME=value, found no =.",
        "desk.toml: [feeds.a] secret: the environment variable SECRET is not set.",
    ]


def test_a_file_that_every_user_can_read_is_a_mistake(config: Path) -> None:
    keys(config, f"KEY={CANARY}\nSECRET=s\n", 0o644)
    told = mistakes(config)[0]
    assert told.startswith(
        "desk.toml: env_file: 'keys.env' is open to every user of this machine (mode 0644)"
    )
    assert CANARY not in told


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('env_file = "none.env"', "env_file: there is no file 'none.env' (from the config's directory)."),
        ("env_file = 3", "env_file: expected the path of a file, found 3."),
        ('env_file = ""', "env_file: expected the path of a file."),
    ],
)
def test_a_file_that_cannot_be_read_is_a_mistake(config: Path, line: str, problem: str) -> None:
    config.write_text(f"{line}\n")
    assert mistakes(config) == [f"desk.toml: {problem}"]


def test_a_key_below_a_table_is_told_where_it_belongs(config: Path) -> None:
    config.write_text('[runtime]\nenv_file = "keys.env"\n')
    home = "the first lines of the file, before any [table]"
    assert mistakes(config) == [f"desk.toml: [runtime] env_file: there is no such key; it belongs in {home}."]
