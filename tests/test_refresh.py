"""Newer prices: lists read by column, faults told with their place, nothing half written."""

import csv
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import which

import pytest
from command_line import run

from advisor.catalog import Catalog, load_catalog
from advisor.catalog.fetching import text_of
from advisor.catalog.own_prices import own_prices_file, the_newer
from advisor.catalog.refresh import Refreshed, Source, provider_of, refreshed, write_prices
from advisor.errors import AdvisorError, ErrorName
from advisor.estimation import estimate_job
from advisor.estimation.documents import read_request
from advisor.options.layout import complete_request
from advisor.places import shipped

HEADER = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice"
)
GPU_INFO = "\"{'Gpus': [{'Name': 'H100'}], 'TotalGpuMemoryInMiB': 81920}\""
NEBIUS = f"""{HEADER}
cpu-d3_4vcpu-16gb,,0,4,16,0.0992,eu-north1,,
gpu-h100-sxm_1gpu-16vcpu-200gb,H100,1,16,200,2.50,eu-north1,{GPU_INFO},1.25
gpu-h100-sxm_8gpu-128vcpu-1600gb,H100,8,128,1600,19.20,eu-north1,,10.00
gpu-l40s-a_1gpu-8vcpu-32gb,L40S,1,8,32,1.5484,eu-north1,,
gpu-l40s-a_1gpu-16vcpu-64gb,L40S,1,16,64,1.7468,eu-north1,,
gpu-b300-sxm_8gpu,B300,8,160,1792,56.00,us-central1,,
gpu-x900,X900,8,160,1792,56.00,us-central1,,
"""
# Other columns, another order; GPUs apart from their machines; placeholders; parts of a GPU.
GCP = """\
InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,\
Price,SpotPrice
a2-highgpu-1g,12.0,85.0,,,,us-central1,us-central1-a,0.73948,0.36975
,,,A100,1,A100,us-central1,us-central1-a,2.933908,0.8802
,,,A100,1,A100,us-east9,us-east9-a,2.933908,
,,,tpu-v6e-1,1,tpu-v6e-1,asia-east1,asia-east1-c,700.0,700.0
,,,tpu-v6e-4,1,tpu-v6e-4,us-east1,us-east1-d,10.8,2.17683
,,,tpu-v5p-11776,1,tpu-v5p-11776,us-east5,us-east5-c,24729.6,9891.84
,,,L4,0.125,L4,us-east5,us-east5-c,0.1,
"""


@pytest.fixture
def catalog() -> Catalog:
    return load_catalog()


def read(
    text: str, catalog: Catalog, provider: str = "nebius", date: str = "2026-11-20"
) -> Refreshed:
    origin = f"catalogs/v8/{provider}/vms.csv"
    return refreshed([Source(text, origin, provider=provider, date=date)], catalog)


def listed(folder: Path, text: str, provider: str = "nebius") -> str:
    file = folder / provider / "vms.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return str(file)


# --- what is read


def test_prices_are_those_of_one_gpu_hour_the_cheapest_of_each_region(catalog: Catalog) -> None:
    prices = {(one.gpu, one.gpus_per_instance): one for one in read(NEBIUS, catalog).prices}
    eight = prices["h100-sxm5-80gb", 8]
    assert (eight.usd_per_gpu_hour, eight.spot_usd_per_gpu_hour) == (2.4, 1.25)
    assert (eight.region, eight.host, eight.date) == ("eu-north1", "cloud", "2026-11-20")
    assert eight.source == "catalogs/v8/nebius/vms.csv"
    assert prices["l40s", 1].usd_per_gpu_hour == 1.5484
    assert len(prices) == 4


def test_a_gpu_that_is_rented_with_a_machine_is_priced_with_it(catalog: Catalog) -> None:
    found = read(GCP, catalog, provider="gcp")
    a100 = next(one for one in found.prices if one.gpu == "a100-sxm4-40gb")
    assert a100.usd_per_gpu_hour == pytest.approx(2.933908 + 0.73948)
    assert a100.spot_usd_per_gpu_hour == pytest.approx(0.8802 + 0.36975)
    assert a100.notes == "with a2-highgpu-1g"


