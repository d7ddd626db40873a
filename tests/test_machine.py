"""This machine: what is found, and how a card's own name meets the catalogue."""

import os
import stat
from pathlib import Path

import pytest

from advisor.catalog import load_catalog
from advisor.machine import detect_machine
from advisor.machine.detection import _amd, catalog_id

Known = dict[str, tuple[str, float]]


@pytest.fixture(scope="module")
def known() -> Known:
    return {gpu.id: (gpu.name, gpu.memory_gb) for gpu in load_catalog().gpus.values()}


def test_it_finds_processor_memory_and_disk() -> None:
    here = detect_machine()
    assert 1 <= here.cores <= os.cpu_count()
    assert here.ram_gb > 0
    assert here.disk_gb > 0
    assert here.cpu
    assert here == detect_machine()


# Names as nvidia-smi and rocm print them, with the memory they report in GB of 10^9 bytes.
@pytest.mark.parametrize(
    ("name", "memory_gb", "found"),
    [
        ("NVIDIA H100 80GB HBM3", 85.5, "h100-sxm5-80gb"),
        ("NVIDIA H100 PCIe", 85.5, "h100-pcie-80gb"),
        ("NVIDIA A100-SXM4-80GB", 85.9, "a100-sxm4-80gb"),
        ("NVIDIA A100-SXM4-40GB", 42.4, "a100-sxm4-40gb"),
        ("NVIDIA A100 80GB PCIe", 85.9, "a100-pcie-80gb"),
        ("NVIDIA GeForce RTX 4090", 25.8, "rtx-4090"),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", 8.6, "rtx-4060-mobile"),
        ("NVIDIA RTX 6000 Ada Generation", 51.5, "rtx-6000-ada"),
        ("Tesla T4", 16.1, "t4"),
        ("Tesla V100-SXM2-16GB", 16.9, "v100-sxm2-16gb"),
        ("NVIDIA A10G", 24.1, "a10g"),
        ("AMD Instinct MI300X OAM", 206.1, "mi300x-192gb"),
        ("Apple M2 Pro", 34.4, "apple-m2-pro"),
        ("NVIDIA GeForce GT 1030", 2.1, None),
        ("", 24.0, None),
    ],
)
def test_a_card_is_recognised_by_the_name_its_driver_gives(
    known: Known, name: str, memory_gb: float, found: str | None
) -> None:
    assert catalog_id(name, memory_gb, known) == found


def test_every_card_is_recognised_by_its_own_name(known: Known) -> None:
    for id_, (name, memory_gb) in known.items():
        assert catalog_id(name, memory_gb * 1.02, known) == id_


def tool(folder: Path, text: str, code: int = 0) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\nprintf '%b' '{text}'\nexit {code}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_two_cards_of_a_driver_are_listed_with_their_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path, "NVIDIA L4, 23034\\nNVIDIA L4, 23034\\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    gpus = detect_machine().gpus
    assert [gpu.catalog_id for gpu in gpus] == ["l4", "l4"]
    assert gpus[0].memory_gb == pytest.approx(24.2, abs=0.1)


@pytest.mark.parametrize(
    ("text", "code"), [("No devices were found", 0), ("", 9), ("Graphics, [N/A]", 0)]
)
def test_a_driver_without_cards_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: int
) -> None:
    tool(tmp_path, text, code)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert detect_machine().gpus == ()


def amd_card(root: Path, index: int, *, vendor: str, memory: int) -> None:
    device = root / f"card{index}" / "device"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n", encoding="utf-8")
    (device / "mem_info_vram_total").write_text(f"{memory}\n", encoding="utf-8")
    (device / "product_name").write_text("AMD Instinct MI210\n", encoding="utf-8")


def test_amd_cards_are_read_from_the_kernel_and_small_or_foreign_ones_left_out(
    tmp_path: Path,
) -> None:
    amd_card(tmp_path, 0, vendor="0x1002", memory=68_700_000_000)
    amd_card(tmp_path, 1, vendor="0x1002", memory=536_870_912)
    amd_card(tmp_path, 2, vendor="0x8086", memory=68_700_000_000)
    assert [(gpu.name, gpu.memory_gb) for gpu in _amd(tmp_path)] == [("AMD Instinct MI210", 68.7)]
