package fedtest

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A scenario is a story in lines: a verb and what it is done to. Empty lines
// and those that begin with # are for the reader. A line that ends in <<END
// takes the lines up to END as its text. A first line "each NAME a b c" tells
// the whole story once for a, b and c, with $NAME in their place.

// Story is a parsed scenario.
type Story struct {
	Name  string
	Steps []Step
}

// Step is one line of a story.
type Step struct {
	Line int
	Verb string
	Rest string // of the line
	Text string // of <<END
}

// String gives the step as it was written, without its text.
func (s Step) String() string { return strings.TrimSpace(s.Verb + " " + s.Rest) }

// LoadStories reads a file.
func LoadStories(path string) ([]Story, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return ParseStories(path, string(content))
}

// ParseStories reads the text of a scenario; name is for messages.
func ParseStories(name, text string) ([]Story, error) {
	first, variable, values := 0, "", []string{""}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if blank(line) {
			continue
		}
		if fields := strings.Fields(line); fields[0] == "each" {
			if len(fields) < 3 {
				return nil, fmt.Errorf("%s:%d: want each NAME and its values", name, i+1)
			}
			first, variable, values = i+1, fields[1], fields[2:]
		}
		break
	}
	var stories []Story
	for _, value := range values {
		body := strings.Join(lines[first:], "")
		if variable != "" {
			body = strings.ReplaceAll(body, "$"+variable, value)
		}
		steps, err := parseSteps(name, body, first)
		if err != nil {
			return nil, err
		}
		stories = append(stories, Story{Name: value, Steps: steps})
	}
	return stories, nil
}

func blank(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || strings.HasPrefix(line, "#")
}

func parseSteps(name, body string, before int) ([]Step, error) {
	var steps []Step
	lines := bufio.NewScanner(strings.NewReader(body))
	number := before
	for lines.Scan() {
		number++
		line := strings.TrimSpace(lines.Text())
		if blank(line) {
			continue
		}
		step := Step{Line: number}
		line, end, hasText := strings.Cut(line, "<<")
		step.Verb, step.Rest, _ = strings.Cut(strings.TrimSpace(line), " ")
		step.Rest = strings.TrimSpace(step.Rest)
		if hasText {
			closed := false
			var text strings.Builder
			for lines.Scan() {
				number++
				if strings.TrimSpace(lines.Text()) == end {
					closed = true
					break
				}
				text.WriteString(lines.Text() + "\n")
			}
			if !closed {
				return nil, fmt.Errorf("%s:%d: the text is not ended by a line %s", name, step.Line, end)
			}
			step.Text = text.String()
		}
		if _, known := verbs[step.Verb]; !known {
			return nil, fmt.Errorf("%s:%d: unknown verb %q", name, step.Line, step.Verb)
		}
		steps = append(steps, step)
	}
	return steps, lines.Err()
}

// Tell runs a story.
func Tell(t *testing.T, path string, story Story) {
	p := &play{T: t, path: path, config: Config{SchemaAt: map[string]string{}}, loads: map[string]*Load{}}
	for _, step := range story.Steps {
		p.step = step
		t.Logf("%4d  %s", step.Line, step)
		verbs[step.Verb].do(p)
	}
	p.end()
}
