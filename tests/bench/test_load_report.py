"""Does the load benchmark send what it says, read wrk aright and reckon its table correctly?"""

import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.load import goals, report, traffic
from tests.bench.load.every import ENTRIES
from tests.bench.load.rounds import Failure, Figure, Measurement, Round, claim_fault
from tests.bench.load.wrk import LoadError, WrkResult, parse

GOOD = {
    "requests": 1000,
    "seconds": 2.0,
    "bytes": 4_500_000,
    "connect": 0,
    "read": 0,
    "write": 0,
    "status": 0,
    "timeout": 0,
    "p50_ms": 0.5,
    "p99_ms": 1.5,
}


def measured(server: str, number: int, per_second: float, load: str = "hits") -> Round:
    return Round(load, server, number, per_second, 0.5, 1.5, 0.8, 1000, 0)


DEBIAN = "nginx-debian"
ROUNDS = [
    measured("sitecache", 1, 60_000),
    measured(DEBIAN, 1, 80_000),
    measured("sitecache", 2, 45_000),
    measured(DEBIAN, 2, 50_000),
    measured("sitecache", 3, 70_000),
    measured(DEBIAN, 3, 70_000),
    measured("sitecache", 1, 9_000, "cold"),
]
FIGURES = [
    Figure("idle", "sitecache", 1, "KiB a connection", 9.5),
    Figure("start", "sitecache", 1, "seconds to the first answer", 0.5),
    Figure("start", "sitecache", 2, "seconds to the first answer", 0.3),
    Figure("start", "sitecache", 3, "seconds to the first answer", 0.25),
]


def test_zipf_gives_each_url_a_chance_of_one_over_its_rank() -> None:
    counts = Counter(traffic.zipf_choices(2_000, 100_000, random.Random(1)))
    # H(2000) is 8.18, so the first URL has 12.2 % of the requests, the second half and the tenth a tenth of that.
    assert counts[0] == pytest.approx(12_225, rel=0.05)
    assert counts[1] == pytest.approx(6_112, rel=0.05)
    assert counts[9] == pytest.approx(1_222, rel=0.15)
    assert set(counts) <= set(range(2_000))


def test_each_visitor_has_twelve_fields_of_its_own() -> None:
    everyone = [traffic.visitor_fields(number, "127.0.0.1:1") for number in range(traffic.VISITORS)]
    assert {len({name for name, _ in fields}) for fields in everyone} == {12}
    assert len({dict(fields)["Cookie"] for fields in everyone}) == traffic.VISITORS
    assert everyone[7] == traffic.visitor_fields(7, "127.0.0.1:1")


def test_the_file_for_wrk_holds_whole_requests(tmp_path: Path) -> None:
    traffic.write_requests(tmp_path / "requests", traffic.STORED, "127.0.0.1:1")
    written = (tmp_path / "requests").read_bytes()
    *requests, rest = written.split(b"\r\n\r\n")
    assert (len(requests), rest) == (traffic.REQUESTS, b"")
    assert all(one.startswith(b"GET /pages/0") for one in requests)


@pytest.mark.parametrize(
    ("more", "last"),
    [
        pytest.param(traffic.known_page, rb'If-None-Match: "v1/pages/\d{10}"', id="conditional"),
        pytest.param(traffic.part_of_page, rb"Range: bytes=(0-1023|1024-2047|2048-3071|3072-4095)", id="range"),
    ],
)
def test_requests_for_part_or_nothing_of_a_page_say_so(tmp_path: Path, more: traffic.More, last: bytes) -> None:
    traffic.write_requests(tmp_path / "requests", traffic.STORED, "127.0.0.1:1", more)
    requests = (tmp_path / "requests").read_bytes().split(b"\r\n\r\n")[:-1]
    assert all(re.fullmatch(last, one.rpartition(b"\r\n")[2]) for one in requests)


def test_new_url_requests_have_one_place_for_the_path(tmp_path: Path) -> None:
    traffic.write_new_url_requests(tmp_path / "requests", "127.0.0.1:1")
    requests = (tmp_path / "requests").read_bytes().split(b"\r\n\r\n")[:-1]
    assert len(requests) == traffic.VISITORS
    assert all(one.startswith(b"GET @ HTTP/1.1\r\n") and one.count(b"@") == 1 for one in requests)


