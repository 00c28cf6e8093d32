"""Where a trained model comes from."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from snowrail_fraud.domain.model import LogisticModel, Model


class _ModelFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str = Field(min_length=1, max_length=100)
    intercept: float
    weights: dict[str, float]


def load_model(path: Path | None) -> Model | None:
    """Return the trained model of a file, or None when no file is named.

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not hold a model over our features.
    """
    if path is None:
        return None
    stored = _ModelFile.model_validate_json(path.read_bytes())
    return LogisticModel(stored.version, stored.intercept, stored.weights)
