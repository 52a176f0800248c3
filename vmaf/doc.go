// Package vmaf is the domain of video quality measurement: pictures, features and their options, models, prediction and
// pooling. It is pure Go, needs nothing but the standard library, and touches no media: it says what has to be
// computed for which score, and turns the computed figures into scores.
//
// The central type is [Plan]. Its life: [ParseModel] (or [Builtin]) and [ParseExtraction] give models and features; [NewPlan]
// collects what they need, each [Extraction] once; a backend computes the raw figures of every extraction, frame by
// frame and in any order; [Plan.Evaluate] forms from them the [Table] of all series, features as well as scores; and
// [Table.Pooled] reduces a series to one figure.
//
//	models, features ──▶ Plan ──▶ Extractions ──▶ (backend) ──▶ raw figures ──▶ Evaluate ──▶ Table
//
// Extractions, models and plans are immutable and may be shared between goroutines. So may a table that nobody
// writes to. There are no locks.
//
// # Extractors
//
// vif, adm, motion, cambi and speed_chroma are what models use; psnr, float_ssim, float_ms_ssim, psnr_hvs and ciede stand for themselves. What a
// backend delivers of each, [Extraction.Raw], is kept apart from what is reported: clips, decibels, powers and whatever needs neighbouring
// frames are applied by Evaluate, so that figures kept under [Extraction.RawKey] serve every set of such options. Not all of them take
// all pictures: [Extraction.CheckFormat].
//
// How a rendition was encoded is told to CAMBI by [Plan.WithEncoded]; published sets of models and features are a [Preset].
//
// # Names
//
// A feature has a stored name, such as VMAF_integer_feature_adm2_score, and is printed under its [Alias], integer_adm2. With
// options that differ from their defaults both are the alias with the options behind it: integer_adm2_egl_1. Equal names of equal
// extractors mean equal figures within a plan, so that the name is what figures are found by. The options of the classic metrics (psnr and so
// on) are in no name: a float_ssim can be a ratio or decibels. A plan refuses to have both.
//
// # Decisions
//
// Scores are the same bits on every platform: nothing is fused unless written so, sums run in the order of the
// specification, and the exponential is this package's own, since the standard library's differs by architecture. A
// correctly rounded one was the alternative; it is as portable, but disagrees with the C library under the reference
// implementation now and then: of 257 golden scores tried it changed the last bits of 3, math.Exp on amd64 those of 52.
// Logarithms and powers, which only metrics need, are rounded from pairs of doubles instead: that library's tables would have to be copied, and
// fewer than one figure in a thousand differs in its last bits.
//
// An option's number goes through the text form that the reference implementation keeps it in (a 32-bit float at six
// significant digits), because names and figures depend on it. But where that implementation would silently use a value other
// than the one given, it is refused here: trailing letters, a fraction for a whole number, NaN, hexadecimal, an unknown
// option, two values for one option. So is a list of knots that it would abandon half-way, and a chroma correction of 0,
// for which it yields no score.
//
// Asking for debug figures of an extractor that a model needs as well gives them, and so does asking for psnr and then for its mse, where
// libvmaf, which keeps the first instance of a name, would drop them without a word. Two extractions that report different figures
// under one name (adm_skip_aim, enable_db) are refused.
//
// Some values are infinite by right: psnr_hvs and ciede2000 of identical pictures, decibels of similarity without clip_db, apsnr of planes that are not
// measured (−∞). So are their means. MS-SSIM with a negative structure is NaN. They are kept, as the reference keeps them; what cannot hold them
// (JSON) has to say so in its own way.
//
// The models are embedded as figures in a layout of the project's own (models/README.md), with machines that several
// models share stored once, rather than as copies of the public files.
//
// A collection's members must agree in their features. The public layout would allow otherwise; no published model makes use
// of it, and it would make one frame have several inputs.
package vmaf
