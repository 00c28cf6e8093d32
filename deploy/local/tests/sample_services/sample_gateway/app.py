"""Nothing but the chassis."""

from snowrail_kit.service import Runtime, Service
from snowrail_kit.settings import ServiceSettings

service: Service[ServiceSettings, Runtime[ServiceSettings]] = Service(
    name="gateway", settings=ServiceSettings, compose=lambda runtime: runtime, with_database=False
)
