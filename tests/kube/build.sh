#!/usr/bin/env bash
# The Kubernetes API server, kubectl and etcd for the end-to-end tests. Prints the folder that holds them; builds them from their Go modules when they are
# not there.
#
#   tests/kube/build.sh [--find]     --find: builds nothing
#
# The versions stand in go.mod; the folder is ${XDG_CACHE_HOME:-~/.cache}/veranda/kube-VERSIONS, so that one build serves until they change.
# Go is needed (on the PATH, or /usr/local/go/bin/go; that of Debian 12 is too old) and, for a first build, the module proxy of its configuration. That build
# takes about eight minutes of one processor and, in the caches of Go, 3 GB of disk.
# Exit status: 0 and the folder, 3 and a line `skipped: ...` when it cannot be built on this machine, anything else when the build failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/lib.sh
source "$here/../../tools/lib.sh"

commands=(etcd kube-apiserver kubectl)
skip() {
  say "skipped: no Kubernetes API server for the tests: $*"
  exit 3
}
version_of() { awk -v module="$1" '$1 == module && $2 ~ /^v/ { print substr($2, 2); exit }' "$here/go.mod"; }
kubernetes=$(version_of k8s.io/kubernetes)
etcd=$(version_of go.etcd.io/etcd/server/v3)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/veranda/kube-$kubernetes-etcd-$etcd

complete() {
  local command
  for command in "${commands[@]}"; do [[ -x $folder/$command ]] || return 1; done
}
if complete; then
  echo "$folder"
  exit 0
fi
case ${1:-} in
  --find) skip "it is not built; tests/kube/build.sh builds it" ;;
  '') ;;
  *) die "unknown argument $1; see the head of $0" ;;
esac

# Not what is said of this module in some workspace, and no other toolchain than the one that is there.
export GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -mod=readonly -trimpath"
needed=$(awk '$1 == "go" { print $2; exit }' "$here/go.mod")
go='' old=''
for candidate in "$(command -v go || true)" /usr/local/go/bin/go; do
  [[ -x $candidate ]] || continue
  version=$(cd / && "$candidate" env GOVERSION)
  version=${version#go} version=${version%%[!0-9.]*}
  if [[ $(printf '%s\n' "$needed" "$version" | sort -V | head -n 1) == "$needed" ]]; then
    go=$candidate
    break
  fi
  old=" ($candidate is $version)"
done
[[ -n $go ]] || skip "Go $needed or newer is needed$old"

mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if complete; then # built by somebody else in the meantime
  echo "$folder"
  exit 0
fi
new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT

say "fetching the Go modules of Kubernetes $kubernetes and etcd $etcd"
if ! "$go" -C "$here" list -deps -f '' tool >/dev/null 2>"$new/log"; then
  cat "$new/log" >&2
  # Whatever is wrong with the modules themselves is a failure; that they cannot be had here is not.
  if grep -qE 'checksum mismatch|SECURITY ERROR|go\.sum|updates to go\.mod' "$new/log"; then die "the modules are not those of go.mod and go.sum"; fi
  skip "no module proxy gives its Go modules"
fi
rm "$new/log"

begin=$SECONDS
say "building Kubernetes $kubernetes and etcd $etcd for the tests: some minutes, once"
stamp=k8s.io/component-base/version
flags="-s -w -X $stamp.gitVersion=v$kubernetes -X $stamp.gitMajor=${kubernetes%%.*} -X $stamp.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"
nice "$go" -C "$here" build -ldflags "$flags" -o "$new/" k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl >&2
nice "$go" -C "$here" build -ldflags "-s -w" -o "$new/etcd" go.etcd.io/etcd/server/v3 >&2
chmod 755 "$new"
mkdir -p "$folder"
mv -f "$new"/* "$folder/"
say "built in $((SECONDS - begin)) s: $(du -sm "$folder" | cut -f1) MiB in $folder"
echo "$folder"
