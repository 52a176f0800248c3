package export

import (
	"context"
	"fmt"
	"io"

	"github.com/vqsd/vqsd/store"
)

// writeRecord writes the document of one encode.
func writeRecord(_ context.Context, _ io.Writer, _ Source, _ *store.Measurement, _ int, _ Options) ([]string, error) {
	return nil, fmt.Errorf("%w: %s", ErrNotInForm, Record)
}
