#!/usr/bin/env bash
# Measures every figure of the README anew. Leave the machine alone meanwhile.
#
#     GIGALANE_DATA=… benchmarks/measure.sh [speed] [driver] [sweep]
#
# Afterwards `python benchmarks/tables.py` writes the tables.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
: "${GIGALANE_DATA:?set it to the folder of sample maps: the towns are CARLA\'s}"
mkdir -p speed driver

speed() {
    for workload in default peer-puffer large; do
        gigalane bench sim --workload "$workload" -o "speed/sim-$workload.json"
        gigalane bench sim --workload "$workload" --threads 1 -o "speed/sim-$workload-1-thread.json"
    done
    gigalane bench train -o speed/train.json
    gigalane bench train --workload train-614k -o speed/train-614k.json
    gigalane bench latency -o speed/latency.json
}

sweep() {
    gigalane bench sweep -o speed/sweep.png --worlds 32 512 4096 32768
}

driver() {
    local suite episodes who
    for suite in unseen-dense unseen-sparse procedural procedural-sparse; do
        episodes=1000
        [[ $suite == *sparse ]] && episodes=300
        for who in default idm; do
            gigalane evaluate $who --suite $suite --episodes $episodes --json \
                > "driver/$suite-$who-dt01.json"
            gigalane evaluate $who --suite $suite --episodes $episodes --dt 0.3 --json \
                > "driver/$suite-$who-dt03.json"
        done
    done
    gigalane evaluate default --blind --suite unseen-dense --episodes 1000 --json \
        > driver/unseen-dense-default-blind-dt01.json
    gigalane evaluate constant-velocity --suite unseen-dense --episodes 1000 --json \
        > driver/unseen-dense-constant-velocity-dt01.json
}

for part in "${@:-speed driver sweep}"; do
    # One word may hold all three.
    for name in $part; do "$name"; done
done
