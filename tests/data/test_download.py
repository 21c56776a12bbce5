"""Downloads of the published data sets, from a server on the loopback address."""

import errno
import hashlib
import io
import random
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kp_tf.core.errors import KpError
from kp_tf.data import unpack
from kp_tf.data.download import IBUG, IMM, download

RANDOM = random.Random(0)
IMM_FILES = {f"01-{k}m.{kind}": RANDOM.randbytes(300) for k in (1, 2, 3) for kind in ("jpg", "asf")}
IMM_FILES["imm_face_db.pdf"] = RANDOM.randbytes(300)
BOX = "<box top='1' left='1' width='9' height='9'/>"
IMAGE = f"<image file='{{}}'>{BOX}{BOX}</image>"
TRAIN, TEST = "labels_ibug_300W_train.xml", "labels_ibug_300W_test.xml"


def label_file(*names):
    images = "\n".join(IMAGE.format(name) for name in names)
    return f"<?xml version='1.0' encoding='ISO-8859-1'?>\n<dataset><images>{images}</images></dataset>".encode()


IBUG_PHOTOGRAPHS = {name: RANDOM.randbytes(500) for name in ("afw/1_1.jpg", "lfpw/trainset/2.png", "ibug/3.jpg")}
IBUG_FILES = IBUG_PHOTOGRAPHS | {
    TRAIN: label_file("afw/1_1.jpg", "lfpw/trainset/2.png"),
    TEST: label_file("ibug/3.jpg"),
}


def tar_gz(files, top="", hostile=None):
    """A tar.gz of {name: bytes}, in a folder `top` if one is named; `hostile` is one more TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        if top:
            tar.addfile(tar_member(top, tarfile.DIRTYPE))
        for name, content in files.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if hostile:
            tar.addfile(hostile)
    return buffer.getvalue()


def zipped(files, top="", hostile=None):
    """The same as a zip; `hostile` is one more ZipInfo."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        if top:
            file.writestr(zip_member(top, 0o040755), "")
        for name, content in files.items():
            file.writestr(zip_member(top + name, 0o100644), content, zipfile.ZIP_DEFLATED)
        if hostile:
            file.writestr(hostile, "content")
    return buffer.getvalue()


def tar_member(name, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, 0o755
    return member


def zip_member(name, mode):
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


@dataclass
class Site:
    """What the server holds and how it behaves; what it was asked."""

    files: dict = field(default_factory=dict)  # path: bytes
    answer: bytes = b""  # instead of HTTP's
    cut: int | None = None  # bytes of a body after which the connection ends
    ranges: bool = True
    validators: dict = field(default_factory=lambda: {"ETag": '"{}"'})  # header: its form
    heeds_if_range: bool = True
    wait: float = 0  # seconds before the connection ends without an answer
    asked: list = field(default_factory=list)  # (path, Range)
    url: str = ""


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            site.asked.append((self.path, self.headers["Range"]))
            if site.wait:
                return time.sleep(site.wait)
            if site.answer:
                return self.wfile.write(site.answer)
            body = site.files.get(self.path)
            if body is None:
                return self.send_error(404)
            digest = hashlib.sha256(body).hexdigest()
            validators = {name: form.format(digest) for name, form in site.validators.items()}
            if_range = self.headers["If-Range"] if site.heeds_if_range else None
            start = 0
            if site.ranges and self.headers["Range"] and if_range in (None, *validators.values()):
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    return self.send_error(416)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            for name, value in validators.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start : site.cut])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_port}"
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture
def imm(site):
    """IMM with three photographs, whole at its first address; the fallback holds nothing."""
    site.files["/a/imm.tar.gz"] = tar_gz(IMM_FILES)
    addresses = (f"{site.url}/a/imm.tar.gz", f"{site.url}/b/imm.zip")
    return replace(IMM, addresses=addresses, counts={"*.jpg": 3, "*.asf": 3})


