"""The Python in the documentation runs: docs/python.md and the notebook docs/tutorial.ipynb."""

import json
import re
from pathlib import Path

import pytest
from helpers import picture, write_imm

from kp_tf.data.synthetic.sample import sample_path

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder, and a few photographs in the cache, in place of the sample, which takes long to draw."""
    monkeypatch.delenv("KP_TF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    monkeypatch.setenv("TUTORIAL_EPOCHS", "1")
    write_imm(sample_path("imm"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Path.cwd()


@pytest.mark.long
def test_the_page_on_python_runs(place, capsys):
    picture(320, 240).save("photo.jpg")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, "python.md", "exec"), names)
    assert names["points"].shape == (4, 1, 2)
    assert "model: it goes from (None, 64, 64, 1) to (None, 5, 3)" in capsys.readouterr().out


@pytest.mark.long
def test_the_tutorial_runs(place):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(place)}}).execute()
    assert "the same after saving and loading: True" in json.dumps(notebook)


def test_the_tutorial_is_stored_with_its_results():
    text = (DOCS / "tutorial.ipynb").read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell["outputs"] for cell in cells)
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"]) >= 4
    assert len(text) < 1_500_000
    assert not re.search(r"/root|/home|/work|/Users|Traceback|Warning", text)
