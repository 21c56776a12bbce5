"""Fixtures that several rooms share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from helpers import write_ibug, write_imm


@pytest.fixture
def imm(tmp_path):
    """A data folder of IMM that the test may change (see `helpers.write_imm`)."""
    return write_imm(tmp_path / "faces")


@pytest.fixture
def ibug(tmp_path):
    """A data folder of iBUG that the test may change (see `helpers.write_ibug`)."""
    return write_ibug(tmp_path / "faces")
