"""Security in general (sections 13.4, 14.1)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
SECTION = f"{SPECIFICATION}#134-general-security-best-practices"
MEDIA_TYPE = f"{SPECIFICATION}#1411-applicationa2ajson"
AUDIT = "tests/integration/http/test_keys_and_audit.py"
DIALECTS = "tests/protocol/a2a/test_dialects.py"
LIMITS = "tests/integration/http/test_limits.py"
KEYS = "tests/integration/storage/identity/test_keys.py"
RETENTION = "tests/integration/storage/test_retention.py"
TASKS = "tests/protocol/a2a/test_tasks.py"
FIELDS = tests_of(DIALECTS, "test_an_invalid_message_names_the_field") + tests_of(
    "tests/unit/a2a/test_bad_members.py", "test_a_member_that_is_not_what_it_must_be_is_named"
)
TYPES = tests_of(TASKS, "test_a_media_type_that_the_skill_does_not_take_is_refused")
TLS = "TLS ends before the gateway; its public origin is a setting of the deployment."
OPERATED = "A duty of whoever operates a deployment; docs/operations.md says what is stored, and for how long."
COUNTED = tests_of(LIMITS, "test_a_caller_beyond_its_rate_gets_429_and_others_do_not") + tests_of(
    "tests/protocol/a2a/test_reading.py", "test_a_caller_beyond_its_rate_is_told_when_to_come_again"
)

REQUIREMENTS = (
    Requirement(
        SECTION,
        "MUST",
        "Production deployments MUST use encrypted communication (HTTPS for HTTP-based bindings, TLS for gRPC)",
        deferred=TLS,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Implementations SHOULD use modern TLS configurations (TLS 1.3+ recommended) with strong cipher suites",
        deferred=TLS,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD enforce HSTS (HTTP Strict Transport Security) headers when using HTTP-based bindings",
        deferred=TLS,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Implementations SHOULD disable support for deprecated SSL/TLS versions (SSLv3, TLS 1.0, TLS 1.1)",
        deferred=TLS,
    ),
    Requirement(SECTION, "MUST", "Agents MUST validate all input parameters before processing", tests=FIELDS),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD implement appropriate limits on message sizes, file sizes, and request complexity",
        tests=tests_of("tests/protocol/a2a/test_bad_input.py", "test_what_is_too_large_is_refused_before_any_work")
        + tests_of(TASKS, "test_a_message_refers_to_a_few_tasks_at_most"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD sanitize or validate file content types and reject unexpected media types",
        tests=TYPES,
    ),
    Requirement(
        SECTION,
        "MUST",
        "API keys, tokens, and other credentials MUST be treated as secrets",
        tests=tests_of(KEYS, "test_no_secret_is_stored")
        + tests_of("tests/unit/identity/test_authenticating.py", "test_credentials_never_show_themselves"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Credentials SHOULD be rotated periodically",
        deferred="A duty of whoever has the credential; keys may have an end, and a name may have several keys.",
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Credentials SHOULD be transmitted only over encrypted connections",
        deferred=TLS,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD implement credential revocation mechanisms",
        tests=tests_of(AUDIT, "test_a_key_is_in_force_and_then_revoked_on_every_replica"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD log authentication failures and implement rate limiting to prevent brute-force attacks",
        tests=tests_of(AUDIT, "test_the_use_of_a_key_is_audited_once_a_minute_and_refusals_are_counted"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD log security-relevant events (authentication failures, authorization denials, suspicious "
        "requests)",
        tests=tests_of(AUDIT, "test_a_refusal_for_lack_of_scopes_is_audited_with_them"),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD implement monitoring for unusual patterns (rapid task creation, excessive cancellations)",
        deferred="The metrics count calls, ends and refusals; alerts are the operator's (docs/observability.md).",
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD provide audit trails for sensitive operations",
        tests=tests_of(AUDIT, "test_cancels_and_answers_are_audited_with_who_did_them"),
    ),
    Requirement(
        SECTION,
        "MUST NOT",
        "Logs MUST NOT include sensitive information (credentials, personal data) unless required and properly "
        "protected",
        tests=tests_of("tests/unit/identity/test_authenticating.py", "test_credentials_never_show_themselves"),
    ),
    Requirement(SECTION, "SHOULD", "Agents SHOULD implement rate limiting on all operations", tests=COUNTED),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD return appropriate error responses when rate limits are exceeded",
        tests=COUNTED,
    ),
    Requirement(
        SECTION,
        "MUST",
        "Agents MUST comply with applicable data protection regulations",
        deferred=OPERATED,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD provide mechanisms for users to request deletion of their data",
        deferred=OPERATED,
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD implement appropriate data retention policies",
        tests=tests_of(
            RETENTION,
            "test_every_table_beside_tasks_is_known_to_retention",
            "test_a_table_with_a_task_id_is_emptied_with_its_task",
        ),
    ),
    Requirement(
        SECTION,
        "SHOULD",
        "Agents SHOULD minimize logging of sensitive or personal information",
        tests=tests_of(
            "tests/integration/telemetry/test_log_of_requests.py", "test_at_info_nothing_is_logged_for_a_call"
        ),
    ),
    Requirement(
        MEDIA_TYPE,
        "MUST",
        "Binary (UTF-8 encoding MUST be used for JSON text)",
        tests=tests_of("tests/protocol/a2a/test_bad_input.py", "test_what_is_no_json_is_a_parse_error"),
    ),
    Requirement(
        MEDIA_TYPE,
        "MUST",
        "Content MUST be validated against the A2A protocol schema before processing",
        tests=FIELDS,
    ),
    Requirement(
        MEDIA_TYPE,
        "MUST",
        "Implementations MUST sanitize user-provided content to prevent injection attacks",
        # It travels as JSON from end to end, and is put into no statement and no page; terminals get it escaped.
        tests=tests_of("tests/protocol/a2a/test_bad_input.py", "test_a_name_that_cannot_be_stored_is_refused")
        + tests_of("tests/protocol/a2a/test_push_configs.py", "test_a_wrong_configuration_is_refused_by_its_member")
        + tests_of(
            "tests/unit/cli/test_a2a_agents.py",
            "test_chunks_are_appended_and_replaced_and_the_state_is_the_exit_code",
        ),
    ),
    Requirement(
        MEDIA_TYPE,
        "MUST",
        "File references within A2A messages MUST be validated to prevent server-side request forgery (SSRF)",
        tests=tests_of("tests/protocol/a2a/test_tasks.py", "test_the_url_of_a_file_is_handed_on_and_never_fetched"),
    ),
    Requirement(
        MEDIA_TYPE,
        "MUST",
        "Authentication and authorization MUST be enforced as specified in Section 7 of the A2A specification",
        tests=tests_of(
            "tests/protocol/a2a/test_isolation.py", "test_a_method_admits_whom_its_need_names_and_nobody_else"
        ),
    ),
    Requirement(
        MEDIA_TYPE,
        "MUST",
        "Sensitive information in task history and artifacts MUST be protected according to applicable data protection "
        "regulations",
        deferred=OPERATED,
    ),
)
