package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/conflict"
)

var update = flag.Bool("update", false, "write the golden files anew")

func load(t *testing.T, name string) *Federation {
	t.Helper()
	f, err := Load(filepath.Join("testdata", "good", name))
	require.NoError(t, err)
	return f
}

// Every file in testdata/bad holds one mistake (ten.yaml: ten); the .txt
// beside it is what the user reads.
func TestBadFilesReportEveryMistake(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := Load(file)
			require.Error(t, err)
			var mistakes FileErrors
			require.ErrorAs(t, err, &mistakes)
			want := 1
			if filepath.Base(file) == "ten.yaml" {
				want = 10
			}
			require.Len(t, mistakes, want, "%s", err)

			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			got := mistakes.Error() + "\n"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			expected, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(expected), got)
		})
	}
}

func TestAbsentKeysHaveDefaults(t *testing.T) {
	f := load(t, "small.yaml")
	require.Equal(t, ConflictError, f.Conflict)
	require.Equal(t, OnErrorStop, f.OnError)
	require.Equal(t, Slot{Retain: 1 << 30, RetainFor: Duration(time.Hour)}, f.Slot)
	require.Equal(t, Stream{MaxBytes: 10 << 30, Keep: 1 << 30, KeepFor: Duration(10 * time.Minute), Compression: CompressionS2}, f.Stream)
	require.Equal(t, Delivery{Mode: DeliveryCausal, MaxWait: Duration(30 * time.Second)}, f.Delivery)
	require.Equal(t, Duration(5*time.Second), f.Apply.Stall)
	require.Equal(t, Broker{Mode: BrokerEmbedded, Replicas: 1}, f.Broker)
	require.True(t, f.NativeSubscriptions())
	require.False(t, f.Secured())
	require.NoError(t, f.Validate())
}

func TestEveryKeyIsRead(t *testing.T) {
	f := load(t, "full.yaml")
	require.Equal(t, "hippo", f.Federation)
	require.Equal(t, []string{"east-b", "east-a"}, f.Nodes["east"].Standbys)
	require.True(t, f.Secured())
	require.Equal(t, []string{"tls://nats-west.pgfed.svc:4222"}, f.BrokerURLs("west"))
	require.Equal(t, []Rule{
		{Tables: []string{"public.hippo_*"}, Owner: Owner{Tables: map[string]string{"hippo_east": "east", "hippo_west": "west"}}},
		{Tables: []string{"app.accounts"}, Owner: Owner{Column: "region", Values: map[string]string{"eu": "west", "1": "east"}}},
		{Tables: []string{"app.*"}, Owner: Owner{Node: "east"}},
	}, f.Ownership)
	require.True(t, f.Local("public", "hippo_east", "local_note"))
	require.True(t, f.Local("app", "accounts", "note"))
	require.False(t, f.Local("app", "accounts", "local_note"))
	require.Equal(t, Bytes(512<<20), f.Slot.Retain)
	require.Equal(t, Bytes(3<<29), f.Stream.Keep)
	require.Equal(t, OnErrorPark, f.OnError)
	require.False(t, f.NativeSubscriptions())
	require.NoError(t, f.Validate())
}

