"""Which program started this process as one of several; standard library only, as the launchers run it too.

``python starts.py`` prints this process's rank, how many there are and the program; an empty line for a process alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

# (program, variables for the number of processes, of which the first that is set counts, variable for the rank,
#  variable without which the others do not count)
MARKS = (
    # in an allocation (sbatch, salloc) SLURM_NTASKS is set for a single process too: only the tasks of a step are several
    ("srun", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), "SLURM_PROCID", "SLURM_STEP_ID"),
    ("mpirun", ("OMPI_COMM_WORLD_SIZE",), "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpirun", ("PMI_SIZE",), "PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("torchrun", ("WORLD_SIZE",), "RANK", "TORCHELASTIC_RUN_ID"),
    ("a rank table", ("RANK_SIZE",), "RANK_ID", "RANK_TABLE_FILE"),
)
FIRST_SPECIAL_STEP = 0xFFFFFFF0  # Slurm's batch script and interactive shell have step numbers from here on


def by_msrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether MindSpore's way of starting several processes, ``msrun`` or a dynamic cluster, started this one."""
    return "MS_ROLE" in environment


def as_scheduler(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is not a rank, but the scheduler through which ranks find each other."""
    return environment.get("MS_ROLE") == "MS_SCHED"


def among_several(environment: Mapping[str, str] = os.environ) -> tuple[str, int, int] | None:
    """Return (program, rank, how many) of another program that started this process with others, None for one alone."""
    for program, sizes, rank, mark in MARKS:
        size = next((_number(environment[name]) for name in sizes if name in environment), None)
        number = _number(environment.get(rank, ""))
        is_mark = mark in environment and not _special_step(environment, mark)
        if is_mark and number is not None and size is not None and size > 1:
            return program, number, size
    return None


def _special_step(environment: Mapping[str, str], mark: str) -> bool:
    return mark == "SLURM_STEP_ID" and (_number(environment[mark]) or 0) >= FIRST_SPECIAL_STEP


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,10}", text) else None


if __name__ == "__main__":
    started_by, number, count = among_several() or ("", "", "")
    print(number, count, started_by)
