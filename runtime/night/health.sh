#!/bin/sh
# Whether every run below DIR (or the state folder of the image) that a process holds has written its
# journal within the last MINUTES: a night journals every tile, and a tile is exposed for ten minutes
# at most. One that is paused or finished is held by nobody, and says nothing about health.
# Costs milliseconds and no Python.  health.sh [DIR [MINUTES]]
set -u
folder=${1:-/var/lib/nightscope}
minutes=${2:-20}
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
