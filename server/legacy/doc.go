// Package legacy writes and reads the per-frame log files of other programs that measure video quality, so that tooling built around those files
// goes on working: of libvmaf's tools, of the older vmafossexec, and of FFmpeg's psnr and ssim filters.
//
// [Write] turns a [vmaf.Table] into a log, byte for byte as libvmaf 3.2.0, vmafossexec 1.3.15 or FFmpeg writes it; [Losses] says what the form
// has no place for. [Read] tells from its content what a file is: a log of any libvmaf from 1.5.1 to 3.2.0, or of the others. What it returns, a
// [Log], gives with [Log.Table] and [Log.WriteOptions] the same file again; what a file has beside what those programs write is passed over, and
// [Log.Unknown] says what that is. All are pure functions of their arguments and may be called from any
// goroutine; none keeps what it was given.
//
// Source: spec/legacy-logs.md, Parts A (libvmaf), B (older generations), C.2 and C.3 (FFmpeg).
//
// # Names
//
// A log's series have the names that the log has for them, vmafossexec's psnr and ssim included, but for FFmpeg's. Its figures of a plane mean the
// same as libvmaf's and are called so: psnr_y, psnr_cb, psnr_cr, mse_y, mse_cb, mse_cr, and of RGB and alpha psnr_r, psnr_g, psnr_b, psnr_a and
// likewise. The rest is FFmpeg's alone: ffmpeg_mse_avg and ffmpeg_psnr_avg over all planes; ffmpeg_ssim_y, _u, _v, _r, _g, _b and _a, which is
// another metric than float_ssim; ffmpeg_ssim_all over all planes, and ffmpeg_ssim_db, which is that in decibels. Its frame 1 is frame 0.
//
// Writing goes the same way back, and finds what stands for the columns of a form among libvmaf's figures: integer_adm2 for adm2 of vmafossexec,
// psnr_y for psnr, the MSE of planes for all of FFmpeg's PSNR.
//
// # Decisions
//
// A few tables have no sound form in some of these files. The other programs write a broken file then, or one that says what is not so; Write
// refuses with an error that wraps [ErrUnwritable], and writes nothing. The cases:
//   - A name or text that would have to be escaped, which none of the programs does, or a name that occurs twice.
//   - libvmaf's JSON when frame 0 has no value, since it would begin its list with a comma.
//   - A form of lines, such as CSV, when a frame lacks one of the values: the following ones would move into other columns.
//   - vmafossexec's forms without a VMAF score for every frame, its JSON with values that are not finite, and SSIM in decibels.
//   - FFmpeg's PSNR where its figures over all planes cannot be formed, its SSIM from anything but its SSIM.
//
// A NaN is written as nan, never as -nan. libvmaf prints the sign that the computation happened to leave, which differs between processors; a table
// gives the same bytes everywhere here. That is one of two places where a log is not written again as it was; the other is a fraction that is less
// than a millionth and is not any more in the sixteen decimals that libvmaf gives it.
//
// vmafossexec's JSON has a pooled score and does not say by which method. Read takes the one of vmafossexec's three that the scores of the frames
// agree with, or else the mean.
//
// Values that vmafossexec and FFmpeg do not write, such as the speed where nobody knows it, are left out rather than made up.
//
// The reader has its own XML and JSON scanners of a few lines. The general ones cannot bound what one element costs, and refuse what libvmaf itself
// wrote: JSON holding inf and nan (before 2.2.0), and lists with that first comma. Limits count frames up to the last one that a log lists, so that
// a file of one line with a huge number costs nothing.
package legacy
