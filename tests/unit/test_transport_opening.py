"""A transport whose driver is not installed says which extra to install."""

from importlib import import_module
from types import ModuleType

import pytest

from asya_transports import opening
from asya_transports.description import TransportSettingsError
from asya_transports.pubsub.settings import PubSubSettings


def without(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the import of a driver fail because this package is not there."""

    def imported(name: str) -> ModuleType:
        if name == "google.pubsub_v1":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return import_module(name)

    monkeypatch.setattr(opening, "import_module", imported)


@pytest.mark.parametrize("missing", ["google", "google.pubsub_v1"])
def test_a_missing_driver_is_named_by_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python names `google` where no distribution brings a part of that package."""
    without(missing, monkeypatch)
    with pytest.raises(TransportSettingsError, match=r"asya\[pubsub\]"):
        opening.open_transport(PubSubSettings("project"), "n")


@pytest.mark.parametrize("missing", ["google.pubsub_v1.services", "goo", "proto"])
def test_a_driver_that_is_installed_incompletely_is_another_error(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(missing, monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=missing):
        opening.open_transport(PubSubSettings("project"), "n")
