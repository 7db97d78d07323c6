#!/usr/bin/env bash
# Makes the virtual environment with Tiphys in it, at the pinned versions. usage: install-python.sh PYTHON VENV
set -euo pipefail
python=$1 venv=$2
[[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
echo "installing Python packages into $venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-warn-script-location \
  -c constraints.txt -e '.[dev,kubectl]' 2> >(grep -v '^WARNING: Location' >&2 || true)
