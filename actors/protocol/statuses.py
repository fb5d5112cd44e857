"""What an HTTP status means for the next attempt, where a venue has no rule of its own."""

from __future__ import annotations

from typing import Final

from actors.http_types import HttpAnswer
from actors.reasons import Fatal, Reason, Retryable, Slow

PASSING: Final = (408, 425)  # 4xx about this one request: it was slow, or it came as early data


def status_reason(answer: HttpAnswer, text: str, advice: str) -> Reason:
    """The reason for an answer whose status is not the expected one; its code is `http_STATUS`.

    `Slow` and shared by the account: 429, and 5xx with Retry-After. `Fatal` with `advice`: other 3xx and 4xx.
    `Retryable`: all others, and 408 and 425. `text` is shown to people and must not contain a secret.
    """
    status, code, wait = answer.status, f"http_{answer.status}", answer.retry_after
    if status == 429 or (status >= 500 and wait is not None):
        return Slow(text, code, wait, shared=True)
    if 300 <= status < 500 and status not in PASSING:
        return Fatal(text, code, advice)
    return Retryable(text, code)
