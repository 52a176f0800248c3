package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	vqsv1 "github.com/vqsd/vqsd/proto/vqs/v1"
)

// namespaces makes hosts of network namespaces: a bridge's worth of links between this one and n others, on addresses of their own. It skips the
// test, saying why, where that is not permitted.
func namespaces(t *testing.T, n int) (here string, others []string) {
	t.Helper()
	ip := func(args ...string) error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no hosts of network namespaces: ip (iproute2) is not installed")
	}
	// The name of a link has at most 15 characters.
	id := os.Getpid() % 100000
	name := func(i int) string { return fmt.Sprintf("vqsd%d-%d", id, i) }
	here = "10.213.77.1"
	bridge := fmt.Sprintf("vqsdb%d", id)
	if err := ip("link", "add", bridge, "type", "bridge"); err != nil {
		t.Skipf("no hosts of network namespaces: %v", err)
	}
	t.Cleanup(func() { _ = ip("link", "del", bridge) })
	must := func(args ...string) {
		t.Helper()
		if err := ip(args...); err != nil {
			t.Fatal(err)
		}
	}
	must("addr", "add", here+"/24", "dev", bridge)
	must("link", "set", bridge, "up")
	for i := range n {
		ns := name(i)
		if err := ip("netns", "add", ns); err != nil {
			t.Skipf("no hosts of network namespaces: %v", err) // links may be made where namespaces may not
		}
		t.Cleanup(func() { _ = ip("netns", "del", ns) })
		must("link", "add", ns+"a", "type", "veth", "peer", "name", ns+"b")
		must("link", "set", ns+"a", "master", bridge, "up")
		must("link", "set", ns+"b", "netns", ns)
		must("-n", ns, "addr", "add", fmt.Sprintf("10.213.77.%d/24", 2+i), "dev", ns+"b")
		must("-n", ns, "link", "set", ns+"b", "up")
		must("-n", ns, "link", "set", "lo", "up")
		others = append(others, ns)
	}
	return here, others
}

// TestWorkersOnOtherHosts has two workers on hosts of their own, with the media mounted elsewhere, measure for a daemon that has none. One loses its
// network for good in the middle.
func TestWorkersOnOtherHosts(t *testing.T) {
	here, hosts := namespaces(t, 2)
	address := here + ":" + freePort(t)
	r := newDaemonRig(t, []string{"VQSD_NATS_LISTEN=" + address, "VQSD_NATS_TOKEN=" + killToken, "VQSD_WORKERS_LEASE=2s"}, "--workers", "0")
	mount := filepath.Join(t.TempDir(), "mnt")
	if err := os.Symlink(r.media, mount); err != nil {
		t.Fatal(err)
	}
	const frames = 400
	ref := clipSpec{width: 160, height: 96, frames: frames}.write(t, r.media, "ref.y4m")
	dis := clipSpec{width: 160, height: 96, frames: frames, noise: 9}.write(t, r.media, "dis.y4m")
	want := r.expectedScores(ref, dis)
	for i, host := range hosts {
		log := &logEnd{}
		c := exec.Command("ip", "netns", "exec", host, os.Args[0], "worker", "--nats", "nats://"+address, "--media-root", "media="+mount)
		c.Env = append(os.Environ(), roleEnvironment+"=program", "VQSD_NATS_TOKEN="+killToken)
		c.Stderr = log
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
			if t.Failed() {
				t.Logf("the log of worker %d ends:\n%s", i, tail(log.String(), 4000))
			}
		})
	}
	r.workers(2)
	s := submission{renditions: []string{"dis"}, pairs: frames}
	s.name = r.submit("", &vqsv1.MeasurementSpec{
		Reference: &vqsv1.VideoSource{Uri: ref}, Renditions: []*vqsv1.RenditionSource{{Source: &vqsv1.VideoSource{Uri: dis}}},
		Models: []*vqsv1.ModelSpec{{Spec: "vmaf_v0.6.1"}}, ChunkFrames: 10,
	})
	r.until("a chunk is done", func() bool { return r.get(s.name).GetProgress().GetChunksDone() > 0 })
	if out, err := exec.Command("ip", "-n", hosts[0], "link", "set", hosts[0]+"b", "down").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.check(s, want)
	r.until("the lost worker is noticed", func() bool { return len(r.workers(1)) == 1 })
}
