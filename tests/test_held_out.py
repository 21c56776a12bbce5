"""The pictures of `more_faces` that are kept for validation, whose names its README's rule decides on."""

import pytest

from benchmarks.held_out import fold_of, is_held_out, person_or_picture, shows_held_out


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("infanface/ads_13555.Still049.jpg", "ads_13555.Still049.jpg"),
        ("aaf/00000A02.jpg", "00000A02.jpg"),
        ("fgnet/001a02.jpg", "001"),
        ("ytfaces/training_Laura_Elena_Harring_01.jpg", "Laura_Elena_Harring"),
        ("ytfaces/test_Abdel_Aziz_Al-Hakim_01.jpg", "Abdel_Aziz_Al-Hakim"),
    ],
)
def test_the_key_is_the_person_where_the_name_tells_it(file, key):
    assert person_or_picture(file) == key


PEOPLE = ["002", "019", "020", "037", "043", "050", "058", "079"]


def test_a_known_tenth_is_held_out():
    held_out = {f"fgnet/{k:03d}a20.jpg" for k in range(1, 83) if is_held_out(f"fgnet/{k:03d}a02.jpg")}
    assert held_out == {f"fgnet/{k:03d}a20.jpg" for k in range(1, 83) if is_held_out(f"fgnet/{k:03d}a20.jpg")}
    assert sorted(file[6:9] for file in held_out) == PEOPLE
    assert is_held_out("wflw/0166_12_Group_Group_12_Group_Group_12_100.jpg")
    assert not is_held_out("wflw/0000_37_Soccer_soccer_ball_37_45.jpg")


def test_the_pictures_of_a_person_are_in_one_fold_and_folds_are_alike():
    assert fold_of("ytfaces/training_Adam_Sandler_01.jpg") == fold_of("ytfaces/test_Adam_Sandler_20.jpg")
    counts = [sum(fold_of(f"infanface/{k}.jpg") == fold for k in range(1000)) for fold in range(5)]
    assert min(counts) > 150, counts


def test_the_whole_photograph_of_a_face_that_is_held_out_is_held_out_too():
    name = "12_Group_Group_12_Group_Group_12_100.jpg"
    assert not is_held_out(f"wflwphotos/{name}")
    assert shows_held_out(f"wflwphotos/{name}", [f"wflw/0166_{name}"])
    assert not shows_held_out(name, ["wflw/0000_37_Soccer_soccer_ball_37_45.jpg"])
