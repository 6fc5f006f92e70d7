"""What a server of 2026-07-28 asks its clients: elicitation, sampling and roots."""

from tests.support.requirements import Requirement, tests_of

FLOW_INPUTS = "tests/unit/registry/test_flow_inputs.py"
HTTP_ISSUERS = "tests/integration/http/test_issuers.py"
IDENTITY_MATRIX = "tests/protocol/identity/test_matrix.py"
IDENTITY_TASKS_OVER_MCP = "tests/protocol/identity/test_tasks_over_mcp.py"
INPUTS = "tests/protocol/mcp/test_inputs.py"
OAUTH_WHOLE_GATEWAY = "tests/protocol/oauth/test_whole_gateway.py"
REQUEST_STATES = "tests/protocol/mcp/test_request_states.py"
SEAL_RING = "tests/unit/identity/test_seal_ring.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
UNIT_CAPABILITIES = "tests/unit/mcp/test_capabilities.py"
UNIT_FORMS = "tests/unit/mcp/test_forms.py"
UNIT_INPUT_RESPONSES = "tests/unit/mcp/test_input_responses.py"
UNIT_PAUSES = "tests/unit/domain/test_pauses.py"
UNIT_REQUESTED_SCHEMA = "tests/unit/mcp/test_requested_schema.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/client/elicitation#user-interaction-model",
        "MUST NOT",
        "Servers MUST NOT use form mode elicitation to request sensitive information such as passwords, API "
        "keys, access tokens, or payment credentials",
        tests=tests_of(UNIT_FORMS, "TestUrls::test_an_authorization_is_asked_at_its_url_only"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#user-interaction-model",
        "MUST",
        "Servers MUST use URL mode for interactions involving such sensitive information",
        tests=tests_of(UNIT_FORMS, "TestUrls::test_an_authorization_is_asked_at_its_url_only")
        + tests_of(INPUTS, "test_a_url_is_asked_with_encoded_arguments"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#capabilities",
        "MUST NOT",
        "Servers MUST NOT send elicitation requests with modes that are not supported by the client.",
        tests=tests_of(UNIT_FORMS, "TestForms::test_only_what_the_client_has_declared_is_asked")
        + tests_of(INPUTS, "test_only_inputs_whose_capability_is_declared_are_asked")
        + tests_of(
            TASKS_EXTENSION,
            "test_only_what_the_polling_client_declares_is_asked",
            "test_what_no_form_can_carry_is_asked_by_url_or_named_in_the_text",
        ),
    ),
    Requirement(
        "2026-07-28/client/elicitation#capabilities",
        "STATES",
        "an empty capabilities object is equivalent to declaring support for form mode only:",
        tests=tests_of(UNIT_CAPABILITIES, "test_an_empty_elicitation_capability_means_forms_only"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#elicitation-requests",
        "MUST",
        "All elicitation requests MUST include the following parameters:",
        tests=tests_of(INPUTS, "test_one_round_asks_several_inputs_of_every_kind")
        + tests_of(UNIT_FORMS, "TestForms::test_a_form_without_a_prompt_has_a_message_that_says_what_it_is"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#form-mode-elicitation-requests",
        "MUST",
        'Form mode elicitation requests MUST either specify mode: "form" or omit the mode field, and '
        "include these additional parameters:",
        tests=tests_of(
            INPUTS,
            "test_the_answers_reach_the_flow_under_the_input_key",
            "test_one_round_asks_several_inputs_of_every_kind",
        )
        + tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#requested-schema",
        "STATES",
        "form mode elicitation schemas are limited to flat objects",
        tests=tests_of(
            FLOW_INPUTS, "test_a_form_refuses_what_clients_cannot_show", "test_a_form_takes_what_clients_can_show"
        )
        + tests_of(
            UNIT_REQUESTED_SCHEMA,
            "test_what_no_form_can_ask_is_said",
            "test_a_form_is_one_of_its_revision_and_takes_what_the_schema_takes",
        ),
    ),
    Requirement(
        "2026-07-28/client/elicitation#url-mode-elicitation-requests",
        "MUST",
        'URL mode elicitation requests MUST specify mode: "url", a message, and include these additional parameters:',
        tests=tests_of(INPUTS, "test_a_url_is_asked_with_encoded_arguments"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#url-mode-elicitation-requests",
        "MUST",
        "The url parameter MUST contain a valid URL.",
        tests=tests_of(INPUTS, "test_a_url_is_asked_with_encoded_arguments")
        + tests_of(
            FLOW_INPUTS, "test_a_quoted_value_cannot_leave_its_place_in_a_url", "test_a_mistake_is_told_with_its_place"
        ),
    ),
    Requirement(
        "2026-07-28/client/elicitation#url-mode-elicitation-requests",
        "STATES",
        "It does not mean that the interaction is complete.",
        tests=tests_of(UNIT_INPUT_RESPONSES, "test_going_to_the_pauses_url_is_consent_and_no_answer"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#statefulness",
        "MUST",
        "servers implementing elicitation MUST securely associate this state with individual users",
        tests=tests_of(REQUEST_STATES, "test_a_state_of_another_caller_is_refused_and_stays_good_for_its_own")
        + tests_of(
            IDENTITY_TASKS_OVER_MCP,
            "test_a_foreign_task_of_the_extension_looks_like_none",
            "test_another_caller_changed_nothing",
        ),
    ),
    Requirement(
        "2026-07-28/client/elicitation#statefulness",
        "MUST",
        "State storage MUST be protected against unauthorized access",
        tests=tests_of(SEAL_RING, "test_only_the_same_keys_about_the_same_thing_open_it")
        + tests_of(IDENTITY_TASKS_OVER_MCP, "test_a_foreign_task_of_the_extension_looks_like_none"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#statefulness",
        "MUST",
        "For remote MCP servers, user identification MUST be derived from credentials acquired via MCP "
        "authorization when possible",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_tasks_belong_to_the_client_and_to_no_other")
        + tests_of(IDENTITY_MATRIX, "test_somebody_elses_task_looks_like_none_in_status_body_and_headers"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#url-mode-elicitation-for-oauth-flows",
        "MUST NOT",
        "MCP servers MUST NOT rely on URL mode elicitation to authorize users for themselves.",
        tests=tests_of(OAUTH_WHOLE_GATEWAY, "test_a_client_without_token_learns_where_to_get_one"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#understanding-the-distinction",
        "MUST NOT",
        "The MCP server MUST NOT use the client's credentials for the third-party service:",
        tests=tests_of(HTTP_ISSUERS, "test_an_envelope_names_the_caller_and_the_claims_of_the_setting"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#understanding-the-distinction",
        "MUST NOT",
        "The MCP server MUST NOT transmit credentials obtained through URL mode elicitation to the MCP client.",
        deferred="The gateway obtains none: what happens at a URL stays with the page behind it.",
    ),
    Requirement(
        "2026-07-28/client/elicitation#error-handling",
        "SHOULD NOT",
        "Servers SHOULD NOT assume that elicitation requests will always succeed, and MUST handle cases "
        "where the user declines or cancels the elicitation, or where the client fails to process the "
        "request.",
        tests=tests_of(
            INPUTS,
            "test_a_declined_input_refuses_the_call",
            "test_a_declined_input_may_be_left_to_the_flow",
            "test_a_declined_input_may_be_asked_again_but_not_for_ever",
        )
        + tests_of(TASKS_EXTENSION, "test_a_decline_leaves_the_question_open_for_others")
        + tests_of(UNIT_INPUT_RESPONSES, "test_an_error_in_place_of_a_result_declines"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#security-considerations",
        "MUST",
        "Servers MUST bind elicitation requests to the client and user identity",
        tests=tests_of(REQUEST_STATES, "test_a_state_of_another_caller_is_refused_and_stays_good_for_its_own")
        + tests_of(
            IDENTITY_TASKS_OVER_MCP,
            "test_a_foreign_task_of_the_extension_looks_like_none",
            "test_another_caller_changed_nothing",
        ),
    ),
    Requirement(
        "2026-07-28/client/elicitation#safe-url-handling",
        "MUST NOT",
        "MUST NOT include sensitive information about the end-user … in the URL sent to the client in a URL "
        "elicitation request.",
        deferred="URLs are written by a flow's author; only what it quotes of the arguments is put in, encoded.",
    ),
    Requirement(
        "2026-07-28/client/elicitation#safe-url-handling",
        "MUST NOT",
        "MUST NOT provide a URL which is pre-authenticated to access a protected resource",
        deferred="URLs are written by the author of a flow or given with its pause, and pass unchanged.",
    ),
    Requirement(
        "2026-07-28/client/elicitation#safe-url-handling",
        "SHOULD NOT",
        "SHOULD NOT include URLs intended to be clickable in any field of a form mode elicitation request.",
        tests=tests_of(UNIT_FORMS, "TestForms::test_where_no_url_can_be_offered_a_note_names_the_link"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#safe-url-handling",
        "SHOULD",
        "SHOULD use HTTPS URLs for non-development environments.",
        tests=tests_of(UNIT_PAUSES, "test_a_link_is_https_or_on_this_machine", "test_any_other_link_is_refused"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#identifying-the-user",
        "MUST NOT",
        "Servers MUST NOT rely on client-provided user identification without server verification, as this "
        "can be forged.",
        tests=tests_of(
            OAUTH_WHOLE_GATEWAY, "test_other_tokens_open_nothing", "test_tasks_belong_to_the_client_and_to_no_other"
        ),
    ),
    Requirement(
        "2026-07-28/client/elicitation#form-mode-security",
        "SHOULD",
        "Servers SHOULD validate received data matches the requested schema",
        tests=tests_of(INPUTS, "test_content_that_breaks_the_form_is_asked_again_with_the_reason")
        + tests_of(TASKS_EXTENSION, "test_a_response_of_the_wrong_type_is_never_accepted"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#phishing",
        "MUST",
        "The MCP Server MUST verify the identity of the user who opens the URL before accepting information.",
        # The page behind a URL is the flow's or the answering surface's own. What is answered comes back by the
        # gateway's routes, which ask for the credential of the task's owner.
        tests=tests_of(IDENTITY_MATRIX, "test_somebody_elses_task_looks_like_none_in_status_body_and_headers"),
    ),
    Requirement(
        "2026-07-28/client/elicitation#phishing",
        "MUST",
        "the server MUST ensure that the mechanism to determine the user's identity is resilient to attacks where an "
        "attacker can modify the elicitation URL.",
        deferred="Who opens the URL is found out by the page behind it, which is the flow's own; the gateway takes no "
        "identity from a URL: an answer comes with the credential of its sender.",
    ),
    Requirement(
        "2026-07-28/client/elicitation#phishing",
        "MUST",
        "the server MUST ensure that the user who started the elicitation request … is the same user who "
        "completes the authorization flow.",
        deferred="The page behind a URL is the flow's own, as is the flow of authorization that it leads through.",
    ),
    Requirement(
        "2026-07-28/client/sampling#tools-in-sampling",
        "MUST NOT",
        "Servers MUST NOT send tool-enabled sampling requests to Clients that have not declared support for "
        "tool use via the sampling.tools capability.",
        tests=tests_of(UNIT_INPUT_RESPONSES, "test_tools_and_context_are_for_clients_that_have_declared_them"),
    ),
    Requirement(
        "2026-07-28/client/sampling#capabilities",
        "SHOULD NOT",
        "SHOULD NOT use them unless the client declares sampling.context capability.",
        tests=tests_of(UNIT_INPUT_RESPONSES, "test_tools_and_context_are_for_clients_that_have_declared_them"),
    ),
    Requirement(
        "2026-07-28/client/sampling#messages",
        "MUST",
        'Sampling messages MUST contain a role field of "user" or "assistant"; and a content field '
        "representing the message data.",
        tests=tests_of(FLOW_INPUTS, "test_a_mistake_is_told_with_its_place")
        + tests_of(UNIT_INPUT_RESPONSES, "test_sampling_has_the_content_of_its_revision"),
    ),
    Requirement(
        "2026-07-28/client/sampling#messages",
        "SHOULD NOT",
        "The list of messages in a sampling request SHOULD NOT be retained between separate requests.",
        deferred=(
            "Messages are written by the flow for each request; the gateway adds none, and takes none over into "
            "another. While a request waits for its answer they stand with the pause of its task, and those that were "
            "sent in a session in its log of requests, there for an hour after the request has ended."
        ),
    ),
    Requirement(
        "2026-07-28/client/sampling#tool-result-messages",
        "MUST",
        'When a user message contains tool results (type: "tool_result"), it MUST contain ONLY tool results.',
        tests=tests_of(UNIT_INPUT_RESPONSES, "test_another_order_of_uses_and_results_is_not_sent"),
    ),
    Requirement(
        "2026-07-28/client/sampling#security-considerations",
        "SHOULD",
        "Both parties SHOULD validate message content",
        tests=tests_of(
            UNIT_INPUT_RESPONSES,
            "test_a_value_of_the_wrong_type_is_never_an_answer",
            "test_members_of_another_type_are_not_sent",
        ),
    ),
    Requirement(
        "2026-07-28/client/sampling#security-considerations",
        "MUST",
        "Both parties MUST handle sensitive data appropriately",
        tests=tests_of(IDENTITY_TASKS_OVER_MCP, "test_a_foreign_task_of_the_extension_looks_like_none")
        + tests_of(OAUTH_WHOLE_GATEWAY, "test_no_secret_is_logged_or_stored"),
    ),
    Requirement(
        "2026-07-28/client/sampling#security-considerations",
        "SHOULD",
        "Both parties SHOULD implement iteration limits for tool loops",
        tests=tests_of(INPUTS, "test_a_declined_input_may_be_asked_again_but_not_for_ever"),
    ),
    Requirement(
        "2026-07-28/client/sampling#security-considerations",
        "MUST",
        'Servers MUST ensure that when replying to a stopReason: "toolUse", each ToolUseContent item is '
        "responded to with a ToolResultContent item",
        tests=tests_of(
            UNIT_INPUT_RESPONSES,
            "test_each_use_of_a_tool_is_followed_by_its_result",
            "test_another_order_of_uses_and_results_is_not_sent",
        ),
    ),
    Requirement(
        "2026-07-28/client/roots#security-considerations",
        "SHOULD",
        "Servers SHOULD: … Respect root boundaries during operations … Validate all paths against provided roots",
        deferred="The gateway opens no files; roots are answers that a flow gets.",
    ),
    Requirement(
        "2026-07-28/client/roots#implementation-guidelines",
        "SHOULD",
        "Servers SHOULD: … Check for roots capability before usage",
        tests=tests_of(INPUTS, "test_only_inputs_whose_capability_is_declared_are_asked"),
    ),
)
