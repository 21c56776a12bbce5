import os
import stat
import subprocess

import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular, read_json, read_npz, replacing, temporary_name, write_json, write_text


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
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


def test_a_name_that_is_too_long_is_not_a_traceback(tmp_path):
    with pytest.raises(KpError, match="cannot read x.*: File name too long"):
        check_regular(tmp_path.relative_to(tmp_path) / ("x" * 300))


def test_temporary_names_keep_the_suffix():
    assert temporary_name("model.keras", 7) == ".model-7.keras"


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
