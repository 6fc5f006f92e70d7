"""Authorization of 2026-07-28: the gateway as a protected resource, and as an authorization server."""

from tests.support.requirements import Requirement, tests_of

CLIENT_DOCUMENTS = "tests/unit/identity/test_client_documents.py"
CONFORMANCE_CLIENTS = "tests/conformance/test_clients.py"
HTTP_ISSUERS = "tests/integration/http/test_issuers.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
OAUTH_FLOW = "tests/protocol/oauth/test_flow.py"
OAUTH_LOGIN = "tests/protocol/oauth/test_login.py"
OAUTH_REFUSALS = "tests/protocol/oauth/test_refusals.py"
OAUTH_WHOLE_GATEWAY = "tests/protocol/oauth/test_whole_gateway.py"
SCOPES = "tests/unit/domain/identity/test_scopes.py"
TOOL_SETS = "tests/protocol/mcp/test_tool_sets.py"
UNIT_OAUTH_REDIRECT_URIS = "tests/unit/oauth/test_redirect_uris.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/basic/authorization/index#overview",
        "MUST",
        "MCP servers MUST implement OAuth 2.0 Protected Resource Metadata (RFC9728).",
        tests=tests_of(OAUTH_FLOW, "test_the_metadata_of_a_resource")
        + tests_of(OAUTH_WHOLE_GATEWAY, "test_a_client_without_token_learns_where_to_get_one"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#overview",
        "MUST",
        "Authorization servers MUST implement OAuth 2.1 with appropriate security measures for both "
        "confidential and public clients.",
        tests=tests_of(OAUTH_FLOW, "test_the_code_flow", "test_a_client_that_wants_a_secret_has_to_present_it")
        + tests_of(OAUTH_REFUSALS, "TestToken::test_a_public_client_presents_no_secret"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#overview",
        "MUST",
        "MCP authorization servers MUST provide at least one of the following discovery mechanisms:",
        tests=tests_of(OAUTH_FLOW, "test_the_metadata_of_the_server"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/authorization-server-discovery#authorization-server-location",
        "MUST",
        "MCP servers MUST implement the OAuth 2.0 Protected Resource Metadata (RFC9728) specification to "
        "indicate the locations of authorization servers.",
        tests=tests_of(OAUTH_FLOW, "test_the_metadata_of_a_resource"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/authorization-server-discovery#authorization-server-location",
        "MUST",
        "The Protected Resource Metadata document returned by the MCP server MUST include the "
        "authorization_servers field containing at least one authorization server.",
        tests=tests_of(OAUTH_FLOW, "test_the_metadata_of_a_resource")
        + tests_of(HTTP_ISSUERS, "test_clients_are_told_which_issuer_to_ask"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/authorization-server-discovery#protected-resource-metadata-discovery-requirements",
        "MUST",
        "MCP servers MUST implement one of the following discovery mechanisms to provide authorization "
        "server location information to MCP clients:",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_a_client_without_token_learns_where_to_get_one")
        + tests_of(TOOL_SETS, "test_the_challenge_at_a_set_names_the_sets_own_metadata"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#scope-selection-strategy",
        "SHOULD",
        "MCP servers SHOULD include a scope parameter in the WWW-Authenticate header",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY, "test_a_client_without_token_learns_where_to_get_one", "test_scopes_are_enforced"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#authorization-response-validation",
        "SHOULD",
        "MCP authorization servers SHOULD include the iss parameter in authorization responses, including "
        "error responses",
        tests=tests_of(OAUTH_FLOW, "test_the_code_flow")
        + tests_of(OAUTH_REFUSALS, "TestAuthorize::test_other_errors_are_told_to_the_client"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#authorization-response-validation",
        "MUST",
        "Authorization servers that include the iss parameter MUST advertise this by setting "
        "authorization_response_iss_parameter_supported to true in their metadata",
        tests=tests_of(OAUTH_FLOW, "test_the_metadata_of_the_server"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#token-handling",
        "MUST",
        "MCP servers, acting in their role as an OAuth 2.1 resource server, MUST validate access tokens as "
        "described in OAuth 2.1 Section 5.2.",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY, "test_other_tokens_open_nothing", "test_refresh_tokens_and_codes_are_no_access_tokens"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#token-handling",
        "MUST",
        "MCP servers MUST validate that access tokens were issued specifically for them as the intended "
        "audience, according to RFC 8707 Section 2.",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY,
            "test_a_token_for_another_resource_does_not",
            "test_a_token_for_a_tool_set_opens_that_set",
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#token-handling",
        "MUST",
        "If validation fails, servers MUST respond according to OAuth 2.1 Section 5.3 error handling requirements.",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_other_tokens_open_nothing"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#token-handling",
        "MUST",
        "Invalid or expired tokens MUST receive a HTTP 401 response.",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY, "test_other_tokens_open_nothing", "test_a_revoked_token_ends_on_another_pod"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#token-handling",
        "MUST",
        "MCP servers MUST only accept tokens that are valid for use with their own resources.",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_a_token_for_another_resource_does_not"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#token-handling",
        "MUST NOT",
        "MCP servers MUST NOT accept or transit any other tokens.",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY, "test_other_tokens_open_nothing", "test_refresh_tokens_and_codes_are_no_access_tokens"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#error-handling",
        "MUST",
        "Servers MUST return appropriate HTTP status codes for authorization errors:",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY, "test_a_client_without_token_learns_where_to_get_one", "test_scopes_are_enforced"
        )
        + tests_of(OAUTH_REFUSALS, "TestToken::test_a_form_with_a_mistake"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#runtime-insufficient-scope-errors",
        "SHOULD",
        "When a client makes a request with an access token with insufficient scope during runtime "
        "operations, the server SHOULD respond with:",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_scopes_are_enforced"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#runtime-insufficient-scope-errors",
        "SHOULD",
        "When responding with insufficient scope errors, servers SHOULD include the scopes needed to "
        "satisfy the current operation in the scope parameter",
        tests=tests_of(CONFORMANCE_CLIENTS, "test_the_typescript_client_steps_up")
        + tests_of(
            SCOPES, "test_a_flows_own_scopes_are_required_of_its_callers_and_named_together_with_the_others_they_need"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#runtime-insufficient-scope-errors",
        "SHOULD",
        "Whatever scope-inclusion strategy a server adopts, servers SHOULD include all scopes required for "
        "the current operation in a single challenge.",
        tests=tests_of(
            SCOPES, "test_a_flows_own_scopes_are_required_of_its_callers_and_named_together_with_the_others_they_need"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#step-up-authorization-flow",
        "MUST",
        "Servers MUST account for scope hierarchies, where a broader scope implies narrower ones, when "
        "deciding whether a token is sufficient for an operation.",
        tests=tests_of(SCOPES, "test_invoke_includes_read_and_a_star_stands_for_every_flow"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#token-requirements",
        "MUST NOT",
        "Access tokens MUST NOT be included in the URI query string",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_a_token_in_the_url_is_no_token")
        + tests_of(IDENTITY_MATRIX, "test_a_token_in_the_query_is_none"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/index#refresh-tokens",
        "SHOULD NOT",
        "SHOULD NOT include offline_access in WWW-Authenticate scope or Protected Resource Metadata scopes_supported",
        tests=tests_of(OAUTH_FLOW, "test_the_metadata_of_a_resource"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#token-theft",
        "MUST",
        "Clients and servers MUST implement secure token storage and follow OAuth best practices",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_no_secret_is_logged_or_stored"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#token-theft",
        "MUST",
        "For public clients, authorization servers MUST rotate refresh tokens",
        tests=tests_of(OAUTH_FLOW, "test_the_code_flow"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#token-theft",
        "SHOULD",
        "Authorization servers SHOULD issue short-lived access tokens to reduce the impact of leaked tokens.",
        tests=tests_of(OAUTH_FLOW, "test_the_code_flow"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#communication-security",
        "MUST",
        "All authorization server endpoints MUST be served over HTTPS.",
        deferred="TLS ends before the gateway; its public origin is a setting of the deployment.",
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#communication-security",
        "MUST",
        "All redirect URIs MUST be either localhost or use HTTPS.",
        tests=tests_of(
            UNIT_OAUTH_REDIRECT_URIS, "test_others_may_not", "test_no_setting_permits_schemes_that_run_or_show_content"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#authorization-code-protection",
        "MUST",
        "Authorization servers providing OpenID Connect Discovery 1.0 MUST include "
        "code_challenge_methods_supported in their metadata to ensure MCP compatibility.",
        tests=tests_of(OAUTH_FLOW, "test_the_metadata_of_the_server"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#open-redirection",
        "MUST",
        "Authorization servers MUST validate exact redirect URIs against pre-registered values to prevent "
        "redirection attacks.",
        tests=tests_of(OAUTH_REFUSALS, "TestAuthorize::test_without_a_trusted_target_nobody_is_redirected"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#open-redirection",
        "MUST",
        "Authorization servers MUST take precautions to prevent redirecting user agents to untrusted URI's",
        tests=tests_of(OAUTH_REFUSALS, "TestAuthorize::test_without_a_trusted_target_nobody_is_redirected")
        + tests_of(OAUTH_LOGIN, "test_nobody_is_sent_to_a_page_that_nobody_has_checked_before_agreeing_to_it"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#open-redirection",
        "SHOULD",
        "Authorization servers SHOULD only automatically redirect the user agent if it trusts the redirection URI.",
        tests=tests_of(OAUTH_LOGIN, "test_nobody_is_sent_to_a_page_that_nobody_has_checked_before_agreeing_to_it"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#authorization-server-abuse-protection",
        "SHOULD",
        "Authorization servers fetching metadata documents SHOULD consider Server-Side Request Forgery (SSRF) risks",
        tests=tests_of(CONFORMANCE_CLIENTS, "test_a_document_elsewhere_is_not_fetched"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#access-token-privilege-restriction",
        "MUST NOT",
        "The MCP server MUST NOT pass through the token it received from the MCP client.",
        tests=tests_of(HTTP_ISSUERS, "test_an_envelope_names_the_caller_and_the_claims_of_the_setting"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#access-token-privilege-restriction",
        "MUST",
        "MCP servers MUST validate access tokens before processing the request, ensuring the access token "
        "is issued specifically for the MCP server",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY, "test_a_token_for_another_resource_does_not", "test_other_tokens_open_nothing"
        ),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#localhost-redirect-uri-risks",
        "SHOULD",
        "SHOULD display additional warnings for localhost-only redirect URIs",
        tests=tests_of(OAUTH_LOGIN, "test_a_person_is_warned_of_programs_on_the_own_computer"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/security-considerations#localhost-redirect-uri-risks",
        "MUST",
        "MUST clearly display the redirect URI hostname during authorization",
        tests=tests_of(OAUTH_LOGIN, "test_a_person_is_warned_of_programs_on_the_own_computer")
        + tests_of(UNIT_OAUTH_REDIRECT_URIS, "test_a_person_sees_the_host_and_the_scheme_of_an_application"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/client-registration#client-id-metadata-documents",
        "SHOULD",
        "MCP clients and authorization servers SHOULD support OAuth Client ID Metadata Documents",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_the_official_client_is_described_by_a_document")
        + tests_of(CLIENT_DOCUMENTS, "test_a_document_describes_a_client"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/client-registration#implementation-requirements",
        "MUST",
        "MUST validate that the fetched document's client_id matches the URL exactly",
        tests=tests_of(CLIENT_DOCUMENTS, "test_another_document_describes_no_client"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/client-registration#implementation-requirements",
        "SHOULD",
        "SHOULD cache metadata respecting HTTP cache headers",
        tests=tests_of(CLIENT_DOCUMENTS, "test_a_document_is_kept_as_its_host_says_within_a_day"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/client-registration#implementation-requirements",
        "MUST",
        "MUST validate redirect URIs presented in an authorization request against those in the metadata document",
        tests=tests_of(OAUTH_REFUSALS, "TestAuthorize::test_without_a_trusted_target_nobody_is_redirected")
        + tests_of(UNIT_OAUTH_REDIRECT_URIS, "test_other_uris_are_compared_character_by_character"),
    ),
    Requirement(
        "2026-07-28/basic/authorization/client-registration#implementation-requirements",
        "MUST",
        "MUST validate the document structure is valid JSON and contains required fields",
        tests=tests_of(CLIENT_DOCUMENTS, "test_another_document_describes_no_client"),
    ),
)
