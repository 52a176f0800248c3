package watch

import "context"

// watched is a folder at work.
type watched struct {
	cfg    Folder
	all    *Config
	counts *counts
	shown  shown
}

func newWatched(all *Config, cfg Folder) (*watched, error) {
	return &watched{cfg: cfg, all: all, shown: shown{status: FolderStatus{Name: cfg.Name, Path: cfg.Path}}}, nil
}

func (f *watched) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (f *watched) statusNow() FolderStatus {
	f.shown.mu.Lock()
	defer f.shown.mu.Unlock()
	return f.shown.status
}
