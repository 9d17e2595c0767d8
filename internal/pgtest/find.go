package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// installation is the programs of one Postgres version.
type installation struct {
	major   int
	version string // as postgres --version prints it
	bin     string
}

func (i installation) program(name string) string { return filepath.Join(i.bin, name) }

// Majors lists the major versions found on this machine, lowest first.
func Majors() []int {
	var majors []int
	for major := range candidates() {
		majors = append(majors, major)
	}
	sort.Ints(majors)
	return majors
}

// find looks for a server; major 0 means PGFED_PG_MAJOR or else the highest of
// the distribution's, because that is what everybody has.
func find(major int) (installation, error) {
	found := candidates()
	if major == 0 {
		if wish := os.Getenv("PGFED_PG_MAJOR"); wish != "" {
			n, err := strconv.Atoi(wish)
			if err != nil {
				return installation{}, fmt.Errorf("read PGFED_PG_MAJOR: %w", err)
			}
			major = n
		} else {
			major = preferred(found)
		}
	}
	bin, ok := found[major]
	if !ok {
		return installation{}, fmt.Errorf("find Postgres %d: not in PGFED_PG_BIN_%d, %s or %s; "+
			"run hack/setup.sh for the distribution's version or hack/postgres.sh %d for this one",
			major, major, distributionPattern, cacheFolder(), major)
	}
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return installation{}, fmt.Errorf("ask %s for its version: %w", bin, err)
	}
	return installation{major: major, version: strings.TrimSpace(string(out)), bin: bin}, nil
}

const distributionPattern = "/usr/lib/postgresql/*/bin"

func preferred(found map[int]string) int {
	best, bestOwn := 0, 0
	for major, bin := range found {
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

// base is a folder for temporary files that every user may enter.
func base() string {
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
