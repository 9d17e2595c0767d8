package replicator

import (
	"bufio"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/pgfed/pgfed/internal/config"
)

// TestPromisedMetricsExist: the alerts, the dashboard and the runbooks build on
// the metrics that deploy/prometheus/metrics.txt lists, with these labels.
func TestPromisedMetricsExist(t *testing.T) {
	federation, err := config.Load("../../deploy/examples/federation.yaml")
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	_, err = newReplicator(Options{Federation: federation, Node: "east", Logger: slog.New(slog.DiscardHandler), Registry: registry})
	require.NoError(t, err)

	have := map[string][]string{}
	descriptions := make(chan *prometheus.Desc)
	go func() { registry.Describe(descriptions); close(descriptions) }()
	form := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([\w,]*)\}`)
	for description := range descriptions {
		match := form.FindStringSubmatch(description.String())
		require.NotNil(t, match, description.String())
		var labels []string
		if match[2] != "" {
			labels = strings.Split(match[2], ",")
		}
		require.Contains(t, description.String(), `node="east"`, match[1])
		have[match[1]] = labels
	}

	file, err := os.Open("../../deploy/prometheus/metrics.txt")
	require.NoError(t, err)
	defer file.Close()
	promised := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		promised++
		labels, found := have[words[0]]
		require.True(t, found, "%s is promised and not registered", words[0])
		slices.Sort(labels)
		wanted := words[1:]
		slices.Sort(wanted)
		require.ElementsMatch(t, wanted, labels, words[0])
	}
	require.Greater(t, promised, 20)
}
