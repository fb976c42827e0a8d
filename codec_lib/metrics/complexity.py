"""What a network costs: parameters, multiply-accumulates, memory, frames a second."""

from __future__ import annotations

import copy
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import flop_registry

# What the counted operators are called in tables. Attention runs in its plain form, two batched matrix products.
_KINDS = {
    "convolution": "convolution",
    "_convolution": "convolution",
    "mm": "matrix product",
    "addmm": "matrix product",
    "bmm": "batched matrix product",
    "baddbmm": "batched matrix product",
}


def parameters(module: nn.Module, depth: int = 1) -> dict[str, int]:
    """Number of parameters by submodule name, down to ``depth`` levels; "" is the whole module.

    Works on the meta device. A parameter that is used in several places counts once in every row that holds it.
    """
    rows = {"": module} | {n: m for n, m in module.named_modules() if n and n.count(".") < depth}
    return {name: sum(p.numel() for p in m.parameters()) for name, m in rows.items()}


@dataclass(frozen=True)
class MACs:
    """Multiply-accumulates of one call.

    total: all of them. modules: by submodule name, "" for the whole, each row holding what runs inside it.
    kinds: by kind of operator ("convolution", "transposed convolution", "matrix product", "batched matrix product").
    """

    total: int
    modules: dict[str, int] = field(repr=False)
    kinds: dict[str, int]

    def kmac_per_pixel(self, pixels: int) -> float:
        """Thousands of multiply-accumulates for each of ``pixels`` luma pixels (frames included)."""
        return self.total / pixels / 1000


def count_macs(module: nn.Module, *inputs, call: Callable | None = None, real: bool = False, **named) -> MACs:
    """Count the multiply-accumulates of ``module(*inputs, **named)``, or of ``call(module, *inputs, **named)``.

    By default shapes alone run through a twin of the module on the meta device: nothing is computed, no memory taken,
    and published sizes are counted as easily as small ones. ``real=True`` runs the module itself, for code whose course
    depends on values. inputs: tensors of the right shapes, or anything else that the call takes.

    Convolutions, transposed convolutions, linear layers, matrix products, einsum and attention count, zero padding as
    if it were data; element-wise work, norms, lookups and entropy coding do not. That is how papers count. Attention is
    counted in its plain form, scores and weighted sum in full, masked or not.
    """
    twin = module if real else _meta_twin(module)
    counting, hooks = _Counting(), []

    def enter(name):
        return lambda *_: counting.inside.append(name)

    def leave(*_):
        counting.inside.pop()

    for name, m in twin.named_modules():
        hooks += [m.register_forward_pre_hook(enter(name)), m.register_forward_hook(leave)]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused encoder layers would hide their matrix products
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if not real:
                stack.enter_context(torch.device("meta"))
                inputs, named = tree_map(_to_meta, (inputs, named))
            stack.enter_context(counting)
            call(twin, *inputs, **named) if call else twin(*inputs, **named)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for hook in hooks:
            hook.remove()
    return MACs(counting.modules[""], dict(counting.modules), dict(counting.kinds))


class _Counting(TorchDispatchMode):
    """Books the product sums of every operator under its kind and under the modules that are running."""

    def __init__(self):
        super().__init__()
        self.inside: list[str] = []
        self.modules, self.kinds = Counter(), Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, operator = kwargs or {}, func._overloadpacket
        if operator not in flop_registry:
            with self:  # an operator made of others: count those
                out = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if out is NotImplemented else out
        out = func(*args, **kwargs)
        macs = flop_registry[operator](*args, **kwargs, out_val=out) // 2  # PyTorch counts 2 operations a MAC
        name = operator.__name__
        transposed = "convolution" in name and args[6]
        self.kinds["transposed convolution" if transposed else _KINDS.get(name, name)] += macs
        self.modules.update(dict.fromkeys({"", *self.inside}, macs))
        return out


def _to_meta(x):
    return torch.empty_like(x, device="meta") if isinstance(x, Tensor) else x


def _meta_twin(module: nn.Module) -> nn.Module:
    """The module's structure with parameters and buffers on meta; the module itself where it is there already."""
    tensors = [*module.parameters(), *module.buffers()]
    if tensors and all(t.is_meta for t in tensors):
        return module
    # Handing deepcopy the meta tensors beforehand keeps it from copying the real ones.
    memo = {id(t): nn.Parameter(t.to("meta"), t.requires_grad) for t in module.parameters()}
    memo |= {id(b): b.to("meta") for b in module.buffers()}
    return copy.deepcopy(module, memo)


@dataclass(frozen=True)
class PeakMemory:
    """bytes: the highest memory in use while something ran. increase: how far that is above what was in use before."""

    bytes: int
    increase: int


def peak_memory(run: Callable[[], object], device: str | torch.device = "cpu") -> PeakMemory:
    """Peak memory of a call: resident memory of this process on the CPU, allocated memory on a CUDA device.

    On Linux the kernel's high-water mark is reset first, so the peak is this call's own. Other systems offer no
    reset; there the mark of the whole process is returned and ``increase`` is how far the call raised it. Memory that
    an earlier call freed and Python kept lowers ``increase``: measure in a fresh process to compare with a paper.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device)
        return PeakMemory(peak, peak - before)
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")  # resets VmHWM, see proc(5)
        before = _proc_status("VmRSS")
        run()
        peak = _proc_status("VmHWM")
    except OSError:
        before = _high_water()
        run()
        peak = _high_water()
    return PeakMemory(peak, max(0, peak - before))


def _proc_status(key: str) -> int:
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(key + ":"))


def _high_water() -> int:
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class Speed:
    """seconds: median of the timed calls. fastest, slowest: their extremes. fps: frames over the median."""

    seconds: float
    fastest: float
    slowest: float
    fps: float


def speed(
    run: Callable[[], object],
    frames: int,
    warmup: int = 1,
    repeats: int = 3,
    device: str | torch.device = "cpu",
) -> Speed:
    """Time a call that handles ``frames`` frames, ``warmup`` times unmeasured and ``repeats`` times measured."""
    times = []
    for i in range(warmup + repeats):
        with _timed(torch.device(device)) as timer:
            run()
        if i >= warmup:
            times.append(timer[0])
    median = statistics.median(times)
    return Speed(median, min(times), max(times), frames / median)


@contextmanager
def _timed(device: torch.device):
    seconds = [0.0]
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    yield seconds
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds[0] = time.perf_counter() - start
