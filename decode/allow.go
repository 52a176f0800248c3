package decode

import "strings"

// demuxers are the containers that are opened. None of them reads other files by itself; lists, playlists, image
// sequences and devices are absent on purpose.
var demuxers = map[string]bool{
	"mov,mp4,m4a,3gp,3g2,mj2": true, "matroska,webm": true, "mpegts": true, "mpeg": true, "avi": true, "flv": true,
	"mxf": true, "asf": true, "ogg": true, "nut": true, "gxf": true, "ivf": true, "obu": true, "av1": true,
	"h264": true, "hevc": true, "h263": true, "mpegvideo": true, "m4v": true, "mjpeg": true, "vc1": true, "dirac": true, "dv": true,
}

// decoders are the decoders that are used, by codec; the first that this build of FFmpeg has is taken.
var decoders = map[string][]string{
	"h264": {"h264"}, "hevc": {"hevc"}, "av1": {"libdav1d", "libaom-av1"}, "vp8": {"vp8"}, "vp9": {"vp9"},
	"mpeg1video": {"mpeg1video"}, "mpeg2video": {"mpeg2video"}, "mpeg4": {"mpeg4"}, "h263": {"h263"}, "flv1": {"flv"},
	"msmpeg4v3": {"msmpeg4"}, "wmv3": {"wmv3"}, "vc1": {"vc1"}, "theora": {"theora"}, "dirac": {"dirac"},
	"mjpeg": {"mjpeg"}, "prores": {"prores"}, "dnxhd": {"dnxhd"}, "dvvideo": {"dvvideo"}, "cfhd": {"cfhd"},
	"ffv1": {"ffv1"}, "huffyuv": {"huffyuv"}, "ffvhuff": {"ffvhuff"}, "utvideo": {"utvideo"}, "magicyuv": {"magicyuv"},
	"rawvideo": {"rawvideo"}, "v210": {"v210"}, "v308": {"v308"}, "yuv4": {"yuv4"},
}

// audioDecoders may be opened while streams are recognised: FFmpeg does not settle on a container's streams before it
// knows their parameters.
var audioDecoders = []string{"aac", "aac_fixed", "mp3float", "mp3", "mp2float", "mp2", "ac3", "eac3", "opus", "vorbis",
	"flac", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_bluray", "wmav2"}

// probeWhitelist is the codec_whitelist while a file is recognised.
func probeWhitelist() string {
	names := append([]string{}, audioDecoders...)
	for _, d := range decoders {
		names = append(names, d...)
	}
	return strings.Join(names, ",")
}

// reportsDamage are the decoders that mark damaged pictures themselves. Of the others every error message counts; these
// log errors also about what they handle well, such as references that a seek has left out. With frame threading their mark can come too
// late for the picture it is about, so messages that speak of wrong samples count besides.
var reportsDamage = map[string]bool{
	"h264": true, "mpeg1video": true, "mpeg2video": true, "mpeg4": true, "h263": true, "flv": true, "msmpeg4": true,
	"wmv3": true, "vc1": true,
}
