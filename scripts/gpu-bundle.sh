#!/usr/bin/env bash
# gpu-bundle.sh — makes bin/gpu-bundle and bin/gpu-bundle.tar.gz: all that is needed to check and time vqsd on another x86-64 Linux machine
# that has a CUDA driver, glibc 2.35 or newer, and nothing else.
#
#   scripts/gpu-bundle.sh           make it
#   scripts/gpu-bundle.sh --try     make it, and run it in an empty root with glibc and the software libcuda alone (as root)
#
#   gpu-check     the program to run there: parity, tests, benchmarks, one report (bench/gpucheck)
#   vqsd.gz       without plots, whose fonts alone are a tenth of it; unpacked beside lib/ it finds its libraries by itself
#   lib/          those libraries, but for libc, libm, the loader and the driver's
#   clips/        bench/gpuclips, each with the figures that the processor of this machine computed, to all digits
#   tests/        test programs, compressed
#
# Debian's FFmpeg needs 213 libraries, 235 MiB, of which vqsd uses a few: the rest are encoders, filters and devices. So FFmpeg is built
# here once from Debian's source of the very release that is installed, with NVDEC, the demuxers and decoders listed below, and nothing
# else: no filter, no encoder. Its libraries have the same names and interface, so vqsd is not built for them in particular; the figures of
# the clips come from the installed FFmpeg and are compared with what these give before the bundle is done.
#
# VQSD_FFMPEG_SOURCE=DIR takes the packages from DIR instead of the mirror: ffmpeg_*.orig.tar.xz, libffmpeg-nvenc-dev_*.deb,
# libdav1d-dev_*.deb. VERSION and COMMIT are as for make build.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

readonly limit_mib=64
readonly glibc=2.35
bundle=bin/gpu-bundle
work=bin/gpu-bundle-work

say() { printf 'gpu-bundle: %s\n' "$*" >&2; }
fail() {
	say "$@"
	exit 1
}

try=''
case ${1-} in
'') ;;
--try) try=yes ;;
*)
	say 'usage: scripts/gpu-bundle.sh [--try]'
	exit 2
	;;
esac
[ "$(uname -m)" = x86_64 ] || fail "this makes a bundle for x86-64, and this machine is $(uname -m)"
for program in go ffmpeg gcc g++ make nasm strip ldd objdump pkg-config dpkg; do
	command -v "$program" >/dev/null || fail "no $program here; apt-get install golang ffmpeg build-essential nasm binutils pkg-config dpkg"
done
version=${VERSION:-$(git -c safe.directory='*' describe --tags --match 'v*' --dirty 2>/dev/null || echo devel)}
commit=${COMMIT:-$(git -c safe.directory='*' describe --always --abbrev=12 --exclude '*' --dirty 2>/dev/null || echo unknown)}
export CGO_ENABLED=1 CGO_CFLAGS="${CGO_CFLAGS:--O2 -g -I$root/gpu/include}"

# fetch DIR gets the packages that FFmpeg is built from, past the system's own lists.
fetch() {
	local dir=$1 options
	if [ -n "${VQSD_FFMPEG_SOURCE-}" ]; then
		cp "$VQSD_FFMPEG_SOURCE"/ffmpeg_*.orig.tar.xz "$VQSD_FFMPEG_SOURCE"/lib{ffmpeg-nvenc,dav1d}-dev_*.deb "$dir"
		return
	fi
	command -v apt-get >/dev/null || fail 'no apt-get to fetch the source of FFmpeg with; set VQSD_FFMPEG_SOURCE'
	mkdir -p "$dir/lists/partial"
	sed 's/^Types:.*/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources >"$dir/with.sources"
	options=(-q -o "Dir::Etc::SourceList=$dir/with.sources" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$dir/lists"
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Retries=3)
	[ "$(id -u)" -ne 0 ] || options+=(-o APT::Sandbox::User=root)
	(
		cd "$dir"
		apt-get "${options[@]}" update
		apt-get "${options[@]}" source --download-only "ffmpeg=$(dpkg-query -W -f '${source:Version}' libavcodec59)"
		apt-get "${options[@]}" download libffmpeg-nvenc-dev libdav1d-dev
	) >"$dir/fetch.log" 2>&1 || fail "the source of FFmpeg cannot be fetched; see $dir/fetch.log, or set VQSD_FFMPEG_SOURCE"
}