def test_a_slice_of_a_pod_is_counted_in_chips(catalog: Catalog) -> None:
    found = read(GCP, catalog, provider="gcp")
    tpu = next(one for one in found.prices if one.gpu == "tpu-v6e")
    assert (tpu.gpus_per_instance, tpu.usd_per_gpu_hour) == (4, 2.7)


def test_what_is_not_taken_is_told_with_its_reason(catalog: Catalog) -> None:
    told = {one.name: (one.why, one.rows) for one in read(GCP, catalog, provider="gcp").left_out}
    assert told == {
        "A100": ("a GPU alone: its machine a2-highgpu-1g is not in the list", 1),
        "tpu-v6e-1": ("above 100 USD a GPU-hour, which is no price", 1),
        "tpu-v5p-11776": ("unknown accelerator", 1),
        "L4": ("a part of a GPU", 1),
    }
    assert [one.name for one in read(NEBIUS, catalog).left_out] == ["X900"]


@pytest.mark.parametrize(
    ("provider", "name", "instance", "mib", "gpu"),
    [
        ("aws", "A100", "p4d.24xlarge", 327680, "a100-sxm4-40gb"),
        ("aws", "A100-80GB", "p4de.24xlarge", 655360, "a100-sxm4-80gb"),
        ("azure", "H100", "Standard_NC40ads_H100_v5", 655360, "h100-nvl-94gb"),
        ("azure", "H100", "Standard_ND96isr_H100_v5", 655360, "h100-sxm5-80gb"),
        ("azure", "A100-80GB", "Standard_NC24ads_A100_v4", 655360, "a100-pcie-80gb"),
        ("lambda", "H100", "gpu_8x_h100_pcie", 655360, "h100-pcie-80gb"),
        ("lambda", "H100", "gpu_8x_h100_sxm5", 655360, "h100-sxm5-80gb"),
        ("runpod", "A100-80GB", "1x_A100-80GB_SECURE", 640, "a100-pcie-80gb"),
        ("runpod", "A100-80GB-SXM", "1x_A100-80GB-SXM_SECURE", 640, "a100-sxm4-80gb"),
        ("vast.ai", "A100", "8x-A100_SXM4-32-65536", 655360, "a100-sxm4-80gb"),
        ("vast.ai", "A100", "8x-A100_SXM4-32-65536", 327680, "a100-sxm4-40gb"),
        ("vast.ai", "H100", "8x-H100_NVL-32-65536", 766640, "h100-nvl-94gb"),
        ("vast.ai", "RTX4070", "8x-RTX_4070S_Ti-32-65536", 131008, "rtx-4070-ti-super"),
        ("verda", "RTX-PRO-6000", "8RTXPRO6000.240V", 786432, "rtx-pro-6000-blackwell-server"),
    ],
)
def test_the_same_name_means_what_the_provider_means_by_it(
    catalog: Catalog, provider: str, name: str, instance: str, mib: int, gpu: str
) -> None:
    row = f"{instance},{name},8,1,1,9.6,somewhere,\"{{'TotalGpuMemoryInMiB': {mib}}}\",0.00"
    found = read(f"{HEADER}\n{row}\n", catalog, provider=provider)
    assert [one.gpu for one in found.prices] == [gpu]
    assert found.prices[0].usd_per_gpu_hour == 1.2
    assert found.prices[0].spot_usd_per_gpu_hour is None


@pytest.mark.parametrize(
    ("path", "provider"),
    [
        ("catalogs/v8/aws/vms.csv", "aws"),
        ("/somewhere/vast/vms.csv", "vast.ai"),
        ("https://raw.example/catalogs/v8/Lambda/vms.csv", "lambda"),
        ("ourcloud/prices.csv", "ourcloud"),
        ("vms.csv", None),
    ],
)
def test_the_folder_of_a_list_names_its_provider(
    catalog: Catalog, path: str, provider: str | None
) -> None:
    assert provider_of(path, catalog.providers) == provider


