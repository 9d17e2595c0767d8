package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// reader fills the structs from YAML nodes and goes on after each mistake.
// The YAML library's own strict mode names Go types instead of keys, and it
// stops at custom types; people should see the path of every wrong key.
type reader struct {
	mistakes FileErrors
	unread   []string       // paths whose value could not be read
	lines    map[string]int // path -> line, for mistakes found later
}

func newReader() *reader { return &reader{lines: map[string]int{}} }

// report notes a mistake; fail also notes that there is no value to judge.
func (r *reader) report(path string, n *yaml.Node, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{Path: path, Line: n.Line, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) fail(path string, n *yaml.Node, format string, args ...any) {
	r.report(path, n, format, args...)
	r.unread = append(r.unread, path)
}

// semantic adds a mistake that Check found, unless the key could not even be
// read: then the value it judged was not the file's.
func (r *reader) semantic(m Mistake) {
	for _, path := range r.unread {
		if path == m.Path || strings.HasPrefix(path, m.Path+".") || strings.HasPrefix(path, m.Path+"[") ||
			strings.HasPrefix(m.Path, path+".") {
			return
		}
	}
	m.Line = r.lines[m.Path]
	r.mistakes = append(r.mistakes, m)
}

func (r *reader) file(n *yaml.Node, f *Federation) {
	if n.Kind != yaml.MappingNode {
		r.fail("file", n, "is not a mapping of keys to values")
		return
	}
	r.read(n, reflect.ValueOf(f).Elem(), "")
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// read fills v from n. Keys that are absent keep what v holds.
func (r *reader) read(n *yaml.Node, v reflect.Value, path string) {
	if _, known := r.lines[path]; !known {
		r.lines[path] = n.Line
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if owner, ok := v.Addr().Interface().(*Owner); ok {
		r.owner(n, owner, path)
		return
	}
	if v.Addr().Type().Implements(textType) {
		r.text(n, v.Addr().Interface().(encoding.TextUnmarshaler), path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.structure(n, v, path)
	case reflect.Map:
		r.mapping(n, v, path)
	case reflect.Slice:
		r.list(n, v, path)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.read(n, v.Elem(), path)
	default:
		r.scalar(n, v, path)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// pairs calls f for each key of a mapping; a key given twice is a mistake.
func (r *reader) pairs(n *yaml.Node, path string, f func(key string, keyNode, value *yaml.Node, path string)) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fail(path, n, "is %s; write keys and values", describe(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, value := n.Content[i], n.Content[i+1]
		if keyNode.Kind != yaml.ScalarNode {
			r.report(join(path, "?"), keyNode, "a key must be a plain word")
			continue
		}
		key := keyNode.Value
		if line, twice := seen[key]; twice {
			r.report(join(path, key), keyNode, "is given twice, first in line %d; keep one", line)
			continue
		}
		seen[key] = keyNode.Line
		r.lines[join(path, key)] = keyNode.Line
		f(key, keyNode, value, join(path, key))
	}
}

func (r *reader) structure(n *yaml.Node, v reflect.Value, path string) {
	fields := map[string]reflect.Value{}
	names := make([]string, 0, v.NumField())
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		fields[name] = v.Field(i)
		names = append(names, name)
	}
	r.pairs(n, path, func(key string, keyNode, value *yaml.Node, path string) {
		field, known := fields[key]
		if !known {
			r.unknown(path, keyNode, names)
			return
		}
		r.read(value, field, path)
	})
}

func (r *reader) unknown(path string, n *yaml.Node, names []string) {
	names = slices.Clone(names)
	sort.Strings(names)
	for _, name := range names {
		if near(n.Value, name) {
			r.report(path, n, "unknown key; did you mean %s?", name)
			return
		}
	}
	r.report(path, n, "unknown key; the keys here are %s", strings.Join(names, ", "))
}

func (r *reader) mapping(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	r.pairs(n, path, func(key string, _, value *yaml.Node, path string) {
		element := reflect.New(v.Type().Elem()).Elem()
		r.read(value, element, path)
		v.SetMapIndex(reflect.ValueOf(key), element)
	})
}

func (r *reader) list(n *yaml.Node, v reflect.Value, path string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(path, n, "is %s; write a list, such as [a, b]", describe(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		r.read(item, list.Index(i), path+"["+strconv.Itoa(i)+"]")
	}
	v.Set(list)
}

// one gives a scalar's text, or reports that there is none.
func (r *reader) one(n *yaml.Node, path string) (string, bool) {
	if isNull(n) {
		r.fail(path, n, "has no value; give one or remove the key")
		return "", false
	}
	if n.Kind != yaml.ScalarNode {
		r.fail(path, n, "is %s; write one value", describe(n))
		return "", false
	}
	return n.Value, true
}

func (r *reader) text(n *yaml.Node, v encoding.TextUnmarshaler, path string) {
	text, ok := r.one(n, path)
	if !ok {
		return
	}
	if err := v.UnmarshalText([]byte(text)); err != nil {
		r.fail(path, n, "%s", err)
	}
}

func (r *reader) scalar(n *yaml.Node, v reflect.Value, path string) {
	text, ok := r.one(n, path)
	if !ok {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		number, err := strconv.Atoi(text)
		if err != nil {
			r.fail(path, n, "%q is not a whole number", text)
			return
		}
		v.SetInt(int64(number))
	case reflect.Bool:
		switch strings.ToLower(text) {
		case "true", "yes", "on":
			v.SetBool(true)
		case "false", "no", "off":
			v.SetBool(false)
		default:
			r.fail(path, n, "%q is neither true nor false", text)
		}
	default:
		panic("read " + path + ": the reader knows no " + v.Type().String()) // a field of config.go, not a mistake in the file
	}
}

// owner reads the three forms of an owner.
func (r *reader) owner(n *yaml.Node, o *Owner, path string) {
	if n.Kind == yaml.ScalarNode {
		o.Node, _ = r.one(n, path)
		return
	}
	var forms struct {
		Tables map[string]string `yaml:"tables"`
		Column string            `yaml:"column"`
		Values map[string]string `yaml:"values"`
	}
	before := len(r.mistakes)
	r.structure(n, reflect.ValueOf(&forms).Elem(), path)
	if len(r.mistakes) > before {
		r.unread = append(r.unread, path) // which form was meant is not known
	}
	o.Tables, o.Column, o.Values = forms.Tables, forms.Column, forms.Values
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// near reports whether two keys differ by one letter, or one begins with the
// other: most likely a slip.
func near(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) >= 3 && strings.HasPrefix(b, a) {
		return true
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		swapped := i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		return swapped || i == len(a) || a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}
