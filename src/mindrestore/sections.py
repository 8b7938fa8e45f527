"""Settings in sections: typed keys, checked when they are read."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Typed keys; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
