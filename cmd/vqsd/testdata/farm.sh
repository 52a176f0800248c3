#!/bin/sh
# Scores a ladder with the vmaf tool: REFERENCE ENCODE…, and leaves a log for each encode, and scores.txt.
set -eu
reference=$1
shift
: > scores.txt
for encode in "$@"; do
    name=$(basename "$encode" .y4m)
    if vmaf --reference "$reference" --dist="$encode" -m version=vmaf_v0.6.1 --model version=vmaf_v0.6.1neg:name=vmaf_neg \
        --feature psnr=enable_apsnr=true --threads 2 --json -q --output "$name.json" 2> "$name.err"; then
        score=$(sed -n '/"pooled_metrics"/,$p' "$name.json" | sed -n '/"vmaf": {/,/}/s/.*"mean": \([0-9.]*\).*/\1/p')
        echo "$name $score" >> scores.txt
    else
        echo "$name failed with $?" >> scores.txt
    fi
done
