"""What did the origin say last of the queries of a path?

Pages are looked for by what is known here, and lie where they say themselves: what is known wrongly, or was forgotten,
costs misses, and never brings a page to a URL that its origin did not say it is for.
"""

from __future__ import annotations

from collections import OrderedDict

from proxy.policy.key import PrimaryKey
from proxy.policy.search import SearchVariance

_REMEMBERED = 10_000


class Searches:
    """The variances of the paths that were seen last, by their keys."""

    def __init__(self) -> None:
        self._known: OrderedDict[PrimaryKey, SearchVariance] = OrderedDict()

    def find(self, path: PrimaryKey) -> SearchVariance | None:
        """Return what of the queries of a path tells its pages apart; None where all of it does."""
        variance = self._known.get(path)
        if variance is not None:
            self._known.move_to_end(path)
        return variance

    def learn(self, path: PrimaryKey, variance: SearchVariance | None) -> None:
        """A response for this path says so."""
        if variance is None:
            self._known.pop(path, None)
            return
        self._known[path] = variance
        self._known.move_to_end(path)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