@pytest.fixture
def ibug(site):
    site.files["/ibug.tar.gz"] = tar_gz(IBUG_FILES, top=f"{IBUG.folder}/")
    return replace(IBUG, addresses=(f"{site.url}/ibug.tar.gz",), counts={TRAIN: 2, TEST: 1})


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive, data, *texts):
    """download raises a KpError that holds these texts, and leaves nothing unpacked."""
    with pytest.raises(KpError) as caught:
        download(archive, data)
    for text in texts:
        assert text in str(caught.value)
    assert not (data / archive.folder).exists()
    assert not list(data.rglob("unpacked"))
    return caught.value


def interrupt(site, archive, data, after=500):
    """A download whose connection ends after 500 bytes."""
    site.cut = after
    refused(archive, data, archive.addresses[0], f"connection lost after {after:,} of ")
    site.cut = None
    site.asked.clear()
    assert [path.stat().st_size for path in data.rglob("archive")] == [after]


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize("top", ["", "./", "imm_face_db/", "another name/"])
def test_download_imm_with_and_without_folder(imm, site, tmp_path, capsys, pack, top):
    site.files["/a/imm.tar.gz"] = pack(IMM_FILES, top)  # the kind is known by its bytes, not by its name
    download(imm, tmp_path / "data")
    assert contents(tmp_path / "data" / "imm_face_db") == IMM_FILES
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["imm_face_db"]
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'data' / 'imm_face_db'} is complete" in out
    assert "100%" in err


def test_download_imm_with_paper_beside_its_folder(imm, site, tmp_path):
    files = {f"imm/{name}": content for name, content in IMM_FILES.items() if not name.endswith("pdf")}
    site.files["/a/imm.tar.gz"] = tar_gz(files | {"paper.pdf": b"%PDF"})
    download(imm, tmp_path)
    assert len(contents(tmp_path / "imm_face_db")) == 6


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_download_ibug(ibug, site, tmp_path, pack):
    site.files["/ibug.tar.gz"] = pack(IBUG_FILES, f"{IBUG.folder}/")
    download(ibug, tmp_path)
    assert contents(tmp_path / IBUG.folder) == IBUG_FILES


def test_download_by_name(tmp_path, capsys):
    (tmp_path / "imm_face_db").mkdir()
    for number in range(240):
        (tmp_path / "imm_face_db" / f"{number}.jpg").touch()
        (tmp_path / "imm_face_db" / f"{number}.asf").touch()
    download("imm", tmp_path)
    assert "imm_face_db is already complete" in capsys.readouterr().out


def test_download_leaves_complete_folder_alone(imm, site, tmp_path, capsys):
    download(imm, tmp_path)
    site.asked.clear()
    download(imm, tmp_path)
    assert "already complete; nothing to download" in capsys.readouterr().out
    assert not site.asked


def test_download_refuses_incomplete_folder(imm, site, tmp_path):
    (tmp_path / "imm_face_db").mkdir()
    (tmp_path / "imm_face_db" / "01-1m.jpg").touch()
    with pytest.raises(
        KpError, match=r"imm_face_db is incomplete: expected 3 files that match \*\.jpg, found 1\. Move"
    ):
        download(imm, tmp_path)
    assert list(contents(tmp_path)) == ["imm_face_db/01-1m.jpg"]
    assert not site.asked


@pytest.mark.parametrize("validators", [{"ETag": '"{}"'}, {"ETag": 'W/"{}"', "Last-Modified": "{}"}])
def test_download_resumes(ibug, site, tmp_path, validators):
    site.validators = validators
    interrupt(site, ibug, tmp_path)
    download(ibug, tmp_path)
    assert site.asked == [("/ibug.tar.gz", "bytes=500-")]
    assert contents(tmp_path / IBUG.folder) == IBUG_FILES
    assert len(list(tmp_path.iterdir())) == 1


