"""What a caller may do with flows and tasks: the one place that decides it for every protocol."""

from asya_crds.flow import Flow
from asya_gateway.domain.identity.faults import Denied
from asya_gateway.domain.identity.principals import ANONYMOUS, Caller, OpenCaller, Principal
from asya_gateway.domain.identity.scopes import INVOKE_SCOPE, READ_SCOPE, Flows, TaskVerb

EVERY = Flows(every=True)


def sees(caller: Caller, flow: Flow) -> bool:
    """Whether the flow exists for this caller."""
    if isinstance(caller, OpenCaller):
        return True
    # Nobody can ask an anonymous caller for more scopes.
    return flow.name in caller.rights.reads and not (caller is ANONYMOUS and flow.scopes)


def may_invoke(caller: Caller, flow: Flow) -> bool:
    """Whether the caller may call a flow that it sees."""
    if isinstance(caller, OpenCaller):
        return True
    rights = caller.rights
    return flow.name in rights.invokes and (not flow.scopes or rights.scopes.issuperset(flow.scopes))


def check_invoke(caller: Caller, flow: Flow) -> None:
    """Refuse a call of a flow that the caller sees. Raises Denied with every scope that the call needs."""
    if isinstance(caller, Principal) and not may_invoke(caller, flow):
        raise Denied(f"flow '{flow.name}'", {INVOKE_SCOPE, *flow.scopes}, caller.rights.scopes)


def readable(caller: Caller) -> Flows:
    """The flows whose tasks of its own the caller may read."""
    return caller.rights.reads if isinstance(caller, Principal) else EVERY


def problems_shown(caller: Caller) -> Flows:
    """The flows of whose mistakes the caller is told. Nobody knows which scopes a flow with a mistake would require, so
    an anonymous caller is told of none."""
    return Flows() if caller is ANONYMOUS else readable(caller)


def reaches_others(caller: Caller, verb: TaskVerb) -> Flows:
    """The flows of whose tasks the caller reaches everybody's."""
    return caller.rights.tasks[verb] if isinstance(caller, Principal) else Flows()


def needed_for_own(verb: TaskVerb) -> str:
    """The scope without which a caller may not do this to its own tasks."""
    return READ_SCOPE if verb is TaskVerb.READ else INVOKE_SCOPE
