"""actors.yaml: which handler runs behind which actor."""

from pathlib import Path

import pytest

from asya_actor.resiliency import RetryPolicy, RetryRule, RetryRules
from asya_cli.dev.actors_file import grouped_by_environment, load_actors
from asya_cli.dev.child import _settings_of, worker_of
from asya_cli.dev.handlers import spec_of
from asya_cli.errors import UsageProblem

RESILIENT = "actors:\n  - name: a\n    handler: h.f\n    resiliency: "


def write(folder: Path, text: str) -> Path:
    """An actors.yaml of this text."""
    path = folder / "actors.yaml"
    path.write_text(text)
    return path


def test_an_actor_has_a_name_and_a_handler(tmp_path: Path) -> None:
    path = write(tmp_path, "actors:\n  - {name: clean, handler: handlers.clean, env: {LANG: C}}\n")
    (actor,) = load_actors(path)
    assert (actor.name, actor.handler, actor.env, actor.resiliency) == ("clean", "handlers.clean", {"LANG": "C"}, None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "actors.yaml: expected `actors: [{name, handler}]`"),
        ("actors: 5", "line 1: actors: expected a list"),
        ("actors: [{name: a}]", "line 1: actor a.handler: required field is missing"),
        ("actors: [{handler: h.f}]", "actors.0.name: required field is missing"),
        ("actors: [{name: a, handler: nodots}]", "actor a.handler: expected module.function"),
        ("actors: [{name: a, handler: a.1b}]", "actor a.handler: expected module.function"),
        ("actors: [{name: A_B, handler: h.f}]", "actor A_B.name: expected an actor name"),
        ("actors: [{name: x-sink, handler: h.f}]", "actor x-sink.name: x-sink is an actor of the crew"),
        ("actors:\n  - name: a\n    handlr: h.f", "line 3: actor a.handlr: unknown field (did you mean handler?)"),
        ("actor: []", "actor: unknown field (did you mean actors?)"),
        (
            "actors:\n  - name: a\n    handler: h.f\n    concurrency: 4",
            "line 4: actor a.concurrency: unknown field (expected name, handler, resiliency, env)",
        ),
        ("actors: [{name: a, handler: h.f, env: {X: 1}}]", "actor a.env.X: expected text; quote it"),
        ("actors:\n  - name: a\n    handler: h.f\n    handler: h.g", "line 4: actor a.handler: the key occurs twice"),
        ("actors: [{name: a, handler: h.f}, {name: a, handler: h.g}]", "a: named twice"),
        ("actors:\n  - name: a\n   handler: h.f", "line 3: not YAML: while parsing"),
        (RESILIENT + "{actorTimout: 3s}", "line 4: actor a.resiliency.actorTimout: unknown field (did you mean actor"),
        (RESILIENT + "{actorTimeout: soon}", "line 4: actor a.resiliency.actorTimeout: expected a duration such as"),
        (
            RESILIENT + "\n      policies:\n        default:\n          maxAttempts: three\n          backof: x",
            "line 7: actor a.resiliency.policies.default.maxAttempts: expected a whole number; "
            "line 8: actor a.resiliency.policies.default.backof: unknown field (did you mean backoff?)",
        ),
        (
            RESILIENT + "{policies: {p: {backoff: cubic}}}",
            "actor a.resiliency.policies.p.backoff: expected 'constant', 'linear' or 'exponential'",
        ),
        (RESILIENT + "{policies: {p: {maxAttempts: 0}}}", "a.resiliency.policies.p.maxAttempts: expected at least 1"),
        (RESILIENT + "{policies: []}", "line 4: actor a.resiliency.policies: expected an object"),
        (
            RESILIENT + "\n      policies: {p: {}}\n      rules:\n        - {errors: [E], policy: q}",
            "line 7: actor a.resiliency.rules.0.policy: no policy has this name",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageProblem) as caught:
        load_actors(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert complaint in caught.value.message
    assert "\n" not in caught.value.message


def test_resiliency_reaches_the_worker_as_it_was_written(tmp_path: Path) -> None:
    block = (
        "{actorTimeout: 1m, policies: {net: {maxAttempts: 4, initialDelay: 2s}}, rules: [{errors: [E], policy: net}]}"
    )
    (actor,) = load_actors(write(tmp_path, RESILIENT + block))
    settings = worker_of(spec_of(actor))
    assert settings.resiliency_actor_timeout == 60.0
    assert settings.resiliency == RetryRules({"net": RetryPolicy(4, initial_delay=2.0)}, [RetryRule(("E",), "net")])


@pytest.mark.parametrize("block", ["", "{policies: , rules: }", "{policies: {}}"])
def test_an_empty_resiliency_is_none(tmp_path: Path, block: str) -> None:
    (actor,) = load_actors(write(tmp_path, RESILIENT + block))
    assert worker_of(spec_of(actor)).resiliency == RetryRules({})


def test_resiliency_that_the_file_leaves_out_is_that_of_the_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYA_RESILIENCY_POLICIES", '{"net": {"maxAttempts": 4}}')
    monkeypatch.setenv("ASYA_RESILIENCY_RULES", '[{"errors": ["E"], "policy": "net"}]')
    (plain,) = load_actors(write(tmp_path, "actors:\n  - {name: a, handler: h.f}"))
    assert worker_of(spec_of(plain)).resiliency == RetryRules({"net": RetryPolicy(4)}, [RetryRule(("E",), "net")])
    (own,) = load_actors(write(tmp_path, RESILIENT + "{policies: {default: {maxAttempts: 2}}}"))
    assert worker_of(spec_of(own)).resiliency == RetryRules({"default": RetryPolicy(2)}, [])


def test_processes_that_an_actor_does_not_get_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (actor,) = load_actors(write(tmp_path, "actors:\n  - {name: a, handler: h.f}"))
    assert _settings_of(spec_of(actor)) is not None
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("ASYA_ACTOR_PROCESSES", "2")
    assert _settings_of(spec_of(actor)) is not None
    assert capsys.readouterr().out == "actor a: ASYA_ACTOR_PROCESSES has no effect here: it runs in one process\n"


def test_a_missing_file_is_told_with_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no such file; it names the handlers"):
        load_actors(tmp_path / "actors.yaml")


def test_only_actors_with_equal_variables_share_a_process(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        actors:
          - {name: a, handler: h.f}
          - {name: b, handler: h.f, env: {MODEL: small, X: "1"}}
          - {name: c, handler: h.f, env: {X: "1", MODEL: small}}
          - {name: d, handler: h.f}
        """,
    )
    names = [[actor.name for actor in group] for group in grouped_by_environment(load_actors(path))]
    assert names == [["a", "d"], ["b", "c"]]
