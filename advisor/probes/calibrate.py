"""Measures what a device reaches in the parts of a training step; JSON on stdout.

Each part runs a few times, and the median of its times counts: the machine's own state is what a
run meets too. Stderr gets one line a part.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

# As the job has it: what waits does not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from torch.nn import functional

REPEATS: Final = 9
LARGEST: Final = 4  # a GPU gets so many times the tokens: less would not fill it
TOKENS: Final = 2048
WIDTH: Final = 512
SCORES: Final = 16384
HEADS: Final = 8
HEAD_WIDTH: Final = 64
ROW: Final = 512
KEPT: Final = 48
# Two products forward and five backward, of which a causal mask leaves half.
ATTENTION_PRODUCTS: Final = 7 * 2 / 2


class Bench:
    """Times work on one device in the precision that the job trains in there."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.cuda = device == "cuda"
        self.half = torch.bfloat16 if self.cuda else torch.float32
        self.tokens = TOKENS * (LARGEST if self.cuda else 1)

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the median of the seconds that `work` takes, after a first time to warm up."""
        times = []
        for _ in range(REPEATS + 1):
            start = perf_counter()
            work()
            if self.cuda:
                torch.cuda.synchronize()
            times.append(perf_counter() - start)
        return statistics.median(times[1:])

    def random(self, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return a tensor of random numbers that asks for no gradient."""
        return torch.randn(*shape, device=self.device).to(dtype or self.half)

    def matrix_gflops(self, dtype: torch.dtype) -> float:
        """Return the rate of the three products of a linear layer: forward and both gradients."""
        width = WIDTH * (LARGEST if self.cuda else 1)
        inputs, weights = self.random(self.tokens, width, dtype=dtype), self.random(width, width)
        weights = weights.to(dtype)

        def products() -> object:
            return inputs @ weights, inputs @ weights.t(), inputs.t() @ inputs

        return 3 * 2 * self.tokens * width * width / self.seconds(products) / 1e9

    def attention_gflops(self) -> float:
        """Return the rate of fused causal attention, forward and backward."""
        rows = self.tokens // ROW
        q, k, v = (self.random(rows, HEADS, ROW, HEAD_WIDTH).requires_grad_() for _ in range(3))

        def attend() -> None:
            out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            torch.autograd.grad(out, (q, k, v), out.detach())

        work = ATTENTION_PRODUCTS * rows * HEADS * ROW * ROW * HEAD_WIDTH
        return work / self.seconds(attend) / 1e9

    def element_ns(self) -> float:
        """Return the time of one number that is computed, written and kept a while."""
        one, other = self.random(self.tokens, WIDTH), self.random(self.tokens, WIDTH)

        def keep() -> object:
            return [one * other for _ in range(KEPT)]

        return self.seconds(keep) * 1e9 / (KEPT * one.numel())

    def dropout_ns(self) -> float:
        """Return the time of one input that is dropped out or kept, forward and backward."""
        inputs = self.random(self.tokens, WIDTH).requires_grad_()

        def drop() -> None:
            kept = functional.dropout(inputs, 0.05, training=True)
            torch.autograd.grad(kept, inputs, inputs.detach())

        return self.seconds(drop) * 1e9 / inputs.numel()

    def score_ns(self) -> float:
        """Return the time of one score of the vocabulary in the loss, forward and backward."""
        rows = self.tokens // 2
        scores = self.random(rows, SCORES, dtype=torch.float32).requires_grad_()
        targets = torch.randint(SCORES, (rows,), device=self.device)

        def lose() -> None:
            torch.autograd.grad(functional.cross_entropy(scores, targets), scores)

        return self.seconds(lose) * 1e9 / scores.numel()

    def update_ns(self) -> float:
        """Return the time of one trained parameter: its norm, and its step of AdamW."""
        weights = [self.random(WIDTH, WIDTH, dtype=torch.float32) for _ in range(16)]
        for one in weights:
            one.requires_grad_().grad = torch.ones_like(one)
        optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)

        def update() -> None:
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()

        return self.seconds(update) * 1e9 / (16 * WIDTH * WIDTH)

    def memory_gbs(self) -> float:
        """Return the bandwidth of a copy that no cache holds: bytes read and written."""
        source = self.random(2**26, dtype=torch.float32)
        target = torch.empty_like(source)
        return 2 * source.nbytes / self.seconds(lambda: target.copy_(source)) / 1e9


def main() -> None:
    """Measure every part and print the rates."""
    bench = Bench("cuda" if torch.cuda.is_available() else "cpu")
    parts: dict[str, Callable[[], float | None]] = {
        "matrix_gflops": lambda: bench.matrix_gflops(bench.half),
        "matrix_bf16_gflops": lambda: _bf16(bench),
        "attention_gflops": bench.attention_gflops,
        "memory_gbs": bench.memory_gbs,
        "element_ns": bench.element_ns,
        "dropout_ns": bench.dropout_ns,
        "score_ns": bench.score_ns,
        "update_ns": bench.update_ns,
    }
    rates = {}
    for name, measure in parts.items():
        rates[name] = measure()
        print(name, file=sys.stderr, flush=True)  # noqa: T201 - how far it is
    name = torch.cuda.get_device_name() if bench.cuda else "cpu"
    document: dict[str, Any] = {"device": name, "rates": rates}
    print(json.dumps(document))  # noqa: T201 - the answer


def _bf16(bench: Bench) -> float | None:
    try:
        return bench.matrix_gflops(torch.bfloat16)
    except RuntimeError:
        return None


if __name__ == "__main__":
    main()
