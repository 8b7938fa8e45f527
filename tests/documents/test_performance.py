"""benchmarks/performance.py writes what it measured into a page and its twin: the same figures, each in its language."""

import re

import pytest
from pages import TWINS
from places import ROOT, module_at

PAGE = ROOT / "docs" / "performance.md"
AROUND = "# Title\n\n{}\n\n## After\n"


@pytest.fixture(scope="module")
def performance():
    return module_at(ROOT / "benchmarks" / "performance.py")


@pytest.fixture
def quick(performance, monkeypatch):
    """Everything is measured at once: figures of their own in almost every cell, and ``eval`` fails."""
    numbers = iter(range(11, 10**6))

    def row_of(label, case, using, repeats):
        keys = ("seconds", "processor_median", "above_start_gb", "first_seconds")
        return dict(label=label, results={library: {key: next(numbers) for key in keys} for library in performance.LABELS})

    def command_row(name):
        frames = dict(first_frame=next(numbers), rate=next(numbers)) if name == performance.RESTORE else {}
        row = dict(label=name, seconds=next(numbers), processor=next(numbers), peak_gb=next(numbers))
        return dict(row, failed=name == performance.EVALUATE, **frames)

    monkeypatch.setattr(performance, "libraries", lambda: [*performance.LABELS])
    monkeypatch.setattr(performance, "row_of", row_of)
    monkeypatch.setattr(performance, "command_row", command_row)
    monkeypatch.setattr(performance, "matrix_rate", lambda: 123.4)
    monkeypatch.setattr(performance, "operations", lambda case: next(numbers))
    monkeypatch.setattr(performance, "processor_name", lambda: "A Processor 9 (avx2)")
    return performance


@pytest.fixture
def page(performance, tmp_path):
    """A page with marks, and its twin."""
    path = tmp_path / "page.md"
    path.with_name("zh").mkdir()
    for each in (path, tmp_path / "zh" / "page.md"):
        each.write_text(AROUND.format(f"{performance.BEGIN}\nold, 7\n{performance.END}"), encoding="utf-8")
    return path


def written(performance, path):
    """What stands between the marks; around them nothing has changed."""
    text = path.read_text(encoding="utf-8")
    inner = text.partition(performance.BEGIN)[2].partition(performance.END)[0]
    assert text == AROUND.format(performance.BEGIN + inner + performance.END)
    return inner


def figures(text):
    """The numbers of each line."""
    return [re.findall(r"\d+(?:\.\d+)?", line) for line in text.splitlines()]


def test_a_page_and_its_twin_get_the_same_figures(quick, page):
    quick.main(["--page", str(page)])
    english, chinese = (written(quick, path) for path in (page, page.parent / "zh" / "page.md"))
    assert figures(english) == figures(chinese)
    assert english.count("\n|") == 2 * 2 + len(quick.CASES) + 2  # heads and rules of two tables
    assert len({figure for line in figures(english) for figure in line}) > 40 and "old" not in english
    assert "| python eval.py, FAILED |" in english and "| python eval.py，失败 |" in chinese
    assert page.with_suffix(".svg").exists() and not (page.parent / "zh" / "page.svg").exists()


def test_no_phrase_is_left_in_english(quick, page):
    quick.main(["--page", str(page)])
    english = written(quick, page)
    chinese = written(quick, page.parent / "zh" / "page.md")
    for phrase in (*quick.STEP_COLUMNS, *quick.COMMAND_COLUMNS, *quick.CASES, quick.RESTORE, quick.EVALUATE):
        assert f"| {phrase}" in english and f"| {quick.CHINESE[phrase]}" in chinese
        assert phrase == quick.EVALUATE or f"| {phrase} |" not in chinese
    assert "A product of matrices" in english and "的矩阵乘法" in chinese and "matrices" not in chinese


def test_a_page_without_a_twin_is_written_alone(quick, page):
    (page.parent / "zh" / "page.md").unlink()
    quick.main(["--page", str(page), "--what", quick.EVALUATE])
    assert "python eval.py" in written(quick, page) and not (page.parent / "zh" / "page.md").exists()


@pytest.mark.parametrize("name", ["page.md", "zh/page.md"])
@pytest.mark.parametrize("text", ["no marks", "{END} {BEGIN}", "{BEGIN}"])
def test_a_page_without_marks_is_refused_before_anything_is_measured(name, text, performance, page, monkeypatch, capsys):
    path = page.parent / name
    path.write_text(text.format(BEGIN=performance.BEGIN, END=performance.END), encoding="utf-8")
    monkeypatch.setattr(performance, "libraries", lambda: pytest.fail("it began to measure"))
    with pytest.raises(SystemExit) as end:
        performance.main(["--page", str(page)])
    assert end.value.code == 2
    assert f"{path}: expected {performance.BEGIN} and after it {performance.END}" in capsys.readouterr().err


def test_the_twin_is_in_the_words_of_the_program(performance):
    """Those who translate by hand and the program say the same, so that measuring again changes figures alone."""
    heads = [_heads(performance, path) for path in (PAGE, TWINS[PAGE])]
    assert heads[0] and len(heads[0]) == len(heads[1])
    for english, chinese in zip(*heads):
        assert [performance.CHINESE[cell] for cell in english] == chinese


def _heads(performance, path):
    """The cells of the first row of each table between the marks."""
    text = path.read_text(encoding="utf-8").partition(performance.BEGIN)[2].partition(performance.END)[0]
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    return [[cell.strip() for cell in table.split("\n")[0].strip("|").split("|")] for table in tables]
