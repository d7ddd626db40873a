"""What `advisor calibrate` stores, when it counts, and what estimates make of it."""

import json
import os
import signal
import subprocess
import sys
import warnings

import pytest

from advisor import estimate
from advisor.calibration import calibrate, measuring
from advisor.calibration.measuring import Effort
from advisor.catalog import load_catalog
from advisor.machine import Machine, detect_machine
from advisor.machine.calibration import (
    Calibration,
    Fit,
    Rates,
    Saving,
    Startup,
    as_text,
    calibration_path,
    fingerprint_of,
    stored_for,
)

CALIBRATION = Calibration(
    date="2026-11-21",
    device="cpu",
    rates=Rates(
        matrix_gflops=200.0,
        matrix_bf16_gflops=None,
        attention_gflops=90.0,
        memory_gbs=14.0,
        element_ns=0.8,
        dropout_ns=4.0,
        score_ns=4.0,
        update_ns=1.0,
    ),
    full=Fit(time_factor=0.9, kept_share=0.2, profiled_gb=0.01),
    adapters=Fit(time_factor=0.9, kept_share=0.5, profiled_gb=0.015),
    scratch=Startup(seconds=6.0, seconds_per_block=0.4),
    based=Startup(seconds=5.0, seconds_per_block=0.4),
    saving=Saving(seconds=0.1, seconds_per_gb=2.0),
    process_gb=0.6,
    time_error=1.05,
    memory_error=1.03,
)
PLAIN = Machine(platform="Linux x86_64", cpu="a processor", cores=2, ram_gb=16.0, disk_gb=100.0)
MEASURED = PLAIN._replace(calibration=CALIBRATION)
REQUEST = {"model": "llama-10m", "approach": "pretrain", "gpu": "local", "tokens": 1e6}
SCRATCH = {"model": "llama-10m", "method": "full", "approach": "full_finetune", "gpu": "local"}


@pytest.fixture(autouse=True)
def _usual_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def store(text: str) -> None:
    path = calibration_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def store_for(machine: Machine) -> None:
    gpus = tuple(gpu.name for gpu in machine.gpus)
    store(as_text(fingerprint_of(machine.cpu, machine.cores, gpus), CALIBRATION))


def this_machine() -> Machine:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return detect_machine()


def test_what_was_measured_of_this_machine_is_found_again():
    store_for(this_machine())
    assert detect_machine().calibration == CALIBRATION


def test_a_machine_that_nobody_measured_has_no_calibration_and_says_nothing():
    assert detect_machine().calibration is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cpu": "another processor"}, "cpu was another processor"),
        ({"cores": 64}, "cores was 64"),
        ({"threads": 1}, "threads was 1"),
        ({"gpus": ("NVIDIA L40S",)}, "gpus was NVIDIA L40S and is none"),
        ({"torch": "1.0"}, "torch was 1.0"),
    ],
)
def test_a_calibration_of_another_machine_is_left_out_with_one_line(change, told):
    here = PLAIN._replace(cores=4)
    fingerprint = fingerprint_of(here.cpu, here.cores, ())
    store(as_text(fingerprint._replace(**change), CALIBRATION))
    found = stored_for(here.cpu, here.cores, ())
    assert found.calibration is None
    assert told in str(found.problem)
    assert "advisor calibrate" in str(found.problem)
    assert "\n" not in str(found.problem)


def test_fewer_threads_make_another_machine(monkeypatch):
    store_for(PLAIN)
    assert stored_for(PLAIN.cpu, PLAIN.cores, ()).calibration == CALIBRATION
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert stored_for(PLAIN.cpu, PLAIN.cores, ()).calibration is None


def with_rate(value: object) -> str:
    document = json.loads(as_text(fingerprint_of("a", 1, ()), CALIBRATION))
    document["calibration"]["rates"]["matrix_gflops"] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"schema": "advisor.calibration/9"}',
        '{"schema": "advisor.calibration/1", "fingerprint": {}, "calibration": {}}',
        with_rate("fast"),
        with_rate(-1),
        with_rate(1e300),
        with_rate(None),
        with_rate(0),
    ],
)
def test_a_damaged_calibration_is_left_out_with_one_line(text):
    store(text)
    found = stored_for("a", 1, ())
    assert found.calibration is None
    assert "damaged" in str(found.problem)
    assert "advisor calibrate" in str(found.problem)


def test_detecting_the_machine_warns_of_a_calibration_that_is_left_out():
    store("{")
    with pytest.warns(UserWarning, match="damaged"):
        assert detect_machine().calibration is None


