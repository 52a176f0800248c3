package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// withoutComputed is a document without what says who computed it and how fast.
func withoutComputed(t *testing.T, text string) string {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	delete(d, "computed")
	out, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A daemon's measurement looks as one of this process does: logs to the byte but for the speed, documents but for what computed, plots alike.
func TestRemoteResultsLookLikeOurs(t *testing.T) {
	d := newFakeDaemon(t, nil)
	dir, ref, dis, low, cut := clips(t)
	fast := clipSpec{frames: 14, rate: "50:1", noise: 9}.write(t, dir, "fast.y4m")
	raw := writeFile(t, filepath.Join(dir, "raw.yuv"), bytes.Repeat([]byte("some grey"), 64*48*3/2*7/9))
	big := clipSpec{width: 352, height: 320, frames: 4}.write(t, dir, "big.y4m")
	small := clipSpec{width: 264, height: 240, frames: 4, noise: 9}.write(t, dir, "small.y4m")
	for name, row := range map[string]struct {
		args []string
		code int
	}{
		"a small encode":   {[]string{"-r", big, "-d", small, "-d", big, "--model", "vmaf_v1.0.16_3d0h", "--feature", "cambi"}, exitDone},
		"as compared":      {[]string{"-r", big, "-d", small, "--model", "vmaf_v1.0.16_3d0h", "--encoded", "compared", "--bit-depth", "native"}, exitDone},
		"given encoding":   {[]string{"-r", big, "-d", small, "--model", "vmaf_v1.0.16_hfr_3d0h", "--encoded", "300x280:9", "--bit-depth", "12", "--scale", "bilinear"}, exitDone},
		"infinite figures": {[]string{"-r", big, "-d", big, "--feature", "psnr:enable_apsnr=true:enable_chroma=false", "--feature", "psnr_hvs", "--feature", "ms_ssim:enable_db=true"}, exitDone},
		"test conditions":  {[]string{"-r", big, "-d", small, "-d", big, "--aom-ctc", "v7.0", "--model", "vmaf_v1.0.16_5d0h:name=v1", "--subsample", "3"}, exitDone},
		"one":              {[]string{"-r", ref, "-d", dis}, exitDone},
		"collection":       {[]string{"-r", ref, "-d", dis, "--model", "vmaf_v0.6.1", "--model", "vmaf_b_v0.6.3:name=b", "--feature", "vif:debug=true", "--subsample", "2"}, exitDone},
		"ladder":           {[]string{"-r", ref, "-d", dis, "-d", cut, "-d", low, "--crop", "48x40+8+4", "--frames", "1:6", "--pool", "mean,p2.5", "--scale", "lanczos", "--chunk", "2"}, exitFailed},
		"timestamps":       {[]string{"-r", ref, "-d", fast, "--pairing", "timestamp", "--shortest"}, exitDone},
		"offset":           {[]string{"-r", ref, "-d", dis, "--offset", "2", "--shortest"}, exitDone},
		"negative offset":  {[]string{"-r", ref, "-d", dis, "--offset", "-2", "--shortest"}, exitDone},
		"headerless":       {[]string{"-r", ref, "-d", raw, "--raw-video", "64x48:yuv420p:25"}, exitDone},
		"two of one model": {[]string{"-r", ref, "-d", dis, "--model", "vmaf_v0.6.1", "--model", "vmaf_v0.6.1:enable_transform:name=phone"}, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			measure := func(folder string, more ...string) (answer, map[string]string) {
				args := append([]string{"measure", "--json", "--log", folder + "/{name}.json", "--log-precision", "17", "--plot", folder + "/plot.svg"}, row.args...)
				got := vqsd(t, append(args, more...)...)
				got.want(t, row.code)
				files := map[string]string{}
				entries, err := os.ReadDir(folder)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					text, err := os.ReadFile(filepath.Join(folder, e.Name()))
					if err != nil {
						t.Fatal(err)
					}
					files[e.Name()] = timeless(string(text))
				}
				return got, files
			}
			ours, ourFiles := measure(t.TempDir())
			theirs, theirFiles := measure(t.TempDir(), "--server", d.address)
			if a, b := withoutComputed(t, theirs.stdout), withoutComputed(t, ours.stdout); a != b {
				t.Errorf("documents differ: %s", firstDifference(a, b))
			}
			for name, want := range ourFiles {
				if got := theirFiles[name]; got != want && name != "plot.svg" {
					t.Errorf("%s differs: %s", name, firstDifference(got, want))
				}
			}
			if len(theirFiles) != len(ourFiles) {
				t.Errorf("%d files, want %d", len(theirFiles), len(ourFiles))
			}
			if withoutFacts(theirFiles["plot.svg"]) != withoutFacts(ourFiles["plot.svg"]) {
				t.Error("plots differ")
			}
			d.forget()
		})
	}
}

