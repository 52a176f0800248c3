package store_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/vqsd/vqsd/store"
)

// A measurement is created with its first task, changed together with what is outstanding of it, and found again.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "vqsd-store")
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			log.Print(err)
		}
	}()
	s, err := store.Open(ctx, store.Config{Dir: dir, MinFreeBytes: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			log.Print(err)
		}
	}()

	const id = "01kjmj7y000000000000000000" // a ULID of the time of creation
	m := &store.Measurement{
		ID: id, State: store.StatePending, Created: store.MeasurementID(id).Time(),
		Request: store.Request{
			Reference:  store.Source{Root: "media", Path: "main.mov"},
			Renditions: []store.RenditionRequest{{Source: store.Source{Root: "media", Path: "720p.mp4"}, Name: "720p"}},
			Labels:     map[string]string{"title": "x"},
		},
	}
	inspect := store.Task{Key: store.TaskKey{Class: store.ClassThroughput, Measurement: id}, Kind: store.TaskInspect}
	if _, err := s.Create(ctx, m, "request 1", [32]byte{}, []store.Task{inspect}); err != nil {
		log.Fatal(err)
	}
	_, err = s.Update(ctx, id, func(m *store.Measurement) (store.Changes, error) {
		m.State, m.Finished = store.StateFailed, m.Created.Add(time.Second)
		m.Failure = &store.Failure{Reason: store.ReasonNotFound, Message: "media:main.mov is not there"}
		return store.Changes{DeleteTasks: []store.TaskKey{inspect.Key}}, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	page, err := s.Query(ctx, store.Query{Filter: store.And{
		store.Compare{Field: "labels.title", Op: store.Equal, Value: "x"},
		store.Compare{Field: store.FieldState, Op: store.Equal, Value: store.StateFailed},
	}})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range page.Measurements {
		fmt.Println(m.ID, m.State, m.Failure.Message, m.Revision)
	}
	// Output: 01kjmj7y000000000000000000 failed media:main.mov is not there 2
}
