package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/export"
)

const (
	// exportJournalName is the file in the folder that says how far an export is, until it is done. Like exportPartName it is hidden, as no
	// exported file is.
	exportJournalName = ".vqsd-export.jsonl"
	// exportPartName is the file that is being written.
	exportPartName = ".vqsd-export.part"
	// exportJournalSchema is in the journal's first line.
	exportJournalSchema = "vqsd.export-journal/1"
	// maxJournalLine is far above what a line of a table with a thousand failures has.
	maxJournalLine = 16 << 20
)

// exportFolder is a folder that files are exported to, one after the other.
//
// A file is written under another name, noted in the journal with its digest and what goes on behind it, and then gets its name. So whoever goes on
// knows of each file that it is there, or that it is the one that was noted last and has to come again.
type exportFolder struct {
	path    string // as the user gave it
	root    *os.Root
	force   bool
	journal *os.File // locked
	part    *os.File // that is being written; nil: none
	name    string   // that it will get
	buffer  *bufio.Writer
	names   map[[16]byte]bool // digests of the files' names, upper and lower case not told apart
	noted   int               // lines of the journal

	past  []exportResult // what an earlier run has done
	token string         // goes on behind it; "": from the beginning
}

// exportHead is the journal's first line.
type exportHead struct {
	Schema  string          `json:"schema"`  // exportJournalSchema
	Request json.RawMessage `json:"request"` // that the files are the answer to, less its token
}

// openExportFolder makes the folder if it is not there, and begins an export into it, or goes on with one that was cut short.
func openExportFolder(path string, request *pb.ExportLegacyRequest, resume, force bool) (_ *exportFolder, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, bare(err))
		}
	}()
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	d := &exportFolder{path: path, force: force, names: map[[16]byte]bool{}}
	if d.root, err = os.OpenRoot(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release())
		}
	}()
	info, err := d.lockJournal()
	if err != nil {
		return nil, err
	}
	if info.Size() > 0 && !resume && !force {
		return nil, errors.New("an export to it was cut short: --resume goes on with it, --force begins anew")
	}
	if resume && info.Size() > 0 {
		if err := d.goOn(request); err != nil {
			return nil, fmt.Errorf("%s: %w", exportJournalName, err)
		}
		return d, nil
	}
	return d, d.startJournal(request)
}

