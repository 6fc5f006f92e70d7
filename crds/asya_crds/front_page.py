"""What each HTTP server of the programs answers to `GET /`, because people open its port in a browser."""


def front_page(what: str, routes: str, page: str) -> str:
    """Three lines of plain text: what this server is, which routes it has, and where they are documented. `page` is a
    file of the project's folder docs."""
    return f"{what}\n{routes}\nDocumentation is in the project's folder docs: {page}.\n"
