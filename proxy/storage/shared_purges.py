"""What was purged of a shared cache, by whichever worker?

Purges lie in the database beside the values, numbered as all changes are. One number in the marks changes with each of
them, so that a worker which remembers a response knows by one comparison that it need not look.
"""

from __future__ import annotations

import asyncio

from proxy.config.units import UnixTime
from proxy.errors import StorageError
from proxy.policy.key import PrimaryKey
from proxy.policy.purging import MOST_RULES, Purge, PurgeLog
from proxy.policy.stored import StoredResponse
from proxy.storage.backends.shared_marks import PURGES
from proxy.storage.backends.shared_store import SharedStore
from proxy.storage.codec import DamagedRecordError, PurgeNote, decode, encode

_KEY = PrimaryKey(b"purge")


class SharedPurges:
    """The purges of one cache, as far as this process knows them."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._purged = PurgeLog()
        self._words = store.file.marks.words
        self.seen = -1
        """What the marks said when this process looked at them last."""

    def judge(self, primary: PrimaryKey, stored: StoredResponse, now: UnixTime) -> StoredResponse | None:
        """Return a stored response as it is after all purges; None where it is gone, or that cannot be known."""
        if self._words[PURGES] != self.seen:
            try:
                self._learn()
            except StorageError:
                return None
        return self._purged.judge(primary, stored, now)

    def _learn(self) -> None:
        says = self._words[PURGES]
        floor, purges = self._store.purges(self._purged.number)
        self._purged.raise_floor(floor)
        for number, data in purges:
            try:
                note = decode(_KEY, data)
            except DamagedRecordError:
                note = None
            if isinstance(note, PurgeNote):
                self._purged.add(note.purge, number)
            else:
                # Nobody knows what it was.
                self._purged.raise_floor(number)
        self.seen = says

    async def purge(self, purge: Purge) -> None:
        """Purge for all workers; where it cannot be noted what was purged, everything is."""
        data = encode(_KEY, PurgeNote(0, purge))
        try:
            await asyncio.to_thread(self._store.purge, data, MOST_RULES)
        except StorageError as error:
            self._store.give_up(error)
