"""What happens when the configuration is to be read again?"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace

from proxy.config.load import Source
from proxy.config.model import Config
from proxy.config.units import UnixTime
from proxy.downstream.workers import UnchangedError
from proxy.errors import ConfigError
from proxy.ops.catalogue import LAST_RELOAD, RELOADED, RELOADS
from proxy.ops.snapshot import Snapshot

_log = logging.getLogger("sitecache")

_AT_START = ("listen", "workers", "admin", "access_log")
#: What the caches over HTTP are made of, where there are any.
_OF_PROGRAMS = ("CACHES", "DATABASES", "ROUTER", "key_warnings")

Take = Callable[[Config], Awaitable[None]]
"""Changes over to a configuration; where it raises, all stays as it was."""


class Reloads:
    """Reads the configuration again after each SIGHUP, one time after the other."""

    def __init__(self, config: Config, source: Source | None, take: Take, clock: Callable[[], UnixTime]) -> None:
        """Without a ``source`` the signal keeps its meaning: whoever has the terminal is gone."""
        self.config = config
        """What is gone by now."""
        self._at_start = config
        self._source = source
        self._take = take
        self._clock = clock
        self._told = asyncio.Event()
        self._counted: Counter[str] = Counter()
        self._last = UnixTime(0)
        self._succeeded = True
        if source is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._told.set)

    def snapshot(self) -> Snapshot:
        """Return how often that was done, and when last."""
        return Snapshot(
            {
                RELOADS: {(result,): count for result, count in self._counted.items()},
                LAST_RELOAD: {(): self._last},
                RELOADED: {(): self._succeeded},
            }
        )

    async def run(self) -> None:
        """Do so until cancelled; signals that come meanwhile are one."""
        while self._source is not None:
            await self._told.wait()
            self._told.clear()
            await self._reload(self._source)

    async def _reload(self, source: Source) -> None:
        try:
            # A large file takes a while to be read, and whoever serves must not wait.
            found = await asyncio.to_thread(source.read)
            config = _staying(self.config, found)
            await self._take(config)
        except ConfigError as error:
            for fault in error.faults:
                _log.error("%s", fault)
        except UnchangedError as error:
            _log.error("config error: %s", error)
        except Exception as error:  # noqa: BLE001  whatever could not be built: a reload never ends the process
            _log.error("config error: %s: %s", type(error).__name__, error)
        else:
            self.config = config
            self._last = self._clock()
            self._succeeded = True
            self._counted["success"] += 1
            self._tell(source.file, found)
            return
        self._counted["failure"] += 1
        self._succeeded = False
        _log.error("not reloaded %s: the configuration stays as it was", source.file)

    def _tell(self, file: str, found: Config) -> None:
        waiting = [name for name in _AT_START if getattr(found, name) != getattr(self._at_start, name)]
        if waiting:
            _log.warning("%s in %s: takes effect at the next start", ", ".join(waiting), file)
        admin = self._at_start.admin
        over_http = admin.token is not None and admin.listen != "off"
        programs = [name for name in _OF_PROGRAMS if getattr(found, name) != getattr(self._at_start, name)]
        if over_http and programs:
            _log.warning("%s in %s: for the caches over HTTP, at the next start", ", ".join(programs), file)
        _log.info("reloaded %s", file)


def _staying(config: Config, found: Config) -> Config:
    """Return what was found, but with what cannot change while the process runs."""
    return replace(
        found, **{each.name: getattr(config, each.name) for each in fields(config) if each.name in _AT_START}
    )
