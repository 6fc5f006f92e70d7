"""Inputs in several rounds (multi round-trip requests) of 2026-07-28."""

from tests.support.requirements import Requirement, tests_of

INPUTS = "tests/protocol/mcp/test_inputs.py"
RUNNING = "tests/protocol/mcp/test_inputs_of_running_flows.py"
REQUEST_STATES = "tests/protocol/mcp/test_request_states.py"
SEAL_RING = "tests/unit/identity/test_seal_ring.py"
STATELESS_METHODS = "tests/protocol/mcp/test_stateless_methods.py"
STATELESS_REFUSALS = "tests/protocol/mcp/test_stateless_refusals.py"
TASKS_EXTENSION = "tests/protocol/mcp/test_tasks_extension.py"
UNIT_FORMS = "tests/unit/mcp/test_forms.py"

REQUIREMENTS = (
    Requirement(
        "2026-07-28/basic/patterns/index",
        "MUST NOT",
        "Servers MUST NOT initiate JSON-RPC requests, and clients do not send JSON-RPC responses.",
        tests=tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it")
        + tests_of(STATELESS_REFUSALS, "test_an_invalid_request_is_refused"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr",
        "MUST",
        "Servers MUST send server-to-client requests (such as roots/list, sampling/createMessage, or "
        "elicitation/create) using the MRTR pattern.",
        tests=tests_of(INPUTS, "test_one_round_asks_several_inputs_of_every_kind")
        + tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it")
        + tests_of(
            RUNNING,
            "test_the_answers_of_the_retry_go_to_the_task_and_it_is_waited_for",
            "test_only_a_client_without_tasks_is_asked_so",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#supported-requests",
        "MUST NOT",
        "Servers MUST NOT send InputRequiredResult responses on any other client requests.",
        tests=tests_of(INPUTS, "test_prompts_and_resources_ask_too")
        + tests_of(TASKS_EXTENSION, "test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it")
        + tests_of(STATELESS_METHODS, "test_cacheable_results_say_how_long_and_for_whom")
        + tests_of(RUNNING, "test_flows_as_prompts_and_resources_ask_alike"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST",
        "inputRequests keys are server assigned identifiers and MUST be unique within the scope of the request.",
        tests=tests_of(
            INPUTS,
            "test_one_round_asks_several_inputs_of_every_kind",
            "test_rounds_follow_one_another_and_quote_earlier_answers",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST",
        "inputRequests values are request objects that MUST be one of ElicitRequest, CreateMessageRequest, "
        "or ListRootsRequest",
        tests=tests_of(INPUTS, "test_one_round_asks_several_inputs_of_every_kind"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST",
        "If a client request contains a requestState field, servers MUST treat requestState as an "
        "attacker-controlled input.",
        tests=tests_of(
            INPUTS,
            "TestStates::test_a_changed_state_is_refused",
            "TestStates::test_a_flow_that_asks_nothing_takes_no_state",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST",
        "If requestState influences authorization, resource access, or business logic, servers MUST protect "
        "its integrity (e.g. HMAC or AEAD) and MUST reject state that fails verification.",
        tests=tests_of(INPUTS, "TestStates::test_a_changed_state_is_refused")
        + tests_of(
            SEAL_RING, "test_every_changed_character_is_noticed", "test_only_the_same_keys_about_the_same_thing_open_it"
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "SHOULD",
        "To prevent replay, servers SHOULD include the following inside the integrity-protected "
        "requestState payload and verify each on receipt: … the authenticated principal, rejecting state "
        "presented by a different principal.",
        tests=tests_of(REQUEST_STATES, "test_a_state_of_another_caller_is_refused_and_stays_good_for_its_own")
        + tests_of(RUNNING, "test_a_state_of_another_caller_answers_nothing"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "SHOULD",
        "To prevent replay, servers SHOULD include the following inside the integrity-protected "
        "requestState payload and verify each on receipt: … a short expiry (TTL), rejecting state presented "
        "after it lapses;",
        tests=tests_of(SEAL_RING, "test_its_time_ends")
        + tests_of(INPUTS, "TestStates::test_a_state_is_good_for_five_minutes"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "SHOULD",
        "To prevent replay, servers SHOULD include the following inside the integrity-protected "
        "requestState payload and verify each on receipt: … an identifier for the originating request, e.g. "
        "the method name and a digest of its salient parameters, rejecting state presented on a request "
        "that does not match.",
        tests=tests_of(
            INPUTS,
            "TestStates::test_a_state_is_of_one_flow_and_its_arguments",
            "TestStates::test_a_state_is_of_one_method",
        )
        + tests_of(RUNNING, "test_a_state_is_good_for_its_own_call_only"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST",
        "Servers for which a given requestState must be consumed at most once (e.g., one-time redemptions) "
        "MUST enforce that invariant server-side.",
        tests=tests_of(
            INPUTS,
            "TestStates::test_the_same_retry_twice_makes_one_task",
            "TestStates::test_a_state_that_was_used_cannot_be_used_with_other_answers",
        )
        + tests_of(RUNNING, "test_the_same_retry_twice_answers_once_and_both_wait_for_the_task"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST",
        "Servers MUST include at least one of inputRequests or requestState in every InputRequiredResult response.",
        tests=tests_of(
            INPUTS,
            "test_the_answers_reach_the_flow_under_the_input_key",
            "test_one_round_asks_several_inputs_of_every_kind",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST NOT",
        "Servers MUST NOT send an inputRequests that the client has not declared support for in its capabilities.",
        tests=tests_of(
            INPUTS,
            "test_only_inputs_whose_capability_is_declared_are_asked",
            "test_every_capability_is_of_its_own_request",
        )
        + tests_of(TASKS_EXTENSION, "test_a_client_without_forms_is_told_where_the_answer_goes"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST NOT",
        "Servers MUST NOT assume that clients will fulfill the inputRequests or retry the original request.",
        tests=tests_of(
            INPUTS, "test_the_answers_reach_the_flow_under_the_input_key", "TestStates::test_a_changed_state_is_refused"
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MAY",
        "Servers MAY choose to return an InputRequiredResult on multiple attempts at the same request if "
        "they want to repeatedly prompt the user",
        tests=tests_of(
            INPUTS,
            "test_rounds_follow_one_another_and_quote_earlier_answers",
            "test_a_declined_input_may_be_asked_again_but_not_for_ever",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#server-requirements-basic-workflow",
        "MUST NOT",
        "For example, if a client does not declare support for elicitation, the server MUST NOT include any "
        "elicitation/create requests in the inputRequests field.",
        tests=tests_of(INPUTS, "test_only_inputs_whose_capability_is_declared_are_asked")
        + tests_of(UNIT_FORMS, "TestForms::test_only_what_the_client_has_declared_is_asked"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#error-handling",
        "SHOULD",
        "Servers SHOULD validate that the data provided by the client is a valid InputResponses object and "
        "that the information inside can be correctly parsed.",
        tests=tests_of(
            INPUTS,
            "test_a_response_of_the_wrong_type_is_refused_with_its_name",
            "test_content_that_breaks_the_form_is_asked_again_with_the_reason",
        )
        + tests_of(TASKS_EXTENSION, "test_a_response_of_the_wrong_type_is_never_accepted")
        + tests_of(
            RUNNING,
            "test_a_response_of_the_wrong_type_changes_nothing",
            "test_content_that_breaks_the_form_is_asked_again_with_the_reason",
        ),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#error-handling",
        "SHOULD",
        "Protocol errors (malformed JSON, invalid schema, internal server errors) SHOULD return a JSON-RPC "
        "error response with an appropriate error code and message.",
        tests=tests_of(INPUTS, "test_a_response_of_the_wrong_type_is_refused_with_its_name")
        + tests_of(TASKS_EXTENSION, "test_responses_that_are_no_object_are_invalid"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#error-handling",
        "SHOULD",
        "If additional, unexpected parameters are provided in the InputResponses object, the server SHOULD "
        "ignore any information it does not recognize or need.",
        tests=tests_of(INPUTS, "test_the_first_request_may_bring_responses_and_unknown_keys_are_ignored"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#error-handling",
        "SHOULD",
        "If the client fails to send all the information requested in a previous InputRequests, and the "
        "missing information is necessary for the server to process the request, the server SHOULD respond "
        "with a new InputRequiredResult requesting the missing information again, rather than returning an "
        "error.",
        tests=tests_of(INPUTS, "test_missing_responses_are_asked_again_and_given_ones_are_kept"),
    ),
    Requirement(
        "2026-07-28/basic/patterns/mrtr#security-considerations",
        "MUST",
        "Servers MUST validate request state as described in the server requirements above.",
        tests=tests_of(
            INPUTS,
            "TestStates::test_a_changed_state_is_refused",
            "TestStates::test_a_state_is_of_one_flow_and_its_arguments",
        )
        + tests_of(REQUEST_STATES, "test_a_state_of_another_caller_is_refused_and_stays_good_for_its_own"),
    ),
)
