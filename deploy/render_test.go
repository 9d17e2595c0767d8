package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/pgfed/pgfed/internal/config"
)

// node is a mapping of a manifest.
type node map[string]any

// at descends; a key that is absent gives an empty mapping.
func (n node) at(path ...string) node {
	for _, key := range path {
		next, _ := n[key].(map[string]any)
		n = next
	}
	return n
}

func (n node) list(key string) []any {
	l, _ := n[key].([]any)
	return l
}

// container is the only container of a pod.
func (n node) container() node { return n.list("containers")[0].(map[string]any) }

// manifest is what kustomize makes of one folder.
type manifest []node

func (m manifest) all(kind string) []node {
	return slices.DeleteFunc(slices.Clone(m), func(n node) bool { return n["kind"] != kind })
}

func (m manifest) one(t *testing.T, kind string) node {
	t.Helper()
	found := m.all(kind)
	require.Len(t, found, 1, kind)
	return found[0]
}

func render(t *testing.T, path string) manifest {
	t.Helper()
	return renderIn(t, filesys.MakeFsOnDisk(), path)
}

func renderIn(t *testing.T, fs filesys.FileSystem, path string) manifest {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, path)
	require.NoError(t, err)
	var m manifest
	for _, resource := range resources.Resources() {
		text, err := resource.AsYAML()
		require.NoError(t, err)
		n := node{}
		require.NoError(t, yaml.Unmarshal(text, (*map[string]any)(&n)))
		m = append(m, n)
	}
	require.NotEmpty(t, m)
	return m
}

func copyToMemory(t *testing.T, root string) filesys.FileSystem {
	t.Helper()
	fs := filesys.MakeFsInMemory()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return fs.WriteFile("/"+path, text)
	}))
	return fs
}

func federationOf(t *testing.T, resources manifest) *config.Federation {
	t.Helper()
	text, _ := resources.one(t, "ConfigMap").at("data")["federation.yaml"].(string)
	federation, err := config.Parse([]byte(text))
	require.NoError(t, err)
	return federation
}

func names(list []any) []string {
	var all []string
	for _, one := range list {
		all = append(all, one.(map[string]any)["name"].(string))
	}
	return all
}

// selected is the part of labels that the selector asks for.
func selected(labels, selector node) map[string]any {
	part := map[string]any{}
	for key := range selector {
		part[key] = labels[key]
	}
	return part
}

func anys(words []string) []any {
	all := []any{}
	for _, word := range words {
		all = append(all, word)
	}
	return all
}
