package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongUsage(t *testing.T) {
	ref, dis := pair(t, 3)
	dir := filepath.Dir(ref)
	measure := func(more ...string) []string { return append([]string{"measure", "-r", ref, "-d", dis}, more...) }
	for name, row := range map[string]struct {
		args []string
		says string
	}{
		"no command":                       {nil, "name a command"},
		"unknown command":                  {[]string{"mesure"}, `unknown command "mesure"`},
		"unknown flag of the program":      {[]string{"--loud"}, "unknown flag: --loud"},
		"unknown flag of a command":        {measure("--loud"), "unknown flag: --loud"},
		"flag without its value":           {[]string{"measure", "-r"}, "flag needs an argument"},
		"neither reference nor distorted":  {[]string{"measure"}, `required flag(s) "reference", "distorted" not set`},
		"no distorted":                     {[]string{"measure", "-r", ref}, `required flag(s) "distorted" not set`},
		"stray argument of measure":        {measure("another.mp4"), `unknown command "another.mp4"`},
		"stray argument of models":         {[]string{"models", "all"}, `unknown command "all"`},
		"stray argument of version":        {[]string{"version", "now"}, `unknown command "now"`},
		"completion for no shell":          {[]string{"completion"}, "name a shell"},
		"completion for an unknown shell":  {[]string{"completion", "tcl"}, `unknown command "tcl"`},
		"inspect without a file":           {[]string{"inspect"}, "name one file; there are 0"},
		"inspect with two files":           {[]string{"inspect", ref, dis}, "name one file; there are 2"},
		"help on what is not there":        {[]string{"help", "mesure"}, `unknown command "mesure"`},
		"empty file name":                  {[]string{"measure", "-r", "", "-d", dis}, "--reference: the file name is empty"},
		"number that is none":              {measure("--subsample", "two"), `invalid argument "two" for "--subsample"`},
		"subsample 0":                      {measure("--subsample", "0"), "--subsample 0: must be at least 1"},
		"negative chunk":                   {measure("--chunk", "-1"), "--chunk -1: must not be negative"},
		"too many threads":                 {measure("--threads", "5000"), "--threads 5000: must be 0 … 1024"},
		"frames without a colon":           {measure("--frames", "7"), "--frames 7: want A:B"},
		"frames with nothing":              {measure("--frames", ":"), "--frames :: want A:B"},
		"frames that are no numbers":       {measure("--frames", "a:b"), `"a" is not a frame number`},
		"negative frames":                  {measure("--frames=-3:5"), `"-3" is not a frame number`},
		"empty range":                      {measure("--frames", "5:5"), "--frames 5:5: is empty"},
		"range to 0":                       {measure("--frames", ":0"), "--frames :0: is empty"},
		"unknown pairing":                  {measure("--pairing", "luck"), `unknown pairing "luck"; use auto, index, timestamp`},
		"offset when pairing by timestamp": {measure("--pairing", "timestamp", "--offset", "1"), "--offset counts frames"},
		"unknown filter":                   {measure("--scale", "magic"), "--scale: "},
		"unknown depth":                    {measure("--bit-depth", "11"), `--bit-depth: "11" is not one of auto, native, 10, 12, 16`},
		"encoding that is no size":         {measure("--encoded", "540p"), `--encoded: "540p" is neither auto nor compared nor a size`},
		"encoding that cambi refuses":      {measure("--encoded", "160x90:8"), "want WxH or WxH:DEPTH from 180x150:6 to 7680x7680:16"},
		"unknown test conditions":          {measure("--aom-ctc", "v8.0"), "unknown preset"},
		"test conditions twice":            {measure("--nflx-ctc", "v1.0", "--nflx-ctc", "v1.0"), "--nflx-ctc\" flag: the flag is given more than once"},
		"two versions of them":             {measure("--aom-ctc", "v1.0", "--aom-ctc", "v7.0"), "--aom-ctc\" flag: the flag is given more than once"},
		"test conditions of two bodies":    {measure("--aom-ctc", "v7.0", "--nflx-ctc", "v1.0"), "give one of the two"},
		"test conditions and their model":  {measure("--aom-ctc", "v7.0", "--model", "vmaf_v0.6.1:name=vmaf"), "name taken: vmaf"},
		"test conditions, and no model":    {measure("--aom-ctc", "v7.0", "--no-prediction"), "contradict each other"},
		"heat maps without cambi":          {measure("--cambi-heatmaps", dir+"/maps"), "--cambi-heatmaps needs cambi: add --feature cambi"},
		"heat maps nowhere":                {measure("--feature", "cambi", "--cambi-heatmaps="), "the folder's name is empty"},
		"crop that is no rectangle":        {measure("--crop", "10x"), "--crop: "},
		"unknown damage policy":            {measure("--on-damage", "ignore"), `"ignore" is neither strict nor conceal`},
		"unknown decoding":                 {measure("--decoding", "cuda"), `--decoding: "cuda" is neither auto nor software`},
		"unknown device":                   {measure("--device", "abacus"), `"abacus" is no device; use auto, cpu, cuda, or cuda:N`},
		"unknown limit":                    {measure("--limit", "max_age=3"), "--limit max_age=3: there is no limit of that name"},
		"limit without a value":            {measure("--limit", "max_width"), "want a positive whole number"},
		"size without a unit":              {measure("--limit", "probe_bytes=100000"), "want a size with a unit, such as 64MiB"},
		"time without a unit":              {[]string{"inspect", "--limit", "open_timeout=10", ref}, "want a time with a unit, such as 90s"},
		"raw video that says too little":   {measure("--raw-video", "64x48"), "is not WxH:PIXFMT[:RATE]"},
		"raw video of unknown pixels":      {measure("--raw-video", "64x48:nv12"), `pixel format "nv12" is not one of`},
		"raw video and no headerless file": {measure("--raw-video", "64x48:yuv420p"), "there is none; leave it out, or rename the file"},
		"bad raw video of inspect":         {[]string{"inspect", "--raw-video", "64:48", ref}, "--raw-video: "},
		"unknown pooling":                  {measure("--pool", "mean,median"), `--pool: unknown pooling method: "median"`},
		"percentile beyond 100":            {measure("--pool", "p101"), "--pool: unknown pooling method"},
		"unknown model":                    {measure("--model", "vmaf_v9"), "--model: unknown model"},
		"model with an unknown field":      {measure("--model", "vmaf_v0.6.1:shiny"), "--model: "},
		"model with an unknown option":     {measure("--model", "vmaf_v0.6.1:vif.gain=1"), "unknown option"},
		"two models of one name":           {measure("--model", "vmaf_v0.6.1:name=x", "--model", "vmaf_4k_v0.6.1:name=x"), "name taken: x"},
		"one model twice":                  {measure("--model", "vmaf_v0.6.1", "--model", "vmaf_v0.6.1:enable_transform"), "name taken: vmaf_v0.6.1"},
		"unknown feature":                  {measure("--feature", "sharpness"), "--feature: "},
		"feature with an unknown option":   {measure("--feature", "vif:gain=1"), "--feature: vif: gain=1: unknown option"},
		"feature option out of range":      {measure("--feature", "adm:adm_csf_mode=9"), "outside 0 … 3"},
		"model, and none":                  {measure("--no-prediction", "--model", "vmaf_v0.6.1"), "contradict each other"},
		"nothing to measure":               {measure("--no-prediction"), "--no-prediction leaves nothing to measure"},
		"log format without a log":         {measure("--log-format", "csv"), "--log-format needs the name of a log"},
		"precision without a log":          {measure("--log-precision", "17"), "--log-precision needs the name of a log"},
		"unknown log format":               {measure("--log", dir+"/x.log", "--log-format", "yaml"), `unknown log format "yaml"`},
		"log precision":                    {measure("--log", dir+"/x.xml", "--log-precision", "9"), "--log-precision 9: must be 6 or 17"},
		"empty log name":                   {measure("--log="), "--log needs the name of a log"},
		"log and document on one stream":   {measure("--log", "-", "--json"), "both write to standard output"},
		"several logs on one stream":       {measure("-d", ref, "--log", "-"), "--log - holds one log"},
		"several logs in one file":         {measure("-d", ref, "--log", dir+"/x.xml"), "put {name} or {n} into the name, as in " + dir + "/x-{name}.xml"},
		"several logs of one name":         {measure("-d", dis, "--log", dir+"/{name}.xml"), "would both be written to"},
		"log and plot in one file":         {measure("--log", dir+"/x.svg", "--plot", dir+"/x.svg"), "--log and --plot name the same file"},
		"plot of unknown kind":             {measure("--plot", dir+"/x.gif"), "must end in .svg, .png or .html"},
		"model name that would break logs": {measure("--log", dir+"/x.xml", "--model", `vmaf_v0.6.1:name=a"b`), "has a character other than"},
		"standard input twice":             {[]string{"measure", "-r", "-", "-d", "-"}, "standard input (-) is named 2 times"},
		"too many renditions":              {measure(strings.Fields(strings.Repeat("-d "+dis+" ", 64))...), "65 times; 64 can be measured together"},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, row.args...)
			got.want(t, exitUsage, "vqsd: ", row.says, `--help"`)
			if got.stdout != "" {
				t.Errorf("standard output has %q", got.stdout)
			}
		})
	}
	folderHas(t, dir, "dis.y4m", "ref.y4m")
}

