"""How long is a response fresh by all likelihood, where nobody said? (RFC 9111 §4.2.2)"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config.units import Seconds, UnixTime
from proxy.message.grammar import parse_date
from proxy.message.heads import Response
from proxy.policy.directives import Directives

#: RFC 9110 §15.1
HEURISTICALLY_CACHEABLE = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})


@dataclass(frozen=True, slots=True)
class Heuristic:
    """How an operator lets lifetimes be guessed."""

    fraction: float = 0.0
    """Of the time for which a response had not changed when it came; 0 guesses nothing."""
    most: Seconds = Seconds(86400)


NO_GUESS = Heuristic()


def heuristic_lifetime(
    response: Response, directives: Directives, date_value: UnixTime, heuristic: Heuristic
) -> Seconds | None:
    """Return the likely lifetime of a response without an explicit one; None where it is not to be guessed.

    Whether its URL has a query makes no difference, as §4.2.2 notes.
    """
    if response.status not in HEURISTICALLY_CACHEABLE and b"public" not in directives:
        return None
    value = response.fields.get(b"last-modified")
    modified = None if value is None else parse_date(value, date_value)
    if modified is None or not heuristic.fraction:
        return None
    return Seconds(max(0.0, min(heuristic.most, heuristic.fraction * (date_value - modified))))
