"""Editing YAML text by its marks: lines as YAML counts them, positions of nodes, values written as YAML (pure).

New values are written with PyYAML, because PyYAML reads them here and in every gateway: a text that it would read as
another type (`on`, `no`, `1:30`, `2024-01-01`, `1_000`) is quoted.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from typing_extensions import override

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

BYTE_ORDER_MARK = "\ufeff"
_LINE = re.compile("[^\r\n\x85\u2028\u2029]*(?:\r\n|[\r\n\x85\u2028\u2029]|$)")
_NUMBER_OF_YAML_1_2 = re.compile(r"[-+]?(?:0o[0-7]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)")
"""Text that YAML 1.2 readers, which others may use for the file, read as numbers."""


class _Dumper(yaml.SafeDumper):
    """Writes every value on as few lines as possible, without anchors."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = not text.isprintable() or _NUMBER_OF_YAML_1_2.fullmatch(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)


def written(value: Any) -> list[str]:
    """A value as lines of block-style YAML, without line ends."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=float("inf")
    )
    return text.removesuffix("...\n").removesuffix("\n").split("\n")


def split_lines(text: str) -> list[str]:
    """The lines with their ends, as YAML's marks count them: CR, NEL, LS and PS also end a line."""
    return [line for line in _LINE.findall(text) if line]


def line_end(text: str) -> str:
    """The end of the first line, which new lines use too."""
    first = _LINE.match(text)
    end = first[0][len(first[0].rstrip("\r\n")) :] if first else ""
    return end or "\n"


def compose(text: str) -> Any:
    """The root node, or None for an empty text. Raises yaml.YAMLError."""
    return yaml.compose(text, Loader=LOADER)


def child(node: Any, name: str) -> Any:
    """The value of a key of a mapping, or None."""
    found = pair(node, name)
    return None if found is None else found[1]


def pair(node: Any, name: str) -> tuple[Any, Any] | None:
    """The key and value nodes with this name in a mapping, or None."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == name:
                return key, value
    return None


def is_left_out(node: Any) -> bool:
    """Whether nothing is written where a value could be, except perhaps an anchor or a tag."""
    return isinstance(node, yaml.ScalarNode) and not node.value and node.style in (None, "")


def column_of_dashes(text: str, node: yaml.SequenceNode) -> int:
    """The column of a block list's dashes. An anchor or a tag of the list may stand on the line of its key."""
    lines = split_lines(text)
    first = node.start_mark
    if lines[first.line][first.column] == "-":
        return int(first.column)
    dashed = next(line for line in lines[first.line + 1 :] if line.lstrip(" ").startswith("-"))
    return len(dashed) - len(dashed.lstrip(" "))


def last_line(node: Any) -> int:
    """A node's last line with content. Comments after it belong to the next node."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return max(last_line(part) for each in node.value for part in each)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return max(last_line(part) for part in node.value)
    line, column = int(node.end_mark.line), int(node.end_mark.column)
    return line - 1 if column == 0 and line > node.start_mark.line else line


def replaced(text: str, node: Any, value: Any) -> str:
    """The text with another value in place of the node. The rest of its last line stays."""
    lines = split_lines(text)
    start, end = node.start_mark, node.end_mark
    rest = lines[end.line][end.column :] if end.line < len(lines) else ""
    return "".join(
        [
            *lines[: start.line],
            *_laid_out(written(value), lines[start.line][: start.column], rest or line_end(text), line_end(text)),
            *lines[end.line + 1 :],
        ]
    )


def with_fields(text: str, node: yaml.MappingNode, fields: Mapping[str, Any]) -> str:
    """The text with these fields of a block mapping set. The lines of an existing field are replaced (a comment after
    its value stays); new fields follow the last one. No other line changes."""
    lines, end = split_lines(text), line_end(text)
    edits = []
    after = last_line(node) + 1
    column = node.value[0][0].start_mark.column
    for name, value in fields.items():
        new = written({name: value})
        found = pair(node, name)
        if found is None:
            edits.append((after, after, _laid_out(new, " " * column, end, end)))
        else:
            key, old = found
            first, last = key.start_mark.line, last_line(old)
            comment = _comment_behind(lines[last], old) if last == old.start_mark.line == first else ""
            laid = _laid_out([new[0] + comment, *new[1:]], lines[first][: key.start_mark.column], end, end)
            edits.append((first, last + 1, laid))
    if after <= len(lines) and not _ended(lines[after - 1]):
        lines[after - 1] += end
    # Applied from the end, so that earlier positions stay valid; several at the same position stay in order.
    edits.sort(key=lambda edit: edit[0])
    for first, behind, new in reversed(edits):
        lines[first:behind] = new
    return "".join(lines)


def _laid_out(new: list[str], prefix: str, rest: str, end: str) -> list[str]:
    """New lines at a column: `prefix` goes before the first one, `rest` after the last one."""
    pad = " " * len(prefix)
    placed = [prefix + new[0], *(pad + line for line in new[1:])]
    return [*(line + end for line in placed[:-1]), placed[-1] + (rest if rest.strip() else end)]


def _comment_behind(line: str, node: Any) -> str:
    behind = line[node.end_mark.column :] if node.end_mark.column else ""
    return behind.rstrip() if behind.lstrip().startswith("#") else ""


def _ended(line: str) -> bool:
    return line.endswith(("\r", "\n", "\x85", "\u2028", "\u2029"))


def appended(text: str, at: int, value: Any, column: int) -> str:
    """The text with a value inserted as separate lines before line `at`."""
    lines, end = split_lines(text), line_end(text)
    if lines[at - 1 : at] and not _ended(lines[at - 1]):
        lines[at - 1] += end
    return "".join([*lines[:at], *_laid_out(written(value), " " * column, end, end), *lines[at:]])
