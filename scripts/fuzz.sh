#!/usr/bin/env bash
# fuzz.sh — runs every fuzz target of the module in turn, FUZZTIME (30s) each; goes on after a failure and
# exits 1 when any target failed. The failing input is left in the package's testdata/fuzz, ready to commit.
#
#   scripts/fuzz.sh [NAME...]        only the targets of these names
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-30s}
failed=()
ran=0

while IFS=: read -r file line; do
	name=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
	package=./$(dirname "$file")
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	printf 'fuzz: %s %s for %s\n' "$package" "$name" "$time" >&2
	ran=$((ran + 1))
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" || failed+=("$package $name")
done < <(git -c safe.directory='*' ls-files -z -co --exclude-standard -- '*_test.go' |
	xargs -0 -r grep -HE '^func Fuzz[A-Za-z0-9_]*\(' | sort)

if [ "$ran" -eq 0 ]; then
	printf 'fuzz: no such target\n' >&2
	exit 1
fi
if [ "${#failed[@]}" -gt 0 ]; then
	printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
printf 'fuzz: %d targets, nothing found\n' "$ran" >&2