// lockJournal opens the journal and keeps other exports out of the folder.
func (d *exportFolder) lockJournal() (info fs.FileInfo, err error) {
	if d.journal, err = openJournal(d.root); err != nil {
		return nil, err
	}
	busy := errors.New("another export is writing to it")
	if err := unix.Flock(int(d.journal.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, busy
	}
	if info, err = d.journal.Stat(); err != nil {
		return nil, err
	}
	// One that has just ended has removed the file that was opened here.
	if there, err := d.root.Lstat(exportJournalName); err != nil || !os.SameFile(info, there) {
		return nil, busy
	}
	return info, nil
}

// openJournal opens the journal, or makes one. Links are not followed: what they lead to is somebody's file.
func openJournal(root *os.Root) (*os.File, error) {
	info, err := root.Lstat(exportJournalName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f, err := root.OpenFile(exportJournalName, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			return nil, errors.New("another export is writing to it") // and has just begun
		}
		return f, err
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s in it is not a file that an export has made; remove it", exportJournalName)
	}
	// That this is the file and no link that has taken its place is looked at once it is locked, before anything is written.
	return root.OpenFile(exportJournalName, os.O_RDWR, 0)
}

// startJournal writes the journal's first line.
func (d *exportFolder) startJournal(request *pb.ExportLegacyRequest) error {
	text, err := protojson.Marshal(withoutToken(request))
	if err != nil {
		return err
	}
	if err := d.cutJournal(0); err != nil {
		return err
	}
	return writeLine(d.journal, exportHead{exportJournalSchema, text})
}

func withoutToken(request *pb.ExportLegacyRequest) *pb.ExportLegacyRequest {
	same := proto.CloneOf(request)
	same.ResumeToken = ""
	return same
}

// cutJournal drops what the journal has from a place on.
func (d *exportFolder) cutJournal(at int64) error {
	if err := d.journal.Truncate(at); err != nil {
		return err
	}
	_, err := d.journal.Seek(at, io.SeekStart)
	return err
}

// goOn reads the journal. What it says of files that are not there any more, or of the last one if it did not get its name, is dropped, and so is
// what comes behind these.
func (d *exportFolder) goOn(request *pb.ExportLegacyRequest) error {
	lines := bufio.NewReader(d.journal)
	text, err := journalLine(lines)
	if err != nil {
		return err
	}
	if text == nil {
		return d.startJournal(request) // killed before its first line was whole
	}
	var head exportHead
	var before pb.ExportLegacyRequest
	if err := json.Unmarshal(text, &head); err != nil || head.Schema != exportJournalSchema || protojson.Unmarshal(head.Request, &before) != nil {
		return errors.New("is no journal of this version's; --force begins anew")
	}
	if !proto.Equal(&before, withoutToken(request)) {
		return fmt.Errorf("the export that was cut short had other flags (%s); give the same, or begin anew with --force", head.Request)
	}
	at := int64(len(text)) + 1
	var last int64 // where the last line began
	for {
		text, err := journalLine(lines)
		if err != nil {
			return err
		}
		if text == nil {
			break
		}
		var r exportResult
		if err := json.Unmarshal(text, &r); err != nil || r.Token == "" || r.Name != "" && export.CheckFileName(r.Name) != nil {
			return fmt.Errorf("line %d is damaged; --force begins anew", len(d.past)+2)
		}
		if there, err := d.has(&r); err != nil {
			return err
		} else if !there {
			break
		}
		d.past = append(d.past, r)
		last, at = at, at+int64(len(text))+1
	}
	// The last one may have been noted and not have got its name, which another file of the same size has.
	if n := len(d.past); n > 0 && d.past[n-1].Name != "" {
		if same, err := d.same(&d.past[n-1]); err != nil {
			return err
		} else if !same {
			d.past, at = d.past[:n-1], last
		}
	}
	for _, r := range d.past {
		d.take(r.Name)
		d.token = r.Token
	}
	d.noted = len(d.past)
	return d.cutJournal(at)
}

// journalLine is the next whole line, less its end; nil: there is none.
func journalLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil // what there is was cut off
		case len(line) > maxJournalLine:
			return nil, fmt.Errorf("has a line of more than %d bytes; --force begins anew", maxJournalLine)
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// has says whether a file that the journal has is there, as far as can be told without reading it.
func (d *exportFolder) has(r *exportResult) (bool, error) {
	if r.Name == "" {
		return true, nil
	}
	info, err := d.root.Lstat(r.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular() && info.Size() == r.Bytes, err
}

// same says whether the folder has the file, with this content.
func (d *exportFolder) same(r *exportResult) (_ bool, err error) {
	f, err := d.root.Open(r.Name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return err == nil && n == r.Bytes && hex.EncodeToString(sum.Sum(nil)) == r.SHA256, err
}

// nameKey is what tells names apart.
func nameKey(name string) [16]byte {
	sum := sha256.Sum256([]byte(strings.ToLower(name)))
	return [16]byte(sum[:16])
}

// take notes a name, and says whether it is new.
func (d *exportFolder) take(name string) bool {
	if name == "" {
		return true
	}
	key := nameKey(name)
	if d.names[key] {
		return false
	}
	d.names[key] = true
	return true
}

// begin implements exportTarget.
func (d *exportFolder) begin(name string) (io.Writer, error) {
	if !d.take(name) {
		return nil, fmt.Errorf("%s: the daemon calls two files so; the second is not written", d.place(name))
	}
	// One that an export left behind goes first, and so does a link, rather than that it is followed to somebody's file.
	err := d.root.Remove(exportPartName)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		d.part, err = d.root.OpenFile(exportPartName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot make a file: %w", d.path, bare(err))
	}
	d.name, d.buffer = name, bufio.NewWriterSize(d.part, 64<<10)
	return d.buffer, nil
}

// place is a file's path, for people.
func (d *exportFolder) place(name string) string { return filepath.Join(d.path, name) }

// end implements exportTarget.
func (d *exportFolder) end(r *exportResult) (path string, existed bool, err error) {
	path = d.place(r.Name)
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, bare(err))
		}
	}()
	err = errors.Join(d.buffer.Flush(), d.part.Sync(), d.part.Close())
	d.part = nil
	if err != nil {
		return path, false, err
	}
	switch info, err := d.root.Lstat(r.Name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return path, false, err
	case info.IsDir():
		return path, false, errors.New("is a folder")
	case info.Mode().IsRegular():
		if existed, err = d.same(r); err != nil {
			return path, false, err
		}
		fallthrough
	default:
		if !existed && !d.force {
			return path, false, errors.New("is there already, with other content; --force replaces it")
		}
	}
	if err := d.note(r); err != nil || existed {
		return path, existed, err
	}
	return path, false, d.root.Rename(exportPartName, r.Name)
}

// note writes a line of the journal.
func (d *exportFolder) note(r *exportResult) error {
	d.noted++
	var line bytes.Buffer
	if err := writeLine(&line, r); err != nil {
		return err
	}
	_, err := d.journal.Write(line.Bytes()) // at once, so that no line is cut off but by the system's end
	return err
}

// drop implements exportTarget. The file comes again, under the same name.
func (d *exportFolder) drop() error {
	if d.part == nil {
		return nil
	}
	delete(d.names, nameKey(d.name))
	err := d.part.Close()
	d.part = nil
	return err
}

// pass implements exportTarget.
func (d *exportFolder) pass(r *exportResult) error { return d.note(r) }

// close ends the export. The journal goes if all is done, or nothing was.
func (d *exportFolder) close(done bool) error {
	var errs []error
	if d.part != nil {
		errs = append(errs, d.part.Close())
		d.part = nil
	}
	if err := d.root.Remove(exportPartName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	if done || d.noted == 0 {
		errs = append(errs, d.root.Remove(exportJournalName))
	}
	if dir, err := d.root.Open("."); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, dir.Sync(), dir.Close()) // the new names, too, are to outlast the system's end
	}
	errs = append(errs, d.release())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	return nil
}

// release gives the lock and the folder back.
func (d *exportFolder) release() error {
	var errs []error
	if d.journal != nil {
		errs = append(errs, d.journal.Close())
	}
	return errors.Join(append(errs, d.root.Close())...)
}
