"""What does ``sitecache top`` show, and with which exit code does it end?"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from proxy.cli import main
from proxy.commands.rates import History
from proxy.commands.top_screen import Seen, screen
from proxy.config.units import UnixTime
from proxy.exchange.counters import Counters
from proxy.ops.snapshot import take
from proxy.ops.stats import stats
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from proxy.upstream.client import Asked
from tests.commands.test_explain import TOKEN, listening
from tests.ops.making import NOW, counted, entry, failing, memory, request, sources


def told(hits: int = 3, target: bytes = b"/shop", after: float = 0) -> dict[str, Any]:
    counters = Counters()
    counters.follow([counted(*[(b"GET", 200)] * hits)])
    outcome = Outcome(forward=ForwardReason.URI_MISS, forward_status=200, detail=Detail.SET_COOKIE)
    counters.done(entry(request(target=target), outcome, size=1024))
    parts = {
        "stores": {"default": memory(3, 2048, 1)},
        "storages": {"shared": failing()},
        "origins": lambda: {"app:80": Asked(requests=1, is_failing=True)},
    }
    return stats([take(sources(counters, **parts))], UnixTime(NOW + after))


def shown(seen: Seen, height: int = 40, width: int = 120) -> str:
    console = Console(width=width, height=height, highlight=False)
    with console.capture() as captured:
        console.print(screen(seen, height))
    return captured.get()


def invoke(*arguments: str, **environ: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("SITECACHE_")}
    return CliRunner().invoke(main, ["top", *arguments], env={**clean, "COLUMNS": "120", **environ})


def test_the_screen_has_the_numbers_and_the_reasons() -> None:
    said = shown(Seen("127.0.0.1:9180", told(), None))
    lines = {line.split("  ")[0].strip(): " ".join(line.split()) for line in said.splitlines()}
    assert lines["Hit ratio"] == "Hit ratio - 75.0 %"
    assert lines["Requests"] == "Requests - 4"
    assert lines["Why not from the cache"] == "Why not from the cache set-cookie 1"
    assert lines["Cache default"] == "Cache default works 3 stored, 2.0 KiB of 4.0 KiB, 1 evicted"
    assert lines["Cache shared"].startswith("Cache shared fails 70 stored")
    assert lines["Application app:80"] == "Application app:80 fails asked 1, no usable answer 0"
    assert "12 ms set-cookie http://example.org/shop" in " ".join(said.split())


def test_two_answers_make_rates() -> None:
    history = History()
    history.add(told())
    later = told(hits=13, after=2)
    said = shown(Seen("127.0.0.1:9180", later, history.add(later)))
    numbers = {line.split("  ")[0].strip(): " ".join(line.split()) for line in said.splitlines()}
    assert numbers["Hit ratio"] == "Hit ratio 100.0 % 92.9 %"
    assert numbers["Requests"] == "Requests 5 /s 14"


def test_what_clients_send_is_no_order_to_the_terminal() -> None:
    said = shown(Seen("127.0.0.1:9180", told(target=b"/\x9b31m\x1b[2J\x07[red]x\xff"), None))
    assert "http://example.org/%9B31m%1B[2J%07[red]x%FF" in said
    assert not any(odd in said for odd in "\x9b\x1b\x07")


@pytest.mark.parametrize("height", [1, 24, 60])
def test_it_fits_on_the_screen(height: int) -> None:
    stats = told()
    stats["busiest"] = stats["costliest"] = [stats["costliest"][0]] * 50
    assert len(shown(Seen("x", stats, None), height).splitlines()) <= max(height, 27)


def test_it_says_that_nobody_answers_any_more() -> None:
    assert "NO ANSWER" in shown(Seen("x", told(), None, "NO ANSWER; trying again"))


def test_once_is_one_screen() -> None:
    with listening(("127.0.0.1", 0), socket.AF_INET, TOKEN) as admin:
        admin.answer = (200, json.dumps(told()).encode())
        result = invoke("--once", "--admin", f"127.0.0.1:{admin.server_address[1]}", "--token", TOKEN)
    assert result.exit_code == 0, result.output
    assert result.output.count("Hit ratio") == 1
    assert "http://example.org/shop" in result.output


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        pytest.param("admin: {listen: 'off'}", 1, "has no admin listener", id="no-listener"),
        pytest.param(
            "admin: {listen: 'unix:/nowhere/at.all'}", 1, "no proxy answers at unix:/nowhere/at.all", id="nobody"
        ),
        pytest.param("admn: {}", 2, "admn", id="faults"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, text: str, code: int, said: str) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(f"upstream: http://127.0.0.1:1\n{text}\n")
    result = invoke("-c", str(file))
    assert result.exit_code == code
    assert said in result.output
    assert len(result.output.splitlines()) == 1
