package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/vqsd/vqsd/decode"
	"github.com/vqsd/vqsd/engine"
	vqsv1 "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/vmaf"
)

// DaemonConfig says what a daemon is to measure.
type DaemonConfig struct {
	Clip     Clip
	Plan     *vmaf.Plan
	Models   []string // as text; built-in ones
	Features []string // as text
	Backend  *engine.Backend
	Threads  int
	Runs     int
	Program  string // vqsd
	Scratch  string // for the daemon's data
	hardware *decode.Hardware
	machine  *environment
}

// Daemon times measurements by a daemon of their own, from the call to the end of its stream, by turns with measuring and decoding in
// this process. The daemon listens on loopback, has one worker, and measures anew each time.
func Daemon(ctx context.Context, c DaemonConfig) (r Result, err error) {
	r = c.Clip.result(ScenarioDaemon)
	for _, model := range c.Models {
		if strings.HasPrefix(model, "path=") {
			r.NotRun = "the model is a file, which this scenario does not send to the daemon"
			return r, nil
		}
	}
	d, err := startDaemon(ctx, &c)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	byDaemon := contender{"daemon", func(ctx context.Context) (usage, error) {
		before, err := processTreeUsage(d.command.Process.Pid)
		if err != nil {
			return usage{}, err
		}
		if err := d.measure(ctx, &c); err != nil {
			return usage{}, err
		}
		after, err := processTreeUsage(d.command.Process.Pid)
		after.processor -= before.processor
		return after, err
	}}
	if device := c.Backend.GPU(); device != nil {
		byDaemon = watchDevice(byDaemon, device)
	}
	var by decodedBy
	samples, err := takeTurns(ctx, c.Runs, byDaemon,
		own("measure", func(ctx context.Context) error {
			_, err := measureClip(ctx, c.Clip, c.Plan, c.Backend, c.Threads)
			return err
		}),
		own("decode", func(ctx context.Context) error { return decodeClip(ctx, c.Clip, c.Threads, c.hardware, &by) }))
	if err != nil {
		return r, err
	}
	r.Backend, r.Emulated = c.Backend.Describe(), c.machine.emulated()
	r.figures(samples[0], c.Clip.Frames, c.Threads)
	r.decodeAlone(samples[2], c.Clip.Frames)
	inProcess := rate(samples[1], c.Clip.Frames)
	r.InProcess = &inProcess
	bandwidth, basis := c.machine.bandwidth(c.Backend)
	r.memory(planeBytes(r.Width, r.Height, r.Depth, r.Renditions), bandwidth, basis)
	r.Bound = r.boundOfDaemon(c.Threads)
	return r, nil
}

// daemon is vqsd serve as a process.
type daemon struct {
	command *exec.Cmd
	conn    *grpc.ClientConn
	client  vqsv1.QualityServiceClient
	said    *lastLines
	ended   chan struct{} // closed when all that it says has been read
	number  int           // measurements asked for
}

// announcement is what serve says once it serves.
var announcement = regexp.MustCompile(`^vqsd: serving at (\S+) `)

// startDaemon starts a daemon and waits until it serves.
func startDaemon(ctx context.Context, c *DaemonConfig) (_ *daemon, err error) {
	dir, err := filepath.Abs(filepath.Dir(c.Clip.Reference))
	if err != nil {
		return nil, err
	}
	// ctx ends the calls; the process is told to end, and waited for, by stop.
	command := exec.Command(c.Program, "serve", "--listen", "127.0.0.1:0", "--http-listen", "", "--data", filepath.Join(c.Scratch, "data"),
		"--media-root", "clips="+dir, "--workers", "1", "--set", "workers.device="+c.Backend.Name(), "--set", "workers.threads="+strconv.Itoa(c.Threads),
		"--set", "workers.slots=1", "--set", "drain_timeout=2s", "--log-level", "warn")
	command.Env = withoutConfiguration(os.Environ())
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interruption of the terminal is for this process, which stops the daemon
	stderr, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	d := &daemon{command: command, said: &lastLines{}, ended: make(chan struct{})}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	address := make(chan string, 1)
	go func() {
		defer close(d.ended)
		d.said.read(stderr, func(line string) {
			if found := announcement.FindStringSubmatch(line); found != nil {
				address <- found[1]
			}
		})
	}()
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.ended:
		return nil, fmt.Errorf("the daemon ended before it served: %s", d.said)
	case at := <-address:
		d.conn, err = grpc.NewClient(at, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
	}
	d.client = vqsv1.NewQualityServiceClient(d.conn)
	return d, nil
}

