#!/usr/bin/env bash
# demo.sh — makes a short clip and a ladder of three encodes of it, measures them in-process, then starts the daemon,
# measures through it, kills it half-way and starts it again: the measurement finishes, with the same log to the byte.
# `make demo` installs and builds what it needs first.
set -euo pipefail
cd "$(dirname "$0")/.."

show() { printf '\n$ %s\n\n' "$*"; }

bench/demo/make-clips.sh demo

measure=(bin/vqsd measure -r demo/reference.mp4
	-d demo/rendition-1080p.mp4 -d demo/rendition-720p.mp4 -d demo/rendition-540p.mp4)
output=(--log 'demo/vmaf-{name}.xml' --plot demo/vmaf.html)
show "${measure[*]} ${output[*]}"
"${measure[@]}" "${output[@]}"

printf '\nThe same through the daemon.\n'
export VQSD_SERVER=127.0.0.1:17330
rm -rf demo/data demo/daemon.log
daemon=''
serve() {
	bin/vqsd serve --listen "$VQSD_SERVER" --http-listen '' --data demo/data --media-root demo 2>>demo/daemon.log &
	daemon=$!
	for _ in $(seq 100); do
		if bin/vqsd admin workers --json 2>/dev/null | grep -q '"id"'; then return; fi
		kill -0 "$daemon" 2>/dev/null || break
		sleep 0.1
	done
	printf 'demo: the daemon does not answer; its log:\n' >&2
	cat demo/daemon.log >&2
	exit 1
}
stop() {
	[ -z "$daemon" ] || kill "$@" "$daemon" 2>/dev/null || true
	[ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
	daemon=''
}
trap 'stop -TERM' EXIT

show "bin/vqsd serve --listen $VQSD_SERVER --data demo/data --media-root demo &"
serve
show "${measure[*]} --server $VQSD_SERVER --chunk 15 --no-wait"
name=$("${measure[@]}" --chunk 15 --no-wait)
printf '%s\n' "$name"

# Half-way: some chunks are recorded and others are not.
while :; do
	state=$(bin/vqsd get "$name" --json)
	done=$(sed -n 's/^ *"chunks_done": \([0-9]*\),*$/\1/p' <<<"$state")
	[ "${done:-0}" -lt 4 ] || break
	sleep 0.1
done
show "kill -KILL $daemon        # with $done of 10 chunks recorded"
stop -KILL
serve
show "bin/vqsd get $name --server $VQSD_SERVER --follow --log 'demo/served-{name}.xml'"
bin/vqsd get "$name" --follow --log 'demo/served-{name}.xml'

printf '\nplot: demo/vmaf.html (for a browser)\n'
for rendition in rendition-1080p rendition-720p rendition-540p; do
	# The frame rate that a log states is how fast it was measured.
	cmp <(sed 's/ fps="[^"]*"//' "demo/vmaf-$rendition.xml") <(sed 's/ fps="[^"]*"//' "demo/served-$rendition.xml")
	printf 'log:  demo/vmaf-%s.xml, and from the daemon demo/served-%s.xml, the same to the byte\n' "$rendition" "$rendition"
done
