"""Office documents as PDF, laid out by the user's LibreOffice, which sees the one file, no network and no other document.

LibreOffice is not ours and reads formats with a long history of holes, so it runs in a room of its own (`sandbox/inside/room.py`) with a
profile that is born and dies with it; without such a room it is not run at all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import BinaryIO

from kimi_vl.errors import MediaError
from kimi_vl.media import sandbox
from kimi_vl.media.identify import Kind, identify
from kimi_vl.media.sandbox.inside.room import NO_ROOM, TOO_LARGE, Order
from kimi_vl.media.sandbox.nursery import ENVIRONMENT, package_paths
from kimi_vl.media.sources import HEAD_BYTES, MAX_BYTES, Source, memory_file

SECONDS, CPU_SECONDS = 60.0, 60
MEMORY_BYTES, WORK_BYTES = 4 << 30, 512 << 20  # LibreOffice maps 1.5 GiB with an empty page
PROGRAM = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from kimi_vl.media.sandbox.inside.room import main; main(sys.argv[2])"
INSTALL = "install LibreOffice (e.g. `apt-get install libreoffice-writer libreoffice-calc libreoffice-impress`), or export it as PDF"
UNCONFINED = "cannot be confined here, so it is not started; it takes Linux with user namespaces"

# By what its content is, LibreOffice is told which reader to use: none of its other hundred is ever tried.
FILTERS = {
    "DOCX": "MS Word 2007 XML",
    "PPTX": "Impress MS PowerPoint 2007 XML",
    "XLSX": "Calc MS Excel 2007 XML",
    "ODT": "writer8",
    "ODP": "impress8",
    "ODS": "calc8",
}

# What the program may see of the system: itself, libraries, fonts. No home, no other data.
SHOWN = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/var/cache/fontconfig"]
SHOWN += [f"/etc/{name}" for name in ("fonts", "libreoffice", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime")]

SCRIPTING, VIEW = "/org.openoffice.Office.Common/Security/Scripting", "/org.openoffice.Office"
SETTINGS = [
    (SCRIPTING, "DisableMacrosExecution", "true"),
    (SCRIPTING, "MacroSecurityLevel", "3"),
    (SCRIPTING, "DisableActiveContent", "true"),
    (SCRIPTING, "BlockUntrustedRefererLinks", "true"),
    (f"{VIEW}.Writer/Content/Update", "Link", "0"),
    (f"{VIEW}.Calc/Content/Update", "Link", "2"),
    (f"{VIEW}.Common/Misc", "FirstRun", "false"),
]


def libreoffice() -> str | None:
    """Where the LibreOffice of this machine lies."""
    program = shutil.which("soffice") or shutil.which("libreoffice")
    return os.path.realpath(program) if program else None


def obstacle() -> str:
    """Why office documents are not read here, and what would help; "" where they are."""
    program = libreoffice()
    if program is None:
        return INSTALL
    with tempfile.TemporaryDirectory(prefix="kimi-vl-") as root, memory_file() as given, memory_file() as result:
        code, said = _run(_order(["/bin/true"], root, given, result, ("file", "file"), _own_folder(program), {}), "nothing")
    return "" if code == 0 else f"{UNCONFINED} ({said})"


def as_pdf(document: Source) -> tuple[Source, str]:
    """An open office file as an open PDF of the same name, and what it was ("DOCX"). The file given stays open.

    Raises: MediaError for what is no office document that is read, where LibreOffice is not installed or cannot be confined, and where it
    does not lay out the document within its limits.
    """
    with closing(sandbox.read("office_info", document.file, document.name)) as parts:
        form = str(next(iter(list(parts))).facts["form"])
    program = libreoffice()
    if program is None:
        raise MediaError(f"{document.name} is an office document ({form}); to read it, {INSTALL}", "unsupported_media")
    pdf = memory_file()
    try:
        _convert(document, form, program, pdf)
        identity = identify(os.pread(pdf.fileno(), HEAD_BYTES, 0), document.name)
        if identity.kind != Kind.DOCUMENT:
            raise _failed(document.name)
        return Source(pdf, document.name, identity), form
    except BaseException:
        pdf.close()
        raise


def _failed(name: str, why: str = "") -> MediaError:
    return MediaError(f"LibreOffice cannot lay out {name}{f' ({why})' if why else ''}; export it as PDF", "invalid_media")


def _convert(document: Source, form: str, program: str, pdf: BinaryIO) -> None:
    """Write the document as PDF to `pdf`. Raises: MediaError."""
    given = f"document.{form.lower()}"
    with tempfile.TemporaryDirectory(prefix="kimi-vl-") as root, open(os.dup(document.file.fileno()), "rb") as source:
        source.seek(0)
        files = {"profile/user/registrymodifications.xcu": _profile()}
        command = [program, *_arguments(form, given)]
        order = _order(command, root, source, pdf, (given, "document.pdf"), _own_folder(program), files)
        code, said = _run(order, document.name)
    if code == NO_ROOM:
        raise MediaError(
            f"{document.name} is an office document, and LibreOffice {UNCONFINED} ({said}). Export it as PDF",
            "unsupported_media",
        )
    if code == TOO_LARGE:
        raise MediaError(f"{document.name} is larger than {MAX_BYTES[Kind.DOCUMENT]:,} bytes as PDF; split it", "media_too_large")
    if code != 0:
        raise _failed(document.name, said or f"it ended with code {code}")


def _order(
    command: list[str], root: str, source: BinaryIO, result: BinaryIO, names: tuple[str, str], others: list[str], files: dict[str, str]
) -> Order:
    """What is run in the room: `names` are what it is given and what is wanted, `others` folders it sees beside those of the system."""
    return Order(
        command=command,
        environment={"HOME": "/room", "TMPDIR": "/room/tmp", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SAL_USE_VCLPLUGIN": "svp"},
        shown=[*SHOWN, *others],
        root=root,
        source_fd=source.fileno(),
        given=names[0],
        result_fd=result.fileno(),
        wanted=names[1],
        cpu_seconds=CPU_SECONDS,
        memory_bytes=MEMORY_BYTES,
        work_bytes=WORK_BYTES,
        result_bytes=MAX_BYTES[Kind.DOCUMENT],
        files=files,
    )


def _arguments(form: str, given: str) -> list[str]:
    switches = "--headless --norestore --nologo --nodefault --nolockcheck --nofirststartwizard --convert-to pdf --outdir /room".split()
    return ["-env:UserInstallation=file:///room/profile", f"--infilter={FILTERS[form]}", *switches, f"/room/{given}"]


def _run(order: Order, name: str) -> tuple[int, str]:
    """The exit code, and the last line that was said. Raises: MediaError where it takes too long."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM, package_paths(), order.as_json()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd="/",
        pass_fds=(order.source_fd, order.result_fd),
        start_new_session=True,  # Ctrl-C in the terminal reaches the parent alone
    )
    try:
        _, said = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise MediaError(
            f"LibreOffice took more than {SECONDS:.0f} seconds over {name}; export it as PDF, or split it", "media_timeout"
        ) from None
    finally:
        if process.poll() is None:
            process.kill()  # and all in the room with it
            process.communicate()
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if "javaldx" not in line and line.strip()]
    return process.returncode, (lines[-1][:200] if lines else "")


def _own_folder(program: str) -> list[str]:
    """Where the program lies if that is no usual place: /opt/libreoffice24.8 of /opt/libreoffice24.8/program/soffice."""
    folder = os.path.dirname(os.path.dirname(program))
    return [] if any(program.startswith(f"{path}/") for path in SHOWN) else [folder]


def _profile() -> str:
    items = "".join(
        f'<item oor:path="{path}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
        for path, name, value in SETTINGS
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<oor:items xmlns:oor="http://openoffice.org/2001/registry" '
        f'xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{items}</oor:items>\n'
    )
