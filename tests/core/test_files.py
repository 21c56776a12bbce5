import os
import stat
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.files import (
    check_regular,
    check_writable,
    read_json,
    read_npz,
    replacing,
    temporary_name,
    write_json,
    write_text,
)


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path / "folder") == ["target.txt"]


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        write_text(pipe, "through the pipe")
        assert reader.communicate()[0] == "through the pipe"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_that_is_missing_is_one_clear_line(tmp_path):
    with pytest.raises(KpError, match=r"cannot write .*a\.json: No such file or directory"):
        write_json(tmp_path / "missing" / "a.json", {})


def test_pipes_folders_and_missing_files_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, reason in {"pipe": "not a regular file", ".": "not a regular file", "none": "no such file"}.items():
        for read in (check_regular, read_json, lambda path: read_npz(path, "weights")):
            with pytest.raises(KpError, match=f"cannot read .*: {reason}"):
                read(tmp_path / name)


def test_what_may_not_be_read_or_written_is_one_message(open_folder, nobody):
    assert read_json(Path("readable.json")) == {}
    for path in (Path("a.json"), Path("locked/a.json")):
        for read in (check_regular, read_json, lambda path: read_npz(path, "weights")):
            with pytest.raises(KpError, match=f"^cannot read {path}: Permission denied$"):
                read(path)
    for path in (Path("locked/a.json"), Path("locked/b.json")):
        for write in (lambda path: write_text(path, ""), check_writable):
            with pytest.raises(KpError, match=f"^cannot write {path}: Permission denied$"):
                write(path)


def test_what_can_be_written_is_left_as_it_is(tmp_path):
    write_text(path := tmp_path / "a.txt", "old")
    for writable in (path, tmp_path / "b.txt", Path("/dev/null")):
        check_writable(writable)
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    for refused, reason in ((tmp_path, "it is a folder"), (tmp_path / "no" / "a.txt", "there is no folder .*no")):
        with pytest.raises(KpError, match=rf"^cannot write {refused}: {reason}$"):
            check_writable(refused)


def test_a_name_that_is_too_long_is_not_a_traceback(tmp_path):
    with pytest.raises(KpError, match=r"cannot read x.*: File name too long"):
        check_regular(tmp_path.relative_to(tmp_path) / ("x" * 300))


def test_a_name_of_the_greatest_length_is_written(tmp_path):
    for name in (f"{'x' * 250}.json", f"{'人' * 83}.json", os.fsdecode(b"\xe9" * 250) + ".json"):
        write_json(tmp_path / name, {"name": name})
        assert read_json(tmp_path / name) == {"name": name}
    with pytest.raises(KpError, match=r"cannot write .*: File name too long"):
        write_text(tmp_path / ("x" * 256), "")


def test_temporary_names_keep_the_suffix():
    assert temporary_name("model.keras", 7) == ".model-7.keras"
    first, second = (temporary_name(f"{'人' * 82}{end}.json", 7) for end in "ab")
    assert first != second
    assert first.endswith("-7.json")
    assert len(os.fsencode(first)) <= 255


def test_json_is_written_for_people_and_read_again(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"name": "Größe", "values": [1, 2.5, None]})
    assert "Größe" in path.read_text(encoding="utf-8")
    assert read_json(path) == {"name": "Größe", "values": [1, 2.5, None]}


@pytest.mark.parametrize("content", ["", "[1]", "{", "[" * 100_000])
def test_json_that_is_no_object_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(KpError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_npz_comes_back_and_a_compressed_one_is_refused(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "a.npz", values=values)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", "arrays")["values"], values)
    np.savez_compressed(tmp_path / "b.npz", values=values)
    with pytest.raises(KpError, match=r"b\.npz: expected arrays, found: values\.npy is compressed"):
        read_npz(tmp_path / "b.npz", "arrays")


def write_npz(path, header, data=b""):
    """An `.npz` of one array with this text as its header."""
    text = header.encode() + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)


def test_hostile_arrays_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(1000))
    with pytest.raises(KpError, match=r"a\.npz: expected weights, found: a.npy is compressed"):
        read_npz(path, "weights")
    write_npz(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}")
    with pytest.raises(KpError, match="claims"):
        read_npz(path, "weights")
    write_npz(path, "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80\x04N.")
    with pytest.raises(KpError, match=r"expected weights, found: .*pickle"):
        read_npz(path, "weights")
    for header in ("{'descr': (", "import os", "{}"):
        write_npz(path, header)
        with pytest.raises(KpError, match="expected weights, found"):
            read_npz(path, "weights")


def test_every_cut_of_an_archive_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, about=np.array("words"), weights=np.arange(20, dtype=np.float32))
    whole = path.read_bytes()
    for end in range(0, len(whole), 25):
        path.write_bytes(whole[:end])
        with pytest.raises(KpError, match="expected weights, found"):
            read_npz(path, "weights")
