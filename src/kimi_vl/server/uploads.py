"""`/v1/files`: uploads, written to disk as they come, and what becomes of them."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from kimi_vl.server.endpoint import WholeFile
from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.files import PURPOSES, File, check_purpose, storage_error
from kimi_vl.server.routes import Routes, as_json
from kimi_vl.server.service import Service
from kimi_vl.server.transport import body_parts

FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {"file": {"type": "string", "format": "binary"}, "purpose": {"enum": list(PURPOSES)}},
}


def add_files(app: FastAPI, service: Service) -> None:
    """The routes."""
    files = service.files

    async def upload(request: Request) -> Response:
        with service.admission.request():
            return as_json(await _upload(service, request))

    async def listing(request: Request) -> Response:
        found = await asyncio.to_thread(files.list, request.scope["tenant"])
        ends = {"first_id": found[0].id, "last_id": found[-1].id} if found else {}
        return as_json({"object": "list", "data": found, "has_more": False, **ends})

    async def one(request: Request) -> Response:
        return as_json(await asyncio.to_thread(files.find, request.scope["tenant"], request.path_params["file_id"]))

    async def delete(request: Request) -> Response:
        file_id = request.path_params["file_id"]
        await asyncio.to_thread(files.delete, request.scope["tenant"], file_id)
        return as_json({"id": file_id, "object": "file", "deleted": True})

    async def content(request: Request) -> Response:
        file = await asyncio.to_thread(files.find, request.scope["tenant"], request.path_params["file_id"])
        path = files.path(request.scope["tenant"], file.id)
        headers = {"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox"}
        return WholeFile(path, media_type="application/octet-stream", headers=headers)

    routes = Routes(app)
    routes.post("/v1/files", upload, "Upload a file (multipart: file, purpose).", form=FORM)
    routes.get("/v1/files", listing, "The files of this key.")
    routes.get("/v1/files/{file_id}", one, "One file.")
    routes.delete("/v1/files/{file_id}", delete, "Delete a file.")
    routes.get("/v1/files/{file_id}/content", content, "What is in a file.")


async def _upload(service: Service, request: Request) -> File:
    """Raises: ApiError."""
    tenant, options = request.scope["tenant"], service.options
    if not (request.headers.get("content-type") or "").lower().startswith("multipart/form-data"):
        raise ApiError(415, "unsupported_content_type", "an upload is multipart/form-data with the fields file and purpose")
    try:
        parts = body_parts(request.receive, options.file_bytes + (1 << 20), options)
        async with aclosing(parts):  # type: ignore[type-var]
            form = await MultiPartParser(request.headers, parts, max_files=1, max_fields=8, max_part_size=4096).parse()  # type: ignore[arg-type]
    except MultiPartException as error:
        raise invalid("invalid_value", f"the upload is no proper multipart form: {error.message}") from None
    except (KeyError, AssertionError, UnicodeError):
        raise invalid("invalid_value", "the upload is no proper multipart form") from None
    except OSError as error:
        raise storage_error(error) from None
    try:
        purpose, sent = form.get("purpose"), form.get("file")
        purpose = check_purpose(purpose if isinstance(purpose, str) else None)
        if sent is None or isinstance(sent, str):
            raise invalid("invalid_value", "file is missing; it must be a file of the form", "file")
        return await asyncio.to_thread(_kept, service, tenant, sent, purpose)
    finally:
        await form.close()


def _kept(service: Service, tenant: str, sent: UploadFile, purpose: str) -> File:
    """Copied from where the form has it. Raises: ApiError."""
    data, path = service.files.begin(tenant)
    try:
        with data:
            sent.file.seek(0)
            shutil.copyfileobj(sent.file, data, 1 << 20)
        return service.files.keep(tenant, path, sent.filename or "file", purpose)
    except OSError as error:
        raise storage_error(error) from None
    finally:
        path.unlink(missing_ok=True)
