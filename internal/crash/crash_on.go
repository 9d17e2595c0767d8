//go:build crashpoints

// Package crash names the places where tests kill the process.
package crash

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	wanted, after = parse(os.Getenv("PGFED_CRASH_AT"))
	passed        atomic.Int64
)

func parse(setting string) (Point, int64) {
	name, count, found := strings.Cut(setting, ":")
	if !found {
		return Point(name), 1
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		panic("PGFED_CRASH_AT: want point[:n], have " + setting)
	}
	return Point(name), n
}

// At kills the process with SIGKILL when this point is the wanted one and has
// been passed often enough.
func At(point Point) {
	if point == wanted && passed.Add(1) == after {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