// forget makes the fake daemon measure anew.
func (d *fakeDaemon) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.kept)
	clear(d.byRequest)
}

// withoutFacts is a plot without its line on what computed.
func withoutFacts(plot string) string {
	var kept []string
	for line := range strings.Lines(plot) {
		if !strings.Contains(line, "computed by") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// What a daemon is asked for.
func TestRequest(t *testing.T) {
	d := newFakeDaemon(t, nil)
	_, ref, dis, _, _ := clips(t)
	dir := filepath.Dir(ref)
	document := modelFile(t)
	t.Chdir(dir)
	got := vqsd(t, d.remotely("measure", "-r", "ref.y4m", "-d", "./dis.y4m", "-d", dis, "--validate-only", "--class", "latency", "--deadline", "2030-01-02T03:04:05Z",
		"--label", "title=x", "--label", "empty=", "--request-id", "abc", "--segment", "2s", "--no-cache", "--full-hash", "--pool", "mean", "--chunk", "7")...)
	got.want(t, exitDone)
	if got.stdout != "the daemon would accept it\n" {
		t.Errorf("standard output has %q", got.stdout)
	}
	r := d.requests[0]
	spec := r.GetSpec()
	if r.GetRequestId() != "abc" || !r.GetValidateOnly() {
		t.Errorf("request %v", r)
	}
	if spec.GetReference().GetUri() != ref || spec.GetRenditions()[0].GetSource().GetUri() != dis {
		t.Errorf("paths are not absolute: %v", spec)
	}
	if spec.GetModels()[0].GetSpec() != defaultModel || len(spec.GetModels()) != 1 {
		t.Errorf("models %v, want the default named", spec.GetModels())
	}
	if spec.GetServiceClass() != pb.ServiceClass_SERVICE_CLASS_LATENCY || spec.GetDeadline().AsTime() != time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) {
		t.Errorf("class %v, deadline %v", spec.GetServiceClass(), spec.GetDeadline().AsTime())
	}
	if spec.GetLabels()["title"] != "x" || len(spec.GetLabels()) != 2 || spec.GetSegment().GetSeconds().AsDuration() != 2*time.Second {
		t.Errorf("labels %v, segment %v", spec.GetLabels(), spec.GetSegment())
	}
	if !spec.GetNoCache() || !spec.GetFullHash() || spec.GetChunkFrames() != 7 || strings.Join(spec.GetPools(), " ") != "mean" {
		t.Errorf("spec %v", spec)
	}
	if spec.GetPairing() != pb.Pairing_PAIRING_UNSPECIFIED || spec.GetScaleFilter() != pb.ScaleFilter_SCALE_FILTER_UNSPECIFIED {
		t.Errorf("pairing %v and scaling %v are not left to the rules", spec.GetPairing(), spec.GetScaleFilter())
	}

	model := writeFile(t, filepath.Join(dir, "own.json"), document)
	vqsd(t, d.remotely("measure", "-r", "MEDIA:a/ref.y4m", "-d", "MEDIA:dis.y4m", "--model", "path="+model+":name=own", "--no-wait", "--validate-only")...).want(t, exitUsage, "contradict")
	vqsd(t, d.remotely("measure", "-r", "MEDIA:a/ref.y4m", "-d", "MEDIA:dis.y4m", "--model", "path="+model+":name=own", "--validate-only")...)
	r = d.requests[1]
	if r.GetSpec().GetReference().GetUri() != "MEDIA:a/ref.y4m" || !bytes.Equal(r.GetSpec().GetModels()[0].GetDocument(), document) {
		t.Errorf("request %.200v", r)
	}
	if len(r.GetRequestId()) != 36 {
		t.Errorf("request ID %q, want a random one", r.GetRequestId())
	}
	vqsd(t, d.remotely("measure", "-r", "MEDIA:a/ref.y4m", "-d", "MEDIA:dis.y4m", "--model", "auto", "--validate-only")...)
	if models := d.requests[2].GetSpec().GetModels(); len(models) != 0 {
		t.Errorf("models %v, want none: the rules choose", models)
	}
}

func TestNoWait(t *testing.T) {
	d := newFakeDaemon(t, nil)
	_, ref, dis, _, _ := clips(t)
	got := vqsd(t, d.remotely("measure", "-r", ref, "-d", dis, "--no-wait")...)
	got.want(t, exitDone)
	if got.stdout != namePrefix+testID+"\n" || got.stderr != "" {
		t.Errorf("it says %q and %q", got.stdout, got.stderr)
	}
	document := vqsd(t, d.remotely("measure", "-r", ref, "-d", dis, "--no-wait", "--json")...)
	document.want(t, exitDone)
	if !strings.Contains(document.stdout, `"schema": "vqsd.measurement/1"`) || !strings.Contains(document.stdout, `"state": "pending"`) {
		t.Errorf("the document is %s", document.stdout)
	}
}

// The environment names the daemon, too, and the token.
func TestEnvironment(t *testing.T) {
	d := newFakeDaemon(t, nil)
	_, ref, dis, _, _ := clips(t)
	t.Setenv(serverEnvironment, d.address)
	t.Setenv(tokenEnvironment, "secret")
	vqsd(t, "measure", "-r", ref, "-d", dis, "--quiet").want(t, exitDone)
	if len(d.tokens) != 1 || d.tokens[0] != "Bearer secret" {
		t.Errorf("tokens %q", d.tokens)
	}
	vqsd(t, "measure", "-r", ref, "-d", dis, "--quiet", "--server", "", "--threads", "1").want(t, exitDone)
	if len(d.tokens) != 1 {
		t.Error("an empty --server does not keep the daemon out")
	}
	t.Setenv(tokenFileEnvironment, writeFile(t, filepath.Join(t.TempDir(), "token"), []byte("other\n")))
	vqsd(t, "measure", "-r", ref, "-d", dis, "--quiet", "--request-id", "again").want(t, exitDone)
	if len(d.tokens) != 2 || d.tokens[1] != "Bearer other" {
		t.Errorf("tokens %q", d.tokens)
	}
}

// The daemon goes away twice while a measurement is waited for, and the result is there in the end.
func TestDaemonRestarts(t *testing.T) {
	var calls int
	d := newFakeDaemon(t, func(d *fakeDaemon) {
		d.watch = func(stream grpc.ServerStreamingServer[pb.WatchQualityResponse], d *fakeDaemon) error {
			calls++ // one stream at a time
			if err := stream.Send(&pb.WatchQualityResponse{Event: &pb.WatchQualityResponse_Progress{
				Progress: &pb.Progress{FramesDone: int64(calls), FramesTotal: 7},
			}}); err != nil || calls > 2 {
				return err
			}
			go func() {
				d.stop()
				d.start()
			}()
			<-stream.Context().Done()
			return stream.Context().Err()
		}
	})
	_, ref, dis, _, _ := clips(t)
	got := vqsd(t, d.remotely("measure", "-r", ref, "-d", dis)...)
	got.want(t, exitDone, "trying again for 5m0s", "measured 7 frames")
	if calls != 3 || !strings.Contains(got.stdout, "vmaf") {
		t.Errorf("%d streams; standard output: %s", calls, got.stdout)
	}
	if quiet := vqsd(t, d.remotely("measure", "-r", ref, "-d", dis, "--quiet")...); quiet.stderr != "" {
		t.Errorf("quiet, and yet standard error has %q", quiet.stderr)
	}
}

func TestDaemonStaysAway(t *testing.T) {
	d := newFakeDaemon(t, func(d *fakeDaemon) {
		d.watch = func(stream grpc.ServerStreamingServer[pb.WatchQualityResponse], d *fakeDaemon) error {
			go d.stop()
			<-stream.Context().Done()
			return stream.Context().Err()
		}
	})
	_, ref, dis, _, _ := clips(t)
	got := vqsd(t, d.remotely("measure", "-r", ref, "-d", dis, "--patience", "200ms")...)
	got.want(t, exitFailed, "it was waited for 200ms, which --patience says")
	// One that was never there is not waited for.
	vqsd(t, d.remotely("measure", "-r", ref, "-d", dis)...).want(t, exitFailed, "cannot be reached", "is vqsd serve running there?")
}

// interruptedRun runs the program and cancels it when begun is closed.
func interruptedRun(t *testing.T, begun <-chan struct{}, args []string) answer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := context.AfterFunc(t.Context(), cancel)
	defer stopped()
	go func() {
		select {
		case <-begun:
			cancel()
		case <-ctx.Done():
		}
	}()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return answer{code, stdout.String(), stderr.String()}
}

