#!/usr/bin/env bash
# make-clips.sh — makes the clips of `make demo`: a reference and three encodes of it, from ffmpeg's own sources.
#
#   bench/demo/make-clips.sh DIR
#
#   DIR/reference.mp4         1920x1080, 25 frames a second, 6 s, H.264 at a quality far above that of the rest
#   DIR/rendition-1080p.mp4   1920x1080  }
#   DIR/rendition-720p.mp4    1280x720   } H.264 as for streaming, with a ceiling on the bit rate
#   DIR/rendition-540p.mp4    960x540    }
#
# Three scenes of two seconds with a cut between them, so that the scores have something to tell: a slow zoom with film
# grain, easy; a dark gradient with drifting lights and scrolling small print, where bands and blur show; a fast pan with
# a moving test card and confetti, more than the bit rate allows.
#
# The same ffmpeg gives the same bytes on any machine: seeds, thread counts and flags are fixed. A file that is there is
# left alone, so delete it to have it made anew; renditions older than their reference are made again. A file appears
# under its name only when it is complete.
#
# FFMPEG and FONT name another program and font than those that are looked for. Without a font there is no text.
set -euo pipefail

ffmpeg=${FFMPEG:-ffmpeg}
readonly frames=50 # of each scene
part=

say() { printf 'demo: %s\n' "$*" >&2; }

cleanup() { [ -z "$part" ] || rm -f -- "$part"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# make_clip FILE ARG... runs ffmpeg with the arguments, its output going to FILE.
make_clip() {
	local file=$1 begun=$SECONDS
	shift
	part=$file.part
	"$ffmpeg" -hide_banner -nostdin -y -loglevel error -filter_threads 1 -filter_complex_threads 1 "$@" \
		-map_metadata -1 -fflags +bitexact -flags:v +bitexact -movflags +faststart -f mp4 "$part"
	mv -f -- "$part" "$file"
	part=
	say "$(basename "$file"): $((($(wc -c <"$file") + 512) / 1024)) KiB, $((SECONDS - begun)) s"
}

# font prints the path of a font for the text, or nothing.
font() {
	local file
	for file in ${FONT:+"$FONT"} \
		/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf \
		/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf \
		/usr/share/fonts/TTF/DejaVuSans.ttf; do
		if [ -r "$file" ]; then
			printf '%s\n' "$file"
			return
		fi
	done
}

# graph prints the filter graph of the reference. Its text is drawn only where there is a font for it.
graph() {
	local font=$1 title='' credits=''
	if [ -n "$font" ]; then
		title=",drawtext=fontfile=$font:text='One reference, a whole ladder':fontsize=64:fontcolor=white"
		title+=":shadowcolor=black@0.6:shadowx=3:shadowy=3:x=96:y=h-180:alpha='min(1,n/20)'"
		title+=",drawtext=fontfile=$font:text='frame %{n}':fontsize=34:fontcolor=white@0.85:x=100:y=h-96"
		# Small print, rolling up four lines a second.
		credits=",drawtext=fontfile=$font:textfile=credits.txt:fontsize=30:line_spacing=14:fontcolor=0xE8ECF4@0.92"
		credits+=":x=1180:y='h*0.62-n*7'"
	fi
	cat <<-END
		mandelbrot=s=1920x1080:r=25:maxiter=384:start_scale=0.55:end_scale=0.035:end_pts=$frames:start_x=-0.743644:start_y=-0.131826,
		trim=end_frame=$frames,hue=h=150:s=0.6,format=yuv420p,noise=c0s=5:c0f=t:all_seed=11${title}[zoom];

		gradients=s=1920x1080:r=25:n=4:c0=0x04060C:c1=0x10243F:c2=0x2A1B3D:c3=0x07131C:x0=0:y0=0:x1=1919:y1=1079:speed=0.004:seed=3,
		trim=end_frame=$frames,format=gbrp[night];
		life=s=240x135:r=25:seed=9:ratio=0.06:mold=12:life_color=0xFFD9A0:death_color=0x3A6EA5:mold_color=0x000000,
		trim=end_frame=$frames,scale=480:270:flags=bicubic+accurate_rnd+full_chroma_int,gblur=sigma=1.8,
		scale=1920:1080:flags=bicubic+accurate_rnd+full_chroma_int,format=gbrp[lights];
		[night][lights]blend=all_mode=screen:all_opacity=0.75,
		scale=out_color_matrix=bt601:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p,
		noise=c0s=2:c0f=t:all_seed=12${credits}[dark];

		mandelbrot=s=2880x1620:r=25:maxiter=256:start_scale=0.012:end_scale=0.012:start_x=-0.7463:start_y=0.1102,
		trim=end_frame=1,loop=loop=$((frames - 1)):size=1,setpts=N/25/TB,fps=25,
		crop=1920:1080:x='480+440*sin(n/7)':y='270+240*cos(n/9)',hue=h=30:s=0.7,format=yuv420p[ground];
		testsrc2=s=560x420:r=25,trim=end_frame=$frames,rotate=a='0.12*sin(n/6)':c=black@0:ow=640:oh=500,format=yuva420p[card];
		life=s=480x270:r=25:seed=4:ratio=0.16:life_color=0xF2F2F2:death_color=0x000000,
		trim=end_frame=$frames,scale=1920:1080:flags=neighbor,format=yuv420p[confetti];
		[ground][card]overlay=x='640+520*sin(n/11)':y='300+180*sin(n/5)':format=yuv420[moving];
		[moving][confetti]blend=c0_mode=lighten:c1_mode=normal:c2_mode=normal:c0_opacity=0.5,
		noise=c0s=3:c0f=t:all_seed=13[busy];

		[zoom][dark][busy]concat=n=3:v=1:a=0,setsar=1,format=yuv420p[out]
	END
}

# reference makes the source of the ladder.
reference() {
	local file=$1 font
	if [ -e "$file" ]; then
		say "$(basename "$file"): is there"
		return
	fi
	font=$(font)
	case $font in
	'') say 'no DejaVu font here (fonts-dejavu-core): making the clip without text' ;;
	*[!A-Za-z0-9/._-]*)
		say "FONT=$font: its path may hold letters, digits and /._- only"
		exit 2
		;;
	esac
	make_clip "$file" -filter_complex "$(graph "$font" | tr -d '\n')" -map '[out]' \
		-c:v libx264 -preset veryfast -crf 11 -threads 2 -g 50 -pix_fmt yuv420p
}

