"""Office documents made by hand, as small as they can be."""

import zipfile
from io import BytesIO

TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = {
    "DOCX": ("word/document.xml", "wordprocessingml.document.main"),
    "XLSX": ("xl/workbook.xml", "spreadsheetml.sheet.main"),
    "PPTX": ("ppt/presentation.xml", "presentationml.presentation.main"),
}
KINDS = {"ODT": "text", "ODS": "spreadsheet", "ODP": "presentation"}
URNS = {"office": "office", "text": "text", "table": "table", "draw": "drawing", "svg": "svg-compatible", "script": "script"}
SPACES = " ".join(f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for short, name in URNS.items())
SPACES += ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dom="http://www.w3.org/2001/xml-events" xmlns:ooo="http://openoffice.org/2004/office"'
PACKAGE = "application/vnd.openxmlformats-package.relationships+xml"


def archive(entries, *, packed=zipfile.ZIP_DEFLATED):
    """The bytes of a ZIP archive of these (name: text or bytes)."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as out:
        for name, content in entries.items():
            out.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else packed)
    return buffer.getvalue()


def office(form, words="The fee is 4711.", **more):
    """A document of a form that says `words`; `more` entries by name."""
    return archive({**(_open_document(form, words) if form in KINDS else _open_xml(form, words)), **more})


def _open_xml(form, words):
    part, kind = MAIN[form]
    prefix = "application/vnd.openxmlformats-officedocument"
    body, others = _BODIES[form](words)
    kinds = {part: kind, **{name: other for name, (other, _, _) in others.items()}}
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{prefix}.{kind}+xml"/>' for name, kind in kinds.items())
    return {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="rels" ContentType="{PACKAGE}"/>{overrides}</Types>',
        "_rels/.rels": _relations({part: "officeDocument"}),
        part: body,
        part.replace("/", "/_rels/") + ".rels": _relations({name.split("/", 1)[1]: role for name, (_, role, _) in others.items()}),
        **{name: text for name, (_, _, text) in others.items()},
    }


def _relations(targets):
    links = [f'<Relationship Id="r{k}" Type="{OFFICE}/{role}" Target="{name}"/>' for k, (name, role) in enumerate(targets.items(), 1)]
    return f'<Relationships xmlns="{RELATIONS}">{"".join(links)}</Relationships>'


def _docx(words):
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'<w:document xmlns:w="{space}"><w:body><w:p><w:r><w:t>{words}</w:t></w:r></w:p></w:body></w:document>', {}


def _xlsx(words):
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    book = f'<workbook xmlns="{space}" xmlns:r="{OFFICE}"><sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets></workbook>'
    cell = f'<c r="A1" t="inlineStr"><is><t>{words}</t></is></c>'
    sheet = f'<worksheet xmlns="{space}"><sheetData><row r="1">{cell}</row></sheetData></worksheet>'
    return book, {"xl/worksheets/sheet1.xml": ("spreadsheetml.worksheet", "worksheet", sheet)}


def _pptx(words):
    spaces = f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:r="{OFFICE}"'
    spaces += ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    slides = '<p:sldIdLst><p:sldId id="256" r:id="r1"/></p:sldIdLst><p:sldSz cx="9144000" cy="6858000"/>'
    show = f"<p:presentation {spaces}>{slides}</p:presentation>"
    none = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
    place = '<a:xfrm><a:off x="500000" y="500000"/><a:ext cx="8000000" cy="1000000"/></a:xfrm><a:prstGeom prst="rect"/>'
    text = f"<p:txBody><a:bodyPr/><a:p><a:r><a:t>{words}</a:t></a:r></a:p></p:txBody>"
    shape = f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="t"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr>{place}</p:spPr>{text}</p:sp>'
    slide = f"<p:sld {spaces}><p:cSld><p:spTree>{none}{shape}</p:spTree></p:cSld></p:sld>"
    return show, {"ppt/slides/slide1.xml": ("presentationml.slide", "slide", slide)}


_BODIES = {"DOCX": _docx, "XLSX": _xlsx, "PPTX": _pptx}


def _open_document(form, words):
    line = f"<text:p>{words}</text:p>"
    cell = f"<table:table-cell>{line}</table:table-cell>"
    body = {
        "ODT": line,
        "ODS": f'<table:table table:name="One"><table:table-row>{cell}</table:table-row></table:table>',
        "ODP": '<draw:page draw:name="one"><draw:frame svg:x="1cm" svg:y="1cm" svg:width="20cm" svg:height="2cm">'
        f"<draw:text-box>{line}</draw:text-box></draw:frame></draw:page>",
    }[form]
    return open_document(form, body)


def open_document(form, body, scripts=""):
    """The entries of an ODT, ODS or ODP with this body as XML."""
    kind, mime = KINDS[form], f"application/vnd.oasis.opendocument.{KINDS[form]}"
    manifest = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    return {
        "mimetype": mime,
        "META-INF/manifest.xml": f'<m:manifest xmlns:m="{manifest}"><m:file-entry m:full-path="/" m:media-type="{mime}"/>'
        '<m:file-entry m:full-path="content.xml" m:media-type="text/xml"/></m:manifest>',
        "content.xml": f'<office:document-content {SPACES} office:version="1.2">{scripts}<office:body><office:{kind}>{body}</office:{kind}>'
        "</office:body></office:document-content>",
    }


def with_macro(body, macro):
    """An ODT with this body that runs this Basic as soon as it is opened."""
    place = "vnd.sun.star.script:Standard.Module1.Main?language=Basic&amp;location=document"
    listener = (
        f'<script:event-listener script:language="ooo:script" script:event-name="dom:load" xlink:href="{place}" xlink:type="simple"/>'
    )
    scripts = f"<office:scripts><office:event-listeners>{listener}</office:event-listeners></office:scripts>"
    script, library = 'xmlns:s="http://openoffice.org/2000/script"', 'xmlns:l="http://openoffice.org/2000/library"'
    basic = {
        "Basic/script-lc.xml": f'<l:libraries {library}><l:library l:name="Standard" l:link="false"/></l:libraries>',
        "Basic/Standard/script-lb.xml": f'<l:library {library} l:name="Standard"><l:element l:name="Module1"/></l:library>',
        "Basic/Standard/Module1.xml": f'<s:module {script} s:name="Module1" s:language="StarBasic">Sub Main\n{macro}\nEnd Sub</s:module>',
    }
    entries = open_document("ODT", body, scripts)
    listed = "".join(f'<m:file-entry m:full-path="{name}" m:media-type="text/xml"/>' for name in basic)
    entries["META-INF/manifest.xml"] = entries["META-INF/manifest.xml"].replace("</m:manifest>", f"{listed}</m:manifest>")
    return archive({**entries, **basic})


def linked_picture(address):
    """A paragraph of an ODT: a picture of 4 × 4 cm that lies elsewhere."""
    image = f'<draw:image xlink:href="{address}" xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/>'
    return f'<text:p><draw:frame text:anchor-type="as-char" svg:width="4cm" svg:height="4cm">{image}</draw:frame></text:p>'