def test_download_restarts_without_ranges(ibug, site, tmp_path):
    site.ranges = False
    interrupt(site, ibug, tmp_path)
    download(ibug, tmp_path)
    assert len(site.asked) == 1
    assert contents(tmp_path / IBUG.folder) == IBUG_FILES


@pytest.mark.parametrize("validators", [{}, {"ETag": 'W/"{}"'}])
def test_download_restarts_without_strong_validator(ibug, site, tmp_path, validators):
    site.validators = validators
    interrupt(site, ibug, tmp_path)
    download(ibug, tmp_path)
    assert site.asked == [("/ibug.tar.gz", None)]
    assert contents(tmp_path / IBUG.folder) == IBUG_FILES


@pytest.mark.parametrize("heeds_if_range", [True, False])
@pytest.mark.parametrize("size", [400, 900])  # bytes of a photograph: shorter and longer than before
def test_download_restarts_when_file_changed(ibug, site, tmp_path, heeds_if_range, size):
    site.heeds_if_range = heeds_if_range
    interrupt(site, ibug, tmp_path)
    files = IBUG_FILES | {name: RANDOM.randbytes(size) for name in IBUG_PHOTOGRAPHS}
    site.files["/ibug.tar.gz"] = tar_gz(files, "new/")
    download(ibug, tmp_path)
    assert contents(tmp_path / IBUG.folder) == files
    assert len(site.asked) == (1 if heeds_if_range else 2)


def test_download_restarts_at_another_address(ibug, site, tmp_path):
    interrupt(site, ibug, tmp_path)
    site.files["/other/ibug.tar.gz"] = site.files["/ibug.tar.gz"]
    download(replace(ibug, addresses=(f"{site.url}/other/ibug.tar.gz",)), tmp_path)
    assert site.asked == [("/other/ibug.tar.gz", None)]
    assert len(list(tmp_path.iterdir())) == 1


def test_download_clears_unpacking_that_was_killed(ibug, site, tmp_path):
    interrupt(site, ibug, tmp_path)
    (tmp_path / f"{IBUG.folder}.1.part" / "unpacked" / "top").mkdir(parents=True)
    download(ibug, tmp_path)
    assert contents(tmp_path) == {f"{IBUG.folder}/{name}": content for name, content in IBUG_FILES.items()}


def test_download_restarts_when_file_is_shorter_than_part(imm, site, tmp_path):
    site.heeds_if_range = False  # so that it answers 416
    interrupt(site, replace(imm, addresses=imm.addresses[:1]), tmp_path, after=2000)
    files = dict.fromkeys(IMM_FILES, b"")
    site.files["/a/imm.tar.gz"] = tar_gz(files)
    assert len(site.files["/a/imm.tar.gz"]) < 2000
    download(imm, tmp_path)
    assert contents(tmp_path / "imm_face_db") == files


def test_download_keeps_archive_when_disk_is_full(imm, site, tmp_path, monkeypatch):
    def write_to_full_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(unpack, "_write_members", write_to_full_disk)
        refused(imm, tmp_path, "No space left on device", "Free some space")
    assert site.asked == [("/a/imm.tar.gz", None)]  # the next address would not help
    site.files.clear()
    download(imm, tmp_path)
    assert contents(tmp_path) == {f"imm_face_db/{name}": content for name, content in IMM_FILES.items()}


def test_download_keeps_what_each_address_sent(imm, site, tmp_path):
    site.files["/b/imm.zip"] = zipped(IMM_FILES)
    site.cut = 500
    refused(imm, tmp_path, "2 failed downloads", *imm.addresses)
    site.cut = None
    site.asked.clear()
    download(imm, tmp_path)
    assert site.asked == [("/a/imm.tar.gz", "bytes=500-")]
    assert contents(tmp_path) == {f"imm_face_db/{name}": content for name, content in IMM_FILES.items()}


