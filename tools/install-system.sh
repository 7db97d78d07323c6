#!/usr/bin/env bash
# Installs the distribution's packages that a node and the tests need, and only what is missing.
set -euo pipefail
declare -A package_of=(
  [containerd]=containerd [runc]=runc [nft]=nftables [ip]=iproute2 [nsenter]=util-linux
  [conntrack]=conntrack [iptables]=iptables [busybox]=busybox-static [wrk]=wrk [curl]=curl
)
missing=()
for command in "${!package_of[@]}"; do
  PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null || missing+=("${package_of[$command]}")
done
[[ -x /usr/lib/cni/bridge || -x /opt/cni/bin/bridge ]] || missing+=(containernetworking-plugins)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[[ ${#missing[@]} -eq 0 ]] && exit 0
sudo=()
[[ $(id -u) -eq 0 ]] || sudo=(sudo)
if ! command -v apt-get >/dev/null; then
  echo "install these with your package manager: ${missing[*]}" >&2
  exit 1
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Another package manager may be at work: wait for it.
"${sudo[@]}" apt-get -o DPkg::Lock::Timeout=600 update -q >/dev/null
# Tiphys runs a containerd of its own: the packaged service need not be started.
"${sudo[@]}" apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "${missing[@]}" >/dev/null
