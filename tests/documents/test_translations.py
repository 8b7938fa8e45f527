"""The Chinese pages say what the English ones do: section by section the same headings, code, figures and links."""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from pages import CHINESE, NOTEBOOKS, README, TWINS, anchors, blocks, headings, links, prose
from places import ROOT

PAIRS = pytest.mark.parametrize("english", TWINS, ids=lambda path: path.relative_to(ROOT).as_posix())
UNITS = {"thousand": 1000, "million": 10**6, "billion": 10**9, "万": 10**4, "亿": 10**8}

_NUMBER = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?:[ ]?(thousand|million|billion|万|亿))?")
_CODE = re.compile(r"`[^`\n]+`")
_TARGET = re.compile(r"\]\([^)\s]+\)")
_INDENTED = re.compile(r"^ {4}.*$", re.MULTILINE)
_ITEM = re.compile(r"^ *(?:-|\d\.) ", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*{1,2})(?=\S)(.+?)(?<=\S)\1")
_CHARACTER = re.compile("[\u4e00-\u9fff]")


class Part(NamedTuple):
    """A heading and what follows it, without fenced blocks."""

    title: str
    text: str


def parts(path):
    found = re.split(r"^#+ (.*)$", prose(path), flags=re.MULTILINE)
    return [Part(title, text) for title, text in zip(found[1::2], found[2::2])]


def paired(english):
    """The parts of a page and its twin that belong together."""
    return list(zip(parts(english), parts(TWINS[english]), strict=True))


def figures(text):
    """All numbers that are not code or targets of links; thousands as 20,000 or 2 万 are one number."""
    found = Counter()
    for digits, unit in _NUMBER.findall(_TARGET.sub("]", _CODE.sub("", text))):
        digits = digits.replace(",", "")
        found[f"{(Decimal(digits) * UNITS[unit]).normalize():f}" if unit else digits] += 1
    return found


def code(text):
    return Counter(_CODE.findall(text))


def rows(text):
    """Of each row of a table, what each cell holds of code and figures."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[(code(cell), figures(cell)) for cell in line.strip("|").split("|")] for line in lines]


def paragraphs(text):
    return [paragraph for paragraph in re.split(r"\n\s*\n", text.strip()) if paragraph]


def words(text):
    """Latin words outside of code and targets of links."""
    return re.findall(r"[A-Za-z]+", _TARGET.sub("]", _CODE.sub("", _INDENTED.sub("", text))))


def same(english, chinese, what):
    assert english == chinese, f"{what}: only English {english - chinese}, only Chinese {chinese - english}"


def test_every_page_has_its_twin_and_no_twin_is_left_over():
    assert len(TWINS) > 10 and NOTEBOOKS
    assert set(CHINESE) == set(TWINS.values())


@PAIRS
def test_twins_name_each_other_in_their_first_line(english):
    for page, twin in ((english, TWINS[english]), (TWINS[english], english)):
        first = links(page)[0]
        assert (page.parent / first).resolve() == twin
        assert paragraphs(prose(page))[1] == f"[{'中文' if page == english else 'English'}]({first})"


@PAIRS
def test_headings(english):
    assert [depth for depth, _ in headings(english)] == [depth for depth, _ in headings(TWINS[english])]
    for (_, title), (_, translated) in zip(headings(english), headings(TWINS[english])):
        same(code(title), code(translated), title)
        same(figures(title), figures(translated), title)


@PAIRS
def test_blocks(english):
    """To the byte, but for comments; indented ones too."""
    assert _INDENTED.findall(prose(english)) == _INDENTED.findall(prose(TWINS[english]))
    chinese = blocks(TWINS[english])
    assert len(blocks(english)) == len(chinese)
    for block, translated in zip(blocks(english), chinese):
        assert block.kind == translated.kind
        assert _uncommented(block.text) == _uncommented(translated.text), f"line {translated.line}"


def _uncommented(text):
    return [re.sub(r"(^|\s+)# .*", "", line) for line in text.split("\n")]


@PAIRS
def test_code_and_figures_of_each_section(english):
    for part, translated in paired(english):
        same(code(part.text), code(translated.text), part.title)
        same(figures(part.text), figures(translated.text), part.title)
        assert rows(part.text) == rows(translated.text), part.title


@PAIRS
def test_nothing_is_left_out_or_left_in_english(english):
    for part, translated in paired(english):
        assert len(paragraphs(part.text)) == len(paragraphs(translated.text)), part.title
        assert len(_ITEM.findall(part.text)) == len(_ITEM.findall(translated.text)), part.title
        for given, paragraph in zip(paragraphs(part.text), paragraphs(translated.text)):
            characters = len(_CHARACTER.findall(paragraph))
            translations = len(words(given)) - len(words(paragraph))  # the others are names, which stay
            assert characters or len(words(paragraph)) < 4, paragraph
            assert translations < 15 or 1.1 < characters / translations < 2.7, f"{paragraph}\nsays less or more than\n{given}"


@PAIRS
def test_links_lead_to_the_same_place_in_the_language_of_the_page(english):
    for number, (part, translated) in enumerate(paired(english)):
        given, wanted = places(part.text, english), places(translated.text, TWINS[english])
        if number == 0:  # the first link is the one to the other language
            given, wanted = given[1:], wanted[1:]
        same(Counter(_in_chinese(*place) for place in given), Counter(wanted), part.title)


def places(text, page):
    """Where links of a page lead to: a path or an address, and the place of a heading in it, if one is named."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = path if path.startswith("http") else (page.parent / path).resolve() if path else page
        found.append((target, anchors(target).index(anchor) if anchor and isinstance(target, Path) else anchor))
    return found


def _in_chinese(target, heading):
    return TWINS.get(target, target), heading


@pytest.mark.parametrize("page", CHINESE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_emphasis_is_seen_as_such(page):
    """Markdown closes none between a mark and a letter: ``**so。**that`` is shown with its asterisks."""
    for paragraph in paragraphs(prose(page)):
        text = _CODE.sub("x", paragraph)
        for found in _EMPHASIS.finditer(text):
            before, after = text[: found.start()][-1:], text[found.end() :][:1]
            assert re.match(r"\w", found[2]) or not re.match(r"\w", before), found[0]
            assert re.search(r"\w$", found[2]) or not re.match(r"\w", after), found[0]


def test_numbers_are_one_in_either_way_of_writing():
    assert figures("20,000 steps, 0.57 million, 4 × .7913") == figures("2 万步，57 万，4 × .7913")
    assert figures("20,000") != figures("20 万") and figures("2.10") != figures("2.1")


def test_a_changed_figure_is_noticed(tmp_path, monkeypatch):
    page, twin = tmp_path / "page.md", tmp_path / "twin.md"
    page.write_text(README.read_text(encoding="utf-8"), encoding="utf-8")
    twin.write_text(TWINS[README].read_text(encoding="utf-8").replace("28.58", "28.85"), encoding="utf-8")
    monkeypatch.setitem(TWINS, page, twin)
    with pytest.raises(AssertionError, match=r"only English .*'28\.58'.* only Chinese .*'28\.85'"):
        test_code_and_figures_of_each_section(page)
