"""What does the answer to HEAD say about what is stored for GET? (RFC 9111 §4.3.5)"""

from __future__ import annotations

from dataclasses import dataclass, replace

from proxy.config.units import UnixTime
from proxy.message.fields import Fields
from proxy.message.heads import Request, Response
from proxy.policy.decisions import Freshen
from proxy.policy.rules import Rules
from proxy.policy.stored import StoredResponse
from proxy.policy.storing import is_personal
from proxy.policy.validation import decide_validation

#: Those that say which representation it is, by their names in lower case.
_VALIDATORS = (b"etag", b"last-modified")


@dataclass(frozen=True, slots=True)
class Outdated:
    """The stored response no longer holds, or may not be stored any more."""


def decide_heading(
    request: Request, stored: StoredResponse, answer: Response, times: tuple[UnixTime, UnixTime], rules: Rules
) -> Freshen | Outdated | None:
    """Say what follows from a 200 to HEAD for a stored response that could have been chosen for it; None: nothing.

    §4.3.5 has it updated also where the answer has no validator. Then nothing shows that it is the same, and it is left
    as it is.
    """
    if answer.status != 200 or stored.status != 200 or is_personal(request, stored, answer, times[1], rules):
        return None
    if not _matches(stored, answer.fields):
        return Outdated()
    if not any(name in answer.fields for name in _VALIDATORS):
        return None
    said = Response(304, b"Not Modified", answer.fields)
    decision = decide_validation(replace(request, method=b"GET"), stored, said, times, rules)
    return decision if isinstance(decision, Freshen) else Outdated()


def _matches(stored: StoredResponse, fields: Fields) -> bool:
    known = stored.fields()
    length = fields.get(b"content-length")
    same = all(fields.get(name) == known.get(name) for name in _VALIDATORS if name in fields)
    return same and (length is None or length == b"%d" % len(stored.body))
