"""The mounted file: checked periodically and offered to the registry row, never served directly."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

import yaml

from asya_crds.flows_file import read_texts
from asya_crds.flows_json import FlowsFileJson
from asya_crds.registry_document import ConfigMapPart
from asya_crds.yaml_text import Yaml
from asya_gateway.domain.registry import FileVerdict, RegistryStore
from asya_gateway.mounted.reading import NothingMounted
from asya_gateway.registry.files import Mounted, read_mounted
from asya_schemas.flows import check_flow

log = logging.getLogger(__name__)

YAML = Yaml(yaml.CSafeLoader, yaml.YAMLError)
MISSING, SERVED, UNREADABLE = "missing", "served", "unreadable"


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of the mounted file: served, unreadable, operator, superseded or missing, and what that means."""

    path: str
    state: str
    hash: str | None = None
    reason: str | None = None

    def as_dict(self) -> FlowsFileJson:
        """For GET /health/flows."""
        return {"path": self.path, "state": self.state, "hash": self.hash, "reason": self.reason}


_STATES = {
    FileVerdict.SAME: (SERVED, "its flows are served"),
    FileVerdict.TAKEN: (SERVED, "its flows are served"),
    FileVerdict.OPERATOR: ("operator", "the operator is alive and reads the ConfigMap itself"),
    FileVerdict.SUPERSEDED: ("superseded", "it has an older text than the one that is served"),
}


class FileWatch:
    """One mounted file or folder. `look` raises Unavailable while the database is away."""

    def __init__(self, store: RegistryStore, path: str) -> None:
        self._store = store
        self._path = Path(path)
        self._part: ConfigMapPart | None = None
        self._hash: str | None = None
        self._former: str | None = None
        self.state = FileState(path, MISSING, reason="not looked at yet")

    async def look(self) -> bool:
        """Read the file and offer it to the row; returns whether the row took it."""
        try:
            mounted = await asyncio.to_thread(read_mounted, self._path, self._hash)
        except NothingMounted as error:
            self._note(FileState(str(self._path), MISSING, None, f"{error}; the last valid flows stay"))
            return False
        if self._part is None or mounted.hash != self._hash:
            self._part = await asyncio.to_thread(_read, mounted)
            self._former, self._hash = self._hash, mounted.hash
        offer = await self._store.offer_file(self._part, self._former)
        if offer.current != self._former:
            # The text in force is not the one that this file was seen to replace, so the observed change no longer
            # means anything.
            self._former = None
        state, reason = _STATES[offer.verdict]
        if state == SERVED and self._part.unreadable:
            state = UNREADABLE
            reason = f"not YAML: {', '.join(self._part.unreadable)}; the last valid flows stay"
        self._note(FileState(str(self._path), state, self._hash, reason))
        return offer.verdict is FileVerdict.TAKEN

    def _note(self, state: FileState) -> None:
        """Log each change of state once."""
        if state == self.state:
            return
        self.state = state
        level = logging.WARNING if state.state in (MISSING, UNREADABLE, "superseded") else logging.INFO
        log.log(level, "flows file %s: %s", state.path, state.reason)


def _read(mounted: Mounted) -> ConfigMapPart:
    return ConfigMapPart.of(read_texts(mounted.texts, YAML, check_flow))