# rendition makes one step of the ladder: FILE WIDTH HEIGHT CRF MAXRATE
# One thread: under a ceiling on the bit rate x264's threads look at how far the others are, and no two runs are alike.
rendition() {
	local file=$1 reference=$2 width=$3 height=$4 crf=$5 maxrate=$6
	if [ -e "$file" ] && [ ! "$reference" -nt "$file" ]; then
		say "$(basename "$file"): is there"
		return
	fi
	make_clip "$file" -threads 1 -i "$reference" -map 0:v:0 \
		-vf "scale=$width:$height:flags=bicubic+accurate_rnd+full_chroma_int" \
		-c:v libx264 -preset veryfast -crf "$crf" -maxrate "$maxrate" -bufsize "$maxrate" -threads 1 -g 50 -pix_fmt yuv420p
}

if [ $# -ne 1 ]; then
	say 'usage: bench/demo/make-clips.sh DIR'
	exit 2
fi
if ! command -v "$ffmpeg" >/dev/null; then
	say "no $ffmpeg here; apt-get install ffmpeg"
	exit 1
fi
mkdir -p -- "$1"
dir=$(cd -- "$1" && pwd)
cd -- "$(dirname "$0")" # where credits.txt is: a name in a filter graph cannot hold every character

reference "$dir/reference.mp4"
rendition "$dir/rendition-1080p.mp4" "$dir/reference.mp4" 1920 1080 24 8M
rendition "$dir/rendition-720p.mp4" "$dir/reference.mp4" 1280 720 26 4M
rendition "$dir/rendition-540p.mp4" "$dir/reference.mp4" 960 540 29 2M
