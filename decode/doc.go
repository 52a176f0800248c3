// Package decode turns files into pictures: it opens a video, says what it is, and delivers any run of its frames in
// presentation order, exactly, however the file is cut into runs.
//
// [Open] gives a [Video]; [Video.Read] gives a [Reader] over frames [first, end); [Reader.Next] gives one [Frame] after
// another. A [Converter] brings frames to another size, depth or subsampling. Coded files are demuxed and decoded by
// FFmpeg; y4m and headerless planar files are read by this package itself, at the speed of memory.
//
// # Frames
//
// A frame's samples are not copied between the decoder and whoever measures them. Frames are reference counted
// ([Frame.Retain], [Frame.Release]) and their memory is pooled: nothing of a picture's size is allocated once a Reader
// runs. Samples that this package stores itself are outside the Go heap.
//
// # On a device
//
// With [Config.Hardware] a file is decoded by a CUDA device's video engines where that gives the same frames with the same bits: H.264,
// HEVC, VP8, VP9 and AV1, of 4:2:0, without film grain, not interlaced, as far as the device can ([Hardware.Capabilities]). Software
// decodes everything else; [Info.Decoder] says which of them it is, and [Info.SoftwareReason] why. A file's index, its format and
// its first frame always come from software, and hardware must agree with them.
//
// The frames stay in the device's memory: planes have an address, a pitch, samples of more than 8 bits in the high bits of words, chroma
// samples that alternate, and no Data. They are complete when they are handed over, and hold a surface of the decoder until they are
// released, which must not be before the device has read them. [Frame.Crop] moves the address; a [Converter] passes frames through that
// need no change, and downloads others, as [Frame.Download] does. Frames that are turned come in host memory.
//
// Each Reader has a decoder session, and a session keeps one engine busy at most. Whatever goes wrong in one, down to
// running out of surfaces, has the Reader decode on in software from the last random-access point ([Stats.Fallbacks]), with the
// same frames. Only a device that hangs in a call is waited for without limit, whatever [Limits] say.
//
// # Which frame is frame n
//
// A coded file is demuxed once when it is opened. Frame n is the n-th coded picture in presentation order, without
// those that are never shown (VP8's and VP9's hidden pictures), those that the container's edit list cuts, and those that
// cannot be decoded because what they refer to lies before the file's start. Counting starts at 0 with the first shown
// picture whatever its timestamp.
//
// To read from frame n the Reader goes to a random-access point from which n and all after it decode to the very
// bits that decoding from the start gives: the last clean one at or before n in decoding order whose timestamp is not
// after n's. So n is never one of the pictures that lead an open group of pictures. IDR pictures are clean, and
// recovery points that recover at once; a gradual refresh is not. Where there is none, where timestamps are missing,
// repeated or wild, the decoder runs from the start of the file instead ([Info.Seekable] says so).
//
// The packets met after a seek are compared with those met while indexing; a demuxer that lands late is sent further
// back, in the end to the start.
//
// # Damage
//
// Under [Strict], the default, a picture that the decoder reports as damaged, concealed or missing ends the Reader with a
// [FrameError]; so does reaching the end of a file that is known to be cut off. A picture that is decoded only to reach a
// later one counts as well. Under [Conceal] frame n is the n-th picture that the decoder delivers, as with the ffmpeg
// command; damage is counted in [Stats]; decoding is always from the start and by one thread, because concealment
// depends on what came before. No decoder notices all damage: flipped bits can decode to a valid wrong picture.
//
// On a device headers and references are checked by FFmpeg as in software, and devices say of H.264 and HEVC pictures whether
// they met errors in them. What is reported there is not yet damage: software decodes that part again, and its word counts.
// Wrong samples that software alone would notice, in VP8, VP9 and AV1, pass. Under Conceal software decodes.
//
// # Hostile files
//
// Demuxers and decoders are on an allow-list, and a file can not make the demuxer open another one: input comes through a
// descriptor opened here, and the demuxer's own way to open files is refused. [Limits] bound sizes, counts, memory of
// the index and time.
//
// # Concurrency
//
// A [Video] may be used from any number of goroutines and may have several Readers open, but for a stream ("-", pipes), which has
// one. A [Reader] and a [Converter] serve one goroutine at a time. Frames may be retained and released anywhere,
// also after their Reader and Video are closed. The only locks are a Video's and a pool's, never held together.
//
// # Decisions
//
//   - The index comes from a pass over all packets, not from the container's own tables: these are absent from transport
//     streams and elementary streams, lie about edit lists, and say nothing of hidden pictures. The pass reads the file
//     once, at the speed of the disk.
//   - A Reader decodes inside Next, with no goroutine of its own. FFmpeg's frame threads run ahead by themselves.
//   - A hardware session has no fallback of its own inside FFmpeg, which would go on in software in the middle of a stream, without the
//     references that only the device has.
//   - Frames that a decoder has no surface to spare for are copied on the device. Downloading them costs more, and so do small
//     batches.
//   - Files are read with pread, not mapped: a file that shrinks while it is mapped kills the process.
package decode
