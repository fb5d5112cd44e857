"""Reads a config again while its runtime goes on: on SIGHUP, and for `POST /reload`."""

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


class ReloadResult(Struct, frozen=True):
    """The result of a reload, in sentences."""

    applied: bool
    changes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Reloader:
    """Any thread may call; calls are served one after the other. The result is also logged.

    `prepare` gets the new settings before they are applied.
    """

    def __init__(
        self, runtime: Runtime, config: Path, systemd: Systemd, prepare: Callable[[Settings], object]
    ) -> None:
        self._runtime, self._config, self._systemd, self._prepare = runtime, config, systemd, prepare
        self._lock = threading.Lock()

    def __call__(self, plan_only: bool) -> ReloadResult:
        """`plan_only`: list the changes and make none.

        Raises:
            RuntimeStopped: the runtime has stopped.
        """
        with self._lock, nullcontext() if plan_only else self._systemd.reloading():
            result = self._reload(plan_only)
        if not plan_only:
            _log(result, self._config)
        return result

    def _reload(self, plan_only: bool) -> ReloadResult:
        try:
            settings = load(self._config)
            if not plan_only:
                for warning in settings.warnings:
                    log.warning("config.warning", "%s", warning)
                self._prepare(settings)
            plan = self._runtime.reload(settings, plan_only=plan_only)
        except ConfigError as error:
            return ReloadResult(applied=False, problems=error.problems)
        except RuntimeStopped:
            raise
        except LinewardenError as error:  # a key that its venue rejects
            return ReloadResult(applied=False, problems=(f"{self._config}: {error}.",))
        except Exception:  # a failed reload does not end the service
            log.exception("config.failed", "unexpected error while reloading %s", self._config)
            return ReloadResult(applied=False, problems=("unexpected error while reloading; see the log.",))
        return ReloadResult(applied=not plan_only, changes=tuple(change.text for change in plan.changes))


def _log(result: ReloadResult, config: Path) -> None:
    for problem in result.problems:
        log.error("config.rejected", "%s", problem)
    for change in result.changes:
        log.info("config.changed", "Reloaded: %s", change)
    if result.problems:
        log.error("config.rejected", "%s was not applied: nothing has changed.", config)
    elif not result.changes:
        log.info("config.unchanged", "Reloaded: no changes in %s.", config)