def test_pages_differ_and_have_one_length() -> None:
    paths = [f"{prefix}{7:010d}" for prefix in (traffic.STORED, traffic.UNCACHEABLE, traffic.COLD)]
    assert {len(traffic.page(path)) for path in paths} == {traffic.PAGE_BYTES}
    assert len({traffic.page(path) for path in paths}) == len(paths)


def test_wrk_output_is_read_among_its_own_lines() -> None:
    result = parse(f"Running 5s test\n  1 threads and 64 connections\nWRK {json.dumps(GOOD)}\n")
    assert result == WrkResult(**GOOD)
    assert result.per_second == 500
    assert result.faults((4096, 5000)) == []


def test_wrk_output_without_a_report_is_an_error() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"connect": 1}, "1 connect errors", id="connect"),
        pytest.param({"read": 2}, "2 read errors", id="read"),
        pytest.param({"write": 3}, "3 write errors", id="write"),
        pytest.param({"status": 4}, "4 status errors", id="status"),
        pytest.param({"timeout": 5}, "5 timeout errors", id="timeout"),
        pytest.param({"requests": 0}, "no request was answered", id="nothing"),
        pytest.param({"bytes": 300_000}, "300 bytes an answer, not 4096 to 5000", id="no-bodies"),
        pytest.param({"bytes": 5_100_000}, "5100 bytes an answer, not 4096 to 5000", id="more-than-asked-for"),
    ],
)
def test_wrk_faults(change: dict[str, int], fault: str) -> None:
    assert WrkResult(**{**GOOD, **change}).faults((4096, 5000)) == [fault]


@pytest.mark.parametrize(
    ("load", "asked", "holds"),
    [
        pytest.param("hits", 0, True, id="hits-from-the-cache"),
        pytest.param("hits", 100, True, id="hits-nearly-all-from-the-cache"),
        pytest.param("hits", 101, False, id="hits-that-were-forwarded"),
        pytest.param("uncacheable", 100_000, True, id="uncacheable-all-forwarded"),
        pytest.param("uncacheable", 99_999, False, id="uncacheable-one-not-forwarded"),
        pytest.param("cold", 100_064, True, id="cold-with-requests-under-way"),
        pytest.param("cold", 100_065, False, id="cold-asked-twice"),
        pytest.param("ceiling", 0, True, id="ceiling-has-no-origin"),
        pytest.param("conditional", 101, False, id="conditional-requests-that-were-forwarded"),
        pytest.param("stores", 1_000, True, id="stores-that-were-passed-over-now-and-then"),
        pytest.param("stores", 1_001, False, id="stores-that-were-passed-over"),
        pytest.param("ranges", 0, True, id="ranges-from-the-cache"),
    ],
)
def test_the_origins_count_must_fit_the_load(load: str, asked: int, holds: bool) -> None:
    assert (claim_fault(load, 100_000, asked) == "") is holds


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert report.ratio(ROUNDS, "hits", "sitecache", DEBIAN) == pytest.approx(0.9)


def test_ratio_of_the_core_counts_processor_time() -> None:
    rounds = [replace(each, busy=0.4) if each.server == DEBIAN else each for each in ROUNDS]
    assert report.ratio(rounds, "hits", "sitecache", DEBIAN, report.rate_of_core) == pytest.approx(0.45)


def test_ratio_without_the_yardstick_is_none() -> None:
    assert report.ratio(ROUNDS, "cold", "sitecache", DEBIAN) is None


def test_rows_are_medians_by_load_and_server() -> None:
    assert report.rows(ROUNDS) == [
        ("hits", "sitecache", "60,000", "45,000 to 70,000", "0.90", "", "0.50", "1.50", "80%", "75,000"),
        ("hits", DEBIAN, "70,000", "50,000 to 80,000", "1.00", "", "0.50", "1.50", "80%", "87,500"),
        ("cold", "sitecache", "9,000", "9,000 to 9,000", "", "", "0.50", "1.50", "80%", "11,250"),
    ]