// What we ship is right.
func TestExamplesParse(t *testing.T) {
	for _, pattern := range []string{"examples/*.yaml", "kustomize/*/federation.yaml"} {
		files, err := filepath.Glob(filepath.Join("../../deploy", pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			_, err := Load(file)
			require.NoError(t, err)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/CONFIGURATION.md")
	require.NoError(t, err)
	var visit func(v reflect.Type, path string)
	visit = func(v reflect.Type, path string) {
		for i := range v.NumField() {
			field, at := v.Field(i).Type, path+v.Field(i).Tag.Get("yaml")
			switch {
			case field == reflect.TypeFor[map[string]Node]():
				visit(reflect.TypeFor[Node](), at+".<name>.")
			case field == reflect.TypeFor[[]Rule]():
				visit(reflect.TypeFor[Rule](), at+"[].")
			case field.Kind() == reflect.Struct && field != reflect.TypeFor[Owner]():
				visit(field, at+".")
			default:
				require.Contains(t, string(text), "| `"+at+"` |")
			}
		}
	}
	visit(reflect.TypeFor[Federation](), "")
}

func TestDigestFollowsMeaningNotWording(t *testing.T) {
	full := load(t, "full.yaml")
	require.Equal(t, full.Digest(), load(t, "full_reworded.yaml").Digest())
	require.Len(t, full.Digest(), 64)
	require.NotEqual(t, full.Digest(), load(t, "small.yaml").Digest())

	text, err := os.ReadFile("testdata/good/full.yaml")
	require.NoError(t, err)
	for _, edit := range [][2]string{
		{"retain: 512MB", "retain: 513MB"},
		{"owner: east", "owner: west"},
		{"eu: west", "eu: east"},
		{`"app.local_?"`, `"app.local_*"`},
		{`"app.*.note"`, `"app.*.notes"`},
		{"standbys: [east-b, east-a]", "standbys: [east-b]"},
	} {
		changed := strings.Replace(string(text), edit[0], edit[1], 1)
		require.NotEqual(t, string(text), changed)
		other, err := Parse([]byte(changed))
		require.NoError(t, err)
		require.NotEqual(t, full.Digest(), other.Digest(), edit[1])
	}
}

// A pattern may take in an owner column's name where it names no owner.
func TestLocalColumnsBesideOwners(t *testing.T) {
	text, err := os.ReadFile("testdata/good/small.yaml")
	require.NoError(t, err)
	for local, wrong := range map[string]bool{
		"accounts.region": true, "*.region": true, "accounts.*": true, "*.*.r*": true,
		"accounts.note": false, "other.region": false, "local_t.region": false, "zoo.accounts.region": false,
	} {
		f, err := Parse(text)
		require.NoError(t, err)
		f.Tables = Tables{Include: []string{"*.*"}, Exclude: []string{"local_*"}, LocalColumns: []string{local}}
		f.Ownership = []Rule{
			{Tables: []string{"other"}, Owner: Owner{Node: f.NodeNames()[0]}},
			{Tables: []string{"public.accounts", "public.local_t"}, Owner: Owner{Column: "region"}},
		}
		require.Equal(t, wrong, f.Validate() != nil, local)
	}
}

func TestEmptyListsMeanAbsentKeys(t *testing.T) {
	text, err := os.ReadFile("testdata/good/small.yaml")
	require.NoError(t, err)
	f, err := Parse(append(text, "ownership: []\nbroker:\nstream: {}\n"...))
	require.NoError(t, err)
	require.Equal(t, load(t, "small.yaml").Digest(), f.Digest())
}

func TestOrderOfRulesCounts(t *testing.T) {
	f := load(t, "full.yaml")
	before := f.Digest()
	f.Ownership[0], f.Ownership[1] = f.Ownership[1], f.Ownership[0]
	require.NotEqual(t, before, f.Digest())
}

func TestNotYAML(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "empty",
		"a: [":                "yaml",
		"a: 1\n---\nb: 2\n":   "more than one",
		"- a\n":               "not a mapping",
		"nodes: &a {b: *a}":   "",
		"federation: !!int x": "",
	} {
		_, err := Parse([]byte(text))
		require.Error(t, err, text)
		require.ErrorContains(t, err, want)
	}
	_, err := Load("testdata/absent.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		federation, err := Parse(text)
		if err != nil {
			return
		}
		require.NoError(t, federation.Validate())
		require.Len(t, federation.Digest(), 64)
		_, err = conflict.Compile(federation.RuleSpec(), federation.NodeNames(), federation.Policy())
		require.NoError(t, err, "what passes here passes there")
	})
}

func TestRulesCompile(t *testing.T) {
	f := load(t, "full.yaml")
	rules, err := conflict.Compile(f.RuleSpec(), f.NodeNames(), f.Policy())
	require.NoError(t, err)
	require.Equal(t, "owner west", rules.For("public", "hippo_west").String())
	require.Equal(t, "owner by column region", rules.For("app", "accounts").String())
	require.Equal(t, "owner east", rules.For("app", "other").String())
}

func TestNames(t *testing.T) {
	f := load(t, "full.yaml")
	require.Equal(t, "pgfed_hippo_east", f.SlotName("east"))
	require.Equal(t, "pgfed_hippo", f.PublicationName())
	require.Equal(t, "pgfed_hippo_west", f.OriginName("west"))
	require.Equal(t, []string{"east", "west"}, f.NodeNames())
	require.Equal(t, []string{"west"}, f.PeersOf("east"))
}

func TestIncluded(t *testing.T) {
	f := load(t, "full.yaml")
	for name, want := range map[string]bool{
		"public.hippos": true, "public.hippo": true, "public.horse": false,
		"app.accounts": true, "app.local_1": false, "app.local_10": true, "App.accounts": false,
		"pgfed.node": false, "other.hippo": false,
	} {
		schema, table, _ := strings.Cut(name, ".")
		require.Equal(t, want, f.Included(schema, table), name)
	}
	f.Tables = Tables{Include: []string{"*.*"}}
	require.True(t, f.Included("any", "thing"))
	for _, schema := range []string{"pgfed", "pg_catalog", "pg_toast", "information_schema"} {
		require.False(t, f.Included(schema, "x"), schema)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "1": 1, "12B": 12, "1kB": 1024, "1KB": 1024, "2MB": 2 << 20, "1GB": 1 << 30, "1.5GB": 3 << 29, "1 TB": 1 << 40, "-1GB": -(1 << 30),
	} {
		got, err := ParseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "GB", "1XB", "one", "9e99TB", "99999999TB", "NaN", "InfGB"} {
		_, err := ParseBytes(text)
		require.Error(t, err, text)
	}
	for b, want := range map[Bytes]string{0: "0B", 1: "1B", 1 << 30: "1GB", 3 << 29: "1536MB", 1025: "1025B"} {
		require.Equal(t, want, b.String())
		again, err := ParseBytes(want)
		require.NoError(t, err)
		require.Equal(t, b, again)
	}
}
