"""Office documents: told by their content, refused where they mean harm, laid out by LibreOffice in a room without network and files.

Where LibreOffice is not installed, what it would do is not tested; that its absence is said is, everywhere.
"""

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.llm import look_at
from kimi_vl.media import conversion, load_image, open_medium, sandbox
from kimi_vl.media.conversion import SHOWN, as_pdf
from kimi_vl.media.office import MAX_ENTRIES, MAX_UNPACKED
from kimi_vl.media.sandbox.inside.room import NO_RESULT, NO_ROOM, TOO_LARGE, Order
from kimi_vl.media.sources import memory_file, open_source
from tests.media.offices import KINDS, MAIN, archive, linked_picture, office, open_document, with_macro
from tests.media.pictures import encoded
from tests.tiny_checkpoint import processor

FORMS = (*MAIN, *KINDS)
RED = encoded(Image.new("RGB", (80, 80), "red"), "PNG")
needs_libreoffice = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="a room takes Linux")


def info(data, name="the file"):
    with open_source(data, what=name) as source, closing(sandbox.read("office_info", source.file, source.name)) as parts:
        return next(iter(list(parts))).facts


def refusal(data):
    with pytest.raises(MediaError) as caught:
        open_medium(data)
    return caught.value


# What it is ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_the_content_says_what_it_is(form):
    found = info(office(form))
    assert found["form"] == form
    assert found["entries"] >= 3
    assert found["unpacked"] > 400


def test_a_name_says_nothing(tmp_path):
    path = tmp_path / "letter.docx"
    path.write_bytes(office("ODS"))
    with open_source(path) as source, closing(sandbox.read("office_info", source.file, source.name)) as parts:
        assert [part.facts["form"] for part in parts] == ["ODS"]


def listed_again_and_again():
    """Entries that share the same bytes: small, and without end once unpacked."""
    data = bytearray(office("DOCX", **{"word/big.bin": os.urandom(100_000)}))
    end = data.rindex(b"PK\5\6")
    count, size, start = struct.unpack_from("<HLL", data, end + 10)
    last = data.rindex(b"PK\1\2", 0, end)
    entry = bytes(data[last:end])
    again = 20
    directory = bytes(data[start:end]) + entry * again
    tail = bytearray(data[end:])
    struct.pack_into("<HHLL", tail, 8, count + again, count + again, size + again * len(entry), start)
    return bytes(data[:start]) + directory + bytes(tail)


def encrypted():
    data = bytearray(office("DOCX"))
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
MACRO_TYPES = archive(
    {
        "[Content_Types].xml": f'<Types><Override PartName="/word/document.xml" ContentType="{MACROS}"/></Types>',
        "word/document.xml": "",
    }
)

