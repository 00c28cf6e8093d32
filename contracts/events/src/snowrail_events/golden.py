"""Golden JSON Schemas: an event is frozen once it is committed; only optional fields may be added.

`python -m snowrail_events.golden` rewrites the schemas, and refuses a change that would break a reader or a
writer that still runs the committed version.
"""

import json
from pathlib import Path
from typing import Any

from snowrail_events import EVENTS, Event

FOLDER = Path(__file__).parents[2] / "schemas"


class IncompatibleChange(Exception):
    """An event changed in a way that a running peer would not understand: publish a new version instead."""


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema of an event's wire form."""
    schema = event.model_json_schema(mode="validation")
    return {"$id": f"urn:snowrail:event:{event.subject}", **_without_prose(schema)}


def _without_prose(node: Any) -> Any:
    """Leave out what only people read: rewording a docstring is not a change of the contract."""
    if isinstance(node, dict):
        items: dict[str, Any] = node
        return {
            name: _without_prose(value)
            for name, value in items.items()
            if not (name in ("description", "title") and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_without_prose(item) for item in list[Any](node)]
    return node


def golden_file(event: type[Event]) -> Path:
    """Return where the golden schema of an event is."""
    return FOLDER / f"{event.subject}.json"


def render(schema: dict[str, Any]) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def check_compatible(old: dict[str, Any], new: dict[str, Any], where: str = "") -> None:
    """Check that old readers understand new events and new readers old events.

    Raises:
        IncompatibleChange: a field was removed, changed or became required, or a new field is required.
    """
    old_fields: dict[str, Any] = old.get("properties", {})
    new_fields: dict[str, Any] = new.get("properties", {})
    if removed := old_fields.keys() - new_fields.keys():
        raise IncompatibleChange(f"{where}: {', '.join(sorted(removed))} was removed")
    if required := set(new.get("required", ())) - set(old.get("required", ())):
        raise IncompatibleChange(f"{where}: {', '.join(sorted(required))} became required")
    for name, field in old_fields.items():
        if field != new_fields[name]:
            raise IncompatibleChange(f"{where}: {name} changed")
    new_parts: dict[str, Any] = new.get("$defs", {})
    for name, part in old.get("$defs", {}).items():
        if name not in new_parts:
            raise IncompatibleChange(f"{where}: {name} was removed")
        check_compatible(part, new_parts[name], f"{where}.{name}")


def rewrite() -> list[str]:
    """Write the schemas of all events and return the subjects whose file changed.

    Raises:
        IncompatibleChange: nothing was written.
    """
    FOLDER.mkdir(exist_ok=True)
    changed: list[str] = []
    for event in EVENTS.values():
        file = golden_file(event)
        schema = schema_of(event)
        if file.exists():
            check_compatible(json.loads(file.read_text()), schema, event.subject)
        if not file.exists() or file.read_text() != render(schema):
            changed.append(event.subject)
    for subject in changed:
        event = EVENTS[subject]
        golden_file(event).write_text(render(schema_of(event)))
    return changed


if __name__ == "__main__":
    rewrite()