func TestInterruptCancelsTheMeasurement(t *testing.T) {
	for flag, want := range map[string]string{"": "cancelled measurement " + testID, "--no-cancel": "vqsd get " + testID + " --follow"} {
		begun := make(chan struct{})
		d := newFakeDaemon(t, func(d *fakeDaemon) {
			d.watch = func(stream grpc.ServerStreamingServer[pb.WatchQualityResponse], _ *fakeDaemon) error {
				close(begun)
				<-stream.Context().Done()
				return stream.Context().Err()
			}
		})
		_, ref, dis, _, _ := clips(t)
		got := interruptedRun(t, begun, append(d.remotely("measure", "-r", ref, "-d", dis), strings.Fields(flag)...))
		got.want(t, exitFailed, want, interrupted)
		if wanted := flag == ""; wanted != (len(d.cancelled) == 1) {
			t.Errorf("%q: cancelled %q", flag, d.cancelled)
		}
	}
}

// Interrupted before the daemon has answered: whether the measurement began is found out, and it is cancelled.
func TestInterruptWhileStarting(t *testing.T) {
	begun := make(chan struct{}, 2)
	release := make(chan struct{})
	first := true
	d := newFakeDaemon(t, func(d *fakeDaemon) {
		d.measure = func() error {
			if first { // the second call comes after the first has been given up
				first = false
				begun <- struct{}{}
				<-release
			}
			return nil
		}
	})
	t.Cleanup(func() { close(release) })
	_, ref, dis, _, _ := clips(t)
	got := interruptedRun(t, begun, d.remotely("measure", "-r", ref, "-d", dis))
	got.want(t, exitFailed, "cancelled measurement "+testID, interrupted)
}

