import sys
from pathlib import Path

import pytest
from helpers import picture

from kp_tf.apps.demo.exporting import ExportService
from kp_tf.apps.demo.project import Project
from kp_tf.apps.demo.proposals import Proposals
from kp_tf.core.errors import KpError

FAKE = """
import sys
from pathlib import Path
if Path("fail").exists():
    sys.exit("a warning\\nerror: npm is not installed\\n")
site = Path(sys.argv[sys.argv.index("--out") + 1])
site.mkdir(exist_ok=True)
(site / "index.html").write_text(" ".join(sys.argv[1:]))
(site / "icon.png").write_bytes(b"")
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "cups"
    for run in ("001", "002"):
        (folder / "runs" / run).mkdir(parents=True)
        for name in ("metrics.json", "model.keras"):
            (folder / "runs" / run / name).touch()
    picture(60, 40).save(folder / "a.png")
    return folder


@pytest.fixture
def service(folder, tmp_path):
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    return ExportService(Project(folder), Proposals(), [sys.executable, str(script)])


def test_the_newest_network_is_exported_into_the_project_whose_photographs_stay_the_same(service, folder):
    written = "--to web --run runs/002 --out site --title=cups"
    made = {"network": "002", "folder": str(folder / "site"), "size": len(written)}
    assert service.export(b"") == made
    assert service.export(b"") == made  # again, in place of the first
    assert (folder / "site/index.html").read_text() == written
    assert [*Project(folder).photographs] == ["a.png"]


def test_what_went_wrong_is_one_message(service, folder):
    (folder / "fail").touch()
    with pytest.raises(KpError, match=r"^the page was not made: npm is not installed$"):
        service.export(b"")
    for run in Path(folder / "runs").iterdir():
        (run / "metrics.json").unlink()
    with pytest.raises(KpError, match="the project has no network yet; train one first"):
        service.export(b"")
