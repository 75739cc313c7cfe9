#!/bin/bash
# A Slurm array without Dask: each of 20 tasks measures its share of the cells, alone on its node. Then:
#   soak merge cells --out cells/merged
#SBATCH --job-name=soak
#SBATCH --array=1-20
#SBATCH --exclusive
#SBATCH --time=08:00:00
soak matrix drivers/ \
    --python python3.11 --python python3.12 \
    --with numpy==2.3.1 --with numpy==2.4.0 \
    --share "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
    --out cells
