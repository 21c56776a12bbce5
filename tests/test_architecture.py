"""What docs/architecture.md promises beyond the import contract in pyproject.toml."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = sorted(path for path in (REPOSITORY / "kp_tf").rglob("*") if path.suffix in (".py", ".js"))
WITH_TENSORFLOW = ("kp_tf.models", "kp_tf.input", "kp_tf.training", "kp_tf.backends.keras_backend")


def modules():
    for path in SOURCES:
        if path.suffix == ".py" and path.name != "__main__.py":
            yield ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def test_tensorflow_and_keras_are_imported_by_few_rooms_alone():
    names = [name for name in modules() if not name.startswith(WITH_TENSORFLOW)]
    program = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    imported = set(done.stdout.split())
    assert {"kp_tf.predict.predictor", "kp_tf.apps.export"} <= imported
    assert not imported & {"tensorflow", "keras"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_modules_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    if path.suffix == ".py":
        functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        lengths = {function.name: function.end_lineno - function.lineno + 1 for function in functions}
        assert {name: length for name, length in lengths.items() if length > 60} == {}
