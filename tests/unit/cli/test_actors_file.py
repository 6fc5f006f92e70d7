"""actors.yaml: which handler runs behind which actor."""

from pathlib import Path

import pytest

from asya_cli.dev.actors_file import grouped_by_environment, load_actors
from asya_cli.errors import UsageProblem


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
        ("actors: [{name: a, handler: h.f, env: {X: 1}}]", "actor a.env.X: expected text; quote it"),
        ("actors:\n  - name: a\n    handler: h.f\n    handler: h.g", "line 4: actor a.handler: the key occurs twice"),
        ("actors: [{name: a, handler: h.f}, {name: a, handler: h.g}]", "a: named twice"),
        ("actors:\n  - name: a\n   handler: h.f", "line 3: not YAML: while parsing"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageProblem) as caught:
        load_actors(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert complaint in caught.value.message
    assert "\n" not in caught.value.message


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
