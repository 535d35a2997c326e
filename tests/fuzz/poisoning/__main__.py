"""Poison a cache: ``python -m tests.fuzz.poisoning --minutes 30``.

Attackers ask a proxy in front of applications that write all they see into their pages; then a victim asks plainly.
Each kind of fault is told once, with the smallest requests that show it, and the seed that finds it again. It ends by
itself, after so many minutes or rounds, and with 1 where there was a fault. Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections import Counter
from random import Random

from tests.fuzz.poisoning.applications import APPLICATIONS
from tests.fuzz.poisoning.rounds import Field, drawn_round, signature
from tests.fuzz.poisoning.standing import WORLDS, InProcess, Served, monotonic

#: Rounds before the next proxy has its turn; a fresh one is made then, so that none grows.
IN_PROCESS, ON_SOCKETS = 2000, 150
Found = Counter[tuple[object, ...]]


async def in_process(world: str, application: str) -> Field:
    return Field(InProcess(world, application), InProcess(world, application), world == "routed")


async def on_sockets(world: str, application: str) -> Field:
    attacked, plain = await Served.start(world, application), await Served.start(world, application)
    return Field(attacked, plain, world == "routed")


async def batch(field: Field, place: str, seed: int, rounds: int, until: float, found: Found) -> None:
    """Play rounds of one seed, until a time."""
    random = Random(seed)
    for _ in range(rounds):
        if monotonic() > until:
            return
        fault = await field.play(drawn_round(random))
        if fault is None:
            continue
        rough = (place, *signature(fault))
        if found[rough] == 0:
            smallest = await field.smallest(fault)
            fine = (place, "smallest", *signature(smallest))
            if found[fine] == 0:
                print(f"FAULT {place}, seed {seed}\n  {smallest}", flush=True)
            found[fine] += 1
        found[rough] += 1


async def run(options: argparse.Namespace) -> int:
    """Give each proxy its turn until the time is over; return how many kinds of faults there are."""
    until = monotonic() + 60 * options.minutes
    first, turn, rounds, found = options.seed, 0, 0, Found()
    places = [(world, application) for world in options.worlds for application in sorted(APPLICATIONS)]
    totals: Counter[str] = Counter()
    while monotonic() < until and (not options.rounds or rounds < options.rounds):
        world, application = places[turn % len(places)]
        on_socket = options.only == "sockets" or (options.only == "both" and turn // len(places) % 2 == 1)
        start, most = (on_sockets, ON_SOCKETS) if on_socket else (in_process, IN_PROCESS)
        field = await start(world, application)
        most = min(most, options.rounds - rounds) if options.rounds else most
        place = f"{world} {application}"
        await batch(field, place, first + turn, most, until, found)
        await field.close()
        rounds += field.rounds
        totals.update({f"{'sockets' if on_socket else 'in process'} rounds": field.rounds, "hits": field.hits})
        totals.update({f"status {status}": times for status, times in field.statuses.items()})
        turn += 1
    kinds = [key for key in found if key[1] == "smallest"]
    print(f"seeds {first} to {first + turn - 1}: {rounds} rounds, {len(kinds)} kinds of faults")
    print(", ".join(f"{name} {number}" for name, number in sorted(totals.items())))
    return len(kinds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.poisoning", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=0, help="at most; 0 is as many as there is time for")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the first turn")
    parser.add_argument("--only", choices=["both", "process", "sockets"], default="both")
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    sys.exit(1 if asyncio.run(run(options)) else 0)


if __name__ == "__main__":
    main()
