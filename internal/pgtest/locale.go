package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pgfed/pgfed/internal/pglocal"
	"github.com/pgfed/pgfed/internal/proctest"
)

// Locale lets the server's settings name a locale, such as ja_JP.UTF-8, that
// the machine knows the source of (Debian: package locales) but need not have.
func Locale(names ...string) Option {
	return func(o *options) { o.locales = append(o.locales, names...) }
}

// makeLocales compiles locales once per machine and gives their folder.
func makeLocales(names []string) (string, error) {
	root := filepath.Join(pglocal.TempFolder(), fmt.Sprintf("pgfed-template-%d", os.Getuid()), "locales")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("make the locales' folder: %w", err)
	}
	lock, err := proctest.Lock(root+".lock", true)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	for _, name := range names {
		folder := filepath.Join(root, name)
		if _, err := os.Stat(folder); err == nil {
			continue
		}
		source, charmap, _ := strings.Cut(name, ".")
		making := filepath.Join(root, "making")
		if err := os.RemoveAll(making); err != nil {
			return "", fmt.Errorf("remove unfinished locale: %w", err)
		}
		if out, err := exec.Command("localedef", "-i", source, "-f", charmap, making).CombinedOutput(); err != nil {
			return "", fmt.Errorf("compile locale %s (Debian: package locales): %w: %s", name, err, out)
		}
		if err := os.Rename(making, folder); err != nil {
			return "", fmt.Errorf("compile locale %s: %w", name, err)
		}
	}
	return root, nil
}
