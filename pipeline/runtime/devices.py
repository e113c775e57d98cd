"""The device that networks run on, and how exactly they compute there."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from typing import Any

import torch

from pipeline.errors import BadParams
from pipeline.runtime.fingerprint import fingerprint

COMPUTING = ("numpy", "pillow", "torch")  # libraries whose versions may change what is trained


def pick_device(device: str) -> str:
    """The device of a name; `auto` is a GPU where PyTorch has kernels for one. With a GPU `exact` is called.

    Raises:
        BadParams: cuda is named and there is none.
    """
    usable = torch.cuda.is_available() and _has_kernels()
    if device == "cuda" and not usable:
        raise BadParams("--device cuda: no CUDA device that this PyTorch can use is available here; use auto or cpu")
    if device == "cpu" or not usable:
        return "cpu"
    exact()
    return "cuda"


def _has_kernels() -> bool:
    if torch.version.hip:
        return True
    least = min(int(re.sub(r"\D", "", name)) for name in torch.cuda.get_arch_list())
    major, minor = torch.cuda.get_device_capability()
    return 10 * major + minor >= least


def pick_bf16(precision: str, device: str) -> bool:
    """Whether to autocast to bf16: `auto` where the hardware has it, since emulation is slower than fp32."""
    if precision != "auto":
        return precision == "bf16"
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def exact() -> None:
    """Let this process compute deterministically, as far as PyTorch can, and fp32 in fp32 instead of TF32.

    Memory that is allocated stays as it is: to fill it costs time and changes no result.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False


def run_name(facts: Mapping[str, Any], module: str) -> str:
    """16 hex digits for an optimisation whose state may be taken up again: of its facts, code, versions and machine.

    Args:
        facts: what the result depends on; `device` among them, whose kind counts too where it is a GPU.
        module: dotted name of the module that computes.
    """
    machine = [platform.machine(), torch.backends.cpu.get_cpu_capability()]
    if facts.get("device") == "cuda":
        machine.append(torch.cuda.get_device_name())
    return fingerprint(module, [facts, machine], COMPUTING)[:16]
