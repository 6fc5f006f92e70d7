"""Pages and comments refer only to files in the repository."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = r"(?:\.ci|bench|crds|docs|gateway|manifests|operator|scripts|servers|tests)"
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
PLACE = re.compile(rf"(?<![\w/.:@-])({FOLDERS}/[\w./{{}}*,<>-]*[\w}}>])")
"""A place as prose names it: from the root, with a folder first."""
OTHERS = ("NNNN_name", "<", "*", "...")
"""Words for what the reader puts there."""


def tracked() -> list[Path]:
    """Every file of the repository, new ones among them."""
    words = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def files(*endings: str) -> list[Path]:
    try:
        found = tracked()
    except (OSError, subprocess.CalledProcessError):
        found = [path for path in ROOT.rglob("*") if ".venv" not in path.parts and ".cache" not in path.parts]
    return sorted(path for path in found if path.suffix in endings and path.is_file())


def expanded(place: str) -> list[str]:
    """`a/{b,c}.py` are two places."""
    match = re.match(r"(.*)\{([^}]*)\}(.*)", place)
    if match is None:
        return [place]
    return [match[1] + part + match[3] for part in match[2].split(",")]


def test_links_of_a_page_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in files(".md")
        for link in LINK.findall(page.read_text())
        if "://" not in link and not link.startswith("mailto:") and not (page.parent / link).exists()
    ]
    assert broken == []


def exists(place: str) -> bool:
    return (ROOT / place).exists() or (ROOT / f"{place}.py").exists()


def test_places_that_a_file_names_exist() -> None:
    broken = [
        f"{file.relative_to(ROOT)}: {place}"
        for file in files(".md", ".py", ".toml", ".sql")
        for found in PLACE.findall(file.read_text())
        for place in expanded(found)
        if not any(word in place for word in OTHERS) and not exists(place)
    ]
    assert broken == []


def test_no_file_cites_a_document_that_only_its_authors_had() -> None:
    cited = re.compile(r"\b(?:semantics|wire)\.md\b|\"\"\"(?:notes|semantics)\b|\bAPI seed\b|\bSeed[,:]")
    found = [
        f"{file.relative_to(ROOT)}: {words}"
        for file in files(".md", ".py", ".sql")
        if file != Path(__file__)
        for words in cited.findall(file.read_text())
    ]
    assert found == []