REFUSED = {
    "not an office document": (archive({"_rels/.rels": "", "a.txt": "x"}), "is a ZIP archive; unpack it first", "unsupported_media"),
    "another kind": (
        archive({"mimetype": "application/epub+zip"}),
        "of the kind 'application/epub\\+zip'; export it as PDF",
        "unsupported_media",
    ),
    "no kind that is read": (
        archive({"[Content_Types].xml": "<Types/>"}),
        "is an office document, but no DOCX, PPTX or XLSX",
        "unsupported_media",
    ),
    "macros": (MACRO_TYPES, "is made to carry macros, which are never run here", "unsupported_media"),
    "old": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "is an old or encrypted office document; save it as DOCX",
        "unsupported_media",
    ),
    "encrypted": (encrypted(), "is encrypted; save it without a password", "unsupported_media"),
    "cut short": (office("DOCX")[:-30], "is a damaged ZIP archive", "invalid_media"),
    "a naming part without end": (
        archive({"[Content_Types].xml": b" " * (2 << 20), "word/document.xml": ""}),
        r"its \[Content_Types\].xml is larger than",
        "media_too_complex",
    ),
    "the same bytes again": (listed_again_and_again(), "it is damaged, or made to do harm", "invalid_media"),
    "too many entries": (
        office("DOCX", **{f"word/{k}": "" for k in range(MAX_ENTRIES)}),
        f"at most {MAX_ENTRIES:,} are read",
        "media_too_complex",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_started(name, monkeypatch):
    monkeypatch.setattr(conversion, "_convert", lambda *_: pytest.fail("LibreOffice was started"))
    data, says, code = REFUSED[name]
    with pytest.raises(MediaError, match=says) as caught:
        open_medium(data)
    assert caught.value.code == code


def test_a_bomb_is_refused_by_its_table_of_contents():
    """Its header says how much it would be; that is believed, and nothing is unpacked."""
    data = bytearray(office("DOCX", **{"word/media/a.bin": bytes(1000)}))
    at = data.index(b"word/media/a.bin", data.rindex(b"PK\1\2") - 1) - 46
    struct.pack_into("<L", data, at + 24, MAX_UNPACKED + 1)
    error = refusal(bytes(data))
    assert "bytes unpacked; at most 536,870,912 are read" in str(error)
    assert error.code == "media_too_large"


def test_a_picture_is_not_looked_for_in_it():
    with pytest.raises(MediaError, match="is an office document, not a picture"):
        load_image(office("DOCX"))


@pytest.mark.parametrize("form", ["DOCX", "ODS"])
def test_without_libreoffice_it_says_what_to_install(form, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert conversion.obstacle().startswith("install LibreOffice (e.g. `apt-get install libreoffice-writer")
    error = refusal(office(form))
    assert f"is an office document ({form}); to read it, install LibreOffice (e.g. `apt-get install libreoffice-writer" in str(error)
    assert error.code == "unsupported_media"


# The room --------------------------------------------------------------------------------------------------------------------


def in_room(script):
    """The exit code of a shell script in a room, its last complaint, and what it left in /room/out."""
    with tempfile.TemporaryDirectory() as root, memory_file() as source, memory_file() as result:
        source.write(b"given")
        source.flush()
        source.seek(0)
        order = Order(
            command=["/bin/sh", "-c", script],
            environment={"PATH": "/usr/bin:/bin"},
            shown=SHOWN,
            root=root,
            source_fd=source.fileno(),
            given="in",
            result_fd=result.fileno(),
            wanted="out",
            cpu_seconds=5,
            memory_bytes=1 << 30,
            work_bytes=8 << 20,
            result_bytes=1 << 20,
            files={"profile/user/settings": "set"},
        )
        code, said = conversion._run(order, "the file")
        return code, said, os.pread(result.fileno(), 1 << 16, 0).decode()


@needs_linux
def test_where_a_room_can_be_had_nothing_stands_in_the_way_of_libreoffice(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/soffice")
    assert conversion.obstacle() == ""


@needs_linux
def test_a_program_in_a_room_has_its_input_and_its_result_is_taken():
    assert in_room("cat in profile/user/settings > out") == (0, "", "givenset")


@needs_linux
def test_a_room_has_no_network_no_files_no_privileges_and_no_other_processes(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("4711")
    hidden = f"{secret} {tmp_path} /root /home /var/lib /etc/passwd /etc/shadow /etc/hosts /sys /run /opt"
    code, _, out = in_room(f"""exec > out 2>&1
        for path in {hidden}; do [ -e $path ] && echo "sees $path"; done
        (echo x > /usr/share/x) && echo "writes to /usr"
        (echo x > /etc/fonts/x) && echo "writes to /etc"
        grep : /proc/net/dev | grep -v lo: && echo "sees interfaces"
        echo processes $(ls -d /proc/[0-9]*)
        ls -l /proc/self/fd
        grep -E "^(CapEff|NoNewPrivs)" /proc/self/status
        true""")
    lines = out.splitlines()
    assert code == 0
    assert [line for line in lines if line.startswith(("sees", "writes"))] == []
    assert sum("Read-only file system" in line for line in lines) == 2
    told = dict(line.split(maxsplit=1) for line in lines if line.startswith(("processes", "CapEff", "NoNew")))
    assert len(told["processes"].split()) <= 5  # the first one, the shell, and what it has just started
    assert {line.split(" -> ")[1].split("/")[1] for line in lines if " -> " in line} == {"dev", "room", "proc"}  # nothing is inherited
    assert int(told["CapEff:"], 16) == 0
    assert told["NoNewPrivs:"] == "1"


@needs_linux
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 3", 3),
        ("true", NO_RESULT),
        ("ln -s /etc/hostname out", NO_RESULT),
        ("mkfifo out", NO_RESULT),
        ("mkdir out", NO_RESULT),
        ("head -c 2000000 /dev/zero > out", TOO_LARGE),
        ("head -c 20000000 /dev/zero > other", 1),  # more than there is room for
        ("kill -9 $$", 1),
    ],
)
def test_what_a_program_leaves_is_taken_only_if_it_is_a_file_and_not_too_large(script, code):
    assert in_room(script)[0::2] == (code, "")


@needs_linux
def test_a_program_that_takes_too_long_is_ended_with_all_it_has_started(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "SECONDS", 1.0)
    mark = f"{7_000_000 + os.getpid()}"
    with pytest.raises(MediaError, match="LibreOffice took more than 1 seconds over the file") as caught:
        in_room(f"sleep {mark} & sleep {mark}")
    assert caught.value.code == "media_timeout"
    deadline = time.monotonic() + 10
    while sleeping(mark) and time.monotonic() < deadline:
        os.sched_yield()
    assert sleeping(mark) == []


def sleeping(mark):
    """Processes whose command line holds a number that is only ours."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
        except OSError:
            continue
        if mark.encode() in command:
            found.append(number)
    return found


def test_without_a_room_nothing_is_run(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/soffice")
    monkeypatch.setattr(conversion, "_run", lambda *_: (NO_ROOM, "namespaces: Operation not permitted"))
    error = refusal(office("ODT"))
    assert "LibreOffice cannot be confined here, so it is not started; it takes Linux with user namespaces (namespaces: " in str(error)
    assert conversion.obstacle().startswith("cannot be confined here, so it is not started; it takes Linux with user namespaces")
    assert error.code == "unsupported_media"


# LibreOffice -----------------------------------------------------------------------------------------------------------------


@needs_libreoffice
@pytest.mark.parametrize("form", ["DOCX", "XLSX", "ODP"])  # one for each of its programs, and of both families
def test_its_pages_are_seen_and_can_be_searched(form):
    with look_at(processor(), 16_384, "What is the fee?", [office(form)]) as sight:
        [document] = sight.media
        assert "The fee is 4711." in document.texts()[0]  # sheets have headers
        assert sight.looked[0].notes[0] == f"a {form}, seen as LibreOffice lays it out in pages"
        [view] = sight.views
        assert view.cut.pixels().min() < 100  # there is something on the page
        assert document.words([1])[0].words[-1].text.startswith("4711")


@needs_libreoffice
def test_a_file_that_libreoffice_cannot_read_is_one_error():
    error = refusal(archive({**open_document("ODT", ""), "content.xml": "<<<"}))
    assert "LibreOffice cannot lay out the file" in str(error)
    assert error.code == "invalid_media"


def open_freely(folder, document):
    """Open it in LibreOffice as a person does, outside the room, until its macro has written; or for a minute."""
    path = folder / "document.odt"
    path.write_bytes(document)
    profile = folder / "profile/user/registrymodifications.xcu"
    profile.parent.mkdir(parents=True)
    profile.write_text(conversion._profile())
    command = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--norestore", "--nologo", str(path)]
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "SAL_USE_VCLPLUGIN": "svp"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "written").exists() and process.poll() is None and time.monotonic() < deadline:
            os.sched_yield()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def laid_out(document):
    with open_source(document) as source:
        pdf, _ = as_pdf(source)
        assert not source.file.closed
    with pdf:
        return os.pread(pdf.file.fileno(), 1 << 20, 0)


def seen(pdf):
    """What a PDF of one page says, and how much of it is red."""
    with closing(open_medium(pdf)) as document:
        (text,) = document.texts()
    with open_source(pdf) as source, closing(sandbox.read("document_pages", source.file, "the file", {"dpi": 36})) as pages:
        pixels = next(iter(list(pages))).pixels_HWC
    return text, int((pixels == (255, 0, 0)).all(-1).sum())


class Painter(BaseHTTPRequestHandler):
    """Answers every request with a red picture."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(RED)

    do_OPTIONS = do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def painter():
    with ThreadingHTTPServer(("127.0.0.1", 0), Painter) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


MACRO = """
Dim how(0) As New com.sun.star.beans.PropertyValue
how(0).Name = "FilterName"
how(0).Value = "writer_pdf_Export"
ThisComponent.Text.insertString(ThisComponent.Text.getStart(), "The macro ran. ", False)
ThisComponent.storeToURL("file://{folder}/seen.pdf", how())
Open "{folder}/written" For Output As #1
Close #1
"""


@needs_libreoffice
def test_a_document_runs_no_macro_and_fetches_no_picture_from_the_web_nor_from_files(tmp_path, painter, monkeypatch):
    """With a profile that allows it all: the room and the way of converting are enough. Outside, opened by the same program, the document
    does all of it, so it is one that could."""
    allowing = {"DisableMacrosExecution": "false", "MacroSecurityLevel": "0", "DisableActiveContent": "false"}
    allowing |= {"BlockUntrustedRefererLinks": "false", "Link": "2"}
    monkeypatch.setattr(conversion, "SETTINGS", [(path, name, allowing.get(name, value)) for path, name, value in conversion.SETTINGS])
    picture = tmp_path / "red.png"
    picture.write_bytes(RED)
    pictures = "".join(map(linked_picture, (f"http://127.0.0.1:{painter.server_port}/red.png", f"file://{picture}")))
    document = with_macro(f"<text:p>Before</text:p>{pictures}", MACRO.format(folder=tmp_path))
    assert seen(laid_out(document)) == ("Before", 0)
    assert painter.asked == []
    assert not (tmp_path / "written").exists()
    open_freely(tmp_path, document)
    text, red = seen((tmp_path / "seen.pdf").read_bytes())
    assert text == "The macro ran. Before"
    assert red > 5000  # both pictures, 57 × 57 each at 36 dots an inch
    assert "/red.png" in painter.asked
