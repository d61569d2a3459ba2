"""A Slurm of one machine: sbatch and its like as shell scripts, which run a job as soon as it is handed over."""

import os
from pathlib import Path

import pytest

SCRIPTS = {
    # What is kept of job 100: 100.script, 100.task (the processes of its tasks), 100.state (once it has ended).
    "sbatch": """
        if [ -n "$SLURM_HERE_REFUSES" ]; then
            echo "sbatch: error: invalid partition specified: $SLURM_HERE_REFUSES" >&2; exit 1
        fi
        id=$((100 + $(ls "$SLURM_HERE" | grep -c 'script$')))
        cp "$1" "$SLURM_HERE/$id.script"
        {
            SLURM_JOB_ID=$id bash "$1"
            code=$?
            [ -e "$SLURM_HERE/$id.state" ] || case $code in
                0) echo COMPLETED ;; 137) echo OUT_OF_MEMORY ;; *) echo FAILED ;;
            esac > "$SLURM_HERE/$id.state"
        } < /dev/null > /dev/null 2>&1 &
        echo "Submitted batch job $id"
    """,
    "srun": """
        while [[ $1 == --* ]]; do
            case $1 in
                --output) out=$2; shift ;;
                --error) err=$2; shift ;;
            esac
            shift
        done
        out=${out//%j/$SLURM_JOB_ID} err=${err//%j/$SLURM_JOB_ID}
        tasks=$(sed -n 's/^#SBATCH --ntasks-per-node=//p' "$SLURM_HERE/$SLURM_JOB_ID.script")
        export SLURM_NTASKS=${tasks:-1} SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_STEP_ID=0
        export SLURM_STEP_NUM_TASKS=$SLURM_NTASKS
        for ((task = SLURM_NTASKS - 1; task > 0; task--)); do
            SLURM_PROCID=$task SLURM_LOCALID=$task setsid "$@" > "${out//%t/$task}" 2> "${err//%t/$task}" &
            echo $! >> "$SLURM_HERE/$SLURM_JOB_ID.task"
        done
        export SLURM_PROCID=0 SLURM_LOCALID=0
        echo $$ >> "$SLURM_HERE/$SLURM_JOB_ID.task"
        exec setsid "$@" > "${out//%t/0}" 2> "${err//%t/0}"
    """,
    "sacct": """
        for script in "$SLURM_HERE"/*.script; do
            job=${script%.script}
            echo "${job##*/}|$(cat "$job.state" 2> /dev/null || echo RUNNING)"
        done
    """,
    "squeue": """
        for script in "$SLURM_HERE"/*.script; do
            job=${script%.script}
            name=$(sed -n "s/^#SBATCH --job-name=//p" "$script" | tr -d \\"\\')
            [ -e "$job.state" ] || echo "${job##*/} $name"
        done
    """,
    "scancel": """
        for job; do
            echo "CANCELLED by 0" > "$SLURM_HERE/$job.state"
            kill -TERM $(cat "$SLURM_HERE/$job.task")
        done
    """,
}


def put_in_place(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put Slurm's commands on PATH; where they keep what they know of their jobs."""
    programs, jobs = directory / "bin", directory / "jobs"
    for made in (programs, jobs):
        made.mkdir(parents=True)
    for name, script in SCRIPTS.items():
        path = programs / name
        path.write_text(f"#!/bin/bash\n{script}")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_HERE", str(jobs))
    return jobs
