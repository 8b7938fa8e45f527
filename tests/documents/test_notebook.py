"""The notebook runs as it is, restores what it says, and holds no results. That its Chinese twin has the same code, and so need
not run, is in test_translations.py.
"""

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest
from pages import NOTEBOOKS, TWINS, cells

IDS = [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize(
    "path", [*NOTEBOOKS, *(TWINS[path] for path in NOTEBOOKS)], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_it_holds_no_results(path):
    """Which would differ from machine to machine, and whose pictures would be most of the file."""
    for cell in cells(path):
        assert cell["metadata"] == {}
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
        assert all(len(line.rstrip("\n")) <= 132 for line in cell["source"])
    assert json.loads(path.read_text(encoding="utf-8"))["nbformat"] == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_it_runs_as_it_is(path, monkeypatch, tmp_path):
    """Its cells, one after the other in one namespace, as a notebook has them."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    names, said = {"__name__": "__main__"}, io.StringIO()
    with redirect_stdout(said):
        for number, cell in enumerate(cells(path)):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
    assert len(pyplot.get_fignums()) == 2
    pyplot.close("all")
    print(said.getvalue())
    assert names["score"](names["restored"])[0] > names["score"](np.clip(names["noisy"], 0, 1))[0] + 5
    assert names["psnr"](names["reconstructed"], names["grey"]) > 20
    assert "restored: " in said.getvalue() and "RevSCI " in said.getvalue()
