import os

from kp_tf.core.hardware import available_cores, cpu_flags, cpu_model


def test_cores_are_those_of_this_process():
    assert 1 <= available_cores() <= os.cpu_count()


def test_flags_are_those_of_the_first_core(tmp_path):
    path = tmp_path / "cpuinfo"
    assert cpu_flags(path) == frozenset(), "as on macOS"
    path = tmp_path / "linux"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\nbugs\t: x\n\nprocessor\t: 1\nflags\t: other\n")
    assert cpu_flags(path) == {"fpu", "avx2", "amx_bf16"}


def test_the_model_has_a_name():
    assert cpu_model()