# What devices decode and clips are likely to be, of what decode/allow.go lets through; by the names of FFmpeg's configure. All of them
# would be 2 MiB more.
readonly demuxers=mov,matroska,mpegts,mpegps,ivf,obu,av1,h264,hevc,mpegvideo,nut
readonly decoders=h264,hevc,av1,libdav1d,vp8,vp9,mpeg1video,mpeg2video,mpeg4,ffv1,rawvideo
readonly parsers=h264,hevc,av1,vp8,vp9,mpegvideo,mpeg4video,aac,mpegaudio,ac3,opus
readonly filters=vp9_superframe_split,av1_frame_merge,h264_mp4toannexb,hevc_mp4toannexb,extract_extradata,null
readonly hwaccels=h264_nvdec,hevc_nvdec,av1_nvdec,vp8_nvdec,vp9_nvdec

# small_ffmpeg builds FFmpeg into $work/ffmpeg, unless that is there for the release that is installed.
small_ffmpeg() {
	local release dir="$root/$work/build" file
	release="$(dpkg-query -W -f '${Version}' libavcodec59) $demuxers $decoders $parsers $filters $hwaccels"
	if [ -e "$work/ffmpeg/release" ] && [ "$(cat "$work/ffmpeg/release")" = "$release" ]; then
		return
	fi
	rm -rf "$work/ffmpeg" "$dir"
	mkdir -p "$dir/packages" "$dir/headers" "$dir/pkgconfig" "$dir/source"
	say 'fetching the source of FFmpeg'
	fetch "$dir/packages"
	for file in "$dir"/packages/*.deb; do dpkg --fsys-tarfile "$file" | tar x -C "$dir/headers"; done
	# What is linked is the library that is installed; its development package is not.
	ln -sf "$(ldconfig -p | awk '/libdav1d\.so\.6 .*x86-64/ {print $NF; exit}')" "$dir/headers/usr/lib/x86_64-linux-gnu/libdav1d.so"
	find "$dir/headers" -name '*.pc' | while read -r file; do
		sed "s#^prefix=.*#prefix=$dir/headers/usr#" "$file" >"$dir/pkgconfig/$(basename "$file")"
	done
	tar xJf "$dir"/packages/ffmpeg_*.orig.tar.xz -C "$dir/source" --strip-components=1
	say 'building FFmpeg (one to three minutes)'
	(
		cd "$dir/source"
		PKG_CONFIG_PATH="$dir/pkgconfig" ./configure --prefix="$root/$work/ffmpeg" --disable-everything --disable-autodetect --disable-programs \
			--disable-doc --disable-static --enable-shared --disable-network --disable-debug --enable-pthreads --enable-zlib --enable-libdav1d \
			--enable-ffnvcodec --enable-cuda --enable-cuvid --enable-nvdec --enable-protocol=file \
			--enable-demuxer="$demuxers" --enable-decoder="$decoders" --enable-parser="$parsers" --enable-bsf="$filters" --enable-hwaccel="$hwaccels"
		make -j"$(nproc)"
		make install
	) >"$dir/build.log" 2>&1 || fail "FFmpeg does not build; see $dir/build.log"
	rm -rf "$dir/source"
	printf '%s\n' "$release" >"$work/ffmpeg/release"
}

# libraries PROGRAM... prints the shared libraries of the programs, and of these, one a line; the small FFmpeg's first.
libraries() {
	local program
	for program; do
		LD_LIBRARY_PATH="$root/$work/ffmpeg/lib" ldd "$program" | awk '/not found/ {print "missing " $1 > "/dev/stderr"; bad = 1} /=> \// {print $3} END {exit bad}'
	done | sort -u | grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv|ld-linux-x86-64|libstdc\+\+|libgcc_s|libcuda|libnvcuvid)\.so'
}

# few_of_libstdcxx LIBRARY makes libvqsd++.so.6 beside the library, of what that takes of libstdc++, and has it take that instead: the installed
# libstdc++ wants a newer glibc, for functions that nobody here calls. Its name, of the same length, leaves that of libstdc++ to what a driver
# or a profiler brings along. Programs have theirs linked in.
few_of_libstdcxx() {
	local symbols version name keep=() soname=libvqsd++.so.6
	symbols=$(objdump -T "$1" | awk '/UND/ && /GLIBCXX|CXXABI/ {gsub(/[()]/, "", $(NF - 1)); print $(NF - 1), $NF}' | sort)
	while read -r version name; do keep+=("-Wl,-u,$name"); done <<<"$symbols"
	awk '$1 != last {if (last) print "};"; print $1 " {\nglobal:"; last = $1} {print "\t" $2 ";"} END {print "};\nVQSD { local: *; };"}' <<<"$symbols" >"$work/few.map"
	g++ -shared -nostdlib -o "$(dirname "$1")/$soname" -Wl,-soname,"$soname" -Wl,--gc-sections -Wl,--version-script="$work/few.map" "${keep[@]}" \
		-Wl,-Bstatic -lstdc++ -lgcc -lgcc_eh -Wl,-Bdynamic -lc -lm
	strip --strip-unneeded "$(dirname "$1")/$soname"
	sed -i "s/libstdc++\.so\.6/$soname/" "$1"
}

build() {
	local name file
	rm -rf "$bundle" "$bundle.tar.gz"
	mkdir -p "$bundle/lib" "$bundle/tests" "$work"
	small_ffmpeg
	say 'building the programs'
	local static='-static-libstdc++ -static-libgcc'
	# shellcheck disable=SC2016 # the loader reads $ORIGIN
	local link="$static"' -Wl,--disable-new-dtags,-rpath,$ORIGIN/lib'
	go build -buildvcs=false -tags cuda,noplot -o "$bundle/vqsd" \
		-ldflags "-s -w -funcalign=16 -X main.version=$version -X main.commit=$commit -extldflags '$link'" ./cmd/vqsd
	go build -buildvcs=false -tags cuda -o "$work/vqsd" -ldflags "-X main.version=$version -X main.commit=$commit" ./cmd/vqsd
	CGO_ENABLED=0 go build -buildvcs=false -ldflags '-s -w' -o "$bundle/gpu-check" ./bench/gpucheck
	for name in gpu engine; do
		go test -c -tags cuda -ldflags "-s -w -extldflags '$static'" -o "$work/$name.test" "./$name"
		gzip -9n <"$work/$name.test" >"$bundle/tests/$name.test.gz"
	done
	libraries "$bundle/vqsd" "$work"/*.test | while read -r file; do
		name=$(basename "$file")
		cp -L "$file" "$bundle/lib/$name"
		strip --strip-unneeded "$bundle/lib/$name"
	done
	few_of_libstdcxx "$bundle/lib/libhwy.so.1"
	for file in "$bundle/vqsd" "$work"/*.test "$bundle"/lib/*; do
		name=$(objdump -T "$file" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
		[ "$(printf 'GLIBC_%s\n%s\n' "$glibc" "$name" | sort -V | tail -1)" = "GLIBC_$glibc" ] || fail "$file needs $name, newer than $glibc"
	done
}

# clips makes the clips, with the figures that they have by the installed FFmpeg on the processor, and holds the bundle's against them.
clips() {
	local dir file args
	say 'making the clips and their figures'
	go run -tags cuda ./bench/gpuclips "$bundle/clips"
	for dir in "$bundle"/clips/*; do
		mkdir -p "$dir/expected" "$work/got"
		args=(measure --device cpu --quiet -r "$(echo "$dir"/reference.*)" --log-precision 17)
		mapfile -t -O "${#args[@]}" args <"$dir/measured/arguments"
		for file in "$dir"/rendition*; do args+=(-d "$file"); done
		"$work/vqsd" "${args[@]}" --log "$dir/expected/{name}.csv" >/dev/null
		"$bundle/vqsd" "${args[@]}" --log "$work/got/{name}.csv" >/dev/null
		for file in "$dir"/expected/*; do
			cmp "$file" "$work/got/$(basename "$file")" || fail "the small FFmpeg gives other figures of $dir"
		done
		rm -rf "$work/got"
	done
}

finish() {
	local bytes
	cat >"$bundle/README" <<-END
		vqsd $version ($commit) for a machine with a CUDA driver, x86-64 Linux with glibc $glibc or newer.

		    ./gpu-check --out FOLDER      parity, tests, benchmarks; FOLDER/report.md and report.json
		    ./gpu-check --help            what else it can be told
		    gunzip -k vqsd.gz; chmod +x vqsd
		    ./vqsd devices                what there is
		    ./vqsd bench --help           single benchmarks

		VQSD_GOLDEN=DIR has the golden clips in DIR measured, too. Nothing is installed, and nothing is sent anywhere.
	END
	gzip -9n "$bundle/vqsd"
	bytes=$(find "$bundle" -type f -printf '%s\n' | awk '{n += $1} END {print n}')
	find "$bundle" -mindepth 1 -maxdepth 1 -exec du -sb {} + | sort -rn | while read -r size name; do say "$(printf '%6.2f MiB  %s' "$(awk "BEGIN {print $size / 1048576}")" "$name")"; done
	[ "$bytes" -lt $((limit_mib << 20)) ] || fail "the bundle has $bytes bytes, which is not below $limit_mib MiB"
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || echo 0)" -C bin -c gpu-bundle | gzip -9n >"$bundle.tar.gz"
	say "$bundle: $((bytes >> 10)) KiB, and $bundle.tar.gz, $(($(stat -c %s "$bundle.tar.gz") >> 10)) KiB"
}

# attempt runs gpu-check in a root that has glibc, the software libcuda with what that needs, and the bundle, and then without the driver.
attempt() {
	local jail=$work/root file code chroot
	chroot=$(command -v chroot)
	[ "$(id -u)" -eq 0 ] || fail '--try changes the root, which takes root'
	[ -e bin/emu/libcuda.so.1 ] || fail 'no software libcuda; make emu builds it'
	rm -rf "$jail"
	mkdir -p "$jail"/{bundle,driver,lib64,lib/x86_64-linux-gnu,tmp,proc,dev,out}
	cp -a "$bundle/." "$jail/bundle"
	cp -L /lib64/ld-linux-x86-64.so.2 "$jail/lib64"
	for file in libc.so.6 libm.so.6 libresolv.so.2 libpthread.so.0 libdl.so.2 librt.so.1; do cp -L "/lib/x86_64-linux-gnu/$file" "$jail/lib/x86_64-linux-gnu"; done
	cp -L bin/emu/lib*.so.1 "$jail/driver"
	for file in libstdc++.so.6 libgcc_s.so.1; do cp -L "/lib/x86_64-linux-gnu/$file" "$jail/driver"; done # the driver's own needs
	mknod -m 666 "$jail/dev/null" c 1 3
	mknod -m 666 "$jail/dev/urandom" c 1 9
	mount -t proc proc "$jail/proc"
	# shellcheck disable=SC2064 # the path as it is now
	trap "umount '$jail/proc'" EXIT
	say 'running gpu-check without a driver'
	code=0
	env -i PATH=/none TMPDIR=/tmp HOME=/tmp "$chroot" "$jail" /bundle/gpu-check --out /out/none || code=$?
	if [ "$code" -ne 3 ] || [ -e "$jail/out/none" ]; then
		fail "without a driver gpu-check ends with status $code; 3 and no report are right"
	fi
	say 'running gpu-check on the software libcuda'
	env -i PATH=/none TMPDIR=/tmp HOME=/tmp LD_LIBRARY_PATH=/driver VQSD_CUDA_LIBRARY=/driver/libcuda.so.1 \
		"$chroot" "$jail" /bundle/gpu-check --out /out/emulated --quick --soak 5s || fail "gpu-check is not content; see $jail/out/emulated"
	say "it passes; the report is in $jail/out/emulated"
}

build
clips
finish
[ -z "$try" ] || attempt
