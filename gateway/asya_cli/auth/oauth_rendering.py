"""The output of `asya auth client` and `asya auth grant`. A new client goes to stdout as JSON, so that a script can
take it."""

from typing import TYPE_CHECKING

from asya_cli.auth.arguments import shown_time
from asya_cli.rendering import err, out, print_json
from asya_cli.terminal import plain

if TYPE_CHECKING:
    from asya_cli.auth.clients import Made
    from asya_gateway.storage.identity.oauth_listing import ListedClient, ListedGrant


def print_created(made: "Made") -> None:
    """The id, and the secret if there is one, in the words of RFC 7591."""
    client = made.client
    document = {"client_id": made.client_id}
    if made.secret is not None:
        document["client_secret"] = made.secret
    print_json(document)
    err.print(
        f"{client.key} {client.name}: {', '.join(sorted(client.scopes))}. "
        + ("The secret is not shown again." if made.secret else "Whoever knows the id may ask for these scopes.")
    )


def print_clients(clients: "list[ListedClient]", *, every: bool, as_json: bool) -> None:
    """A table, or JSON with the same content."""
    if as_json:
        print_json({"clients": [_client(each) for each in clients]})
        return
    if not clients:
        none = (
            "there are no clients"
            if every
            else "no client is an operator's or holds a grant; --all shows registrations"
        )
        err.print(f"{none}. Clients register themselves, or `asya auth client create NAME` makes one")
        return
    from rich.table import Table

    table = Table("NAME", "KEY", "KIND", "ID", "SCOPES", "GRANTS", "MADE", "LAST USED", box=None, pad_edge=False)
    for each in clients:
        table.add_row(
            plain(each.name, "bold"),
            each.key,
            each.kind.value,
            plain(each.public_id or ""),
            plain(" ".join(each.scopes)),
            str(each.grants),
            shown_time(each.created_at),
            shown_time(each.used_at),
        )
    out.print(table)


def print_grants(grants: "list[ListedGrant]", *, as_json: bool) -> None:
    """A table, or JSON with the same content."""
    if as_json:
        print_json({"grants": [_grant(each) for each in grants]})
        return
    if not grants:
        err.print("nothing is granted")
        return
    from rich.table import Table

    table = Table("ID", "CLIENT", "OWNER", "SCOPES", "MADE", "LAST USED", "UNUSED UNTIL", box=None, pad_edge=False)
    for each in grants:
        table.add_row(
            each.id,
            plain(each.client_name or each.client),
            plain(each.owner),
            plain(" ".join(each.scopes)),
            *(shown_time(at) for at in (each.created_at, each.used_at, each.idle_at)),
        )
    out.print(table)


def _client(each: "ListedClient") -> dict[str, object]:
    return {
        "key": each.key,
        "kind": each.kind.value,
        "name": each.name,
        "client_id": each.public_id,
        "scopes": list(each.scopes),
        "redirect_uris": list(each.redirect_uris),
        "grants": each.grants,
        "created_at": shown_time(each.created_at) or None,
        "last_used_at": shown_time(each.used_at) or None,
    }


def _grant(each: "ListedGrant") -> dict[str, object]:
    return {
        "id": each.id,
        "client": each.client,
        "client_name": each.client_name,
        "owner": each.owner,
        "scopes": list(each.scopes),
        "resource": each.resource,
        "created_at": shown_time(each.created_at),
        "last_used_at": shown_time(each.used_at),
        "idle_at": shown_time(each.idle_at),
    }
