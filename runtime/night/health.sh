#!/bin/sh
# Whether whatever works below DIR (or the state folder of the image) is alive. A service that runs
# writes its heartbeat every second or so: that of the night in it. Without one, every run that a
# process holds must have written its journal within the last MINUTES: a night journals every tile, and
# a tile is exposed for ten minutes at most. One that is paused or finished is held by nobody, and
# says nothing about health.
# Costs milliseconds and no Python.  health.sh [DIR [MINUTES]]
set -u
folder=${1:-/var/lib/nightscope}
minutes=${2:-20}

services() {
  find "$folder" -maxdepth 3 -type f -name service.lock 2>/dev/null | {
    code=0
    while IFS= read -r lock; do
      flock --nonblock --shared "$lock" true && continue
      heart=${lock%service.lock}heartbeat
      if [ -z "$(find "$heart" -mmin -1 2>/dev/null)" ]; then
        echo "$heart stands still: the service does not answer for its night"
        code=1
      elif ! grep -q '^ok ' "$heart"; then
        cat "$heart"
        code=1
      fi
    done
    exit "$code"
  }
}

runs() {
  find "$folder" -maxdepth 4 -type f -name .lock 2>/dev/null | {
    code=0
    while IFS= read -r lock; do
      flock --nonblock --shared "$lock" true && continue
      run=${lock%/.lock}
      if [ -z "$(find "$run" -maxdepth 1 -name 'journal.sqlite*' -mmin "-$minutes")" ]; then
        echo "$run stands still: its journal is older than $minutes minutes"
        code=1
      fi
    done
    exit "$code"
  }
}

services && runs
