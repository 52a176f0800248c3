package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a run took.
type usage struct {
	processor time.Duration // of all threads
	resident  int64         // the most memory at a time, in bytes; 0: unknown
	device    int64         // the most device memory at a time, in bytes; 0: none, or unknown
}

// ownUsage measures what run takes of this process, and of children that it waits for.
func ownUsage(ctx context.Context, run func(context.Context) error) (usage, error) {
	// Garbage of whatever ran before is not this one's memory.
	debug.FreeOSMemory()
	reset := resetPeak()
	before := processorTime()
	err := run(ctx)
	u := usage{processor: processorTime() - before}
	if reset {
		u.resident = statusBytes("/proc/self/status", "VmHWM")
	}
	return u, err
}

// processorTime is that of this process and of all children that have ended.
func processorTime() time.Duration {
	total := time.Duration(0)
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var r unix.Rusage
		if err := unix.Getrusage(who, &r); err != nil {
			panic(err) // it takes no other arguments than these
		}
		total += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return total
}

// resetPeak lets the process's peak of resident memory begin anew. Where the system does not allow that, the peak would be that of
// the whole process's life, which says nothing about a run.
func resetPeak() bool { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil }

// statusBytes reads a size from a status file of /proc; 0 where it is not there.
func statusBytes(path, field string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			if fields := strings.Fields(value); len(fields) == 2 && fields[1] == "kB" {
				n, err := strconv.ParseInt(fields[0], 10, 53)
				if err == nil {
					return n << 10
				}
			}
		}
	}
	return 0
}

// clockTick is the unit of processor time in /proc: Linux fixes what it tells programs at 100 a second.
const clockTick = 10 * time.Millisecond

// machineTime is the processor time of all processes since the machine started; 0 where the system does not tell.
func machineTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0
	}
	total := time.Duration(0)
	for i, field := range fields[1:9] { // user nice system idle iowait irq softirq steal
		if n, err := strconv.ParseInt(field, 10, 53); err == nil && i != 3 && i != 4 {
			total += time.Duration(n) * clockTick
		}
	}
	return total
}

// processTreeUsage is the processor time so far of a process and of all that descend from it, those that have ended included, and
// their resident memory at its peak, each process's own.
func processTreeUsage(pid int) (usage, error) {
	total := usage{}
	for _, p := range append([]int{pid}, descendants(pid)...) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			if p == pid {
				return usage{}, err
			}
			continue // it has ended since it was listed, and its parent has its time
		}
		// The name, in parentheses, may hold anything; fields are counted behind it, from the third.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 15 {
			return usage{}, fmt.Errorf("/proc/%d/stat has %d fields", p, len(fields))
		}
		for _, field := range fields[11:15] { // utime, stime, cutime, cstime
			n, err := strconv.ParseInt(field, 10, 53)
			if err != nil {
				return usage{}, fmt.Errorf("/proc/%d/stat: %w", p, err)
			}
			total.processor += time.Duration(n) * clockTick
		}
		total.resident += statusBytes(fmt.Sprintf("/proc/%d/status", p), "VmHWM")
	}
	return total, nil
}

// descendants are the processes below a process.
func descendants(pid int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])); len(fields) > 1 {
			if parent, err := strconv.Atoi(fields[1]); err == nil {
				children[parent] = append(children[parent], p)
			}
		}
	}
	var list []int
	for queue := children[pid]; len(queue) > 0; queue = queue[1:] {
		list = append(list, queue[0])
		queue = append(queue, children[queue[0]]...)
	}
	return list
}
