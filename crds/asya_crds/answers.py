"""The words of questions and answers, on every wire and in every table."""

from asya_crds.status import OpenWord


class InputMethod(OpenWord):
    """What an input asks, and of whom: the methods of MCP (schema 2026-07-28, InputRequest)."""

    ELICITATION = "elicitation/create"
    """Of the person: by a form, or at a URL."""
    SAMPLING = "sampling/createMessage"
    """Of the client's model."""
    ROOTS = "roots/list"
    """Of the client: its roots."""


class AnswerAction(OpenWord):
    """What became of a question (schema ElicitResult)."""

    ACCEPT = "accept"
    """It was answered."""
    DECLINE = "decline"
    """It was refused."""
    CANCEL = "cancel"
    """It was dismissed without a choice."""
    CONSENT = "consent"
    """The person went to the pause's URL. The answer comes from there, so the question stays open."""


GIVEN = (AnswerAction.ACCEPT, AnswerAction.DECLINE, AnswerAction.CANCEL)
"""What a caller may say. (Consent is only known to a protocol that has asked by URL.)"""


class OnDecline(OpenWord):
    """What a pause does when its question is declined or dismissed."""

    WAIT = "wait"
    """It stays open for every other surface."""
    FAIL = "fail"
    """The task fails."""
    CONTINUE = "continue"
    """The task goes on, and the actor learns the action."""
