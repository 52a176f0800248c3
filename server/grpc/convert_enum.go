package grpc

import (
	"slices"

	"github.com/vqsd/vqsd/store"
	"github.com/vqsd/vqsd/workflow"
)

// words are the domain's words for an enum's values, by number; the first is the unspecified one.
type words[T ~string] []T

var (
	classWords       = words[store.Class]{"", store.ClassLatency, store.ClassThroughput, store.ClassBackground}
	pairingWords     = words[string]{"", "auto", "index", "timestamp"}
	scaleWords       = words[string]{"", "bicubic", "bilinear", "lanczos", "none"}
	depthWords       = words[string]{"", "auto", "native", "10", "12", "16"}
	damageWords      = words[string]{"", "strict", "conceal"}
	stateWords       = words[store.State]{"", store.StatePending, store.StateRunning, store.StateSucceeded, store.StatePartial, store.StateFailed, store.StateCancelled}
	workerStateWords = words[workflow.WorkerState]{"", workflow.WorkerIdle, workflow.WorkerBusy, workflow.WorkerDraining, workflow.WorkerLost}
	reasonWords      = words[store.Reason]{"", store.ReasonNotFound, store.ReasonDenied, store.ReasonUnsupported, store.ReasonAmbiguous, store.ReasonDamaged,
		store.ReasonChanged, store.ReasonLimit, store.ReasonInvalid, store.ReasonRefused, store.ReasonWorker, store.ReasonInternal, store.ReasonNotStored}
)

// word is the word for a number; "" for one that is unknown.
func word[T ~string, N ~int32](w words[T], n N) T {
	if n < 0 || int(n) >= len(w) {
		return ""
	}
	return w[n]
}

// number is the number of a word; 0 for one that is unknown.
func number[N ~int32, T ~string](w words[T], text T) N {
	return N(max(0, slices.Index(w, text)))
}
