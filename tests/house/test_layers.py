"""Imports point down only: the map of ARCHITECTURE.md, kept by a machine."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "kimi_vl"

# From the bottom up; what stands on one line does not import each other.
LAYERS = [
    {"errors"},
    {"config", "media"},
    {"ops", "checkpoint", "processor"},
    {"model"},
    {"engine"},
    {"llm", "bench"},
    {"training"},
    {"evaluation", "planner", "server", "hf"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# Narrower than the order above: these know nothing of one another although they could reach down.
FORBIDDEN = {
    "ops": {"config"},  # plain tensors and numbers
    "processor": {"checkpoint", "ops"},  # knows no network
    "engine": {"processor", "media", "checkpoint"},  # knows token ids, nothing of text
    "evaluation": {"model", "engine", "checkpoint"},  # judges answers, whoever gave them
    "server": {"model", "checkpoint", "ops"},  # depends on a ChatModel, whoever computes it
}


# The same within training/synth: "core" is what lies in the folder itself, but for world.py, which calls on all families.
SYNTH = PACKAGE / "training" / "synth"
SYNTH_LAYERS = [{"wordings"}, {"core"}, {"documents", "pictures"}, {"charts", "screens", "texts", "sources"}, {"clips"}, {"world"}]
SYNTH_LEVEL = {name: level for level, names in enumerate(SYNTH_LAYERS) for name in names}


def own_imports(path: Path) -> list[tuple[int, str, bool]]:
    """(line, top-level module of ours, whether inside a function) of every import of our own package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append((node.lineno, "relative", id(node) in inside))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kimi_vl":
            names = [node.module.split(".")[1]] if "." in node.module else [alias.name for alias in node.names]
            found += [(node.lineno, name, id(node) in inside) for name in names]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, a.name.split(".")[1], id(node) in inside) for a in node.names if a.name.startswith("kimi_vl.")]
    return found


def violations(module: str, imports: list[tuple[int, str, bool]]) -> list[str]:
    """What breaks the rules in one file of the top-level module `module`."""
    problems = []
    for line, target, inside_function in imports:
        if target == module or target == "__version__":
            continue
        if target not in LEVEL:
            problems.append(f"line {line}: {target} is not on the map")
        elif LEVEL[target] >= LEVEL[module]:
            problems.append(f"line {line}: {module} imports {target}, which is not below it")
        elif target in FORBIDDEN.get(module, set()):
            problems.append(f"line {line}: {module} must not know {target}")
        if inside_function and module != "cli":
            problems.append(f"line {line}: an import of our own inside a function hides a cycle")
    return problems


def synth_imports(source: str) -> list[tuple[int, str]]:
    """(line, part of training/synth) of every import of that folder."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kimi_vl.training.synth"):
            names = node.module.split(".")[3:4] or [alias.name for alias in node.names]
            found += [(node.lineno, name if name in SYNTH_LEVEL else "core") for name in names]
    return found


def synth_violations(part: str, source: str) -> list[str]:
    """What breaks the order in one file of a part of training/synth."""
    return [
        f"line {line}: {part} imports {target}, which is not below it"
        for line, target in synth_imports(source)
        if target != part and SYNTH_LEVEL[target] >= SYNTH_LEVEL[part]
    ]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert violations(module, own_imports(path)) == []


def test_the_rules_can_be_broken():
    assert violations("model", [(1, "engine", False)])
    assert violations("engine", [(1, "model", True)])
    assert violations("engine", [(1, "processor", False)])
    assert violations("ops", [(1, "novelty", False)])
    assert not violations("cli", [(1, "llm", True)])


@pytest.mark.parametrize("path", sorted(SYNTH.rglob("*.py")), ids=lambda path: str(path.relative_to(SYNTH)))
def test_imports_within_synth_point_down(path):
    inside = path.relative_to(SYNTH)
    part = inside.parts[0] if len(inside.parts) > 1 else "world" if path.stem == "world" else "core"
    assert synth_violations(part, path.read_text(encoding="utf-8")) == []


def test_the_rules_within_synth_can_be_broken():
    assert synth_violations("documents", "from kimi_vl.training.synth.pictures.shapes import plural")
    assert synth_violations("core", "from kimi_vl.training.synth.charts.turns import chart")
    assert synth_violations("texts", "from kimi_vl.training.synth import content, world")
    assert synth_violations("wordings", "from kimi_vl.training.synth import content")
    assert not synth_violations("clips", "from kimi_vl.training.synth.screens import themes")
