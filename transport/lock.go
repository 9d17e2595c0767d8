package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// ErrDataDirLocked says that another process has the broker's store open. Two on one store would corrupt it.
var ErrDataDirLocked = errors.New("data directory is in use")

// dataDirLock holds DataDir/lock until the process ends or release is called. The kernel drops the lock with the process,
// so a lock file that was left behind by a crash is no obstacle, and the file itself is never removed.
type dataDirLock struct {
	file *os.File
	once sync.Once
}

func lockDataDir(dir, node string) (*dataDirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	name := filepath.Join(dir, "lock")
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w (the data directory must be on a file system with flock)", name, err)
		}
		return nil, fmt.Errorf("lock %s: %w by %s: stop that replicator, or give this one a data directory of its own", name, ErrDataDirLocked, holder(file))
	}
	if err := writeHolder(file, node); err != nil {
		file.Close()
		return nil, fmt.Errorf("write lock file %s: %w", name, err)
	}
	return &dataDirLock{file: file}, nil
}

func (l *dataDirLock) release() {
	l.once.Do(func() { l.file.Close() })
}

func writeHolder(file *os.File, node string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.WriteAt(fmt.Appendf(nil, "process %d on %s (node %s)\n", os.Getpid(), host, node), 0)
	return err
}

func holder(file *os.File) string {
	content, err := io.ReadAll(io.LimitReader(file, 256))
	if who := strings.TrimSpace(string(content)); err == nil && who != "" {
		return who
	}
	return "another process"
}
