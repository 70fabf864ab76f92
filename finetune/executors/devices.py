"""What trials are computed on: the cores and GPUs of this machine."""

import os

from finetune.errors import SeedbedError


def available_cores() -> int:
    """Return how many cores this process may use, which a container may limit."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def find_device(name: str = "auto") -> str:
    """Return the device to compute on: the one named, or the best there is.

    Raises:
        SeedbedError: where there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SeedbedError(
            f"device {name}: cannot be used ({_first_line(error)}). `finetune doctor` shows what "
            "this machine has; leave --device out to take the best."
        ) from error
    return str(device)


def worker_devices(
    name: str = "auto", *, workers: int | None = None, per_gpu: int = 1, trials: int | None = None
) -> list[str]:
    """Return the device of each worker to start: one per core, or so many per GPU, in turn.

    Args:
        name: `cpu`, `cuda` for all GPUs, `cuda:1` for one, or `auto` for the best there is.
        workers: how many in all; None for one per core, or `per_gpu` on each GPU.
        per_gpu: how many share a GPU.
        trials: how many trials there are; no more workers are started.

    Raises:
        SeedbedError: where there is no such device.
    """
    found = find_device(name)
    if found == "cuda":
        import torch

        gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    else:
        gpus = [found]
    count = workers or (available_cores() if found == "cpu" else per_gpu * len(gpus))
    return in_turn(gpus, count if trials is None else min(count, trials))


def in_turn(devices: list[str], workers: int) -> list[str]:
    """Deal workers to devices, one after another."""
    return [devices[worker % len(devices)] for worker in range(workers)]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
