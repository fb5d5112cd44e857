"""Other people's SDKs, unmodified: see benchmarks/installs.py, which keeps them between runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import installs

HERE = Path(__file__).parent

Install = Callable[..., Path]


@pytest.hookimpl(tryfirst=True)  # before -m chooses by it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is here: `make interop` runs it, and `make test` does not."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(300))  # the first run makes a virtualenv


def or_skip(install: Install) -> Install:
    """The same, where a machine that lacks something skips the test, and says what it is."""

    def make(*requirements: str, **terms: str) -> Path:
        try:
            return install(*requirements, **terms)
        except installs.NotHereError as error:
            pytest.skip(str(error))

    return make


@pytest.fixture(scope="session")
def sdk_python() -> Install:
    """The Python of a virtualenv that has this requirement, such as `o2-sdk==0.5.0`."""
    return or_skip(installs.python_with)


@pytest.fixture(scope="session")
def node_modules() -> Install:
    """The node_modules that have this requirement."""
    return or_skip(installs.modules_with)


@pytest.fixture(scope="session")
def sdk_source() -> Install:
    """The folder of the unpacked wheel of this requirement, to be read on any Python."""
    return or_skip(installs.source_of)