# --- what is wrong with it

WRONG = {
    "no number": ("2.50", "cheap", 3, "Price", "cheap"),
    "a negative price": ("2.50", "-2.50", 3, "Price", "-2.50"),
    "not a number": ("1.25", "nan", 3, "SpotPrice", "nan"),
    "an endless price": ("1.25", "inf", 3, "SpotPrice", "inf"),
    "no count": ("H100,1,", "H100,,", 3, "AcceleratorCount", "nothing"),
    "a count of none": ("H100,1,", "H100,0,", 3, "AcceleratorCount", "0"),
}


@pytest.mark.parametrize(("old", "new", "line", "field", "found"), WRONG.values(), ids=WRONG.keys())
def test_a_faulty_cell_is_told_with_line_and_column(
    catalog: Catalog, old: str, new: str, line: int, field: str, found: str
) -> None:
    with pytest.raises(AdvisorError) as raised:
        read(NEBIUS.replace(old, new, 1), catalog)
    (fault,) = raised.value.faults
    assert raised.value.name is ErrorName.PROFILES_INVALID
    assert (fault.line, fault.field, fault.found) == (line, field, found)
    assert fault.expected


def test_every_fault_of_every_list_is_told_at_once(catalog: Catalog) -> None:
    texts = [NEBIUS.replace("2.50", "x").replace("1.5484", "y"), NEBIUS.replace("Price", "Cost")]
    with pytest.raises(AdvisorError) as raised:
        refreshed([Source(text, "a/vms.csv", "a", "2026-11-20") for text in texts], catalog)
    found = [(fault.line, fault.field) for fault in raised.value.faults]
    assert found == [(3, "Price"), (5, "Price"), (1, "Price"), (1, "SpotPrice")]


@pytest.mark.parametrize(
    "text",
    ["", "not a table at all", '"open\n', f"{HEADER}\nonly,three,cells\n", f"{HEADER}\n\x00,\n"],
)
def test_what_is_no_price_list_is_refused(catalog: Catalog, text: str) -> None:
    with pytest.raises(AdvisorError) as raised:
        read(text, catalog)
    assert raised.value.faults


def test_a_file_of_faults_does_not_fill_the_screen(catalog: Catalog) -> None:
    row = "i,H100,1,1,1,dear,r,,\n"
    with pytest.raises(AdvisorError) as raised:
        read(f"{HEADER}\n{row * 5000}", catalog)
    assert len(raised.value.faults) <= 100


# --- what holds afterwards


def test_newer_prices_hold_over_the_shipped_ones_and_the_rest_stays(catalog: Catalog) -> None:
    before = {one.gpu for one in catalog.prices if one.provider == "nebius"}
    write_prices(read(NEBIUS, catalog).prices)
    after = load_catalog()
    h100 = [one for one in after.prices_of("h100-sxm5-80gb") if one.provider == "nebius"]
    assert {one.date for one in h100} == {"2026-11-20"}
    assert {one.gpu for one in after.prices if one.provider == "nebius"} == before | {
        "b300-sxm-288gb"
    }
    assert [one for one in after.prices if one.provider == "aws"] == [
        one for one in catalog.prices if one.provider == "aws"
    ]
    whose = {(row["provider"], row["gpu"]): row["whose"] for row in after.rows("prices")}
    assert whose["nebius", "h100-sxm5-80gb"] == "own"
    assert whose["nebius", "h200-sxm-141gb"] == "shipped"


