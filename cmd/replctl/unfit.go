package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgfed/pgfed/internal/catalog"
	"github.com/pgfed/pgfed/internal/config"
)

// refuse prints what init does not federate as it is, and what to do.
func (s *session) refuse(node string, f *config.Federation, unfit []catalog.Unfit) error {
	exclude := make([]string, len(unfit))
	for i, u := range unfit {
		exclude[i] = u.Exclude
	}
	section, err := leftOut(f, exclude)
	if err != nil {
		return failure{err}
	}
	document := initReport{Node: node, Steps: []initStep{}, Warnings: []string{}, Unfit: unfit}
	if err := s.print(document, func(w io.Writer) { unfitTable(w, unfit, section) }); err != nil {
		return err
	}
	return failure{fmt.Errorf("init %s: the federation file selects what cannot be federated as it is (%s); nothing was changed", node, counted(len(unfit), "reason"))}
}

func unfitTable(w io.Writer, unfit []catalog.Unfit, section string) {
	row(w, "TABLE", "CHECK", "WHY")
	for _, u := range unfit {
		row(w, u.Table, u.Code, u.Reason)
	}
	fmt.Fprint(w, "\nWhat to do:\n")
	var codes []string
	remedies := map[string][]string{}
	for _, u := range unfit {
		if remedies[u.Code] == nil {
			codes = append(codes, u.Code)
		}
		if !slices.Contains(remedies[u.Code], u.General) {
			remedies[u.Code] = append(remedies[u.Code], u.General)
		}
	}
	for _, code := range codes {
		fmt.Fprintf(w, "%s\n    -> %s\n", code, strings.Join(remedies[code], "\n    -> "))
	}
	fmt.Fprint(w, section)
}

// leftOut is the section of the federation file that also excludes these, to be
// pasted over the one that is there; nothing when there is nothing to exclude.
func leftOut(f *config.Federation, exclude []string) (string, error) {
	if len(exclude) == 0 {
		return "", nil
	}
	tables := f.Tables
	tables.Exclude = slices.Clone(tables.Exclude)
	for _, pattern := range exclude {
		if !slices.Contains(tables.Exclude, pattern) {
			tables.Exclude = append(tables.Exclude, pattern)
		}
	}
	text, err := json.Marshal(map[string]config.Tables{"tables": tables})
	if err != nil {
		return "", fmt.Errorf("write the section tables: %w", err)
	}
	if text, err = yamlOf(text); err != nil {
		return "", fmt.Errorf("write the section tables: %w", err)
	}
	return "\nOr leave out what cannot be federated: at every node let the section \"tables\" of the federation file be\n\n" + string(text), nil
}
