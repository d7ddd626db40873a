"""Looks for processor, memory and accelerators with what the system offers; never fails."""

import os
import platform
import re
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path

from advisor.machine import LocalGpu, Machine
from advisor.machine.calibration import stored_for

MIB = 2**20
GB = 1e9
TOOL_TIMEOUT_S = 10
AMD_VENDOR = "0x1002"
# Below this a Radeon is the graphics unit of a processor, of no use for training.
SMALLEST_GPU_GB = 2.0
MEMORY_TOLERANCE = 0.2
_MEMORY_SIZE = re.compile(r"\b\d+ ?gb\b")
_SOCKETS = frozenset({"sxm", "sxm2", "sxm4", "sxm5", "pcie", "core"})
_NOT_TELLING = frozenset(
    {"nvidia", "amd", "geforce", "graphics", "tesla", "instinct", "generation"}
)


def look_around() -> Machine:
    """Return the facts of this machine; what cannot be found out is left out, never an error.

    A calibration that is damaged or of another machine is left out with a warning.
    """
    cores, ram = _cores_and_memory()
    machine = Machine(
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_name(),
        cores=cores,
        ram_gb=round(ram / GB, 1),
        disk_gb=round(_disk_bytes() / GB, 1),
        gpus=_named(_nvidia() or _amd() or _apple(ram)),
    )
    stored = stored_for(machine.cpu, cores, tuple(gpu.name for gpu in machine.gpus))
    if stored.problem:
        warnings.warn(stored.problem, stacklevel=2)
    return machine._replace(calibration=stored.calibration)


def _named(gpus: tuple[LocalGpu, ...]) -> tuple[LocalGpu, ...]:
    """Return the GPUs with their ids in the shipped catalogue."""
    if not gpus:
        return ()
    from advisor.catalog import load_catalog  # noqa: PLC0415 - only a machine with a GPU needs it

    known = {gpu.id: (gpu.name, gpu.memory_gb) for gpu in load_catalog().gpus.values()}
    return tuple(
        gpu._replace(catalog_id=catalog_id(gpu.name, gpu.memory_gb, known)) for gpu in gpus
    )


def catalog_id(name: str, memory_gb: float, known: Mapping[str, tuple[str, float]]) -> str | None:
    """Return the id in `known` (id: name, memory in GB) of the GPU that calls itself `name`.

    Cards of one name differ by memory and by socket: the memory must agree within a fifth, and
    the most words in common win. None where no name fits.
    """
    words = _words(name)
    fits = [
        (len(wanted & words), -abs(memory / memory_gb - 1), id_)
        for id_, (full_name, memory) in known.items()
        if (wanted := _words(full_name))
        and wanted - _SOCKETS <= words
        and abs(memory - memory_gb) <= MEMORY_TOLERANCE * memory_gb
    ]
    return max(fits)[2] if fits else None


def _words(name: str) -> set[str]:
    """Return the words of a GPU name that tell models apart: no vendor, no memory size."""
    plain = _MEMORY_SIZE.sub(" ", re.sub(r"[-()]", " ", name.lower()))
    # The driver calls the SXM5 module "H100 80GB HBM3", and every notebook card "Laptop GPU".
    plain = plain.replace("hbm3", "sxm5").replace("laptop gpu", "mobile")
    return {word for word in plain.split() if word not in _NOT_TELLING}


def _run(tool: str, *arguments: str) -> str:
    path = shutil.which(tool)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a tool found on the path, fixed arguments
            [path, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TOOL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu_name() -> str:
    if platform.system() == "Darwin":
        return _run("sysctl", "-n", "machdep.cpu.brand_string").strip()
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores_and_memory() -> tuple[int, int]:
    try:
        import psutil  # noqa: PLC0415 - most commands need no machine
    except ImportError:
        return os.cpu_count() or 1, 0
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return min(cores, _allowed_cores()), int(psutil.virtual_memory().total)


def _allowed_cores() -> int:
    """Return how many processors this process may run on: a container may have fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _disk_bytes() -> int:
    try:
        return shutil.disk_usage(Path.cwd()).total
    except OSError:
        return 0


def _nvidia() -> tuple[LocalGpu, ...]:
    query = "--query-gpu=name,memory.total"
    lines = _run("nvidia-smi", query, "--format=csv,noheader,nounits").splitlines()
    return tuple(gpu for line in lines if (gpu := _nvidia_gpu(line)))


def _nvidia_gpu(line: str) -> LocalGpu | None:
    name, _, memory = line.rpartition(",")
    if not name or not memory.strip().isdigit():
        return None
    return LocalGpu(name=name.strip(), vendor="NVIDIA", memory_gb=round(int(memory) * MIB / GB, 1))


def _amd(cards: Path = Path("/sys/class/drm")) -> tuple[LocalGpu, ...]:
    folders = sorted(cards.glob("card[0-9]*/device")) if cards.is_dir() else []
    found = (_amd_gpu(folder) for folder in folders)
    return tuple(gpu for gpu in found if gpu and gpu.memory_gb >= SMALLEST_GPU_GB)


def _amd_gpu(folder: Path) -> LocalGpu | None:
    memory = _read(folder / "mem_info_vram_total").strip()
    if _read(folder / "vendor").strip() != AMD_VENDOR or not memory.isdigit():
        return None
    name = _read(folder / "product_name").strip() or "AMD GPU"
    return LocalGpu(name=name, vendor="AMD", memory_gb=round(int(memory) / GB, 1))


def _apple(ram: int) -> tuple[LocalGpu, ...]:
    """Return the graphics unit of an Apple chip, which shares the memory of the machine."""
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return ()
    return (LocalGpu(name=_cpu_name(), vendor="Apple", memory_gb=round(ram / GB, 1)),)
