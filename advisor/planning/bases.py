"""The base model as the job will load it: the embedded one, a folder, or a hub id in the cache."""

import os
from pathlib import Path

from advisor.catalog import Catalog
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.documents import EstimateRequest
from advisor.options.named import look_up
from advisor.places import PACKAGE

REHEARSAL = "rehearsal"
REHEARSAL_BASE = PACKAGE / "rehearsal" / "base"


def base_model(name: str) -> str:
    """Return the path of a base that is a folder, or the hub id as it is.

    Raises:
        AdvisorError: `model_unusable` where a path leads to no model.
    """
    if name == REHEARSAL:
        return str(REHEARSAL_BASE)
    if _looks_like_path(name):
        folder = Path(name).expanduser().resolve()
        if not (folder / "config.json").is_file():
            raise _no_model(name, "a folder with config.json", "give the folder of a model")
        return str(folder)
    return name


def kind_of_base(name: str, catalog: Catalog) -> str:
    """Return whether a base is a decoder, an encoder or an encoder-decoder."""
    return look_up(EstimateRequest(model=name), catalog=catalog, machine=None).shape.kind


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or Path(name).is_dir() or name.count("/") != 1


def _no_model(name: str, expected: str, hint: str) -> AdvisorError:
    fault = Fault(field="base_model", expected=expected, found=name, hint=hint)
    return AdvisorError(ErrorName.MODEL_UNUSABLE, "the base model cannot be used", [fault])


def require_base(name: str | None) -> None:
    """Raise `model_unusable` where the base is a hub id that this machine does not hold."""
    if name is None or Path(name).is_dir() or os.environ.get("ADVISOR_ALLOW_DOWNLOAD") == "1":
        return
    cache = os.environ.get("HF_HUB_CACHE") or Path(
        os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface", "hub"
    )
    folder = Path(cache) / f"models--{name.replace('/', '--')}" / "snapshots"
    if not any(folder.glob("*/config.json")):
        raise _no_model(
            name,
            "a model folder, or a hub model in the local cache",
            "download it first, set ADVISOR_ALLOW_DOWNLOAD=1, or give --base-model rehearsal",
        )