def test_the_command_line_says_it_in_one_line_on_stderr_and_answers_all_the_same():
    store("{")
    done = subprocess.run(
        [sys.executable, "-m", "advisor", "estimate", "--json"]
        + [part for name, value in REQUEST.items() for part in (f"--{name}", str(value))],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("advisor: ")
    assert "damaged" in line
    assert json.loads(done.stdout)["basis"] == "analytic"


def width(interval) -> float:
    return interval.high / interval.low


def test_an_estimate_for_a_measured_machine_says_so_and_is_narrower():
    before, after = estimate(REQUEST, machine=PLAIN), estimate(REQUEST, machine=MEASURED)
    assert (before.basis, after.basis) == ("analytic", "calibrated")
    assert width(after.wall_hours) < width(before.wall_hours)
    assert width(after.tokens_per_second_per_gpu) < width(before.tokens_per_second_per_gpu)
    assert width(after.memory_gb_per_gpu) < width(before.memory_gb_per_gpu)


def test_an_estimate_for_other_hardware_does_not_rest_on_this_machine():
    elsewhere = {**REQUEST, "gpu": "l40s"}
    measured = estimate(elsewhere, machine=MEASURED)
    assert measured.basis == "analytic"
    assert measured.wall_hours == estimate(elsewhere, machine=PLAIN).wall_hours


def test_a_processor_that_was_measured_says_nothing_of_a_gpu():
    assert MEASURED.calibrated("cpu") == CALIBRATION
    assert MEASURED.calibrated("NVIDIA L40S") is None


def test_runs_that_lie_further_from_the_fit_leave_a_wider_interval():
    doubtful = MEASURED._replace(calibration=CALIBRATION._replace(time_error=1.6, memory_error=1.5))
    sure, unsure = estimate(REQUEST, machine=MEASURED), estimate(REQUEST, machine=doubtful)
    assert width(unsure.wall_hours) > width(sure.wall_hours)
    assert width(unsure.memory_gb_per_gpu) > width(sure.memory_gb_per_gpu)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("rates", {"matrix_gflops": 100.0}),
        ("rates", {"attention_gflops": 45.0}),
        ("rates", {"element_ns": 1.6}),
        ("rates", {"score_ns": 8.0}),
        ("rates", {"update_ns": 2.0}),
        ("full", {"time_factor": 1.8}),
        ("scratch", {"seconds": 60.0}),
        ("saving", {"seconds_per_gb": 20.0}),
    ],
)
def test_a_machine_that_was_measured_to_be_slower_takes_longer(part, change):
    slower = CALIBRATION._replace(**{part: getattr(CALIBRATION, part)._replace(**change)})
    usual = estimate(REQUEST, machine=MEASURED)
    found = estimate(REQUEST, machine=MEASURED._replace(calibration=slower))
    assert found.wall_hours.mid > usual.wall_hours.mid


@pytest.mark.parametrize("more", ["seq_len", "micro_batch"])
def test_longer_rows_and_larger_batches_hold_more(more):
    small = estimate({**SCRATCH, "seq_len": 128, "micro_batch": 2}, machine=MEASURED)
    large = estimate({**SCRATCH, "seq_len": 128, "micro_batch": 2, more: 256}, machine=MEASURED)
    assert large.memory_gb_per_gpu.mid > small.memory_gb_per_gpu.mid


def test_a_recommendation_shows_what_was_measured():
    document = MEASURED.as_document()
    assert json.loads(json.dumps(document))["calibration"]["rates"]["matrix_gflops"] == 200.0
    assert PLAIN.as_document()["calibration"] is None


def test_a_calibration_that_is_cut_short_leaves_the_old_one(monkeypatch):
    store_for(this_machine())
    before = calibration_path().read_bytes()

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("advisor.calibration.measured_rates", interrupt)
    with pytest.raises(KeyboardInterrupt):
        calibrate(lambda _: None)
    assert calibration_path().read_bytes() == before
    assert [path.name for path in calibration_path().parent.iterdir()] == ["calibration.json"]


@pytest.mark.slow
def test_ctrl_c_ends_the_command_with_130_and_the_old_calibration_stays():
    store_for(this_machine())
    before = calibration_path().read_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "advisor", "calibrate"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
        text=True,
    ) as process:
        assert process.stderr
        # A busy machine is said in a line of its own.
        assert any(line.startswith("1/5 ") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "error[stopped]" in said
    assert calibration_path().read_bytes() == before


@pytest.mark.slow
def test_a_small_calibration_measures_stores_and_is_used(monkeypatch):
    smallest = load_catalog().shapes["llama-1m"]
    shapes = tuple(
        smallest._replace(id=f"tiny-{layers}", n_layers=layers, hidden=64, intermediate=128)
        for layers in (1, 2)
    )
    effort = Effort(shapes, steps=4, seq_len=64, micro_batch=2, records=30)
    monkeypatch.setattr(measuring, "WORDS", 800)
    told: list[str] = []
    found = calibrate(told.append, effort)
    parts = [line for line in told if line[1:3] == "/5"]
    assert [line[0] for line in parts] == ["1", "2", "3", "4", "5"]
    assert all("left" in line for line in parts[1:])
    here = detect_machine()
    assert here.calibration == found.calibration
    assert all(rate is None or rate > 0 for rate in found.calibration.rates)
    assert [run.approach for run in found.runs] == ["pretrain", "lora"] * 2
    assert 0.2 < found.calibration.process_gb < 2.0
    assert estimate(REQUEST, machine=here).basis == "calibrated"
