package watch

import "golang.org/x/sys/unix"

// fileSystem is what matters of the file system that a folder is on.
type fileSystem struct {
	name        string // of its kind; "": local, or not known
	tellsEvents bool   // of what other machines do
	keepsInodes bool   // a file has the same inode number every time one looks
}

// fileSystems are those that differ from local ones. FUSE may make up an inode number whenever it looks a file up.
var fileSystems = map[int64]fileSystem{
	unix.NFS_SUPER_MAGIC:   {"NFS", false, true},
	unix.SMB_SUPER_MAGIC:   {"SMB", false, false},
	unix.CIFS_SUPER_MAGIC:  {"SMB", false, false},
	unix.SMB2_SUPER_MAGIC:  {"SMB", false, false},
	unix.FUSE_SUPER_MAGIC:  {"FUSE", false, false},
	unix.V9FS_MAGIC:        {"9P", false, false},
	unix.CEPH_SUPER_MAGIC:  {"Ceph", false, true},
	unix.CODA_SUPER_MAGIC:  {"Coda", false, false},
	unix.AFS_SUPER_MAGIC:   {"AFS", false, true},
	unix.NCP_SUPER_MAGIC:   {"NCP", false, false},
	0x0BD00BD0:             {"Lustre", false, true}, // no constant of the kernel's public headers
	0x47504653:             {"GPFS", false, true},
	0x19830326:             {"BeeGFS", false, true},
	0x01161970:             {"GFS2", false, true},
	unix.OCFS2_SUPER_MAGIC: {"OCFS2", false, true},
}

// fileSystemOf looks at what an open folder is on. What cannot be told is taken for local.
func fileSystemOf(fd int) fileSystem {
	var st unix.Statfs_t
	if _, err := retried(func() (int, error) { return 0, unix.Fstatfs(fd, &st) }); err == nil {
		if fs, ok := fileSystems[int64(st.Type)&0xffffffff]; ok {
			return fs
		}
	}
	return fileSystem{tellsEvents: true, keepsInodes: true}
}
