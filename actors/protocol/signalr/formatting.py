"""What a hub says, in a form that people may be shown."""

from __future__ import annotations

import re
from typing import Any, Final

from actors.secret import REDACTED, Secret

MAX_WORDS: Final = 300  # characters

# Any token there may be: parts of base64url, the first of which begins with `{"` in that form (RFC 7519, 3);
# and whatever stands where a hub's URL has it. A hub may say back what it was shown.
TOKEN: Final = re.compile(r"eyJ[\w-]*\.[\w-]*(?:\.[\w-]*)?|(?<=access_token=)[^\s&\"']+")


def said(words: Any, *secrets: Secret | None, otherwise: str = "no words") -> str:
    """One line of a bounded length and without these secrets or a token, of any type; or `otherwise`."""
    text = "" if words is None else str(words)
    for secret in filter(None, secrets):
        text = text.replace(secret.reveal(), REDACTED)
    text = TOKEN.sub(REDACTED, text)[: 4 * MAX_WORDS]
    text = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(text.split())[:MAX_WORDS] or otherwise
