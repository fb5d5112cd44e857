"""How many examples a property test takes: a third of them in `make test`, all in `make long`."""

from __future__ import annotations

from hypothesis import settings

THOROUGH = 100  # what Hypothesis takes by itself


def examples(number: int) -> int:
    """Of a property test that takes `number` of them in `make long`."""
    profile: int = settings.get_profile(settings.get_current_profile_name()).max_examples
    return max(5, number * profile // THOROUGH)