@pytest.mark.parametrize("path", ["/..", "/", "/a/..%2Fevil", "/a/..\\evil", f"/{'long' * 100}.zip", "/?id=../evil"])
def test_download_names_its_files_itself(imm, site, tmp_path, path):
    site.files[path] = site.files["/a/imm.tar.gz"]
    archive = replace(imm, addresses=(site.url + path,))
    interrupt(site, archive, tmp_path / "data")
    assert {path.name for path in tmp_path.rglob("*")} == {"data", "imm_face_db.1.part", "archive", "about.json"}
    download(archive, tmp_path / "data")
    assert [path.name for path in tmp_path.rglob("*") if path.is_dir()] == ["data", "imm_face_db"]


def test_download_falls_back_to_second_address(imm, site, tmp_path, capsys):
    site.files["/b/imm.zip"] = zipped(IMM_FILES, "imm_face_db/")
    site.files["/a/imm.tar.gz"] = b"<!DOCTYPE html> The archive is down for maintenance"
    download(imm, tmp_path)
    assert contents(tmp_path / "imm_face_db") == IMM_FILES
    assert "begins with b'<!DOCTYPE html> The" in capsys.readouterr().err


def test_download_names_each_address_and_what_was_found(imm, site, tmp_path):
    site.files["/a/imm.tar.gz"] = b"<!DOCTYPE html>"
    error = refused(imm, tmp_path, "2 failed downloads", *imm.addresses, "begins with b'<!DOCTYPE html>'", "404")
    assert len(str(error).splitlines()) == 3
    assert not list(tmp_path.iterdir())


def test_download_names_address_that_does_not_answer(imm, site, tmp_path):
    address = "http://127.0.0.1:1/imm.zip"
    refused(replace(imm, addresses=(address,)), tmp_path, address, "Connection refused")


@pytest.mark.parametrize("answer", ["nonsense", "HTTP/1.0 416 Range Not Satisfiable"])
def test_download_names_address_that_answers_nonsense(ibug, site, tmp_path, answer):
    site.answer = f"{answer}\r\n\r\n".encode()
    refused(ibug, tmp_path, ibug.addresses[0], answer[-15:])


def test_download_names_address_that_is_slow(ibug, site, tmp_path):
    site.wait = 0.3
    with pytest.raises(KpError, match=f"{ibug.addresses[0]}: .*timed out"):
        download(ibug, tmp_path, timeout=0.1)


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_download_refuses_truncated_archive(ibug, site, tmp_path, pack, keep):
    whole = pack(IBUG_FILES, "top/")
    site.files["/ibug.tar.gz"] = whole[: int(len(whole) * keep)]
    refused(ibug, tmp_path, ibug.addresses[0], "unusable archive")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pack", "member", "found"),
    [
        (tar_gz, tar_member("../evil"), "leaves the folder"),
        (tar_gz, tar_member("a/../../evil"), "leaves the folder"),
        (tar_gz, tar_member("{outside}/evil"), "leaves the folder"),
        (tar_gz, tar_member("../evil", tarfile.DIRTYPE), "leaves the folder"),
        (tar_gz, tar_member("evil", tarfile.SYMTYPE, "{outside}"), "link or device"),
        (tar_gz, tar_member("evil", tarfile.SYMTYPE, "01-1m.jpg"), "link or device"),
        (tar_gz, tar_member("evil", tarfile.LNKTYPE, "01-1m.jpg"), "link or device"),
        (tar_gz, tar_member("evil", tarfile.FIFOTYPE), "link or device"),
        (tar_gz, tar_member("evil", tarfile.CHRTYPE), "link or device"),
        (zipped, zipfile.ZipInfo("../evil"), "leaves the folder"),
        (zipped, zipfile.ZipInfo("..\\evil"), "leaves the folder"),
        (zipped, zipfile.ZipInfo("{outside}/evil"), "leaves the folder"),
        (zipped, zipfile.ZipInfo("C:/evil"), "leaves the folder"),
        (zipped, zip_member("../evil/", 0o040755), "leaves the folder"),
        (zipped, zip_member("evil", 0o120777), "link or device"),
    ],
)
def test_download_refuses_hostile_member(imm, site, tmp_path, pack, member, found):
    name = "filename" if pack is zipped else "name"
    setattr(member, name, getattr(member, name).format(outside=tmp_path))
    site.files["/a/imm.tar.gz"] = pack(IMM_FILES, hostile=member)
    data = tmp_path / "data"
    refused(replace(imm, addresses=imm.addresses[:1]), data, imm.addresses[0], "evil", found)
    assert list(tmp_path.rglob("*")) == [data]


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize(
    "files", [{"a": bytes(1_000_000)}, {f"a{k}": b"" for k in range(1000)}], ids=["bytes", "files"]
)
def test_download_refuses_bomb(ibug, site, tmp_path, pack, files):
    site.files["/ibug.tar.gz"] = pack(files)
    refused(ibug, tmp_path, "member 'a", "more than 20 times as large")
    assert not list(tmp_path.iterdir())


