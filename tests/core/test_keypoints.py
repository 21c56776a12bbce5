import json

import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68, IMM58, NOSE, SCHEMES, WFLW98, Scheme, describe, parse_scheme, recognize


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_scheme_is_consistent(scheme):
    points = list(range(len(scheme)))
    assert sorted(scheme.flip_indices) == points
    assert [scheme.flip_indices[k] for k in scheme.flip_indices] == points, "two flips are none"
    assert sorted(k for _, group in scheme.groups for k in group) == points
    group_of = {k: name for name, group in scheme.groups for k in group}
    assert all(group_of[k] == group_of[scheme.flip_indices[k]] for k in points), "partners are in one group"


def test_eye_pairs_are_the_outer_corners():
    assert (IMM58.eyes, IBUG68.eyes, WFLW98.eyes, NOSE.eyes) == ((13, 21), (36, 45), (60, 72), None)
    assert IMM58.flip_indices[13] == 21
    assert IBUG68.flip_indices[36] == 45


def test_ibug68_flip_partners_are_those_of_the_release():
    # spelled out as in the maker of the release's mirrors
    jaw, brows, bridge = [*range(16, -1, -1)], [*range(26, 16, -1)], [27, 28, 29, 30]
    nostrils, eyes = [35, 34, 33, 32, 31], [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    outer = [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    inner = [64, 63, 62, 61, 60, 67, 66, 65]
    assert list(IBUG68.flip_indices) == jaw + brows + bridge + nostrils + eyes + outer + inner


def test_wflw98_flip_partners_are_the_published_ones():
    pairs = [(k, 32 - k) for k in range(16)]  # the jaw; then brows, nose, eyes, mouth and pupils, as mmpose lists them
    pairs += [(33, 46), (34, 45), (35, 44), (36, 43), (37, 42), (38, 50), (39, 49), (40, 48), (41, 47)]
    pairs += [(55, 59), (56, 58), (60, 72), (61, 71), (62, 70), (63, 69), (64, 68), (65, 75), (66, 74), (67, 73)]
    pairs += [(76, 82), (77, 81), (78, 80), (83, 87), (84, 86), (88, 92), (89, 91), (93, 95), (96, 97)]
    assert {(k, other) for k, other in enumerate(WFLW98.flip_indices) if k < other} == set(pairs)
    assert dict(WFLW98.groups)["eyes"] == (*range(60, 76), 96, 97)


PAW = Scheme("paw", ("tip", "a", "b"), (("claws", (1, 2)),), flip_indices=(0, 2, 1), eyes=(2, 1))


@pytest.mark.parametrize("scheme", [*SCHEMES.values(), PAW, Scheme("own", ("x",), ())])
def test_describe_and_parse_again(scheme):
    assert parse_scheme(json.loads(json.dumps(describe(scheme))), "x.json") == scheme


@pytest.mark.parametrize("scheme", [IBUG68, IMM58, WFLW98], ids=lambda scheme: scheme.name)
def test_published_points_are_recognized_by_their_names(scheme):
    assert recognize(scheme.names[::-1]) is scheme
    assert recognize([str(k) for k in range(len(scheme))]) is scheme, "without leading zeros"
    assert recognize([*scheme.names, "1"]) is scheme, "one box has no leading zeros"
    assert recognize(scheme.names[:-1]) is None
    assert recognize([*scheme.names, "nose"]) is None


def test_another_scheme_is_recognized_before_the_published_ones():
    assert recognize(("b", "tip", "a"), PAW) is PAW
    assert recognize(("b", "tip"), PAW) is None
    mine = Scheme("mine", IBUG68.names, (), eyes=(0, 1))
    assert recognize(IBUG68.names, mine) is mine
    assert recognize(("nose",)) is None, "any object may have a nose"


def test_part_names_without_leading_zeros():
    assert Scheme("own", ("00", "07", "eye 1"), ()).part_names == {
        "0": "00", "00": "00", "7": "07", "07": "07", "eye 1": "eye 1"
    }  # fmt: skip
    assert Scheme("own", ("01", "1"), ()).part_names == {"01": "01", "1": "1"}


def test_parse_scheme_takes_the_names_given_and_no_flips_unless_asked():
    assert parse_scheme({}, "x.json", ["a", "b"]) == Scheme("own", ("a", "b"), ())
    assert parse_scheme({"mirror": []}, "x.json", ["a", "b"]).flip_indices == (0, 1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], "x.json: expected the keys name, names, groups, mirror and eyes, found"),
        ({"name": "a", "point": 1}, "expected the keys .*, found name, point"),
        ({}, "x.json, names: the list of point names is empty"),
        ({"names": ["a", "a"]}, "names: expected all different names, found a, a"),
        ({"names": ["a", 1]}, "names: expected a list of names"),
        ({"names": ["a", "b"], "eyes": ["a"]}, "eyes: expected 2 different names, found a"),
        ({"names": ["a", "b"], "eyes": ["a", "c"]}, "eyes: there is no point named 'c'"),
        ({"names": ["a", "b"], "mirror": [["a", "b"], ["b", "a"]]}, "mirror: a point of the pair .* in another pair"),
        ({"names": ["a", "b"], "mirror": {"a": "b"}}, "x.json: groups must be an object and mirror a list of pairs"),
        ({"names": ["a", "b"], "groups": ["a"]}, "x.json: groups must be an object and mirror a list of pairs"),
        ({"names": ["a", "b"], "groups": {"all": ["a", "c"]}}, "x.json, all: there is no point named 'c'"),
    ],
)
def test_parse_scheme_says_what_is_wrong(content, expected):
    with pytest.raises(KpError, match=expected):
        parse_scheme(content, "x.json")


@pytest.mark.parametrize("name", ["a\0", "\ud800", "\x1b[2J"])
def test_names_that_no_label_file_can_hold_are_refused(name):
    with pytest.raises(KpError, match="has a character that XML cannot hold"):
        parse_scheme({"names": ["a", name]}, "s.json")
