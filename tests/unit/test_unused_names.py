"""What no program uses is removed: a name that only its own tests use is tested for nothing."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("crds", "gateway", "operator")

OF_OTHERS = {
    "asya_actor/state/files.py:seekable": "of io.RawIOBase",
    "asya_actor/state/folder.py:inode": "of os.DirEntry",
    "asya_actor/state/folder.py:is_junction": "of os.DirEntry",
    "asya_cli/dev/session.py:emit": "of logging.Handler",
    "asya_cli/yaml_splicing.py:ignore_aliases": "of yaml.Dumper",
    "asya_gateway/settings/gateway.py:settings_customise_sources": "of pydantic_settings.BaseSettings",
    "asya_crds/mcp_offers.py:model_post_init": "of pydantic.BaseModel",
    "asya_transports/rabbitmq/wire.py:connection_made": "of asyncio.Protocol",
    "asya_transports/rabbitmq/wire.py:data_received": "of asyncio.Protocol",
    "asya_transports/rabbitmq/wire.py:pause_writing": "of asyncio.Protocol",
    "asya_transports/rabbitmq/wire.py:resume_writing": "of asyncio.Protocol",
}
"""Methods that a library calls."""


FUNCTIONS_AND_CLASSES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
REFERENCE = re.compile(r"[\w.:]+( \| None)?")
"""A name as a text, such as an annotation or what is imported by its path."""
PLAIN = {"property", "cached_property", "classmethod", "staticmethod", "override", "dataclass"}


class Names:
    """What a source defines: functions, classes, methods, and constants of the module. And what it uses: every name
    that is read, imported, or written as a text. What is decorated by another decorator than the plain ones may be used
    by it, and members of classes are parts of messages."""

    def __init__(self, source: str) -> None:
        self.defined: set[str] = set()
        self.used: set[str] = set()
        tree = ast.parse(source)
        for statement in tree.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            self.defined.update(target.id for target in targets if isinstance(target, ast.Name))
        for node in ast.walk(tree):
            self._note(node)
        self.defined = {name for name in self.defined if not (name.startswith("__") and name.endswith("__"))}

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self.used.add(node.id)
        elif isinstance(node, ast.Attribute):
            self.used.add(node.attr)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and REFERENCE.fullmatch(node.value):
                self.used.update(re.findall(r"\w+", node.value))
        elif isinstance(node, ast.ImportFrom):
            self.used.update(each.name for each in node.names)
        elif isinstance(node, FUNCTIONS_AND_CLASSES) and decorators(node) <= PLAIN:
            self.defined.add(node.name)


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    return {ast.unparse(each).partition("(")[0] for each in node.decorator_list}


def unused(sources: dict[str, str]) -> set[str]:
    """`file:name` of what is defined in one of these sources, and used in none."""
    found = {file: Names(source) for file, source in sources.items()}
    used = set().union(*(names.used for names in found.values()))
    return {f"{file}:{name}" for file, names in found.items() for name in names.defined - used}


def test_what_is_used_in_no_source_is_found() -> None:
    sources = {
        "a.py": "def one(): ...\ndef two(): ...\nTHREE = 3\nclass Four:\n  def five(self): ...\n  def six(self): ...",
        "b.py": "from a import two\n@command\ndef seven(): ...\n@property\ndef eight(): ...\ngetattr(Four(), 'five')",
    }
    assert unused(sources) == {"a.py:one", "a.py:THREE", "a.py:six", "b.py:eight"}


def test_every_name_of_the_product_is_used_by_the_product() -> None:
    sources = {
        str(file.relative_to(ROOT / package)): file.read_text()
        for package in PACKAGES
        for file in (ROOT / package).glob("asya_*/**/*.py")
    }
    assert len(sources) > 400
    assert unused(sources) == OF_OTHERS.keys()
