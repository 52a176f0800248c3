package main

import (
	"context"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// What a service manager is told; sd_notify(3).
const (
	notifyReady    = systemd.SdNotifyReady
	notifyStopping = systemd.SdNotifyStopping
	notifyAlive    = systemd.SdNotifyWatchdog
)

// notify tells the service manager, if there is one that wants to know.
func notify(log *slog.Logger, state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		log.Warn("the service manager cannot be told", "state", state, "err", err)
	}
}

// watchdog tells the service manager twice in each of its intervals that the daemon lives, for as long as its store answers.
func (d *daemon) watchdog(ctx context.Context) {
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("the service manager's watchdog cannot be served", "err", err)
	}
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		if err := d.alive(ctx); err == nil {
			notify(d.log, notifyAlive)
		} else if ctx.Err() == nil {
			d.log.Error("no sign of life for the watchdog", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
