"""Looks up what a request names: model, method and hardware; every fault at once."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from advisor.catalog import Catalog
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.estimation.derived_shape import GivenShape, derived, known_shape, overridden
from advisor.estimation.documents import EstimateRequest
from advisor.estimation.model_config import shape_of_config
from advisor.estimation.money import OWNED
from advisor.estimation.shape import (
    ALL_LINEAR,
    ENCODER,
    ENCODER_DECODER,
    TABLES,
    Shape,
    shape_for_pretraining,
    shape_of_model,
)
from advisor.estimation.training_job import LOCAL, Device
from advisor.machine import Machine, detect_machine

ADDING = ("lora", "rslora", "qlora", "dora", "ia3", "adapter", "prefix", "prompt", "p_tuning")
METHODS = {
    "pretrain": ("full",),
    "continued_pretrain": ("full", *ADDING, "frozen"),
    "full_finetune": ("full", "frozen"),
    "lora": ADDING,
}
# From small and cheap to large: tried in this order where the request names no GPU.
USUAL_GPUS = ("rtx-4090", "l40s", "a100-sxm4-80gb", "h100-sxm5-80gb", "h200-sxm-141gb")


class Named(NamedTuple):
    """What a request names; of `methods` and `devices` the first that fits is to be taken."""

    request: EstimateRequest
    shape: Shape
    approach: str
    methods: tuple[str, ...]
    devices: tuple[Device, ...]
    machine: Machine | None


@dataclass(slots=True)
class _Faults:
    found: list[Fault] = field(default_factory=list)

    def add(self, name: str, *, expected: str, found: object) -> None:
        self.found.append(Fault(field=name, expected=expected, found=str(found)))


def look_up(request: EstimateRequest, *, catalog: Catalog, machine: Machine | None) -> Named:
    """Return what `request` names. Raises REQUEST_INVALID with every fault at once."""
    faults = _Faults()
    here = machine or (detect_machine() if request.gpu == LOCAL else None)
    shape = _shape(request, catalog, faults)
    approach = request.approach or _approach_of(request)
    _check_method(request, approach, faults)
    _check_targets(request, faults)
    _check_provider(request, catalog, faults)
    devices = _devices(request, catalog, here, faults)
    if faults.found or shape is None:
        raise AdvisorError(
            ErrorName.REQUEST_INVALID, "the estimate request is not valid", faults.found
        )
    return Named(
        request=request,
        shape=shape,
        approach=approach,
        methods=_methods(request, approach),
        devices=devices,
        machine=here,
    )


def target_names(text: str) -> tuple[str, ...]:
    """Return the targets that `text` lists, or all linear layers."""
    if text == "all-linear":
        return ALL_LINEAR
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _shape(request: EstimateRequest, catalog: Catalog, faults: _Faults) -> Shape | None:
    given = _given_shape(request)
    try:
        mlm_head = request.objective in (None, "mlm")
        base = _base_shape(request.model, catalog, mlm_head=mlm_head)
        if base:
            return overridden(base, given)
        name, kind = request.model, _kind_of(request)
        if name and (known := known_shape(given, catalog, name=name, mlm_head=mlm_head)):
            return known
        if given.enough:
            return derived(given, name=name, kind=kind, mlm_head=mlm_head)
        if request.model:
            catalog.model(request.model)
        faults.add("model", expected="a model, or params_b", found="neither")
    except AdvisorError as error:
        wanted = "a model of the catalogue, a config.json, or a shape (params_b)"
        faults.found.extend(fault._replace(expected=wanted) for fault in error.faults)
    return None


def _given_shape(request: EstimateRequest) -> GivenShape:
    return GivenShape(
        params=request.params_b and request.params_b * 1e9,
        params_active=request.active_params_b and request.active_params_b * 1e9,
        n_layers=request.n_layers,
        hidden=request.hidden,
        n_heads=request.n_heads,
        n_kv_heads=request.n_kv_heads,
        intermediate=request.intermediate,
        vocab=request.vocab,
    )


def _kind_of(request: EstimateRequest) -> str:
    return {"mlm": ENCODER, "seq2seq": ENCODER_DECODER}.get(request.objective or "", "decoder")


def _base_shape(name: str | None, catalog: Catalog, *, mlm_head: bool) -> Shape | None:
    if name is None:
        return None
    model, row = catalog.find_model(name), catalog.shapes.get(name)
    if model:
        return shape_of_model(model, mlm_head=mlm_head)
    if row:
        return shape_for_pretraining(row)
    config = config_path(name)
    return shape_of_config(config, mlm_head=mlm_head) if config else None


def config_path(name: str) -> Path | None:
    """Return the config.json that `name` means: a path, or a model of the local hub cache."""
    path = Path(name).expanduser()
    if path.suffix == ".json" or (path / "config.json").is_file():
        return path
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    snapshots = Path(home) / "hub" / f"models--{name.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.glob("*/config.json")) if ".." not in name else []
    return found[0] if found else None


def _approach_of(request: EstimateRequest) -> str:
    return "full_finetune" if request.method in METHODS["full_finetune"] else "lora"


def _check_method(request: EstimateRequest, approach: str, faults: _Faults) -> None:
    allowed, method = METHODS[approach], request.method
    if method and method not in allowed:
        faults.add("method", expected=f"one of {', '.join(allowed)}", found=method)
    trains_all = method in METHODS["full_finetune"] or "lora" not in allowed
    if request.quantization and trains_all:
        expected = "nothing: only frozen weights can be quantized"
        faults.add("quantization", expected=expected, found=request.quantization)


def _methods(request: EstimateRequest, approach: str) -> tuple[str, ...]:
    if request.method:
        return (request.method,)
    if request.quantization:
        return ("qlora",)
    return ("lora", "qlora") if approach == "lora" else ("full",)


def _check_targets(request: EstimateRequest, faults: _Faults) -> None:
    known = {*ALL_LINEAR, *TABLES}
    for name in target_names(request.lora_targets or "all-linear"):
        if name not in known:
            expected = f"all-linear, or some of {','.join([*ALL_LINEAR, *sorted(TABLES)])}"
            faults.add("lora_targets", expected=expected, found=name)


def _check_provider(request: EstimateRequest, catalog: Catalog, faults: _Faults) -> None:
    provider = (request.provider or OWNED).strip().lower()
    known = {OWNED, LOCAL, *catalog.providers}
    if provider not in known:
        expected = f"one of {', '.join(sorted(known - {LOCAL}))}"
        faults.add("provider", expected=expected, found=request.provider)


def _devices(
    request: EstimateRequest, catalog: Catalog, machine: Machine | None, faults: _Faults
) -> tuple[Device, ...]:
    try:
        if request.gpu == LOCAL and machine:
            return (_local_device(catalog, machine),)
        names = (request.gpu,) if request.gpu else USUAL_GPUS
        return tuple(Device.of_gpu(catalog.gpu(name)) for name in names)
    except AdvisorError as error:
        faults.found.extend(error.faults)
        return ()


def _local_device(catalog: Catalog, machine: Machine) -> Device:
    if not machine.gpus:
        return Device.of_cpu(machine)
    gpu = machine.gpus[0]
    device = Device.of_gpu(catalog.gpu(gpu.catalog_id or gpu.name), local=True)
    measured = machine.calibrated(gpu.name)
    return device._replace(memory_gb=gpu.memory_gb, calibration=measured)
