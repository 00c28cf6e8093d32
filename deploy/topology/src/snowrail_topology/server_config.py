"""The authorization block of nats-server's configuration: one identity per service, nothing shared."""

from collections.abc import Mapping

from snowrail_topology.table import CONSUMES, TOPOLOGY_IDENTITY, TOPOLOGY_RIGHTS, Rights, rights_of


def server_config(identities: Mapping[str, str]) -> str:
    """Return the `authorization` block for nats-server.

    Args:
        identities: public nkey (`U…`) of every service and of `topology`.

    Raises:
        KeyError: an identity is missing.
    """
    users = [_user(identities[TOPOLOGY_IDENTITY], TOPOLOGY_RIGHTS)]
    users += [_user(identities[service], rights_of(service)) for service in CONSUMES]
    return "authorization {\n  users: [\n" + "".join(users) + "  ]\n}\n"


def _user(nkey: str, rights: Rights) -> str:
    publish = ", ".join(f'"{subject}"' for subject in rights.publish)
    subscribe = ", ".join(f'"{subject}"' for subject in rights.subscribe)
    return (
        f"    {{ nkey: {nkey}\n"
        f"      permissions: {{ publish: {{ allow: [{publish}] }}, subscribe: {{ allow: [{subscribe}] }} }}\n"
        "    }\n"
    )
