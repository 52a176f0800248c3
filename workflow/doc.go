// Package workflow turns a request into a plan and a plan into a result: it has a worker inspect the media, applies the rules, splits the
// timeline into chunks, hands those whose figures are not stored yet to workers, records what comes back and, when the last
// chunk is in, assembles, predicts, pools and stores.
//
// The central type is [Service]. Its life: [New], [Service.Run] in a goroutine of its own, the calls that entrances make, and the
// end of Run's context. It touches no media.
//
//	Measure ─▶ inspect task ─▶ rules ─▶ plan ─▶ chunk tasks ─▶ records ─▶ assembly
//
// All state is in the store. What is in memory (which tasks are handed out, how far they are, which workers there are) is rebuilt after a
// restart, and may be lost at any time at the price of a repeat.
package workflow
