# Shared by the scripts of this folder; meant to be sourced.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8 HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# Compilers that fit at once: one per processor, and 1.5 GiB of memory for each.
build_jobs() {
  local by_memory
  by_memory=$(awk '/^MemAvailable:/ { print int($2 / 1572864) }' /proc/meminfo 2>/dev/null || true)
  local jobs
  jobs=$(nproc)
  if [[ -n $by_memory && $by_memory -lt $jobs ]]; then jobs=$by_memory; fi
  echo $((jobs > 0 ? jobs : 1))
}

# build PRESET [TARGET...]: configures and builds in build/PRESET.
build() {
  local preset=$1
  shift
  local targets=()
  if (($#)); then targets=(--target "$@"); fi
  (cd "$root" && cmake --preset "$preset" >/dev/null && cmake --build --preset "$preset" --parallel "$(build_jobs)" "${targets[@]}") >&2
}
