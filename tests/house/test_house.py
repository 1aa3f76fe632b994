"""What the repository must keep to (RELIABILITY group T): no dangerous calls, no stray files, quick imports, true commands."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "kimi_vl"
FILES = sorted(PACKAGE.rglob("*.py"))

# Code that runs data, or reaches round the one place where a thing is allowed.
NEVER_IMPORTED = {"jinja2", "pickle", "dill", "cloudpickle", "marshal", "shelve", "requests", "httpx"}
NEVER_CALLED = {"eval", "exec", "torch.load", "yaml.load", "tarfile.extractall", "os.system"}
ONLY_IN = {"Image.open": {"media/pictures.py"}}
MAY_PRINT = ("cli/", "training/")
MAY_READ_ENVIRONMENT = ("cli/", "training/run.py", "training/synth/sources/build.py")


def dotted(node: ast.AST) -> str:
    """a.b.c of an attribute chain, else the empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def dangers(source: str, where: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        line = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            found += [f"{line}: imports {a.name}" for a in node.names if a.name.split(".")[0] in NEVER_IMPORTED]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in NEVER_IMPORTED:
            found.append(f"{line}: imports {node.module}")
        elif isinstance(node, ast.Call):
            name = dotted(node.func).removeprefix("safetensors.torch.")  # its `load` is no torch.load
            if name in NEVER_CALLED or any(name.endswith(f".{bad}") for bad in NEVER_CALLED if "." in bad):
                found.append(f"{line}: calls {name}")
            if name in ONLY_IN and where not in ONLY_IN[name]:
                found.append(f"{line}: calls {name} outside {ONLY_IN[name]}")
            if name == "print" and not where.startswith(MAY_PRINT):
                found.append(f"{line}: prints")
            for keyword in node.keywords:
                if keyword.arg in ("shell", "trust_remote_code") and getattr(keyword.value, "value", False):
                    found.append(f"{line}: {keyword.arg}=True")
        elif isinstance(node, ast.ExceptHandler):
            name = dotted(node.type) if node.type else ""
            if node.type is None or (name in ("Exception", "BaseException") and not any(isinstance(n, ast.Raise) for n in ast.walk(node))):
                found.append(f"{line}: catches {name or 'everything'} and goes on")
        elif isinstance(node, ast.Attribute) and dotted(node) == "os.environ" and not where.startswith(MAY_READ_ENVIRONMENT):
            found.append(f"{line}: reads the environment")
    return found


# Boundaries: any failure becomes one line for the user, or the end of one request; and the tokeniser's panic, which is no Exception.
BOUNDARIES = {"cli/main.py", "engine/async_engine.py", "engine/engine.py", "engine/reading.py", "processor/tokenizer.py"}
# One request's failure is told to it alone, and one batch's.
BOUNDARIES |= {f"server/{name}.py" for name in ("transport", "stream", "batches/work", "openai/answers", "openai/responses")}
BOUNDARIES |= {"media/sandbox/inside/worker.py"}  # a decoder may raise anything about a hostile file


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_dangerous_calls(path):
    where = str(path.relative_to(PACKAGE))
    found = [d for d in dangers(path.read_text(encoding="utf-8"), where) if not (where in BOUNDARIES and "catches" in d)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import jinja2",
        "from dill import loads",
        "torch.load(path)",
        "eval(text)",
        "subprocess.run(c, shell=True)",
        "x(trust_remote_code=True)",
        "Image.open(p)",
        "print(1)",
        "try:\n    f()\nexcept Exception:\n    pass",
        "os.environ['HOME']",
    ],
)
def test_the_danger_finder_finds(source):
    assert dangers(source, "model/vision.py")


def test_every_public_function_and_class_says_what_it_promises():
    """A docstring on every public name of the layers others build on."""
    silent = []
    for path in FILES:
        if path.relative_to(PACKAGE).parts[0] not in ("ops", "checkpoint", "processor", "media", "llm", "config.py", "errors.py"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not ast.get_docstring(node):
                silent.append(f"{path.name}: {node.name}")
    plain = {"TextPart", "ImagePart"}  # two dataclasses of one field
    assert [name for name in silent if name.split(": ")[1] not in plain] == []


def test_files_have_names_that_say_something():
    vague = {"utils", "helpers", "common", "misc", "manager"}
    assert [path for path in FILES if path.stem in vague] == []


def test_the_package_ships_code_stages_nano_and_what_is_measured_against_and_nothing_else():
    data = {PACKAGE / "bench" / name for name in ("anchors.json", "kimi_vl_a3b.json")}
    strange = [
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".toml") and path.parent != PACKAGE / "checkpoint" / "nano"
        if PACKAGE / "server" / "page" not in path.parents
        if path not in data
    ]
    assert strange == []
    nano = {path.suffix for path in (PACKAGE / "checkpoint" / "nano").iterdir()}
    assert nano <= {".json", ".safetensors", ".model", ".md"}


def test_importing_the_package_and_printing_help_load_no_torch():
    for code in ("import kimi_vl", "from kimi_vl.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"):
        script = f"{code}\nimport sys\nassert 'torch' not in sys.modules and 'numpy' not in sys.modules"
        subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_no_installed_package_runs_code_at_interpreter_start():
    """A .pth file can execute anything; editable installs and the two known harmless ones are the whole list."""
    allowed = ("_editable_impl_kimi_vl.pth", "_kimi_vl.pth", "distutils-precedence.pth", "_virtualenv.pth", "a1_coverage.pth")
    site = Path(next(p for p in sys.path if p.endswith("site-packages")))
    strange = [p.name for p in site.glob("*.pth") if p.name not in allowed and not p.name.startswith("__editable__")]
    assert strange == []


@pytest.mark.parametrize(("lock", "extras"), [("base", ("build",)), ("dev", ("build", "test", "train", "dev"))])
def test_every_requirement_but_torch_is_locked_to_hashes(lock, extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]
    names = {re.split(r"[\[>=]", requirement)[0].replace("_", "-") for requirement in wanted} - {"torch"}
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8").strip())
    locked = {entry.split("==")[0]: entry.count("--hash=sha256:") for entry in entries if "==" in entry.splitlines()[0]}
    assert names <= locked.keys()
    assert min(locked.values()) >= 1
    assert not any(name.startswith(("torch", "nvidia", "triton")) for name in locked)


def test_versions_below_known_vulnerabilities_are_excluded():
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    floors = {r.split(">=")[0]: r.split(">=")[1] for r in requirements}
    assert tuple(map(int, floors["pillow"].split("."))) >= (13, 0)
    assert tuple(map(int, floors["torch"].split("."))) >= (2, 10)


def test_tracked_files_are_small_enough_to_travel_and_name_no_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:  # a source archive without git: nothing is tracked
        return
    files = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    assert sum(path.stat().st_size for path in files if path.suffix == ".safetensors") <= 35 << 20
    needle = ("/wo" + "rk/", "/fa" + "rm/", "/.lib" + "rary")
    texts = [p for p in files if p.suffix in (".py", ".md", ".toml", ".txt", ".yml", ".json", "") and p.stat().st_size < 1 << 20]
    assert [p.name for p in texts if any(n in p.read_text(encoding="utf-8", errors="ignore") for n in needle)] == []
