"""Which program started this process as one of several; standard library only, as the launchers run it too.

``python starts.py`` prints this process's rank, how many there are and the program; an empty line for a process alone.
"""
import os
import re

# program, variables of which the first that is set says how many, the one that says which, one without which it says nothing
MARKS = (
    # in an allocation (sbatch, salloc) SLURM_NTASKS is set for one ordinary process too: only a step's tasks are several
    ("srun", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), "SLURM_PROCID", "SLURM_STEP_ID"),
    ("mpirun", ("OMPI_COMM_WORLD_SIZE",), "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpirun", ("PMI_SIZE",), "PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("torchrun", ("WORLD_SIZE",), "RANK", "TORCHELASTIC_RUN_ID"),
    ("a rank table", ("RANK_SIZE",), "RANK_ID", "RANK_TABLE_FILE"),
)
FIRST_SPECIAL_STEP = 0xfffffff0  # Slurm's batch script and interactive shell have step numbers from here on


def by_msrun(environment=os.environ):
    """Return whether MindSpore's way of starting several processes, ``msrun`` or a dynamic cluster, started this one."""
    return "MS_ROLE" in environment


def as_scheduler(environment=os.environ):
    """Return whether this process is not a rank, but the scheduler through which ranks find each other."""
    return environment.get("MS_ROLE") == "MS_SCHED"


def among_several(environment=os.environ):
    """Return (program, rank, how many) of another program that started this process with others, None for one alone."""
    for program, sizes, rank, mark in MARKS:
        size = next((_number(environment[name]) for name in sizes if name in environment), None)
        place = _number(environment.get(rank, ""))
        if mark in environment and size is not None and place is not None and size > 1 and not _special_step(environment, mark):
            return program, place, size
    return None


def _special_step(environment, mark):
    return mark == "SLURM_STEP_ID" and (_number(environment[mark]) or 0) >= FIRST_SPECIAL_STEP


def _number(text):
    return int(text) if re.fullmatch("[0-9]{1,10}", text) else None


if __name__ == "__main__":
    started_by, number, count = among_several() or ("", "", "")
    print(number, count, started_by)
