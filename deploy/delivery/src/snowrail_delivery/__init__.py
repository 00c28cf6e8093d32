"""How the platform reaches a machine: deployment files, their validators, an installation's secrets."""