def test_an_estimate_is_priced_by_the_newer_list(catalog: Catalog) -> None:
    write_prices(read(NEBIUS, catalog).prices)
    newer = load_catalog()
    asked = read_request(
        {"model": "gpt2", "gpu": "h100-sxm5-80gb", "gpus": 8, "provider": "nebius"}
    )
    found = estimate_job(complete_request(asked, catalog=newer), newer)
    assert found.cost_usd
    assert found.cost_usd.mid == pytest.approx(2.4 * found.gpu_hours.mid)
    assert found.cost_usd.price_date == "2026-11-20"
    assert newer.newest_price == "2026-11-20"


def test_what_changes_is_told_gpu_by_gpu(catalog: Catalog) -> None:
    kinds = {one.gpu: one for one in read(NEBIUS, catalog).changes}
    assert {gpu: one.kind for gpu, one in kinds.items()} == {
        "b200-sxm-180gb": "not listed",
        "b300-sxm-288gb": "added",
        "h100-sxm5-80gb": "changed",
        "h200-sxm-141gb": "not listed",
        "l40s": "same",
    }
    changed = kinds["h100-sxm5-80gb"]
    assert changed.before
    assert changed.after
    assert (changed.before.usd, changed.after.usd) == (2.95, 2.4)


def test_an_older_list_never_replaces_a_newer_one(catalog: Catalog) -> None:
    write_prices(read(NEBIUS, catalog).prices)
    old = read(NEBIUS.replace("2.50", "9.50"), load_catalog(), date="2020-01-01")
    assert {one.kind for one in old.changes} == {"older", "not listed"}
    write_prices(old.prices)
    h100 = load_catalog().prices_of("h100-sxm5-80gb")
    assert {one.date for one in h100 if one.provider == "nebius"} == {"2026-11-20"}


def test_lists_of_several_providers_are_kept_side_by_side(catalog: Catalog) -> None:
    write_prices(read(NEBIUS, catalog).prices)
    write_prices(read(GCP, load_catalog(), provider="gcp").prices)
    own = load_catalog().own_prices
    assert own
    assert {one.provider for one in own.all()} == {"nebius", "gcp"}


def test_a_provider_that_nobody_knows_is_taken_only_where_it_is_named(catalog: Catalog) -> None:
    cheap = NEBIUS.replace("2.50", "0.01").replace("19.20", "0.08")
    found = read(cheap, catalog, provider="ourcloud")
    assert found.unknown_providers == ("ourcloud",)
    write_prices(found.prices)
    newer = load_catalog()
    chosen = []
    for named in ({}, {"provider": "ourcloud"}):
        asked = read_request({"model": "gpt2", "gpu": "h100-sxm5-80gb", **named})
        job = complete_request(asked, catalog=newer)
        assert job.price
        chosen.append(job.price.provider)
    assert chosen[0] != "ourcloud"
    assert chosen[1] == "ourcloud"


def test_a_year_is_older_than_a_day_in_it(catalog: Catalog) -> None:
    price = catalog.prices[0]._replace(date="2026")
    day, month = price._replace(date="2026-03-01"), price._replace(date="2026-03")
    assert the_newer([price], [day]) == (day,)
    assert the_newer([day], [price]) == (day,)
    assert the_newer([month], [day]) == (day,)
    assert the_newer([day], [day._replace(notes="again")])[0].notes == "again"


def test_a_write_that_fails_leaves_the_old_prices(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_prices(read(NEBIUS, catalog).prices)
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AdvisorError) as raised:
        write_prices(read(GCP, catalog, provider="gcp").prices)
    assert raised.value.name is ErrorName.DISK
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_damaged_table_of_ones_own_is_told_with_its_place(catalog: Catalog) -> None:
    file = write_prices(read(NEBIUS, catalog).prices)
    file.write_text(file.read_text().replace(",8,", ",many,"))
    with pytest.raises(AdvisorError) as raised:
        _ = load_catalog().prices
    assert (raised.value.faults[0].path, raised.value.faults[0].field) == (
        str(file),
        "gpus_per_instance",
    )


# --- the command


