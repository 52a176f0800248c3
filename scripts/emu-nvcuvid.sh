#!/usr/bin/env bash
# emu-nvcuvid.sh: build the software libnvcuvid, bin/emu/libnvcuvid.so.1, which decodes with FFmpeg's libavcodec into the memory of the
# software libcuda. Environment: CXX (g++), OUT (bin/emu).
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-bin/emu}
mkdir -p "$out"
read -ra ffmpeg <<<"$(pkg-config --cflags --libs libavcodec libavutil)"
# built aside and moved, so that whoever runs with the old one keeps it whole
new=$(mktemp "$out/.libnvcuvid.XXXXXX")
trap 'rm -f "$new"' EXIT
"${CXX:-g++}" -std=c++17 -O2 -g1 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror -o "$new" \
  -Wl,-soname,libnvcuvid.so.1 kernels/emu/nvcuvid.cc kernels/emu/nvcuvid_h264.cc kernels/emu/nvcuvid_hevc.cc "${ffmpeg[@]}" -ldl
chmod 755 "$new"
mv "$new" "$out/libnvcuvid.so.1"
