#!/usr/bin/env bash
# Runs of the default job under other schedules, seeds and lengths, to test forecasts on text that is
# generated; about 4 minutes each on two cores, and what is done is left as it is.
# Usage: launch/generated_runs.sh FOLDER; then launch/backtest.py --runs FOLDER. Even ones are for tuning.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?"where the runs are kept"}

run() {  # NAME SEED STEPS KIND DECAY
  ./launch/local.sh configs/tiny.py "$folder/$1" --config.train.seed="$2" --config.data.seed="$2" \
    --config.schedule.total=$(($3 * 16)) --config.schedule.kind="$4" \
    --config.schedule.decay_fraction="$5"
}

run 00-wsd 0 800 wsd 0.15
run 01-wsd-long 5 1600 wsd 0.1
run 02-cosine 2 1000 cosine 0.15
run 03-wsd-again 6 800 wsd 0.15
run 04-linear 4 800 linear 0.15
run 05-cosine-short 9 700 cosine 0.15
run 06-wsd-short 3 600 wsd 0.3
run 07-wsd-other 8 700 wsd 0.2
run 09-cosine-other 21 900 cosine 0.15
run 11-linear-other 22 1000 linear 0.15
run 13-wsd-third 23 900 wsd 0.25
run 15-cosine-long 24 1300 cosine 0.15
run 17-cosine-third 31 800 cosine 0.15
run 19-wsd-fourth 32 1100 wsd 0.2
run 21-linear-third 33 700 linear 0.15
run 08-cosine-more 41 800 cosine 0.15
run 10-wsd-more 42 900 wsd 0.2
run 12-linear-more 43 900 linear 0.15
run 14-wsd-more 44 700 wsd 0.1
run 18-linear-more 46 700 linear 0.15
run 20-wsd-more 47 1200 wsd 0.25
run 22-cosine-more 48 700 cosine 0.15
run 24-wsd-more 49 800 wsd 0.3
run 26-linear-more 50 1200 linear 0.15
