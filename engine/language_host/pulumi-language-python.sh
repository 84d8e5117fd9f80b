#!/bin/sh
# The engine starts this beside its own binary, in <project>/.engine/<engine>/.
root=$(cd "${0%/*}/../.." && pwd -P)
python=$root/.venv/bin/python
if [ ! -x "$python" ]; then
  echo "pulumi-language-python: $python is missing; run \`make setup\` in the project" >&2
  exit 1
fi
exec "$python" -S -E "$root/engine/language_host/__main__.py" --executor "${0%/*}/pulumi-language-python-exec" "$@"