def test_rows_of_other_figures_are_medians_too() -> None:
    assert report.figure_rows([*ROUNDS, *FIGURES]) == [
        ("idle", "sitecache", "KiB a connection", "9.5", "9.5 to 9.5"),
        ("start", "sitecache", "seconds to the first answer", "0.3", "0.25 to 0.5"),
    ]


def test_goals_stand_beside_the_results_of_their_loads() -> None:
    assert goals.rows([*ROUNDS, *FIGURES], {"hits", "idle", "start"}) == [
        ("hits", "at least 1.20 of nginx-debian", "0.90 of nginx-debian", "no"),
        ("hits", "at least 1.20 of varnish", "not measured", ""),
        ("hits", "at least 1.00 of haproxy", "not measured", ""),
        ("idle keep-alive connection", "at most 8.00 KiB", "9.50 KiB", "no"),
        ("start to first answer", "at most 0.40 s", "0.30 s", "yes"),
    ]


def test_every_goal_is_about_a_load_and_a_server_of_it() -> None:
    for goal in goals.GOALS:
        servers = ENTRIES[goal.load].servers
        assert goal.server in servers
        assert not goal.of or goal.of in servers


def test_the_latency_goal_compares_p99() -> None:
    rounds = [
        replace(measured("sitecache", 1, 30_000, "latency"), p99_ms=2.0),
        replace(measured(DEBIAN, 1, 20_000, "latency"), p99_ms=4.0),
    ]
    assert goals.rows(rounds, {"latency"}) == [
        ("p99 of hits at 60 % of the most", "at most 1.00 of nginx-debian", "0.50 of nginx-debian", "yes")
    ]


@pytest.mark.parametrize(
    ("failed", "left"),
    [
        pytest.param(Failure("hits", DEBIAN, "why"), {("hits", "sitecache"), ("cold", "sitecache")}, id="one-server"),
        pytest.param(Failure("hits", "", "why"), {("cold", "sitecache")}, id="a-whole-load"),
    ],
)
def test_what_failed_has_no_figures(failed: Failure, left: set[tuple[str, str]]) -> None:
    all_measured: list[Measurement] = [*ROUNDS, failed]
    believed = report.believed(all_measured)
    assert {(each.load, each.server) for each in report.rates(believed)} == left
    assert report.failures(believed) == [f"{failed.server or 'everything'}, hits: why"]


def test_a_core_that_was_not_used_up_is_pointed_out() -> None:
    full = [replace(each, busy=0.97) for each in ROUNDS]
    assert report.doubts(full) == []
    idle = [replace(full[-1], busy=0.61)]
    assert report.doubts(full[:-1] + idle) == [
        "sitecache, cold: used 61% of its core; the other core was the limit, or something else ran on this one"
    ]


def test_text_table_lines_up() -> None:
    _, head, *lines = report.text(ROUNDS).partition("Rates")[2].splitlines()
    assert len(lines) == 3
    assert {line.index(rate) + len(rate) for line, rate in zip(lines, ("60,000", "70,000", "9,000"), strict=True)} == {
        head.index("requests/s") + len("requests/s")
    }


def test_kept_files_hold_the_table_and_every_round(tmp_path: Path) -> None:
    facts = {"date": "2025-07-01 10:00 UTC", "commit": "abc1234 with changes not committed"}
    failure = Failure("ranges", DEBIAN, "no part")
    table, raw = report.keep(tmp_path / "new", [*ROUNDS, *FIGURES, failure], facts)
    lines = table.read_text().splitlines()
    assert "| hits | nginx-debian | 70,000 | 50,000 to 80,000 | 1.00 |  | 0.50 | 1.50 | 80% | 87,500 |" in lines
    assert "| idle keep-alive connection | at most 8.00 KiB | 9.50 KiB | no |" in lines
    assert "- failed: nginx-debian, ranges: no part" in lines
    assert raw.name == "load-2025-07-01-abc1234.json"
    kept = json.loads(raw.read_text())
    assert kept["facts"] == facts
    assert [Round(**each) for each in kept["rounds"]] == ROUNDS
    assert [Figure(**each) for each in kept["figures"]] == FIGURES
    assert [Failure(**each) for each in kept["failures"]] == [failure]
