package deploy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/config"
)

func load(t *testing.T, path string) *config.Federation {
	t.Helper()
	federation, err := config.Load(path)
	require.NoError(t, err)
	return federation
}

func TestExamplesAreAccepted(t *testing.T) {
	require.Len(t, load(t, "examples/minimal.yaml").Nodes, 2)
	require.Equal(t, []string{"central", "east", "west"}, load(t, "examples/federation.yaml").NodeNames())
}

// The annotated file and the two deployed ones are one federation; only the broker's
// place differs.
func TestFederationFilesAgree(t *testing.T) {
	annotated := load(t, "examples/federation.yaml")
	require.Equal(t, annotated, load(t, "kustomize/embedded/federation.yaml"))

	external := load(t, "kustomize/base/federation.yaml")
	require.Equal(t, config.BrokerExternal, external.Broker.Mode)
	external.Broker = annotated.Broker
	require.Equal(t, annotated, external)
}

// "Everything below shows its default": taking the comment signs away changes nothing.
func TestAnnotatedDefaultsAreTheDefaults(t *testing.T) {
	text, err := os.ReadFile("examples/federation.yaml")
	require.NoError(t, err)
	head, tail, found := strings.Cut(string(text), "# Everything below shows its default.")
	require.True(t, found)
	uncommented := regexp.MustCompile(`(?m)^# `).ReplaceAllString(tail, "")
	for _, section := range []string{"slot:", "stream:", "delivery:", "apply:", "capture:"} {
		require.Contains(t, uncommented, "\n"+section)
	}
	federation, err := config.Parse([]byte(head + uncommented))
	require.NoError(t, err)
	require.Equal(t, load(t, "examples/federation.yaml"), federation)
}

func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	file := string(text)
	require.Contains(t, file, "CGO_ENABLED=0")
	require.Contains(t, file, "./cmd/replicator ./cmd/replctl")
	require.Regexp(t, `(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`, file, "a numeric user, or runAsNonRoot cannot see that it is not root")
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(file, -1) {
		require.Regexp(t, `^(golang:[0-9.]+|scratch)$`, from[1], "plain names, no registry")
	}
	require.Regexp(t, `(?m)^FROM scratch$`, file)
	require.Contains(t, file, "ca-certificates.crt")
}
