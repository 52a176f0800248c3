package gpu

import (
	"log/slog"
	"time"

	"github.com/vqsd/vqsd/kernels/score"
	"github.com/vqsd/vqsd/vmaf"
)

// Driver is the CUDA driver that this process found.
type Driver struct {
	// Version is what the driver supports, 1000·major + 10·minor: 12040 is CUDA 12.4.
	Version int
	// Library is the file, or the name by which the system found it.
	Library string
	// Emulated says that it is kernels/emu, which computes on the processor.
	Emulated bool
}

// Info describes one device. Figures that a driver does not tell are 0.
type Info struct {
	Ordinal                    int
	Name                       string
	UUID                       string // as nvidia-smi prints it: GPU-01234567-89ab-…
	ComputeMajor, ComputeMinor int    // compute capability
	Multiprocessors            int
	MemoryBytes                uint64 // in all
	ClockKHz, MemoryClockKHz   int    // the highest of multiprocessors and of memory
	MemoryBusBits              int
	L2Bytes                    int
	Emulated                   bool
}

// Config says how to open a device. The zero value is fine.
type Config struct {
	// MemoryLimitBytes is the most device memory that allocations of this package take; what the driver needs for
	// itself and what decoders take come on top. 0 means as much as there is.
	MemoryLimitBytes int64
	// Logger gets what is worth knowing of the device's life; nil means slog.Default().
	Logger *slog.Logger
}

// NoHostPlanes is the value of [Plan.HostPlanes] for batches whose pictures all lie in the device's memory.
const NoHostPlanes = -1

// Plan says what a session measures and for how large batches it keeps room.
type Plan struct {
	Format vmaf.Format
	// Frames is the most frames of a batch, 1 … 4096, and Renditions the most distorted pictures of a frame, 0 … 64.
	Frames, Renditions int
	// HostPlanes is the most distinct pictures in host memory, or that are to be widened, that a batch brings: each needs room on the device and pinned
	// memory to go there through. 0 means room for all of a batch without any in common; [NoHostPlanes] none.
	HostPlanes int
	// VIFGains are the gain limits for which VIF is summed, 1 … 100 each; none for no VIF.
	VIFGains []float64
	// ADM are the option sets for which ADM is summed; none for no ADM.
	ADM []score.ADMConfig
	// MotionDistances are the distances in frames, 1 and 2 once each at the most, for which motion is summed; none for no motion.
	MotionDistances []int

	// SSEPlanes is of how many planes squared differences are summed: 0, 1 (luma) or 3.
	SSEPlanes int
	// SSIMScales are the decimation factors for which structural similarity is summed, 1 … 256 each; none for no SSIM.
	SSIMScales []int
	// MSSSIM, PSNRHVS and CIEDE ask for the sums of these metrics. The last two look at chroma.
	MSSSIM, PSNRHVS, CIEDE bool
	// Cambi are configurations for which distorted pictures are scored, by extraction and by rendition, since renditions of one size
	// come from encodes of several; CambiSource are those for which each reference is scored.
	Cambi       [][]score.CambiConfig
	CambiSource []score.CambiConfig
	// Speed are the option sets for which chroma planes are compared; none for no SpEED.
	Speed []score.SpeedConfig
}

// NeedsChroma says whether frames must bring chroma planes.
func (p Plan) NeedsChroma() bool { return p.SSEPlanes == 3 || p.PSNRHVS || p.CIEDE || len(p.Speed) > 0 }

// ChromaSize is the size in samples of the chroma planes as features look at them: odd luma sizes are halved rounding down.
func (p Plan) ChromaSize() (width, height int) {
	switch f := p.Format; f.Subsampling {
	case vmaf.Chroma420:
		return f.Width / 2, f.Height / 2
	case vmaf.Chroma422:
		return f.Width / 2, f.Height
	case vmaf.Chroma444:
		return f.Width, f.Height
	}
	return 0, 0
}

// Frame is one reference picture of a batch with what it is compared with. Planes have the plan's size, and its depth; they lie in
// host memory or in that of the session's device. A plane that several frames name by the same pointer, or of which several
// copies tell the same address and layout, is one plane.
type Frame struct {
	Reference *vmaf.Plane
	// Previous are the reference pictures one and two frames earlier; nil where there is none. They are looked at only for
	// the plan's motion distances.
	Previous [2]*vmaf.Plane
	// Distorted has one picture for each rendition; nil where that one is not measured at this frame. It may be shorter than the
	// plan's number of renditions.
	Distorted []*vmaf.Plane
	// ReferenceChroma and DistortedChroma are the chroma planes, Cb and Cr, of Reference and of each of Distorted, for plans that need
	// them. They lie where the luma plane does.
	ReferenceChroma [2]*vmaf.Plane
	DistortedChroma [][2]*vmaf.Plane
}

// Sums are the exact sums of a batch. Pairs, which are the distorted pictures that are not nil, are numbered frame by frame and within
// one as its renditions are.
type Sums struct {
	// Motion is, by frame and by distance − 1, the sum of absolute filtered differences in units of 2^(bpc−16), as the CPU's kernel gives
	// it. 0 where the plan has no such distance or the frame no such picture. Source: spec/motion.md §3.1.
	Motion [][2]uint64
	VIF    [][]score.VIFSums // by gain of the plan and by pair
	ADM    [][]score.ADMSums // by option set of the plan and by pair

	SSE         []score.SSESums     // by pair
	SSIM        [][]score.SSIMSums  // by scale of the plan and by pair
	MSSSIM      []score.MSSSIMSums  // by pair
	PSNRHVS     []score.PSNRHVSSums // by pair
	CIEDE       []score.CIEDESums   // by pair
	Cambi       [][]score.CambiSums // by extraction of the plan and by pair
	CambiSource [][]score.CambiSums // by configuration of the plan and by frame
	Speed       [][]score.SpeedSums // by option set of the plan and by pair

	// DeviceTime is what the device spent between the arrival of the pictures and the end of the last kernel, by its own
	// clock. Sessions that share the device count each other's time too.
	DeviceTime time.Duration
}
