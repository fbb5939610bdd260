#!/usr/bin/env bash
# Fails if any C++ source is not formatted as .clang-format says, and shows how it should be.
#
#   tests/tidy/format_test.sh         check
#   tests/tidy/format_test.sh --fix   format
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

command -v clang-format-14 > /dev/null || {
  echo "format_test: clang-format-14 is missing; run deploy/install-packages" >&2
  exit 1
}
mapfile -d '' -t sources < <(
  find common store-service backup-agent tests -type f \( -name '*.cc' -o -name '*.h' \) -print0 \
    | sort --zero-terminated
)
[ "${#sources[@]}" -gt 0 ] || { echo "format_test: found no sources" >&2; exit 1; }

if [ "${1:-}" = --fix ]; then
  exec clang-format-14 -i -- "${sources[@]}"
fi
if ! clang-format-14 --dry-run --Werror -- "${sources[@]}"; then
  echo "format_test: run tests/tidy/format_test.sh --fix" >&2
  exit 1
fi
echo "${#sources[@]} files are formatted"
