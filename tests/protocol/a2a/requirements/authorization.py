"""Who may do what (sections 7, 13.1)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
SCOPING = f"{SPECIFICATION}#131-data-access-and-authorization-scoping"
IN_TASK = f"{SPECIFICATION}#761-in-task-authorization-agent-responsibilities"
AUTHORIZING = "tests/protocol/a2a/test_authorizing.py"
ISOLATION = "tests/protocol/a2a/test_isolation.py"
ADMITTED = tests_of(ISOLATION, "test_a_method_admits_whom_its_need_names_and_nobody_else")
FOREIGN = tests_of(ISOLATION, "test_a_foreign_task_is_answered_as_an_unknown_one")
ASKS = tests_of(AUTHORIZING, "test_a_blocking_send_returns_when_the_task_asks_to_sign_in")
STAYS = tests_of(AUTHORIZING, "test_a_stream_stays_open_while_its_reader_signs_in")
TLS = "TLS ends before the gateway; its public origin is a setting of the deployment."
LISTS = tests_of(ISOLATION, "test_a_list_shows_and_counts_its_callers_tasks_only")

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#71-protocol-security",
        "MUST",
        "Production deployments MUST use encrypted communication (HTTPS for HTTP-based bindings, TLS for gRPC).",
        deferred=TLS,
    ),
    Requirement(
        f"{SPECIFICATION}#71-protocol-security",
        "SHOULD",
        "Implementations SHOULD use modern TLS configurations (TLS 1.3+ recommended) with strong cipher suites.",
        deferred=TLS,
    ),
    Requirement(
        f"{SPECIFICATION}#74-server-authentication-responsibilities",
        "MUST",
        "MUST authenticate every incoming request based on the provided credentials and its declared authentication "
        "requirements.",
        tests=ADMITTED,
    ),
    Requirement(
        f"{SPECIFICATION}#74-server-authentication-responsibilities",
        "SHOULD",
        "SHOULD use appropriate binding-specific error codes for authentication challenges or rejections.",
        tests=ADMITTED,
    ),
    Requirement(
        f"{SPECIFICATION}#74-server-authentication-responsibilities",
        "SHOULD",
        "SHOULD provide relevant authentication challenge information with error responses.",
        tests=ADMITTED,
    ),
    Requirement(IN_TASK, "MUST", "MUST use a Task to track the operation it is performing", tests=ASKS),
    Requirement(IN_TASK, "MUST", "MUST transition the TaskState to TASK_STATE_AUTH_REQUIRED", tests=ASKS),
    Requirement(
        IN_TASK,
        "MUST",
        "MUST include a TaskStatus message explaining the required authorization, unless the details of the "
        "authorization have been negotiated out-of-band or via an extension",
        tests=ASKS,
    ),
    Requirement(
        IN_TASK,
        "MUST",
        "Agents MUST arrange to receive credentials via an out-of-band means, unless an in-band mechanism has been "
        "negotiated out-of-band or via an extension.",
        tests=ASKS,
    ),
    Requirement(
        IN_TASK,
        "SHOULD",
        "If the credential is received out-of-band, the agent SHOULD maintain any active response streams with the "
        "client after setting the TaskState to TASK_STATE_AUTH_REQUIRED.",
        tests=STAYS,
    ),
    Requirement(
        IN_TASK,
        "SHOULD",
        "Agents SHOULD support receiving messages directed to the Task while the Task remains in "
        "TASK_STATE_AUTH_REQUIRED.",
        tests=STAYS,
    ),
    Requirement(
        f"{SPECIFICATION}#763-in-task-authorization-security-considerations",
        "SHOULD",
        "Agents SHOULD receive credentials for in-task authorization requests out of band via a secure channel, "
        "such as HTTPS.",
        deferred="The URL at which a person signs in is the actor's own.",
    ),
    Requirement(
        "latest/specification#764-in-task-authorization-scope",
        "MUST NOT",
        "Agents MUST NOT treat the TASK_STATE_AUTH_REQUIRED state transition, by itself, as authorization for any "
        "particular operation.",
        tests=tests_of(AUTHORIZING, "test_asking_to_sign_in_permits_nothing_by_itself"),
    ),
    Requirement(
        SCOPING,
        "MUST",
        "Implementations MUST ensure appropriate scope limitation based on the authenticated caller's authorization "
        "boundaries.",
        tests=FOREIGN,
    ),
    Requirement(
        SCOPING,
        "MUST",
        "Servers MUST implement authorization checks on every A2A Protocol Operations request",
        tests=ADMITTED,
    ),
    Requirement(
        SCOPING,
        "MUST",
        "Implementations MUST scope results to the caller's authorized access boundaries as defined by the agent's "
        "authorization model",
        tests=FOREIGN,
    ),
    Requirement(
        SCOPING,
        "MUST",
        "Even when contextId or other filter parameters are not specified in requests, implementations MUST scope "
        "results to the caller's authorized access boundaries",
        tests=LISTS,
    ),
    Requirement(
        SCOPING,
        "MUST",
        "List Tasks: MUST only return tasks visible to the authenticated client according to the agent's authorization "
        "model",
        tests=LISTS,
    ),
    Requirement(
        SCOPING,
        "MUST",
        "Get Task: MUST verify the authenticated client has access to the requested task according to the agent's "
        "authorization model",
        tests=FOREIGN,
    ),
    Requirement(
        SCOPING,
        "MUST",
        "Task-related operations (Cancel, Subscribe, Push Notification Config): MUST verify the client has appropriate "
        "access rights according to the agent's authorization model",
        tests=FOREIGN,
    ),
    Requirement(
        SCOPING,
        "MUST",
        "Authorization checks MUST occur before any database queries or operations that could leak information "
        "about the existence of resources outside the caller's authorization scope",
        tests=(*FOREIGN, *ADMITTED),
    ),
    Requirement(
        SCOPING,
        "SHOULD",
        "Agents SHOULD document their authorization model and access control policies",
        deferred="docs/identity.md is that document.",
    ),
)
