package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/pgfed/pgfed/internal/change"
)

// The output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// print writes a document in the format that was asked for. The table is
// written by a function, with columns separated by tabs.
func (s *session) print(document any, table func(w io.Writer)) error {
	if s.format == formatTable {
		w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
		table(w)
		return w.Flush()
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return failure{fmt.Errorf("write JSON: %w", err)}
	}
	if s.format == formatYAML {
		if text, err = yamlOf(text); err != nil {
			return failure{fmt.Errorf("write YAML: %w", err)}
		}
	} else {
		text = append(text, '\n')
	}
	_, err = s.out.Write(text)
	return err
}

// yamlOf keeps the names and the order of the JSON, which is YAML already but
// for its looks.
func yamlOf(text []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	plain(&document)
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

func plain(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style = 0 // the encoder quotes where it must
	}
	for _, child := range n.Content {
		plain(child)
	}
}

func row(w io.Writer, columns ...string) {
	for i, column := range columns {
		if column == "" {
			column = "-"
		}
		columns[i] = strings.ReplaceAll(column, "\n", " ")
	}
	fmt.Fprintln(w, strings.TrimRight(strings.Join(columns, "\t"), "\t"))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// size prints bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return strconv.FormatInt(bytes>>30, 10) + " GB"
	case bytes >= 10<<20:
		return strconv.FormatInt(bytes>>20, 10) + " MB"
	case bytes >= 10<<10:
		return strconv.FormatInt(bytes>>10, 10) + " kB"
	default:
		return strconv.FormatInt(bytes, 10) + " B"
	}
}

// seconds prints a time span for people.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < 2*time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 0, 64) + "s"
	case d < 2*time.Hour:
		return strconv.FormatFloat(d.Minutes(), 'f', 0, 64) + "m"
	default:
		return strconv.FormatFloat(d.Hours(), 'f', 0, 64) + "h"
	}
}

func lsn(l change.LSN) string {
	if l == 0 {
		return "-"
	}
	return l.String()
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
