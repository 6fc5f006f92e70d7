"""The HTTP+JSON binding (section 11). Its tests come with it."""

from tests.support.requirements import Requirement

SPECIFICATION = "v1.0.1/specification"
LATER = "The HTTP+JSON binding is not served yet. Its test:"

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#111-protocol-requirements",
        "SHOULD",
        "application/a2a+json SHOULD be used for requests and responses",
        deferred=f"{LATER} answers have that type, and both JSON types are taken.",
    ),
    Requirement(
        f"{SPECIFICATION}#112-service-parameter-transmission",
        "MUST",
        "A2A service parameters defined in Section 3.2.6 MUST be transmitted using standard HTTP request headers.",
        deferred=f"{LATER} an unknown A2A-Version is 400 VERSION_NOT_SUPPORTED.",
    ),
    Requirement(
        f"{SPECIFICATION}#115-query-parameter-naming-for-request-parameters",
        "MUST",
        "HTTP methods that do not support request bodies (GET, DELETE) MUST transmit operation request parameters "
        "as path parameters or query parameters.",
        deferred=f"{LATER} GET /tasks/{{id}}?historyLength=0 and the filters of GET /tasks.",
    ),
    Requirement(
        f"{SPECIFICATION}#115-query-parameter-naming-for-request-parameters",
        "MUST",
        "Query parameter names MUST use camelCase to match the JSON serialization of Protocol Buffer field names.",
        deferred=f"{LATER} the filters of GET /tasks by their names.",
    ),
    Requirement(
        f"{SPECIFICATION}#115-query-parameter-naming-for-request-parameters",
        "MUST",
        "All query parameter values MUST be properly URL-encoded per RFC 3986.",
        deferred=f"{LATER} a statusTimestampAfter with an encoded offset.",
    ),
    Requirement(
        f"{SPECIFICATION}#116-error-handling",
        "MUST",
        "Each object in the details array MUST include a @type key that identifies the object's type.",
        deferred=f"{LATER} each error of the table as an answer of this binding.",
    ),
    Requirement(
        f"{SPECIFICATION}#116-error-handling",
        "SHOULD",
        "Implementations SHOULD use well-known types such as google.rpc.BadRequest to attach structured data to "
        "validation errors.",
        deferred=f"{LATER} an invalid message names its field in a BadRequest.",
    ),
    Requirement(
        f"{SPECIFICATION}#116-error-handling",
        "MUST",
        "implementations MUST include a google.rpc.ErrorInfo object in the details array for A2A-specific errors with:",
        deferred=f"{LATER} each A2A error has type, reason and domain.",
    ),
    Requirement(
        f"{SPECIFICATION}#117-streaming",
        "SHOULD",
        "Implementations SHOULD avoid re-ordering events and MAY optionally resend a final Task snapshot before "
        "closing.",
        deferred=f"{LATER} a stream has the events of JSON-RPC's, without envelopes.",
    ),
)
