"""Signed cards (section 8.4). Their tests come with the signing."""

from tests.support.requirements import Requirement

CANONICAL = "v1.0.1/specification#841-canonicalization-requirements"
FORMAT = "v1.0.1/specification#842-signature-format"
LATER = "Cards are not signed yet. Its test:"
VERIFIED = f"{LATER} an independent implementation verifies the signature of a card that was canonicalized so."

REQUIREMENTS = (
    Requirement(
        CANONICAL,
        "MUST",
        "Before signing, the Agent Card content MUST be canonicalized using the JSON Canonicalization Scheme (JCS) as "
        "defined in RFC 8785.",
        deferred=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Before canonicalization, the JSON representation MUST respect Protocol Buffer field presence semantics as "
        "defined in Section 5.7.",
        deferred=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields marked with the optional keyword that were not explicitly set MUST be omitted from the JSON object",
        deferred=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields marked with optional that were explicitly set to a value (even if that value matches a default) "
        "MUST be included in the JSON object",
        deferred=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields marked with REQUIRED MUST always be present, even if the field value matches the default.",
        deferred=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields with default values MUST be omitted unless the field is marked as REQUIRED or has the optional "
        "keyword.",
        deferred=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "The Agent Card JSON MUST be canonicalized according to RFC 8785, which specifies:",
        deferred=f"{LATER} the canonical forms of RFC 8785's own vectors.",
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "The signatures field itself MUST be excluded from the content being signed to avoid circular dependencies.",
        deferred=VERIFIED,
    ),
    Requirement(
        FORMAT,
        "MUST",
        "The protected header MUST include:",
        deferred=f"{LATER} the protected header has alg, kid and typ.",
    ),
    Requirement(
        FORMAT,
        "SHOULD",
        'typ: SHOULD be set to "JOSE" for JWS',
        deferred=f"{LATER} the protected header has alg, kid and typ.",
    ),
)
