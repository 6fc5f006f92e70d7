# mypy: ignore-errors
# It runs in an environment of its own.
"""The SDK's own conversions between 1.0 and 0.3. The argument is a file of JSON: `down`, 1.0 objects with the names of
their types, and `up`, those of 0.3. The last line printed is JSON: the converted objects in the same order."""

import json
import sys
from pathlib import Path

from a2a.compat.v0_3 import conversions as convert
from a2a.compat.v0_3 import types as old
from a2a.types import a2a_pb2 as new
from google.protobuf.json_format import MessageToDict, ParseDict

DOWN = {
    "task": (new.Task, convert.to_compat_task),
    "message": (new.Message, convert.to_compat_message),
    "send": (new.SendMessageRequest, lambda request: convert.to_compat_send_message_request(request, 1).params),
    "status": (new.TaskStatusUpdateEvent, convert.to_compat_task_status_update_event),
    "artifact": (new.TaskArtifactUpdateEvent, convert.to_compat_task_artifact_update_event),
}
UP = {
    "task": (old.Task, convert.to_core_task),
    "message": (old.Message, convert.to_core_message),
    "status": (old.TaskStatusUpdateEvent, convert.to_core_task_status_update_event),
    "artifact": (old.TaskArtifactUpdateEvent, convert.to_core_task_artifact_update_event),
}


def down(kind, value):
    make, to_old = DOWN[kind]
    return to_old(ParseDict(value, make())).model_dump(mode="json", by_alias=True, exclude_none=True)


def up(kind, value):
    make, to_new = UP[kind]
    return MessageToDict(to_new(make.model_validate(value)))


given = json.loads(Path(sys.argv[1]).read_text())
print(json.dumps({"down": [down(*each) for each in given["down"]], "up": [up(*each) for each in given["up"]]}))
