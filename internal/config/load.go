package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// Mistake is one thing that is wrong in the file.
type Mistake struct {
	Path    string // of the key: nodes.east.url, ownership[0].owner.column
	Line    int    // in the file; 0 where the key is absent
	Message string // what is wrong and what to write instead
}

// String gives "nodes.east.url (line 4): ...".
func (m Mistake) String() string {
	if m.Line == 0 {
		return m.Path + ": " + m.Message
	}
	return fmt.Sprintf("%s (line %d): %s", m.Path, m.Line, m.Message)
}

// FileErrors is the error of a file that is not right: all its mistakes, in
// the order of the file.
type FileErrors []Mistake

// Error lists every mistake on a line of its own.
func (m FileErrors) Error() string {
	var b strings.Builder
	if len(m) == 1 {
		b.WriteString("1 mistake")
	} else {
		fmt.Fprintf(&b, "%d mistakes", len(m))
	}
	for _, one := range m {
		b.WriteString("\n  " + one.String())
	}
	return b.String()
}

// Load reads the federation file, fills in the defaults and checks it whole.
// When the file can be read but is not right the error wraps FileErrors.
func Load(path string) (*Federation, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the federation file: %w", err)
	}
	f, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read the federation file %s: %w", path, err)
	}
	return f, nil
}

// Parse is Load for text at hand.
func Parse(text []byte) (*Federation, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one YAML document; keep one")
	}
	f := Defaults()
	r := newReader()
	r.file(document.Content[0], f)
	for _, m := range f.Check() {
		r.semantic(m)
	}
	if len(r.mistakes) > 0 {
		sort.SliceStable(r.mistakes, func(i, j int) bool {
			return r.mistakes[i].order() < r.mistakes[j].order()
		})
		return nil, r.mistakes
	}
	return f, nil
}

// order sorts mistakes about absent keys behind the others.
func (m Mistake) order() int {
	if m.Line == 0 {
		return int(^uint(0) >> 1)
	}
	return m.Line
}
