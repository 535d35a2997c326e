"""Can a regular expression take longer on a path than anybody waits?

Only what is certain is told: a group that is repeated, and may be nothing but a repetition itself, as in ``(a+)+``.
What it took can be divided in any number of ways, and where the rest does not match, all of them are tried.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<atom>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P=\w+\)|\(\?[aiLmsux]+\)|[^()|*+?{\\\[])
    |(?P<comment>\(\?\#[^)]*\))
    |(?P<fixed>\(\?(?:<?[=!]|>|\())
    |(?P<open>\((?:\?(?:P<\w+>|[aiLmsux-]*:))?)
    |(?P<close>\))|(?P<or>\|)
    |(?P<times>[*+?]|\{\d*,?\d*\})(?P<manner>[+?]?)
    |(?P<brace>\{)
    """,
    re.VERBOSE | re.DOTALL,
)
_ENDLESS = re.compile(r"\*|\+|\{\d*,\}")
_OPTIONAL = re.compile(r"\*|\?|\{0*,\d*\}|\{0+\}")


@dataclass(slots=True)
class _Branch:
    """What one alternative of a group consists of."""

    once: int = 0
    """Parts that take something of their own."""
    endless: int = 0
    optional_endless: int = 0

    @property
    def may_be_one_repetition(self) -> bool:
        return not self.once and self.endless <= 1 and self.endless + self.optional_endless > 0


@dataclass(slots=True)
class _Group:
    begin: int
    is_fixed: bool = False
    """What it took is not divided again (an atomic group), or it takes nothing (one that looks ahead or back)."""
    branches: list[_Branch] = field(default_factory=lambda: [_Branch()])

    @property
    def repeats(self) -> bool:
        return not self.is_fixed and any(branch.may_be_one_repetition for branch in self.branches)


def nested_repetition(pattern: str) -> str | None:
    """Return the first repetition of a repetition in a pattern that ``re`` has compiled; None where none is certain."""
    groups = [_Group(0)]
    last: _Group | None = None
    """The group that a sign of repetition would be about; None where it is something else."""
    tokens = list(_TOKEN.finditer(pattern))
    for i, token in enumerate(tokens):
        kind = token.lastgroup if token.lastgroup != "manner" else "times"
        if kind in ("open", "fixed"):
            groups.append(_Group(token.start(), kind == "fixed"))
        elif kind == "or":
            groups[-1].branches.append(_Branch())
        elif kind in ("atom", "brace", "close"):
            last = groups.pop() if kind == "close" and len(groups) > 1 else None
            following = tokens[i + 1] if i + 1 < len(tokens) else None
            times = following["times"] or "" if following is not None else ""
            is_endless = bool(_ENDLESS.fullmatch(times)) and following is not None and following["manner"] != "+"
            repeats = last is not None and last.repeats
            if is_endless and repeats and last is not None and following is not None:
                return pattern[last.begin : following.end()]
            _count(groups[-1].branches[-1], times, is_endless=is_endless or (repeats and not times))
    return None


def _count(branch: _Branch, times: str, *, is_endless: bool) -> None:
    is_optional = bool(_OPTIONAL.fullmatch(times))
    if is_endless and is_optional:
        branch.optional_endless += 1
    elif is_endless:
        branch.endless += 1
    elif not is_optional:
        branch.once += 1
