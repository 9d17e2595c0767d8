package pglocal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/pglocal"
)

func TestFind(t *testing.T) {
	t.Setenv("PGFED_PG_BIN", "")
	t.Setenv("PGFED_PG_MAJOR", "")
	found, err := pglocal.Find(0)
	require.NoError(t, err)
	require.Contains(t, pglocal.Majors(), found.Major)

	again, err := pglocal.Find(found.Major)
	require.NoError(t, err)
	require.Equal(t, found, again)

	t.Setenv("PGFED_PG_MAJOR", "3")
	_, err = pglocal.Find(0)
	require.ErrorContains(t, err, "find Postgres 3: not in PGFED_PG_BIN_3, ")

	t.Setenv("PGFED_PG_BIN", found.Bin)
	named, err := pglocal.Find(0)
	require.NoError(t, err)
	require.Equal(t, found, named)

	t.Setenv("PGFED_PG_BIN_98", t.TempDir())
	require.Contains(t, pglocal.Majors(), 98)
	_, err = pglocal.Find(98)
	require.ErrorContains(t, err, "for its version")
}

func TestFindReadsVersions(t *testing.T) {
	for text, major := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": 15,
		"postgres (PostgreSQL) 19beta1":                        19,
		"postgres (PostgreSQL) 18":                             18,
		"postgres (PostgreSQL) 13.2":                           0,
		"something else":                                       0,
	} {
		t.Run(text, func(t *testing.T) {
			bin := t.TempDir()
			program := "#!/bin/sh\necho '" + text + "'\n"
			require.NoError(t, os.WriteFile(filepath.Join(bin, "postgres"), []byte(program), 0o755))
			t.Setenv("PGFED_PG_BIN", bin)
			found, err := pglocal.Find(0)
			if major == 0 {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, major, found.Major)
			require.Equal(t, strings.TrimPrefix(text, "postgres (PostgreSQL) "), found.Version)
		})
	}
}

// Servers without clients borrow another version's.
func TestClient(t *testing.T) {
	t.Setenv("PGFED_PG_BIN", "")
	found, err := pglocal.Find(0)
	require.NoError(t, err)
	own, err := found.Client("postgres")
	require.NoError(t, err)
	require.Equal(t, found.Program("postgres"), own)

	found.Bin = t.TempDir()
	borrowed, err := found.Client("initdb")
	require.NoError(t, err)
	require.FileExists(t, borrowed)
	_, err = found.Client("no such program")
	require.ErrorContains(t, err, "find no such program: not in "+found.Bin)
}
