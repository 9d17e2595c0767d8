// Package pglocal finds the Postgres servers that are installed on this
// machine and runs their programs, for whoever needs servers of its own: the
// demo, the measurements and, through pgtest, the tests.
//
// Servers are found in PGFED_PG_BIN_<major>, in the distribution's folders and
// among those that hack/postgres.sh has unpacked; PGFED_PG_MAJOR chooses the
// default major version, and PGFED_PG_BIN names the default server's folder
// whatever its version is. When root asks, servers run as the user postgres,
// because they refuse to run as root.
package pglocal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	distributionPattern = "/usr/lib/postgresql/*/bin"
	oldest              = 14 // the oldest major version that pgfed works with
)

// Majors lists the major versions found on this machine, lowest first.
func Majors() []int {
	var majors []int
	for major := range candidates() {
		majors = append(majors, major)
	}
	slices.Sort(majors)
	return majors
}

// Find looks for a server; major 0 means the default: PGFED_PG_BIN,
// PGFED_PG_MAJOR, or else the highest of the distribution's, because that is
// what everybody has.
func Find(major int) (Installation, error) {
	if folder := os.Getenv("PGFED_PG_BIN"); folder != "" && major == 0 {
		return describe(folder)
	}
	found := candidates()
	if wish := os.Getenv("PGFED_PG_MAJOR"); wish != "" && major == 0 {
		n, err := strconv.Atoi(wish)
		if err != nil {
			return Installation{}, fmt.Errorf("read PGFED_PG_MAJOR: %w", err)
		}
		major = n
	}
	if major == 0 {
		major = preferred(found)
	}
	if major == 0 {
		if program, err := exec.LookPath("postgres"); err == nil {
			return describe(filepath.Dir(program))
		}
		return Installation{}, fmt.Errorf("find Postgres %d or later: not in %s or %s; "+
			"install the package postgresql, or set PGFED_PG_BIN to the folder of its programs", oldest, distributionPattern, cacheFolder())
	}
	bin, ok := found[major]
	if !ok {
		return Installation{}, fmt.Errorf("find Postgres %d: not in PGFED_PG_BIN_%d, %s or %s; "+
			"run hack/setup.sh for the distribution's version or hack/postgres.sh %d for this one",
			major, major, distributionPattern, cacheFolder(), major)
	}
	return describe(bin)
}

// describe asks the server in a folder what it is.
func describe(bin string) (Installation, error) {
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return Installation{}, fmt.Errorf("ask the Postgres in %s for its version: %w", bin, err)
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(out)), "postgres (PostgreSQL) ")
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' }) // 15.18 (Debian ...), 19beta1
	if digits < 0 {
		digits = len(version)
	}
	major, err := strconv.Atoi(version[:digits])
	if err != nil {
		return Installation{}, fmt.Errorf("read the version of the Postgres in %s from %q: %w", bin, version, err)
	}
	if major < oldest {
		return Installation{}, fmt.Errorf("the Postgres in %s is version %d: want %d or later", bin, major, oldest)
	}
	as, err := account()
	if err != nil {
		return Installation{}, err
	}
	return Installation{Major: major, Version: version, Bin: bin, As: as}, nil
}

// preferred is the default major version; 0 when there is none.
func preferred(found map[int]string) int {
	best, bestOwn := 0, 0
	for major, bin := range found {
		if major < oldest {
			continue
		}
		best = max(best, major)
		if !strings.HasPrefix(bin, cacheFolder()) {
			bestOwn = max(bestOwn, major)
		}
	}
	if bestOwn > 0 {
		return bestOwn
	}
	return best
}

// candidates maps major versions to bin folders; what the environment names
// wins over the distribution, the distribution over the cache.
func candidates() map[int]string {
	found := map[int]string{}
	for _, pattern := range []string{
		filepath.Join(cacheFolder(), "*", "bin"),
		"/usr/pgsql-*/bin", distributionPattern,
	} {
		folders, _ := filepath.Glob(pattern)
		for _, folder := range folders {
			parent := filepath.Base(filepath.Dir(folder))
			major, err := strconv.Atoi(strings.TrimPrefix(parent, "pgsql-"))
			if err == nil && isServer(folder) {
				found[major] = folder
			}
		}
	}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		number, ok := strings.CutPrefix(name, "PGFED_PG_BIN_")
		if !ok {
			continue
		}
		if major, err := strconv.Atoi(number); err == nil {
			found[major] = value
		}
	}
	return found
}

func isServer(bin string) bool {
	for _, program := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return false
		}
	}
	return true
}

// cacheFolder is where hack/postgres.sh unpacks servers; root's home is closed
// to the user that runs them.
func cacheFolder() string {
	if folder := os.Getenv("PGFED_PG_CACHE"); folder != "" {
		return folder
	}
	if os.Getuid() == 0 {
		return "/var/tmp/pgfed-postgres"
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "/var/tmp/pgfed-postgres"
	}
	return filepath.Join(cache, "pgfed", "postgres")
}
