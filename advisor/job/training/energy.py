"""The energy that the run took, where this machine measures it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = Path("/sys/class/powercap")


class EnergyMeter:
    """Reads the counters of the GPU, else those of the processor packages; else knows nothing."""

    def __init__(self, device: str) -> None:
        self._read, self._wraps = _gpu() if device == "cuda" else _packages()
        self._last = self._read()

    def joules(self) -> float | None:
        """Return the energy since the last call; None where nothing measures it."""
        now = self._read()
        if now is None or self._last is None:
            return None
        spent, self._last = now - self._last, now
        return spent if spent >= 0 else spent + self._wraps


Counter = tuple[Callable[[], float | None], float]


def _gpu() -> Counter:
    try:
        import pynvml  # noqa: PLC0415 - an extra
        import torch  # noqa: PLC0415 - the device in use

        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # noqa: BLE001 - no library, no right, no counter: nothing is measured
        return (lambda: None), 0.0
    return (lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3), 0.0


def _packages() -> Counter:
    folders = sorted(PACKAGES.glob("intel-rapl:?"))
    wraps = _sum(folders, "max_energy_range_uj")
    return (lambda: _sum(folders, "energy_uj")), wraps or 0.0


def _sum(folders: list[Path], name: str) -> float | None:
    """Return the sum over the packages in joules; None where there is none or it is closed."""
    try:
        found: list[Any] = [int((folder / name).read_text()) for folder in folders]
    except (OSError, ValueError):
        return None
    return sum(found) / 1e6 if found else None
