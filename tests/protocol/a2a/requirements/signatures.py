"""Signed cards (section 8.4)."""

from tests.support.requirements import Requirement, tests_of

CANONICAL = "v1.0.1/specification#841-canonicalization-requirements"
FORMAT = "v1.0.1/specification#842-signature-format"
SIGNING = "tests/unit/a2a/test_signing.py"
CLIENTS = "tests/conformance/test_a2a_clients.py"
VERIFIED = (
    *tests_of(SIGNING, "test_the_canonical_forms_are_that_of_the_text_of_the_specification_and_of_the_sdk"),
    *tests_of(CLIENTS, "test_the_sdk_verifies_every_form_of_a_card"),
)
SIGNED = tests_of(SIGNING, "test_each_form_has_a_signature_that_verifies_with_the_published_key")
RFC_8785 = tests_of(SIGNING, "test_canonical_json_sorts_members_by_utf_16_and_writes_numbers_as_ecmascript_does")

REQUIREMENTS = (
    Requirement(
        CANONICAL,
        "MUST",
        "Before signing, the Agent Card content MUST be canonicalized using the JSON Canonicalization Scheme (JCS) as "
        "defined in RFC 8785.",
        tests=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Before canonicalization, the JSON representation MUST respect Protocol Buffer field presence semantics as "
        "defined in Section 5.7.",
        tests=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields marked with the optional keyword that were not explicitly set MUST be omitted from the JSON object",
        tests=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields marked with optional that were explicitly set to a value (even if that value matches a default) "
        "MUST be included in the JSON object",
        tests=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields marked with REQUIRED MUST always be present, even if the field value matches the default.",
        tests=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "Fields with default values MUST be omitted unless the field is marked as REQUIRED or has the optional "
        "keyword.",
        tests=VERIFIED,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "The Agent Card JSON MUST be canonicalized according to RFC 8785, which specifies:",
        tests=RFC_8785,
    ),
    Requirement(
        CANONICAL,
        "MUST",
        "The signatures field itself MUST be excluded from the content being signed to avoid circular dependencies.",
        tests=VERIFIED,
    ),
    Requirement(
        FORMAT,
        "MUST",
        "The protected header MUST include:",
        tests=SIGNED,
    ),
    Requirement(
        FORMAT,
        "SHOULD",
        'typ: SHOULD be set to "JOSE" for JWS',
        tests=SIGNED,
    ),
)
