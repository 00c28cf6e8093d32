"""The OpenAPI and AsyncAPI documents of a service, without starting it."""

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from snowrail_kit.asyncapi import asyncapi_document
from snowrail_kit.service import Service, build_app


def openapi_document(service: Service[Any, Any]) -> dict[str, Any]:
    """Return the OpenAPI document of a service's routes."""
    defaults = {
        name: item.get_default(call_default_factory=True)
        for name, item in service.settings.model_fields.items()
        if not item.is_required()
    }
    defaults["database_url"] = SecretStr("postgresql://localhost/documentation")
    return build_app(service, service.settings.model_construct(**defaults)).openapi()


def documents_of(service: Service[Any, Any]) -> dict[str, str]:
    """Return the texts of a service's documents by file name."""
    return {
        f"{service.name}.openapi.json": _render(openapi_document(service)),
        f"{service.name}.asyncapi.json": _render(asyncapi_document(service)),
    }


def write_documents(folder: Path, service: Service[Any, Any]) -> None:
    """Write a service's documents into a folder."""
    for name, text in documents_of(service).items():
        (folder / name).write_text(text)


def _render(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