def test_a_refresh_writes_what_it_tells_and_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    file = listed(tmp_path, NEBIUS)
    asked = ("catalog", "refresh", "--from", file, "--date", "2026-11-20")
    dry = run(*asked, "--dry-run")
    assert (dry.returncode, own_prices_file().exists()) == (0, False)
    assert "$2.95 → $2.40" in dry.stdout
    assert "X900: unknown accelerator, 1 row" in dry.stdout
    done = run(*asked)
    assert done.stdout == dry.stdout
    assert f"written to {own_prices_file()}" in done.stderr
    with own_prices_file().open(newline="", encoding="utf-8") as stream:
        assert {row["provider"] for row in csv.DictReader(stream)} == {"nebius"}
    document = json.loads(run(*asked, "--json").stdout)
    assert document["schema"] == "advisor.catalog.refresh/1"
    kinds = {one["gpu"]: one["kind"] for one in document["changes"]}
    assert kinds["h100-sxm5-80gb"] == "same"
    assert kinds["h200-sxm-141gb"] == "not listed"


def test_one_faulty_list_of_two_changes_nothing(tmp_path: Path) -> None:
    good, bad = listed(tmp_path, NEBIUS), listed(tmp_path, GCP.replace("10.8", "x"), "gcp")
    done = run("catalog", "refresh", "--from", good, "--from", bad)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.strip().splitlines()
    assert f"{bad}:6 Price" in line
    assert not own_prices_file().exists()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("--from", "vms.csv"), "usage"),
        (("--from", "aws/none.csv"), "file_unreadable"),
        (("--from", "aws/none.csv", "--date", "2026-13-40"), "usage"),
        (("--from", "http://localhost:1/aws/vms.csv"), "file_unreadable"),
        (("--from", "file:///etc/aws/passwd"), "file_unreadable"),
        (("--from", "https://localhost:1/aws/vms.csv"), "file_unreadable"),
    ],
)
def test_what_cannot_be_read_gets_one_clear_line(arguments: tuple[str, ...], name: str) -> None:
    done = run("catalog", "refresh", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"advisor: error[{name}]: ")


# --- by address


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve lists over https with a certificate that this test alone trusts."""
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    command = [openssl, *made, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web = HTTPServer(("localhost", 0), Lists)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("no_proxy", "localhost")
    yield f"https://localhost:{web.server_port}"
    web.shutdown()
    web.server_close()


class Lists(BaseHTTPRequestHandler):
    """A list, one that is gone, one that is elsewhere, and one without end."""

    def do_GET(self) -> None:
        status = {"/gone/vms.csv": 404, "/moved/vms.csv": 302}.get(self.path, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://localhost:1/aws/vms.csv")
        self.end_headers()
        if self.path == "/endless/vms.csv":
            with_end = b"a,b\n" * (1 << 18)
            try:
                while True:
                    self.wfile.write(with_end)
            except OSError:
                return
        self.wfile.write(NEBIUS.encode())

    def log_message(self, *_: object) -> None:
        return


def test_a_list_is_fetched_over_https(server: str) -> None:
    assert text_of(f"{server}/nebius/vms.csv") == NEBIUS


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/gone/vms.csv", "Not Found"),
        ("/moved/vms.csv", "http"),
        ("/endless/vms.csv", "more"),
    ],
)
def test_an_answer_that_is_no_list_is_refused(server: str, path: str, found: str) -> None:
    with pytest.raises(AdvisorError) as raised:
        text_of(server + path)
    assert (raised.value.name, raised.value.faults[0].found) == (ErrorName.FILE_UNREADABLE, found)


def test_a_server_that_nobody_vouches_for_is_refused(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(AdvisorError) as raised:
        text_of(f"{server}/nebius/vms.csv")
    assert "certificate" in str(raised.value.faults[0].found).lower()


def test_nothing_but_a_refresh_by_address_opens_a_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert text_of(listed(tmp_path, NEBIUS)) == NEBIUS
    assert Catalog(shipped("profiles")).prices
