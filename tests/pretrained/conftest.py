"""A tiny model published in a folder that stands for that of the package."""

import pytest
from tests.cards import CARD

from cgatjax.model import model_io
from cgatjax.pretrained import locations, self_check
from cgatjax.pretrained.publishing import publish_model


@pytest.fixture(scope="session")
def published(trained_model, test_set, tmp_path_factory):
    """(folder, model): the trained model as it is read from its published folder."""
    folder = tmp_path_factory.mktemp("published") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_io, "HALVED_FROM", 64)  # the test's network has no large arrays
        return folder, publish_model(folder, trained_model, CARD, test_set[:3])


@pytest.fixture
def shipped(published, tmp_path, monkeypatch):
    """Folder of the published model, which stands for one that comes with the package."""
    monkeypatch.setattr(locations, "SHIPPED", published[0].parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CGATJAX_CACHE", raising=False)
    self_check._verify_new.cache_clear()
    yield published[0]
    self_check._verify_new.cache_clear()
