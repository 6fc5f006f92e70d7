"""The output of `asya auth key`. A key goes to stdout alone, so that a script can take it; what is said about it goes
to stderr."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from asya_cli.auth.arguments import shown_time
from asya_cli.rendering import err, out, print_json
from asya_cli.terminal import plain

if TYPE_CHECKING:
    from asya_gateway.domain.identity.key_text import NewKey
    from asya_gateway.domain.identity.keys import KeyRecord
    from asya_gateway.storage.identity.keys import StoredKey


def print_created(key: "NewKey", record: "KeyRecord", open_pods: list[str]) -> None:
    """The key, what it may do, and a warning if pods ask for none."""
    may = ", ".join([*sorted(record.scopes), *(f"role {role}" for role in sorted(record.roles))]) or "nothing"
    err.print(f"{key.id} of {record.owner}: {may}; {_until(record.expires_at)}. The key is not shown again:")
    out.file.write(f"{key.text}\n")
    out.file.flush()
    if open_pods:
        err.print(
            f"warning: {len(open_pods)} gateway pods admit callers without a key ({', '.join(open_pods[:5])}); set "
            "ASYA_AUTH=required or another setting of docs/settings.md, Authentication"
        )


def print_strange(roles: list[str]) -> None:
    """A warning of roles that are not defined. It is a comment, because the entry of a file may stand before it."""
    if roles:
        err.print(f"# warning: ASYA_ROLES_FILE defines no role {', '.join(roles)}; until it does, that gives nothing")


def print_entry(key: "NewKey", record: "KeyRecord") -> None:
    """The key, and on stderr its entry for the file, as YAML."""
    out.file.write(f"{key.text}\n")
    out.file.flush()
    lines = [f"- id: {key.id}", f"  name: {record.name}", f"  hash: sha256:{record.hash.hex()}"]
    if record.scopes:
        lines.append(f"  scopes: {_flow(record.scopes)}")
    if record.roles:
        lines.append(f"  roles: {_flow(record.roles)}")
    if record.expires_at is not None:
        lines.append(f"  expires: {shown_time(datetime.fromtimestamp(record.expires_at, UTC))}")
    for line in lines:
        typer.echo(f"  {line}", err=True)


def print_keys(keys: "list[StoredKey]", *, as_json: bool) -> None:
    """A table, or JSON with the same content."""
    if as_json:
        print_json({"keys": [_as_json(key) for key in keys]})
        return
    if not keys:
        err.print("there are no keys; make one with `asya auth key create NAME`")
        return
    from rich.table import Table

    table = Table("NAME", "ID", "SCOPES", "ROLES", "MADE", "EXPIRES", "LAST USED", "STATE", box=None, pad_edge=False)
    for key in keys:
        table.add_row(
            plain(key.name, "bold"),
            key.id,
            plain(" ".join(key.scopes)),
            plain(" ".join(key.roles)),
            *(shown_time(at) for at in (key.created_at, key.expires_at, key.last_used_at)),
            _state(key),
        )
    out.print(table)


def _as_json(key: "StoredKey") -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "roles": list(key.roles),
        "created_at": shown_time(key.created_at),
        "expires_at": shown_time(key.expires_at) or None,
        "last_used_at": shown_time(key.last_used_at) or None,
        "revoked_at": shown_time(key.revoked_at) or None,
        "state": _state(key),
    }


def _state(key: "StoredKey") -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "in force" if key.living else "expired"


def _until(expires_at: float | None) -> str:
    return (
        "it does not expire" if expires_at is None else f"until {shown_time(datetime.fromtimestamp(expires_at, UTC))}"
    )


def _flow(words: Iterable[str]) -> str:
    """A YAML list on one line. Each word is quoted, because scopes contain `:` and `*`."""
    return "[" + ", ".join("'" + word.replace("'", "''") + "'" for word in sorted(words)) + "]"
