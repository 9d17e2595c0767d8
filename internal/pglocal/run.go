package pglocal

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Installation is the programs of one Postgres version.
type Installation struct {
	Major   int
	Version string              // as the server prints it: 15.18 (Debian ...)
	Bin     string              // the folder of its programs
	As      *syscall.Credential // who runs servers; nil for ourselves
}

// Program is the path of one of the programs, such as initdb.
func (i Installation) Program(name string) string { return filepath.Join(i.Bin, name) }

// Client is the path of a program that speaks to servers of any version, such
// as pgbench: this installation's or, where it comes without (hack/postgres.sh
// unpacks servers only), the newest found on this machine.
func (i Installation) Client(name string) (string, error) {
	found := candidates()
	programs := []string{i.Program(name)}
	for _, major := range slices.Backward(slices.Sorted(maps.Keys(found))) {
		programs = append(programs, filepath.Join(found[major], name))
	}
	for _, program := range append(programs, name) {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: not in %s, beside any other server of this machine or in PATH; install the distribution's package postgresql", name, i.Bin)
}

// Command prepares a program to run as the user that runs servers, in a folder
// that this user may enter.
func (i Installation) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, i.Program(program), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: i.As}
	return cmd
}

// MakeFolder makes a folder that belongs to the user that runs servers. Its
// parent must be there, it must not.
func (i Installation) MakeFolder(path string, mode os.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if i.As == nil {
		return nil
	}
	if err := os.Chown(path, int(i.As.Uid), int(i.As.Gid)); err != nil {
		return fmt.Errorf("give folder to the servers' user: %w", err)
	}
	return nil
}

// MakeCluster makes the folder and in it a database cluster whose superuser is
// postgres, without a password.
func (i Installation) MakeCluster(ctx context.Context, folder string) error {
	if err := i.MakeFolder(folder, 0o700); err != nil {
		return err
	}
	cmd := i.Command(ctx, "initdb", "-D", folder, "-U", "postgres", "-A", "trust",
		"--no-locale", "-E", "UTF8", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb of %s: %w\n%s", i.Version, err, out)
	}
	return nil
}

// account is the user that servers run as; nil means ourselves.
func account() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find a user to run Postgres as, root may not: %w", err)
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read user id of postgres: %w", err)
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read group id of postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// TempFolder is a folder for temporary files that the user who runs servers may
// enter.
func TempFolder() string {
	folder := os.TempDir()
	if os.Getuid() != 0 {
		return folder
	}
	for at := folder; at != "/" && at != "."; at = filepath.Dir(at) {
		if found, err := os.Stat(at); err != nil || found.Mode().Perm()&0o001 == 0 {
			return "/tmp"
		}
	}
	return folder
}

// ShortTempFolder is TempFolder with room for sockets below it: their paths
// are limited to about a hundred bytes.
func ShortTempFolder() string {
	if folder := TempFolder(); len(folder) < 30 {
		return folder
	}
	return "/tmp"
}

// FreePort is a TCP port on loopback that nobody uses at the moment.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