DAMAGED = {
    "lzma": lambda: damaged(zipfile.ZIP_LZMA),
    "bzip2": lambda: damaged(zipfile.ZIP_BZIP2),
    "deflate": lambda: damaged(zipfile.ZIP_DEFLATED),
    "encrypted": lambda: zipped(IMM_FILES).replace(b"PK\1\2\x14\x03\x14\0\0", b"PK\1\2\x14\x03\x14\0\1"),
    "name of 300 bytes": lambda: tar_gz({"a" * 300: b""}),
    "file below a file": lambda: zipped({"a": b"", "a/b": b""}),
    "file in place of a folder": lambda: zipped({"a/b": b"", "a": b""}),
}


def damaged(compression):
    """A zip whose first member cannot be decompressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in IMM_FILES.items():
            file.writestr(name, content)
    data = bytearray(buffer.getvalue())
    data[50:90] = bytes(byte ^ 255 for byte in data[50:90])
    return bytes(data)


@pytest.mark.parametrize("damage", DAMAGED)
def test_download_fetches_damaged_archive_again(imm, site, tmp_path, damage):
    sound, site.files["/a/imm.tar.gz"] = site.files["/a/imm.tar.gz"], DAMAGED[damage]()
    refused(imm, tmp_path, "unusable archive")
    assert not list(tmp_path.iterdir())
    site.files["/a/imm.tar.gz"] = sound
    download(imm, tmp_path)
    assert contents(tmp_path / "imm_face_db") == IMM_FILES


@pytest.mark.parametrize("found", [2, 4])
def test_download_refuses_wrong_count_of_files(imm, site, tmp_path, found):
    files = dict.fromkeys(["1.jpg", "2.jpg", "3.jpg", *(f"{k}.asf" for k in range(found))], b"")
    site.files["/a/imm.tar.gz"] = tar_gz(files, "top/")
    refused(imm, tmp_path, f"expected 3 files that match *.asf, found {found}")
    assert not list(tmp_path.iterdir())


def test_download_refuses_wrong_count_of_images(ibug, site, tmp_path):
    site.files["/ibug.tar.gz"] = tar_gz(IBUG_FILES | {TRAIN: label_file("afw/1_1.jpg")}, "top/")
    refused(ibug, tmp_path, f"expected 2 image entries in {TRAIN}, found 1")


def test_download_refuses_missing_photograph(ibug, site, tmp_path):
    site.files["/ibug.tar.gz"] = tar_gz({k: v for k, v in IBUG_FILES.items() if "png" not in k}, "top/")
    refused(ibug, tmp_path, f"images missing from {TRAIN}: 1, the first is lfpw/trainset/2.png")


def test_download_refuses_xml_that_is_broken(ibug, site, tmp_path):
    site.files["/ibug.tar.gz"] = tar_gz(IBUG_FILES | {TEST: IBUG_FILES[TEST][:-9]}, "top/")
    refused(ibug, tmp_path, TEST, "valid XML")
