package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// postgres is an installation of the server.
type postgres struct {
	bin     string
	version string
	as      *syscall.Credential // who runs it; nil for ourselves
}

// findPostgres looks for a server of version 14 or later: PGFED_PG_BIN, the
// distribution's folders, the path.
func findPostgres() (postgres, error) {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	more, _ := filepath.Glob("/usr/pgsql-*/bin")
	folders = append(folders, more...)
	if path, err := exec.LookPath("postgres"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	if folder := os.Getenv("PGFED_PG_BIN"); folder != "" {
		folders = []string{folder}
	}
	var best postgres
	bestMajor := 13
	for _, folder := range folders {
		out, err := exec.Command(filepath.Join(folder, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian ...)
		if len(fields) < 3 {
			continue
		}
		major, _ := strconv.Atoi(strings.SplitN(fields[2], ".", 2)[0])
		if major > bestMajor {
			bestMajor, best = major, postgres{bin: folder, version: fields[2]}
		}
	}
	if best.bin == "" {
		return best, errors.New("no Postgres 14 or later found: install the package postgresql, or set PGFED_PG_BIN to the folder of its programs")
	}
	if os.Getuid() == 0 {
		account, err := user.Lookup("postgres")
		if err != nil {
			return best, fmt.Errorf("servers refuse to run as root and there is no user postgres to run them: %w", err)
		}
		uid, _ := strconv.ParseUint(account.Uid, 10, 32) // decimal by definition
		gid, _ := strconv.ParseUint(account.Gid, 10, 32)
		best.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return best, nil
}

func (p postgres) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

// shortFolder is where sockets find room: their paths are limited to about a
// hundred bytes.
func shortFolder() string {
	if folder := os.TempDir(); len(folder) < 30 {
		return folder
	}
	return "/tmp"
}
