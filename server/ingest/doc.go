// Package ingest turns files of other programs into requests to import them: the logs of libvmaf and its older tools, FFmpeg's stats files and encode
// records. [Read] reads one, whichever form it has; [WriteOptions] and the measurement's table are what writes the same file again.
//
// Nothing that a file names is opened, and it is bounded what one costs: see [Limits].
package ingest