func TestMeasurementThatFails(t *testing.T) {
	d := newFakeDaemon(t, nil)
	dir, ref, _, _, _ := clips(t)
	got := vqsd(t, d.remotely("measure", "-r", ref, "-d", filepath.Join(dir, "missing.y4m"), "--json")...)
	got.want(t, exitFailed, "missing.y4m: no such file")
	if got.stdout != "" {
		t.Errorf("standard output has %q", got.stdout)
	}
}

// Statuses become one line that says what to do, and are never errors of usage.
func TestStatuses(t *testing.T) {
	detailed := func(code codes.Code, text string, bad *errdetails.BadRequest, quota *errdetails.QuotaFailure) error {
		st := status.New(code, text)
		var err error
		if bad != nil {
			st, err = st.WithDetails(bad)
		}
		if quota != nil && err == nil {
			st, err = st.WithDetails(quota)
		}
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	for name, row := range map[string]struct {
		err  error
		says string
	}{
		"bad fields": {detailed(codes.InvalidArgument, "bad", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "spec.crop", Description: "too\nlarge"}, {Field: "spec.offset", Description: "too far"},
		}}, nil), "spec.crop: too large; spec.offset: too far\n"},
		"limit": {detailed(codes.ResourceExhausted, "too many", nil, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{
			{Subject: "limits.outstanding"},
		}}), "too many (limit limits.outstanding)\n"},
		"limit that is named already": {detailed(codes.ResourceExhausted, "too many: limits.x is 3", nil, &errdetails.QuotaFailure{
			Violations: []*errdetails.QuotaFailure_Violation{{Subject: "limits.x"}},
		}), "too many: limits.x is 3\n"},
		"no token":         {status.Error(codes.Unauthenticated, "who are you?"), "who are you?; --token-file or $VQSD_TOKEN gives a token"},
		"not allowed":      {status.Error(codes.PermissionDenied, "not below a media root that you may use"), ": not below a media root that you may use\n"},
		"another version":  {status.Error(codes.Unimplemented, "unknown method"), "of another version"},
		"defect":           {status.Error(codes.Internal, "reference 7"), ": reference 7\n"},
		"terminal's codes": {status.Error(codes.Internal, "\x1b[2J"), "\uFFFD[2J"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFakeDaemon(t, func(d *fakeDaemon) { d.measure = func() error { return row.err } })
			_, ref, dis, _, _ := clips(t)
			got := vqsd(t, d.remotely("measure", "-r", ref, "-d", dis)...)
			got.want(t, exitFailed, "vqsd: daemon at "+d.address+": ", row.says)
			if strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("more than a line: %q", got.stderr)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	d := newFakeDaemon(t, func(d *fakeDaemon) {
		d.measure = func() error {
			<-release
			return nil
		}
	})
	t.Cleanup(func() { close(release) })
	_, ref, dis, _, _ := clips(t)
	vqsd(t, d.remotely("measure", "-r", ref, "-d", dis, "--timeout", "50ms")...).want(t, exitFailed, "no answer within 50ms; --timeout allows more")
}

