import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.evaluate.columns import read_columns


def write(tmp_path, text):
    path = tmp_path / "by.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_face_gets_the_values_of_its_photograph(tmp_path):
    path = write(
        tmp_path, "\ufeffage,file,pose\nold,b/2.jpg,\nyoung, 1.jpg,left\nyoung,3.jpg,right \nyoung,3.jpg,right\n"
    )
    columns = read_columns(path, ["3.jpg", "b/2.jpg", "3.jpg", "4.jpg"])
    assert {name: values.tolist() for name, values in columns.items()} == {
        "age": ["young", "old", "young", ""],
        "pose": ["right", "", "right", ""],
    }


def test_a_column_of_many_numbers_has_four_ranges(tmp_path):
    rows = "".join(f"{k}.jpg,{k}\n" for k in range(16))
    values = read_columns(write(tmp_path, f"file,age\n{rows}x.jpg,\n"), [*(f"{k}.jpg" for k in range(16)), "x.jpg"])[
        "age"
    ]
    names, counts = np.unique(values, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "": 1,
        "0 to below 4": 4,
        "4 to below 8": 4,
        "8 to below 11": 3,
        "11 to 15": 5,
    }


MANY = "".join(f"{k}.jpg,person {k}\n" for k in range(13))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,age\n0.jpg,3\n", "by.csv: expected a header with the column file and others, found name,age"),
        ("file\n0.jpg\n", "expected a header with the column file and others, found file"),
        ("file,age,age\n0.jpg,3,4\n", "expected a header .* found file,age,age"),
        ("", "expected a header"),
        ("file,age\n", "there are no rows"),
        ("file,age\n0.jpg,3,4\n", "line 2: more values than columns"),
        ("file,age\n0.jpg,3\n0.jpg,4\n", "line 3: 0.jpg has another row with other values"),
        ("file,age\nx/0.jpg,3\n", "its column file names none of the photographs, such as 0.jpg"),
        (f"file,person\n{MANY}", "the column person has 13 different values, but at most 12 make a table"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(KpError, match=message):
        read_columns(write(tmp_path, text), [f"{k}.jpg" for k in range(13)])


def test_a_file_that_is_no_text_or_not_there(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"file,age\n\xff\xfe,3\n")
    with pytest.raises(KpError, match=r"a\.csv: expected a CSV in UTF-8"):
        read_columns(tmp_path / "a.csv", ["0.jpg"])
    with pytest.raises(KpError, match="no such file"):
        read_columns(tmp_path / "b.csv", ["0.jpg"])
