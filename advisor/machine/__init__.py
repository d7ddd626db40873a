"""This machine: processor, memory and accelerators, found without loading a framework."""

from typing import NamedTuple

from advisor.machine.calibration import Calibration


class LocalGpu(NamedTuple):
    """One accelerator of this machine; `catalog_id` is None where the catalogue lacks it."""

    name: str
    vendor: str
    memory_gb: float
    catalog_id: str | None = None


class Machine(NamedTuple):
    """What this machine has in total, and what was measured of it; nothing here changes."""

    platform: str
    cpu: str
    cores: int
    ram_gb: float
    disk_gb: float
    gpus: tuple[LocalGpu, ...] = ()
    calibration: Calibration | None = None

    def calibrated(self, device: str) -> Calibration | None:
        """Return what was measured of a device of this machine: `cpu`, or a GPU by its name."""
        measured = self.calibration
        return measured if measured and measured.device == device else None

    def as_document(self) -> dict[str, object]:
        """Return the facts as they stand in a recommendation."""
        return {
            **self._asdict(),
            "gpus": [gpu._asdict() for gpu in self.gpus],
            "calibration": self.calibration.as_document() if self.calibration else None,
        }


def detect_machine() -> Machine:
    """Return the facts of this machine; what cannot be found out is left out, never an error."""
    # Looking for tools loads what only this needs, and few recommendations ask for it.
    from advisor.machine import detection  # noqa: PLC0415

    return detection.look_around()