// modelFile is a small model of two features in the public JSON layout.
func modelFile(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Daemons name files by their paths below a media root, and users know them by the paths they gave.
func TestMessagesNameFilesAsTheUserDid(t *testing.T) {
	for _, row := range []struct{ message, uri, shown, want string }{
		{"a/x.mp4: is damaged", "/media/a/x.mp4", "../a/x.mp4", "../a/x.mp4: is damaged"},
		{"a/x.mp4: frame 3: is damaged", "MEDIA:a/x.mp4", "MEDIA:a/x.mp4", "MEDIA:a/x.mp4: frame 3: is damaged"},
		{"x.mp4: is damaged", "/media/fox.mp4", "fox.mp4", "x.mp4: is damaged"},
		{"is damaged", "/media/x.mp4", "x.mp4", "is damaged"},
		{": is damaged", "/media/x.mp4", "x.mp4", ": is damaged"},
	} {
		if got := withPath(row.message, row.uri, row.shown); got != row.want {
			t.Errorf("%q of %s is shown as %q, want %q", row.message, row.uri, got, row.want)
		}
	}
}

// On a terminal there is a bar for a daemon's measurement, too.
func TestRemoteProgress(t *testing.T) {
	d := newFakeDaemon(t, func(d *fakeDaemon) {
		d.watch = func(stream grpc.ServerStreamingServer[pb.WatchQualityResponse], _ *fakeDaemon) error {
			return stream.Send(&pb.WatchQualityResponse{Event: &pb.WatchQualityResponse_Progress{Progress: &pb.Progress{FramesDone: 3, FramesTotal: 7}}})
		}
	})
	_, ref, dis, _, _ := clips(t)
	for flags, bar := range map[string]bool{"": true, "--no-progress": false, "--quiet": false} {
		shown := onTerminal(t, append(d.remotely("measure", "-r", ref, "-d", dis), strings.Fields(flags)...)...)
		if got := strings.Contains(shown, "measuring"); got != bar {
			t.Errorf("%q: a bar is shown: %v, want %v: %q", flags, got, bar, shown)
		}
	}
}
