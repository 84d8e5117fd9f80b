#!/bin/sh
# The engine starts this, in the project's folder, for dynamic resources. Which Python runs them is decided as the
# SDK's own script decides it; `provider.py` says what is different here.
root=$(cd "${0%/*}/../.." && pwd -P)
venv=${PULUMI_RUNTIME_VIRTUALENV:-}
if [ -z "$venv" ] && [ "${PULUMI_RUNTIME_TOOLCHAIN:-}" = uv ]; then venv=.venv; fi
if [ -n "$venv" ]; then
  venv=${venv%/}
  case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
  python=$venv/bin/python
  if [ ! -x "$python" ]; then
    echo "Pulumi.yaml names the virtual environment $venv, which is not there. In this project: make setup" >&2
    exit 1
  fi
  PATH=$venv/bin:$PATH
  export PATH
  unset PYTHONHOME
else
  python=$(command -v "${PULUMI_PYTHON_CMD:-python3}") || { echo "no ${PULUMI_PYTHON_CMD:-python3} on PATH" >&2; exit 1; }
fi
exec "$python" -S -E "$root/engine/language_host/provider.py" "$@"
