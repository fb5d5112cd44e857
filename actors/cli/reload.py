"""A config read again while its runtime goes on: on SIGHUP, and when `POST /reload` asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from actors import log_queue
from actors.cli.systemd import Systemd
from actors.errors import ConfigError, LinewardenError, RuntimeStopped
from actors.settings import Settings, load

if TYPE_CHECKING:
    from actors.runtime import Runtime

log = log_queue.logger("actors.cli.reload")


class Reloaded(Struct, frozen=True):
    """What came of it, in sentences."""

    applied: bool
    changes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Reloader:
    """Any thread may call; one is served at a time. Whatever happens is logged, too.

    `prepare` is told the new settings before they are taken over.
    """

    def __init__(
        self, runtime: Runtime, config: Path, systemd: Systemd, prepare: Callable[[Settings], object]
    ) -> None:
        self._runtime, self._config, self._systemd, self._prepare = runtime, config, systemd, prepare
        self._lock = threading.Lock()

    def __call__(self, plan_only: bool) -> Reloaded:
        """`plan_only`: say what would change, and change nothing.

        Raises:
            RuntimeStopped: there is nothing to reload any more.
        """
        with self._lock, nullcontext() if plan_only else self._systemd.reloading():
            told = self._reload(plan_only)
        if not plan_only:
            _log(told, self._config)
        return told

    def _reload(self, plan_only: bool) -> Reloaded:
        try:
            settings = load(self._config)
            if not plan_only:
                for warning in settings.warnings:
                    log.warning("%s", warning)
                self._prepare(settings)
            plan = self._runtime.reload(settings, plan_only=plan_only)
        except ConfigError as error:
            return Reloaded(applied=False, problems=error.problems)
        except RuntimeStopped:
            raise
        except (LinewardenError, OSError) as error:  # a key that its venue refuses; a simulator's port
            return Reloaded(applied=False, problems=(f"{self._config}: {error}.",))
        except Exception:  # a service does not end because it could not be changed
            log.exception("%s could not be taken over.", self._config)
            return Reloaded(applied=False, problems=("something failed meanwhile; the log says what.",))
        return Reloaded(applied=not plan_only, changes=tuple(change.text for change in plan.changes))


def _log(told: Reloaded, config: Path) -> None:
    for problem in told.problems:
        log.error("%s", problem)
    for change in told.changes:
        log.info("Reloaded: %s", change)
    if told.problems:
        log.error("%s is not taken over: nothing has changed.", config)
    elif not told.changes:
        log.info("Reloaded: %s says what it said before.", config)
