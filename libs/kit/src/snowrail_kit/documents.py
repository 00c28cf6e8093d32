"""The OpenAPI document of a service, without starting it."""

from typing import Any

from pydantic import SecretStr

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
