"""A round: an attacker asks, the victim asks for the same plainly, and gets the page that his own request is for.

What a plain request is for is told by the same proxy before the same application, in which nobody else has ever asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from tests.fuzz.poisoning.drawing import PATHS, PLAIN_FIELDS, SECRET_PATHS, VARIED_PATHS, drawn
from tests.fuzz.poisoning.standing import Answered, Standing
from tests.fuzz.poisoning.twists import Draft, Pairs, Twist

#: The page of a path that servers take for a secret one.
_SECRET = re.compile(rb"^path\.(?:folded|info): \['(?:', ')?/+secret['/;]", re.MULTILINE)
MOST_TWISTS = 4
MOST_ATTACKS = 3
Attack = tuple[Twist, ...]


@dataclass(frozen=True)
class Round:
    """What the victim asks for, and what attackers make of it before him."""

    target: str
    fields: Pairs
    attacks: tuple[Attack, ...]

    def victim(self, host: str) -> Draft:
        return Draft(host, self.target, fields=self.fields)

    def raw(self, host: str) -> list[bytes]:
        """Return all requests in their order."""
        made = []
        for attack in self.attacks:
            draft = self.victim(host)
            for twist in attack:
                draft = twist.apply(draft)
            made.append(draft.raw())
        return [*made, self.victim(host).raw()]

    def smaller(self) -> list[Round]:
        """Return rounds with one attack, twist or field less."""
        found = [self._with(i, ()) for i in range(len(self.attacks)) if len(self.attacks) > 1]
        for i, attack in enumerate(self.attacks):
            found += [self._with(i, attack[:j] + attack[j + 1 :]) for j in range(len(attack)) if len(attack) > 1]
        found += [replace(self, fields=self.fields[:i] + self.fields[i + 1 :]) for i in range(len(self.fields))]
        return found + [replace(self, target=target) for target in ("/", "/a") if len(target) < len(self.target)]

    def _with(self, i: int, attack: Attack) -> Round:
        kept = (attack,) if attack else ()
        return replace(self, attacks=self.attacks[:i] + kept + self.attacks[i + 1 :])


def drawn_round(random: Random) -> Round:
    """Draw a round."""
    target = random.choice(random.choices([PATHS, VARIED_PATHS, SECRET_PATHS], weights=[6, 3, 1])[0])
    attacks = random.choices([1, 2, MOST_ATTACKS], weights=[8, 2, 1])[0]
    made = [tuple(drawn(random) for _ in range(random.randint(1, MOST_TWISTS))) for _ in range(attacks)]
    return Round(target, random.choice(PLAIN_FIELDS), tuple(made))


@dataclass(frozen=True)
class Fault:
    """A page that was stored under a key whose own plain request would have got another."""

    round: Round
    sees: tuple[str, ...]
    """What of the page differs."""
    got: Answered
    right: Answered

    def __str__(self) -> str:
        told = [f"differs in {', '.join(self.sees)}"]
        *attacks, victim = self.round.raw("v1.victim.test")
        told += [f"attacker: {raw!r}" for raw in attacks] + [f"victim:   {victim!r}"]
        for name, one in (("got", self.got), ("right", self.right)):
            lines = [line for line in one.body.decode("utf-8", "replace").splitlines() if _key(line) in self.sees]
            told.append(f"{name}: {one.status} {lines[:6]}")
        return "\n  ".join(told)


def _key(line: str) -> str:
    return line.partition(": ")[0]


@dataclass
class Field:
    """A proxy that is attacked, and its like that only plain requests reach."""

    attacked: Standing
    plain: Standing
    keeps_secrets: bool = False
    """A route says that some pages are not to be stored."""
    rounds: int = 0
    hits: int = 0
    """Victims that got what an attacker had stored."""
    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    _hosts: count[int] = field(default_factory=count)
    _right: dict[tuple[str, Pairs], Answered] = field(default_factory=dict)

    async def play(self, drawn: Round) -> Fault | None:
        """Play a round on a host of its own; return what is wrong."""
        *attacks, victim = drawn.raw(f"v{next(self._hosts)}.victim.test")
        for raw in attacks:
            answered = await self.attacked.ask(raw)
            self.statuses[answered.status] += 1
            if self.keeps_secrets and _SECRET.search(answered.body) and b"stored" in answered.cache_status:
                return Fault(drawn, ("a secret was stored",), answered, Answered())
        got = await self.attacked.ask(victim)
        self.rounds += 1
        self.asked += len(attacks) + 1
        self.hits += got.is_hit
        right = await self._plain(drawn)
        if got.page == right.page:
            return None
        return Fault(drawn, _differing(got, right), got, right)

    async def _plain(self, drawn: Round) -> Answered:
        key = drawn.target, drawn.fields
        if key not in self._right:
            # On a host of its own: what another plain request got is not for this one.
            self._right[key] = await self.plain.ask(drawn.victim(f"v{next(self._hosts)}.victim.test").raw())
        return self._right[key]

    async def smallest(self, fault: Fault) -> Fault:
        """Make a fault smaller, as long as it is one that differs in the same."""
        is_smaller = True
        while is_smaller:
            is_smaller = False
            for smaller in fault.round.smaller():
                found = await self.play(smaller)
                if found is not None and set(found.sees) <= set(fault.sees):
                    fault, is_smaller = found, True
                    break
        return fault

    async def close(self) -> None:
        await self.attacked.close()
        await self.plain.close()


def _differing(got: Answered, right: Answered) -> tuple[str, ...]:
    if got.status != right.status:
        return (f"status {got.status}",)
    one, other = (set(body.decode("utf-8", "replace").splitlines()) for body in (got.body, right.body))
    return tuple(sorted({_key(line) for line in one ^ other}))


def signature(fault: Fault) -> tuple[Sequence[str], ...]:
    """Return by what faults are told apart."""
    kinds = sorted({twist.kind for attack in fault.round.attacks for twist in attack})
    return fault.sees, kinds and tuple(kinds)
