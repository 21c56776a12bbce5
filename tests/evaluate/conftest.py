import matplotlib.figure
import pytest


@pytest.fixture
def saved(monkeypatch):
    """The figures that were saved, in this order."""
    figures, save = [], matplotlib.figure.Figure.savefig

    def record(figure, *args, **kwargs):
        figures.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", record)
    return figures
