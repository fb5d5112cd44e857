"""The command `linewarden`, which is `python -m actors` as well."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 128 + signal.SIGINT  # the exit code that shells give to a command that Ctrl-C ended


def main() -> None:
    """The entry point. Until a command begins, Ctrl-C ends the process at once and quietly."""
    catches = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored: nohup, say

    def command_begins() -> None:
        if catches:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    if catches:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from actors import cli  # it takes most of a second

    cli.main(command_begins)


if __name__ == "__main__":
    main()