func TestAllWrongFlagsAreReportedTogether(t *testing.T) {
	got := vqsd(t, "measure", "-r", "a", "-d", "b", "--subsample", "0", "--pairing", "luck", "--model", "vmaf_v9")
	got.want(t, exitUsage, "\nvqsd: --pairing: unknown pairing", "\nvqsd: --model: unknown model")
	for line := range strings.Lines(got.stderr) {
		if !strings.HasPrefix(line, "vqsd: ") && !strings.HasPrefix(line, "see ") {
			t.Errorf("line without its prefix: %q", line)
		}
	}
}

func TestHelp(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		says []string
	}{
		"program":        {[]string{"--help"}, []string{"measure", "inspect", "models", "version", "completion"}},
		"measure":        {[]string{"measure", "--help"}, []string{"--reference FILE", "--pairing HOW", "Examples:", "{name}"}},
		"help command":   {[]string{"help", "inspect"}, []string{"--raw-video WxH:PIXFMT[:FPS]", "Examples:"}},
		"completion":     {[]string{"completion", "bash"}, []string{"__start_vqsd"}},
		"flag's values":  {[]string{"__complete", "measure", "--model", ""}, []string{"vmaf_v0.6.1neg"}},
		"models":         {[]string{"models"}, []string{"vmaf_v0.6.1 (default)", "VMAF_integer_feature_adm2_score", "made for", "10 bits"}},
		"models as JSON": {[]string{"models", "--json"}, []string{`"schema": "vqsd.models/1"`, `"not_computable": null`}},
		"version":        {[]string{"version"}, []string{"vqsd devel", "libvmaf 3.2.0", "plain"}},
		"version's JSON": {[]string{"version", "--json"}, []string{`"schema": "vqsd.version/1"`, `"cpu_targets"`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := vqsd(t, row.args...)
			got.want(t, exitDone)
			for _, text := range row.says {
				if !strings.Contains(got.stdout, text) {
					t.Errorf("standard output has no %q:\n%s", text, got.stdout)
				}
			}
		})
	}
}
