package arch

// module is the import path that every package of ours begins with.
const module = "github.com/vqsd/vqsd"

// A layer says which folders at the module root the non-test code of one folder may import, beside itself.
//
// Folder names are those at the root: "server" covers server/legacy and all else below it.
type layer struct {
	folder string
	may    []string
	reason string // completes "FOLDER must not import OTHER: …"
}

// layers is the picture in the design: imports point down only. A folder that is not listed fails the test, so
// that a new one gets its line here.
var layers = []layer{
	{"cmd", []string{"server", "workflow", "store", "engine", "decode", "gpu", "kernels", "vmaf", "proto", "bench"},
		"the command line ties everything together, and test support is not part of the product"},
	{"server", []string{"workflow", "store", "vmaf", "proto"},
		"entrances validate, authorise and translate; hostile media stays in worker processes"},
	{"workflow", []string{"store", "vmaf", "proto"},
		"plans and results are made without touching media; hostile media stays in worker processes"},
	{"bench", []string{"workflow", "store", "engine", "decode", "gpu", "kernels", "vmaf", "proto"},
		"scenarios drive what is below them and know no entrance"},
	{"engine", []string{"decode", "gpu", "kernels", "vmaf"},
		"a chunk task keeps no state between tasks and knows neither store nor queue"},
	{"store", []string{"vmaf"},
		"records are the domain's; the store knows neither who asks nor who measures"},
	{"decode", []string{"vmaf"},
		"decoding yields pictures and knows nothing of what is measured on them"},
	{"gpu", []string{"kernels", "vmaf"},
		"the CUDA extractor gets pictures and gives features"},
	{"kernels", []string{"vmaf"},
		"kernels compute on planes in memory"},
	{"vmaf", nil,
		"the domain imports nothing of ours, so that every layer can speak it"},
	{"proto", nil,
		"the generated API is what encoder farms import, and they get nothing else with it"},
	{"internal", []string{"vmaf"},
		"test support may be used by every package's tests, so it stands above the domain only"},
}

// A ban keeps imports that begin with one of the paths out of every folder but the ones named.
type ban struct {
	imports []string // import paths; each covers what is below it
	only    []string // folders or packages, relative to the module root, where they are at home
	tests   bool     // whether test files are bound too
	reason  string
}

var bans = []ban{
	{[]string{"github.com/asticode/go-astiav"}, []string{"decode"}, true,
		"FFmpeg's types and errors become ours in decode, and nowhere else"},
	{[]string{"gorgonia.org/cu"}, []string{"gpu"}, true,
		"CUDA's types and errors become ours in gpu, and nowhere else"},
	{[]string{"github.com/nats-io"}, []string{"workflow/queue"}, true,
		"the queue is transport only, and replaceable"},
	{[]string{"github.com/dgraph-io/badger"}, []string{"store"}, true,
		"every key is built and parsed in store"},
	{[]string{"google.golang.org/grpc"}, []string{"proto", "server", "cmd", "bench"}, true,
		"calls are the entrances' business; below them there are Go values and Go errors"},
	{[]string{module + "/proto"}, []string{"proto", "server", "cmd", "bench"}, false,
		"the domain never sees a message of the API: server converts"},
	{[]string{"C"}, []string{"decode", "gpu", "kernels"}, true,
		"C is confined to the layers that worker processes alone have in them"},
	{[]string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar", "golang.org/x/term"},
		[]string{"cmd"}, true,
		"flags, progress bars and terminals are the command line's business"},
	{[]string{"gonum.org/v1/plot"}, []string{"server/report"}, true,
		"one package draws"},
	{[]string{"github.com/parquet-go/parquet-go"}, []string{"server/tabular"}, true,
		"one package knows how rows lie in files"},
	{[]string{"github.com/santhosh-tekuri/jsonschema"}, []string{"server/record"}, true,
		"documents are checked where they are read; a validator of schemas is for holding that against its schema"},
	{[]string{"github.com/fsnotify/fsnotify"}, []string{"server/watch"}, true,
		"file events are hints for one package's scans"},
	{[]string{"math/rand", "math/rand/v2", "crypto/rand"}, []string{"bench", "cmd", "decode", "engine", "gpu", "internal", "kernels", "server", "store"}, false,
		"vmaf and workflow give the same answer every time: no randomness that a test cannot set"},
	{[]string{"testing", "github.com/google/go-cmp", module + "/internal"}, []string{"internal", "kernels/check"}, false,
		"test support does not ship in the binary"},
	{[]string{module + "/cmd"}, nil, true,
		"commands are entered by people, not by packages"},
}

// A closure keeps a folder from reaching packages over any number of imports between them.
type closure struct {
	folder string
	never  []string // folders, relative to the module root
	reason string
}

var closures = []closure{
	{"server", []string{"decode", "gpu", "kernels", "engine"},
		"hostile media stays in worker processes, and the daemon's process has neither FFmpeg nor CUDA in it"},
	{"workflow", []string{"decode", "gpu", "kernels", "engine"},
		"hostile media stays in worker processes, and the daemon's process has neither FFmpeg nor CUDA in it"},
}

// standardOnly are the folders whose code, tests apart, imports the standard library and nothing else.
var standardOnly = map[string]string{
	"vmaf": "anyone can read a score's arithmetic from top to bottom, and no dependency can change it",
}

// noNames are package names that say nothing; a helper lives beside its user or gets a package named for what it does.
var noNames = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "shared"}
