#!/usr/bin/env bash
# A study as a Slurm array: sixteen jobs, each of which runs a sixteenth of it.
#
#   export MLFLOW_TRACKING_URI=http://tracking.example.org:5000
#   sbatch --array=1-16 slurm.sh study.yaml
#
# What stands after the study goes to `finetune run` as it is. A job whose time is up saves where it
# stands and queues itself again; so does one whose node fails. To see how all of it stands:
#   finetune status
#SBATCH --job-name=seedbed
#SBATCH --array=1-16
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
# For a GPU each, add: --gpus-per-task=1
set -euo pipefail

if [[ $# -eq 0 ]]; then
    echo "Say which study: sbatch ${0##*/} study.yaml" >&2
    exit 2
fi

count=${SLURM_ARRAY_TASK_COUNT:-1}
first=${SLURM_ARRAY_TASK_MIN:-1}
number=$((${SLURM_ARRAY_TASK_ID:-1} - first + 1))
if [[ $first -ne 1 || ${SLURM_ARRAY_TASK_MAX:-1} -ne $count ]]; then
    # Of a part of an array, such as 3,5 of 16 that are to be run again, Slurm does not say the whole.
    echo "The array must be 1-N, of which every job runs one part of N." >&2
    exit 2
fi
if [[ $count -gt 1 && ${MLFLOW_TRACKING_URI:-sqlite} == sqlite* ]]; then
    echo "Several machines cannot write one SQLite file: set MLFLOW_TRACKING_URI to a server." >&2
    exit 2
fi

# The states of unfinished trials stay in .seedbed, where the job was submitted, so that another node
# can take them up.
cd "${SLURM_SUBMIT_DIR:-.}"
finetune run "$@" --shard "$number/$count" &
child=$!

is_over=false
trap 'is_over=true; kill -TERM "$child" 2> /dev/null || true' TERM INT

# A signal ends the first wait; the second is for what the program then still does.
status=0
wait "$child" || status=$?
if $is_over; then
    status=0
    wait "$child" || status=$?
fi
if $is_over && [[ $status -eq 130 && -n ${SLURM_JOB_ID:-} ]]; then
    echo "The time is up: queueing again."
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
