"""Push notifications (sections 3.1.7 to 3.1.10, 4.3, 13.2)."""

from tests.support.requirements import Requirement, tests_of

SPECIFICATION = "v1.0.1/specification"
SECURITY = f"{SPECIFICATION}#132-push-notification-security"
CONFIGS = "tests/protocol/a2a/test_push_configs.py"
DELIVERY = "tests/integration/channels/test_push.py"
FAULTS = "tests/faults/test_push.py"

REQUIREMENTS = (
    Requirement(
        f"{SPECIFICATION}#334-capability-validation",
        "MUST",
        "If AgentCard.capabilities.pushNotifications is false or not present, operations related to push notification "
        "configuration (Create, Get, List, Delete) MUST return PushNotificationNotSupportedError.",
        tests=tests_of(CONFIGS, "test_without_push_notifications_every_method_says_so"),
    ),
    Requirement(
        f"{SPECIFICATION}#317-create-push-notification-config",
        "MUST",
        "The operation MUST establish a webhook endpoint for task update notifications.",
        tests=tests_of(DELIVERY, "test_a_receiver_of_1_0_gets_each_change_once_and_in_order"),
    ),
    Requirement(
        f"{SPECIFICATION}#317-create-push-notification-config",
        "MUST",
        "The configuration MUST persist until task completion or explicit deletion.",
        tests=tests_of(CONFIGS, "test_a_configuration_lives_its_life_in_1_0"),
    ),
    Requirement(
        f"{SPECIFICATION}#318-get-push-notification-config",
        "MUST",
        "The operation MUST return configuration details including webhook URL and notification settings.",
        tests=tests_of(CONFIGS, "test_a_configuration_lives_its_life_in_1_0"),
    ),
    Requirement(
        f"{SPECIFICATION}#318-get-push-notification-config",
        "MUST",
        "The operation MUST fail if the configuration does not exist or the client lacks access.",
        tests=tests_of(
            CONFIGS,
            "test_a_configuration_lives_its_life_in_1_0",
            "test_a_foreign_configuration_is_answered_as_one_of_an_unknown_task",
        ),
    ),
    Requirement(
        f"{SPECIFICATION}#319-list-push-notification-configs",
        "MUST",
        "The operation MUST return all active push notification configurations for the specified task and MAY support "
        "pagination for tasks with many configurations.",
        tests=tests_of(CONFIGS, "test_a_list_has_pages"),
    ),
    Requirement(
        f"{SPECIFICATION}#3110-delete-push-notification-config",
        "MUST",
        "The operation MUST permanently remove the specified push notification configuration.",
        tests=tests_of(DELIVERY, "test_what_is_removed_gets_nothing_more"),
    ),
    Requirement(
        f"{SPECIFICATION}#3110-delete-push-notification-config",
        "MUST",
        "This operation MUST be idempotent - multiple deletions of the same config have the same effect.",
        tests=tests_of(CONFIGS, "test_a_configuration_lives_its_life_in_1_0"),
    ),
    Requirement(
        f"{SPECIFICATION}#433-push-notification-payload",
        "MUST",
        "The agent MUST include authentication credentials in the request headers as specified in the "
        "PushNotificationConfig.authentication field.",
        tests=tests_of(DELIVERY, "test_a_receiver_of_1_0_gets_each_change_once_and_in_order"),
    ),
    Requirement(
        f"{SPECIFICATION}#433-push-notification-payload",
        "MUST",
        "Agents MUST attempt delivery at least once for each configured webhook",
        tests=tests_of(FAULTS, "test_what_a_killed_replica_was_pushing_is_pushed_by_the_other_one"),
    ),
    Requirement(
        f"{SPECIFICATION}#433-push-notification-payload",
        "SHOULD",
        "Agents SHOULD include a reasonable timeout for webhook requests (recommended: 10-30 seconds)",
        tests=tests_of(DELIVERY, "test_a_receiver_that_hangs_is_given_up_and_delays_no_other"),
    ),
    Requirement(
        SECURITY,
        "MUST",
        "Agents MUST include authentication credentials in webhook requests as specified in "
        "PushNotificationConfig.authentication",
        tests=tests_of(DELIVERY, "test_a_receiver_of_1_0_gets_each_change_once_and_in_order"),
    ),
    Requirement(
        SECURITY,
        "SHOULD",
        "Agents SHOULD implement reasonable timeout values for webhook requests (recommended: 10-30 seconds)",
        tests=tests_of(DELIVERY, "test_a_receiver_that_hangs_is_given_up_and_delays_no_other"),
    ),
    Requirement(
        SECURITY,
        "SHOULD",
        "Agents SHOULD implement retry logic with exponential backoff for failed deliveries",
        tests=tests_of(DELIVERY, "test_what_fails_is_repeated_later_each_time_and_nothing_overtakes_it"),
    ),
    Requirement(
        SECURITY,
        "SHOULD",
        "Agents SHOULD validate webhook URLs to prevent SSRF (Server-Side Request Forgery) attacks:",
        tests=tests_of(CONFIGS, "test_a_wrong_configuration_is_refused_by_its_member"),
    ),
    Requirement(
        SECURITY,
        "SHOULD",
        "Webhook URLs SHOULD use HTTPS to protect payload confidentiality in transit",
        tests=tests_of(CONFIGS, "test_a_wrong_configuration_is_refused_by_its_member"),
    ),
    Requirement(
        SECURITY,
        "SHOULD",
        "Authentication tokens in PushNotificationConfig SHOULD be treated as secrets and rotated periodically",
        tests=tests_of(CONFIGS, "test_secrets_are_sealed_in_the_table", "test_a_configuration_lives_its_life_in_1_0"),
    ),
    Requirement(
        SECURITY,
        "SHOULD",
        "Agents SHOULD securely store push notification configurations and credentials",
        tests=tests_of(CONFIGS, "test_secrets_are_sealed_in_the_table"),
    ),
)
