#!/usr/bin/env bash
# lint.sh — everything that can be said about the code without running it. Changes nothing, runs every check
# even when an earlier one fails, and exits 1 when any did.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=()

# check NAME COMMAND... runs one check and remembers its failure.
check() {
	local name=$1
	shift
	printf 'lint: %s\n' "$name" >&2
	"$@" || failed+=("$name")
}

# tracked GLOB... lists the files git has or would take, NUL-separated, but those deleted and not yet committed.
tracked() {
	local file
	git -c safe.directory='*' ls-files -z -co --exclude-standard -- "$@" | while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done
}

unformatted() {
	local list
	list=$(tracked '*.go' | xargs -0 -r gofmt -l -s)
	[ -z "$list" ] || { printf '%s\n' "not formatted (make fmt):" "$list"; return 1; }
}

shell_scripts() { tracked '*.sh' .ci/run | xargs -0 -r shellcheck; }

# staticcheck is pinned in scripts/tools.mod, apart from the modules of vqsd itself.
staticcheck() { go tool -modfile=scripts/tools.mod staticcheck ./...; }

check 'gofmt -s' unformatted
check 'go vet' go vet ./...
check 'go vet, without CUDA' env GOFLAGS= go vet ./gpu/... ./engine/...
check 'go vet, as the GPU bundle is built' env GOFLAGS=-tags=cuda,noplot go vet ./server/report/... ./cmd/...
check 'staticcheck' staticcheck
check 'shellcheck' shell_scripts
check 'go mod tidy' go mod tidy -diff
check 'go mod verify' go mod verify

if [ "${#failed[@]}" -gt 0 ]; then
	printf 'lint: failed: %s\n' "$(IFS=,; echo "${failed[*]}")" >&2
	exit 1
fi
printf 'lint: clean\n' >&2
