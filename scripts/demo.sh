#!/usr/bin/env bash
# demo.sh — makes a short clip and a ladder of three encodes of it, measures them, and says where plot and log are.
# `make demo` installs and builds what it needs first.
set -euo pipefail
cd "$(dirname "$0")/.."

bench/demo/make-clips.sh demo

measure=(bin/vqsd measure -r demo/reference.mp4
	-d demo/rendition-1080p.mp4 -d demo/rendition-720p.mp4 -d demo/rendition-540p.mp4
	--log 'demo/vmaf-{name}.xml' --plot demo/vmaf.html)
printf '\n$ %s\n\n' "${measure[*]}"
"${measure[@]}"
printf '\nplot: demo/vmaf.html (for a browser)\n'
printf 'log:  demo/vmaf-%s.xml\n' rendition-1080p rendition-720p rendition-540p
