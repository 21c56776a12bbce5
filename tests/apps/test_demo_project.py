import errno
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from helpers import fetch, picture, serving_project
from PIL import ExifTags, Image

from kp_tf.apps.demo.project import Project, opened
from kp_tf.apps.demo.project_service import AWAY, OtherPageError, ProjectService
from kp_tf.apps.demo.proposals import Proposals
from kp_tf.apps.demo.server import demo
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import Scheme
from kp_tf.data.dlib_xml import read_dlib_xml

ROOT = Path(__file__).parents[2]
SCHEME = {
    "name": "cup",
    "names": ["rim", "foot"],
    "groups": {"all": ["rim", "foot"]},
    "mirror": [],
    "eyes": ["rim", "foot"],
}
CUP = Scheme("cup", ("rim", "foot"), ())


@pytest.fixture
def folder(tmp_path):
    """Two photographs, the second stored on its side, beside what is no photograph of the project."""
    folder = tmp_path / "cups"
    for place in (folder / "more", folder / "drawn", folder / "runs/1/figures", folder / ".hidden"):
        place.mkdir(parents=True)
        picture(60, 40, 1).save(place / "b.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture(60, 40, 2).save(folder / "more/b.png", exif=exif)
    picture(60, 40, 0).save(folder / "a.jpg")
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def ask(folder):
    with serving_project(folder) as address:

        def asked(path, content=b"", **query):
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            return fetch(f"{address}/project/{path}?{urlencode(query)}", body)

        yield asked


def begin(ask):
    assert ask("open", page="p").status == 200
    answer = ask("scheme", {"scheme": SCHEME, "colours": {"all": "#112233"}, "renames": {}}, page="p")
    assert answer.status == 200, answer.content
    return answer.json()


def face(points, source=None, todo=()):
    return {"box": [1, 2, 20, 15], "points": points, "source": source, "todo": list(todo)}


def save(ask, name, *faces, page="p"):
    return ask("save", {"name": name, "faces": faces}, page=page)


def test_a_new_project_has_photographs_and_sets_of_points_to_begin_with(ask, folder):
    content = ask("open", page="p").json()
    assert content["folder"] == "cups"
    assert [(one["name"], one["state"]) for one in content["photographs"]] == [("a.jpg", "new"), ("more/b.png", "new")]
    assert content["scheme"] is None
    assert [len(known["names"]) for known in content["sets"].values()] == [68, 58, 5, 21]
    assert content["site"] == ""
    assert not (folder / "points.xml").exists()
    assert ask("photograph", name="a.jpg").content == (folder / "a.jpg").read_bytes()


def test_every_mark_is_on_disk_and_there_again_when_the_project_is_opened_again(folder):
    with serving_project(folder) as address:
        ask = asking(address)
        begin(ask)
        assert save(ask, "a.jpg", face([[5, 6], None], todo=["foot"])).json() == {"state": "begun"}
        assert 'x="5"' in (folder / "points.xml").read_text()
        assert save(ask, "more/b.png", face([[5, 6], None])).json() == {"state": "done"}
    with serving_project(folder) as address:
        ask = asking(address)
        content = ask("open", page="q").json()
        assert [one["state"] for one in content["photographs"]] == ["begun", "done"]
        assert content["scheme"]["names"] == ["rim", "foot"]
        assert content["scheme"]["colours"] == ["#112233", "#112233"]
        (begun,) = ask("faces", name="a.jpg").json()["faces"]
        assert (begun["points"], begun["todo"], begun["source"]) == ([[5, 6], None], ["foot"], 0)
    samples = read_dlib_xml(folder / "points.xml", CUP, partial=True)
    assert samples.files == ("more/b.png",)
    np.testing.assert_array_equal(samples.points[0, 0], [6, 34], "in pixels as stored")


def asking(address):
    def asked(path, content=b"", **query):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return fetch(f"{address}/project/{path}?{urlencode(query)}", body)

    return asked


def test_the_page_sees_a_photograph_upright(ask):
    begin(ask)
    upright = ask("faces", name="more/b.png").json()
    assert (upright["width"], upright["height"], upright["orientation"], upright["faces"]) == (40, 60, 6, [])
    save(ask, "more/b.png", face([[5, 6], [30, 50]]))
    (again,) = ask("faces", name="more/b.png").json()["faces"]
    np.testing.assert_allclose(again["points"], [[5, 6], [30, 50]])
    np.testing.assert_allclose(again["box"], [1, 2, 20, 15])


def test_one_page_at_a_time_changes_the_project(ask, folder):
    begin(ask)
    refused = ask("open", page="second")
    assert (refused.status, refused.json()["error"]) == (409, "This project is open in another window.")
    assert save(ask, "a.jpg", face([[5, 6], None]), page="second").status == 409
    assert ask("open", page="second", take="1").status == 200
    for answer in (save(ask, "a.jpg", face([[5, 6], None])), ask("alive", page="p"), ask("scheme", b"{}", page="p")):
        assert answer.status == 409
        assert answer.json()["error"].startswith("This project has been opened in another window")
    assert not (folder / "points.xml").exists()
    ask("close", page="second")
    assert ask("open", page="third").status == 200


def test_a_page_that_is_not_heard_of_any_more_is_gone(folder):
    now = [0.0]
    service = ProjectService(Project(folder), Proposals(), seconds=lambda: now[0])
    service.open(b"", "first")
    now[0] = AWAY - 1
    with pytest.raises(OtherPageError):
        service.open(b"", "second")
    now[0] = AWAY + 1
    assert service.open(b"", "second")["folder"] == "cups"


def test_a_project_is_served_once(folder):
    with (
        opened(folder),
        pytest.raises(KpError, match="is open already: another `kp-tf demo` serves it"),
        opened(folder),
    ):
        pass


def test_what_a_killed_server_left_is_removed_and_nothing_else(folder):
    mine = [folder / name for name in (".points-notes.xml", ".points.xml", "points-1.xml")]
    for path in [*mine, folder / ".points-123.xml"]:
        path.write_text("x")
    with opened(folder):
        assert [path.exists() for path in mine] == [True] * 3
        assert not (folder / ".points-123.xml").exists()


@pytest.mark.parametrize(
    ("path", "content", "query", "said"),
    [
        ("photograph", b"", {"name": "../a.jpg"}, "there is no photograph '../a.jpg' in cups"),
        ("photograph", b"", {"name": "notes.txt"}, "there is no photograph"),
        ("photograph", b"", {"name": "/etc/passwd"}, "there is no photograph"),
        ("faces", b"", {"name": ".hidden/b.png"}, "there is no photograph"),
        ("save", b"[]", {"page": "p"}, "invalid request"),
        ("save", {"name": "c.jpg", "faces": []}, {"page": "p"}, "there is no photograph 'c.jpg'"),
        ("save", {"name": "a.jpg", "faces": [face([[1, 2]])]}, {"page": "p"}, "invalid request"),
        ("save", {"name": "a.jpg", "faces": [face([[1, 2], None], 0)]}, {"page": "p"}, r"a.jpg has no boxes [0]"),
        ("save", {"name": "a.jpg", "faces": [face([[1, 2], None], "x")]}, {"page": "p"}, "invalid request"),
        ("save", {"name": "a.jpg", "faces": [face([[1, 2], None], todo=["ear"])]}, {"page": "p"}, "invalid request"),
        ("save", {"name": "a.jpg", "faces": [face([[1e9, 2], None])]}, {"page": "p"}, "invalid request"),
        (
            "scheme",
            {"scheme": {"names": []}, "colours": {}, "renames": {}},
            {"page": "p"},
            "the list of point names is empty",
        ),
        ("scheme", {"scheme": SCHEME, "colours": {"all": "url(x)"}, "renames": {}}, {"page": "p"}, "expected a colour"),
        ("scheme", {"scheme": SCHEME}, {"page": "p"}, "invalid request"),
        ("propose", b"{", {"name": "a.jpg"}, "invalid request"),
        ("open", b"", {}, "invalid request"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line_and_changes_nothing(ask, folder, path, content, query, said):
    begin(ask)
    before = sorted(folder.rglob("*"))
    answer = ask(path, content, **query)
    assert answer.status == 422
    assert said in answer.json()["error"]
    assert sorted(folder.rglob("*")) == before


def test_a_photograph_that_leads_out_of_the_folder_is_not_opened(folder, tmp_path):
    picture(9, 9, 0).save(tmp_path / "out.png")
    (folder / "link.png").symlink_to(tmp_path / "out.png")
    with serving_project(folder) as address:
        ask = asking(address)
        named = {one["name"]: one for one in ask("open", page="p").json()["photographs"]}
        assert named["link.png"]["state"] == "problem"
        answer = ask("photograph", name="link.png")
    assert answer.status == 422
    assert "leaves it" in answer.json()["error"]


def test_other_sites_are_refused(folder):
    with serving_project(folder) as address:
        for headers in ({"Origin": "http://example.org"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = fetch(f"{address}/project/open?page=p&take=1", b"", headers)
            assert answer.status == 403
        assert fetch(f"{address}/project/open?page=p", b"", {"host": "example.org"}).status == 400
        assert fetch(f"{address}/project/open?page=p").status == 405, "nothing changes by following a link"
        page = fetch(f"{address}/")
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_renamed_points_keep_their_marks_and_new_ones_are_asked_for(ask):
    begin(ask)
    save(ask, "a.jpg", face([[5, 6], [7, 8]]))
    changed = {**SCHEME, "names": ["edge", "foot", "ear"], "groups": {}, "eyes": ["edge", "foot"]}
    content = ask("scheme", {"scheme": changed, "colours": {}, "renames": {"rim": "edge"}}, page="p").json()
    assert content["scheme"]["names"] == ["edge", "foot", "ear"]
    (kept,) = ask("faces", name="a.jpg").json()["faces"]
    assert (kept["points"], kept["todo"]) == ([[5, 6], [7, 8], None], ["ear"])


def test_points_that_a_full_disk_cannot_take_leave_the_labels_as_they_were(ask, folder, monkeypatch):
    def files():
        return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    begin(ask)
    assert save(ask, "a.jpg", face([[3, 4], [12, 13]])).status == 200
    before = files()
    written = Path.write_bytes

    def write(path, content):
        if path.name.startswith(".colours"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    renamed = {"scheme": {"names": ["edge", "foot"]}, "colours": {}, "renames": {"rim": "edge"}}
    answer = ask("scheme", renamed, page="p")
    assert answer.status == 422
    assert answer.json()["error"].endswith("colours.json: No space left on device")
    assert files() == before


def test_a_published_set_can_be_changed_later(ask, folder):
    known = ask("open", page="p").json()["sets"]["68 points of a face"]
    names = known["names"]
    scheme = {"name": known["name"], "names": names, "groups": {"jaw": names[:17]}, "mirror": [], "eyes": None}
    scheme.pop("eyes")
    assert ask("scheme", {"scheme": scheme, "colours": {}, "renames": {}}, page="p").status == 200
    assert json.loads((folder / "scheme.json").read_text())["groups"] == {"jaw": names[:17]}


def test_labels_without_a_scheme_name_the_points(folder):
    box = "<box left='1' top='2' width='9' height='9'><part name='p10' x='1' y='2'/><part name='p9' x='1' y='2'/></box>"
    text = f"<dataset><images><image file='a.jpg'>{box}</image></images></dataset>"
    (folder / "points.xml").write_text(text)
    project = Project(folder)
    assert project.scheme.names == ("p9", "p10")
    assert (folder / "points.xml").read_text() == text


def test_a_frame_becomes_a_photograph_with_the_labels_that_it_has_already(ask, folder):
    begin(ask)
    content = (folder / "more/b.png").read_bytes()
    assert ask("add", content, page="p", name="c 1.png").json() == {
        "name": "frames/c 1.png",
        "problem": "",
        "state": "new",
    }
    assert (folder / "frames/c 1.png").read_bytes() == content
    assert save(ask, "frames/c 1.png", face([[5, 6], [7, 8]])).json() == {"state": "done"}
    assert ask("add", b"not read again", page="p", name="c 1.png").json()["state"] == "done"
    assert ask("photograph", name="frames/c 1.png").content == content
    (folder / "frames/c 1.png").unlink()
    assert len(ask("open", page="p").json()["photographs"]) == 2
    assert ask("add", content, page="p", name="c 1.png").json()["state"] == "done", "its entry is still there"


@pytest.mark.parametrize("name", ["../c.png", "a/c.png", "a\\c.png", ".c.png", "c.xml", "", "\x00.png", "c.png\n"])
def test_only_pictures_are_added_and_only_to_the_folder_of_frames(ask, folder, name):
    begin(ask)
    before = sorted(folder.rglob("*"))
    content = (folder / "a.jpg").read_bytes()
    assert ask("add", content, page="p", name=name).status == 422
    assert ask("add", b"no picture", page="p", name="c.png").status == 422
    assert ask("add", content, page="second", name="c.png").status == 409
    assert sorted(folder.rglob("*")) == before


def test_the_mean_shape_is_that_of_the_finished_faces(ask):
    begin(ask)
    assert ask("shape").json() == {}
    save(ask, "a.jpg", face([[10, 10], [20, 10]]))
    assert ask("shape").json()["count"] == 1
    save(ask, "a.jpg", face([[10, 10], None], todo=["foot"]))
    assert ask("shape").json() == {}


def test_without_a_network_nothing_is_proposed(ask):
    begin(ask)
    assert ask("propose", [[1, 2, 20, 20]], name="a.jpg").json() == {"network": "", "faces": []}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("points.xml", "<dataset>", "cannot read points.xml: not valid XML"),
        ("scheme.json", "{", "cannot read .*scheme.json as JSON"),
        ("colours.json", '{"eyes": "red"}', "colours.json: expected a colour such as #0b5cad"),
    ],
)
def test_a_project_whose_files_cannot_be_read_is_not_opened(folder, name, content, said):
    (folder / name).write_text(content)
    with pytest.raises(KpError, match=said):
        demo(folder=folder, port=0, browser=False)
    assert (folder / name).read_text() == content


def test_the_command_says_what_is_wrong(tmp_path, folder):
    with pytest.raises(KpError, match=r"cannot open .*nowhere: no such folder"):
        demo(folder=tmp_path / "nowhere", browser=False)
    with pytest.raises(KpError, match=r"cannot open .*a.jpg: not a folder"):
        demo(folder=folder / "a.jpg", browser=False)
    with pytest.raises(KpError, match="--run cannot be used with a folder"):
        demo(["compact"], browser=False, folder=folder)


@pytest.mark.slow
def test_killing_the_server_loses_at_most_the_last_mark(folder):
    for number in range(20):
        server = subprocess.Popen(
            [sys.executable, "-m", "kp_tf", "demo", str(folder), "--port", "0", "--no-browser"],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        ask = asking(server.stdout.readline().split()[4])
        begin(ask)
        source = next((face["source"] for face in ask("faces", name="a.jpg").json()["faces"]), None)
        marks, stop = 0, time.monotonic() + 0.1 * number
        while time.monotonic() < stop:
            marks += 1
            assert save(ask, "a.jpg", face([[marks, 6], None], source)).status == 200
        server.kill()
        server.wait()
        server.stdout.close()
        if marks:
            (kept,) = Project(folder).labels.faces("a.jpg")
            assert kept["points"]["rim"][0] == marks
