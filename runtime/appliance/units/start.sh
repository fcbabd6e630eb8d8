#!/bin/sh
# What the image starts: first, what was compiled with it (kernels, models) goes to where this machine keeps
# such things, once for each image; then nightscope, with whatever was asked.
# Where that cannot be written, all is compiled anew, as on any machine.
set -u
made=${NIGHTSCOPE_COMPILED:-/opt/nightscope/cache}
kept=$XDG_CACHE_HOME

bring() {
  # Whole or not at all: another container may start, or read the older one, at the same time.
  new=$(mktemp -d "$kept.XXXXXX") || return
  if cp -R "$made/." "$new"; then
    mv -T "$kept" "$new.old"
    mv -T "$new" "$kept"
  fi
  rm -rf "$new" "$new.old"
}

{
  mkdir -p "$TMPDIR"
  cmp -s "$made/image" "$kept/image" || bring
} 2>/dev/null
exec nightscope "$@"
