"""Is docs/coming-from.md true of us and of Django's middleware, with each setting and without?"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.exchange.coming_from import INPUTS, Played, by_django

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text()
SETTINGS = set(
    re.findall(
        r"^\| `([^`]+)` \|",
        (Path(__file__).parents[2] / "docs" / "configuration.md").read_text().partition("## Every setting")[2],
        re.MULTILINE,
    )
)
WORDS = {"hit", "validates", "asks", "at once", "waits"}
COLUMNS = 12


@cache
def rows() -> dict[int, list[str]]:
    """The cells of each input, by its number."""
    table = PAGE.partition("## 25 inputs")[2]
    lines = re.findall(r"^\| \d+ \|.*\|$", table, re.MULTILINE)
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {int(row[0]): row for row in cells}


@cache
def django() -> tuple[str, dict[int, str]]:
    return by_django()


def test_every_input_has_its_row() -> None:
    assert list(rows()) == list(INPUTS) == list(range(1, 26))
    assert {len(row) for row in rows().values()} == {COLUMNS}


@pytest.mark.parametrize("number", INPUTS)
def test_a_row_names_what_is_tried(number: int) -> None:
    named = rows()[number][1]
    one = INPUTS[number]
    for line in one.lines:
        assert f"`{line}`" in named
    for step in one.steps:
        for line in step.fields:
            assert f"`{line}`" in named or line.startswith("Accept-Encoding"), line
    assert one.status == 200 or named.startswith(str(one.status))


@pytest.mark.parametrize("number", INPUTS)
def test_the_other_proxies_are_said_in_the_same_words(number: int) -> None:
    for cell in rows()[number][2:8]:
        assert cell.partition(",")[0] in WORDS or re.fullmatch(r"\d+( fetch(es)?)?", cell), cell


@pytest.mark.parametrize("number", INPUTS)
async def test_what_we_do(number: int, tmp_path: Path) -> None:
    assert await Played(tmp_path, {}, INPUTS[number]).play() == rows()[number][9]


@pytest.mark.parametrize("number", [number for number, row in rows().items() if row[10] != "none"])
async def test_what_we_do_with_the_setting(number: int, tmp_path: Path) -> None:
    row = rows()[number]
    setting = re.fullmatch(r"`(.*)`", row[10])
    assert setting is not None
    assert await Played(tmp_path, yaml.safe_load(setting[1]), INPUTS[number]).play() == row[11]
    others = {cell for cell in row[2:9] if cell not in {row[9], "500"}}
    assert row[11] in others, "it is what one of the others does"


@pytest.mark.parametrize("number", [number for number, one in INPUTS.items() if one.by_django])
def test_what_django_does(number: int) -> None:
    assert django()[1][number] == rows()[number][8]


def test_the_version_of_django_is_the_one_that_is_named() -> None:
    assert f"Django {'.'.join(django()[0].split('.')[:2])}" in PAGE


def test_the_settings_that_stand_for_theirs_exist() -> None:
    table = PAGE.partition("## What you set there, and here")[2]
    ours = [line.rsplit(" | ", 1)[1] for line in re.findall(r"^\| .*$", table, re.MULTILINE)[1:]]
    named = {name for cell in ours for name in re.findall(r"`([^`]+)`", cell)} - {"sitecache purge"}
    assert named <= SETTINGS, named - SETTINGS
    assert len(named) > 15
