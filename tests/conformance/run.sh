#!/usr/bin/env bash
# Runs the Kubernetes conformance suite against a cluster of two nodes that it starts and removes.
# usage: run.sh SUITE [FOCUS]    SUITE holds e2e.test, ginkgo and images/*.tar; FOCUS is a regular expression on test names
#   NODES=6              tests side by side (the [Serial] ones always run one by one, after the others)
#   SKIP=REGEX           leave these out
#   TIMEOUT=90m          for each of the two passes
#   CONTENT_TYPE=...     what the suite's typed clients send (default application/vnd.kubernetes.protobuf)
#   KUBECTL=PATH         the kubectl that the tests use (default: the newest there is, whose words differ from what the suite expects)
#   STATE=DIR            where the cluster's state goes (default: a new directory under /tmp, removed afterwards)
#   KEEP=1               leave the cluster running
# Results: SUITE/report/results.tsv (status <TAB> test) and the logs beside it.
set -uo pipefail
suite=${1:?usage: run.sh SUITE [FOCUS]} focus=${2:-}
here=$(cd "$(dirname "$0")/../.." && pwd)
suite=$(cd "$suite" && pwd)
for file in e2e.test ginkgo; do
  [[ -x $suite/$file ]] || { echo "$suite/$file is missing; CONTRIBUTING.md says how it is built" >&2; exit 2; }
done
state=${STATE:-$(mktemp -d /tmp/tiphys-XXXXXX)}
tiphys=("$here/.venv/bin/tiphys" --state "$state")
export PATH=$here/.venv/bin:$PATH
finish() {
  [[ ${KEEP:-} == 1 ]] && return
  "${tiphys[@]}" down --purge || echo "the cluster in $state could not be removed" >&2
}
trap finish EXIT
"${tiphys[@]}" up --detach --nodes 2 || exit 1
shopt -s nullglob
archives=("$suite"/images/*.tar)
[[ ${#archives[@]} -gt 0 ]] && { "${tiphys[@]}" image load "${archives[@]}" >/dev/null || exit 1; }

report=$suite/report
rm -rf "$report" && mkdir -p "$report"
common=(--provider=skeleton "--kubeconfig=$state/kubeconfig" --num-nodes=-1 --allowed-not-ready-nodes=0
  "--kubectl-path=${KUBECTL:-kubectl}" "--kube-api-content-type=${CONTENT_TYPE:-application/vnd.kubernetes.protobuf}" --delete-namespace=true --ginkgo.noColor)
run_pass() { # NAME SIDE_BY_SIDE FOCUS SKIP
  "$suite/ginkgo" "-nodes=$2" -noColor "-timeout=${TIMEOUT:-90m}" "-focus=$3" "-skip=$4" "$suite/e2e.test" -- \
    "${common[@]}" "--report-dir=$report/$1" >"$report/$1.log" 2>&1
}
wanted='\[Conformance\]'
[[ -n $focus ]] && wanted="($focus).*\[Conformance\]"
run_pass parallel "${NODES:-6}" "$wanted" "\[Serial\]|\[Disruptive\]|\[Flaky\]${SKIP:+|$SKIP}"
serial="(${focus:-.}).*\[Serial\].*\[Conformance\]|(${focus:-.}).*\[Conformance\].*\[Serial\]"
[[ ${SERIAL:-1} == 1 ]] && run_pass serial 1 "$serial" "${SKIP:-NOTHING-IS-SKIPPED}"
cp "$state"/control-plane/*.log "$report/" 2>/dev/null
for log in "$state"/nodes/*/agent.log; do cp "$log" "$report/$(basename "$(dirname "$log")")-agent.log"; done
"$here/.venv/bin/python" "$here/tests/conformance/results.py" "$report"