// withoutConfiguration leaves out what configures a daemon of the user's.
func withoutConfiguration(environment []string) []string {
	keep := []string{"VQSD_CPU=", "VQSD_CUDA_LIBRARY=", "VQSD_EMU_", "VQSD_TEST_"}
	var list []string
	for _, pair := range environment {
		ours := strings.HasPrefix(pair, "VQSD_")
		for _, prefix := range keep {
			ours = ours && !strings.HasPrefix(pair, prefix)
		}
		if !ours {
			list = append(list, pair)
		}
	}
	return list
}

// stop has the daemon end, and waits for it.
func (d *daemon) stop() error {
	var errs []error
	if d.conn != nil {
		errs = append(errs, d.conn.Close())
	}
	_ = d.command.Process.Signal(syscall.SIGTERM) // it may have ended, which Wait tells
	kill := time.AfterFunc(grace, func() { _ = d.command.Process.Kill() })
	<-d.ended // before Wait, which closes what is read from
	err := d.command.Wait()
	kill.Stop()
	if err != nil {
		errs = append(errs, fmt.Errorf("the daemon: %w: %s", err, d.said))
	}
	return errors.Join(errs...)
}

// measure has a measurement made and follows it to its end.
func (d *daemon) measure(ctx context.Context, c *DaemonConfig) error {
	spec := &vqsv1.MeasurementSpec{
		Reference: &vqsv1.VideoSource{Uri: absolute(c.Clip.Reference)}, EndFrame: int64(c.Clip.Frames), Pairing: vqsv1.Pairing_PAIRING_INDEX, NoCache: true,
	}
	for _, path := range c.Clip.Renditions {
		spec.Renditions = append(spec.Renditions, &vqsv1.RenditionSource{Source: &vqsv1.VideoSource{Uri: absolute(path)}})
	}
	for _, model := range c.Models {
		spec.Models = append(spec.Models, &vqsv1.ModelSpec{Spec: model})
	}
	spec.Features = c.Features
	d.number++
	answer, err := d.client.MeasureQuality(ctx, &vqsv1.MeasureQualityRequest{Spec: spec, RequestId: fmt.Sprintf("bench-%d", d.number)})
	if err != nil {
		return err
	}
	stream, err := d.client.WatchQuality(ctx, &vqsv1.WatchQualityRequest{Name: answer.GetMeasurement().GetName()})
	if err != nil {
		return err
	}
	for {
		event, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("the stream ended before the measurement: %w", err)
		}
		if m := event.GetMeasurement(); m != nil && m.GetFinishTime() != nil {
			if m.GetState() != vqsv1.MeasurementState_MEASUREMENT_STATE_SUCCEEDED {
				return fmt.Errorf("%v: %s", m.GetState(), m.GetFailure().GetMessage())
			}
			return nil
		}
	}
}

// absolute is a path as the daemon takes it, whose working directory may be another one.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// lastLines keeps the last lines of what a process says.
type lastLines struct {
	// mu guards lines.
	mu    sync.Mutex
	lines []string
}

func (l *lastLines) read(r io.Reader, each func(string)) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		l.mu.Lock()
		l.lines = append(l.lines, lines.Text())
		l.lines = l.lines[max(0, len(l.lines)-5):]
		l.mu.Unlock()
		each(lines.Text())
	}
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "; ")
}
