package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readAlerts(t *testing.T) []alert {
	t.Helper()
	text, err := os.ReadFile("prometheus/alerts.yaml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Name  string  `yaml:"name"`
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	var all []alert
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

func TestAlertRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	require.NoError(t, err, "promtool is missing: install Debian's package prometheus")
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		command := exec.CommandContext(t.Context(), promtool, args...)
		command.Dir = "prometheus"
		output, err := command.CombinedOutput()
		require.NoError(t, err, string(output))
	}
}

func TestEveryAlertIsTestedAndHasARunbook(t *testing.T) {
	tests, err := os.ReadFile("prometheus/alerts_test.yaml")
	require.NoError(t, err)
	runbooks, err := os.ReadFile("../docs/OPERATIONS.md")
	require.NoError(t, err)
	known := map[string]bool{}
	for _, a := range readAlerts(t) {
		known[a.Alert] = true
		require.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		require.True(t, strings.HasSuffix(a.Annotations["runbook_url"], "docs/OPERATIONS.md#"+strings.ToLower(a.Alert)), a.Alert)
		require.Contains(t, string(runbooks), "\n### "+a.Alert+"\n")
		quiet := regexp.MustCompile(`alertname: ` + a.Alert + `, exp_alerts: \[\]`)
		firing := regexp.MustCompile(`alertname: ` + a.Alert + `\n\s+exp_alerts:\n\s+- exp_labels`)
		require.Regexp(t, quiet, string(tests), "%s is never seen quiet", a.Alert)
		require.Regexp(t, firing, string(tests), "%s is never seen firing", a.Alert)
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (Pgfed\w+)$`).FindAllStringSubmatch(string(runbooks), -1) {
		require.True(t, known[heading[1]], "runbook for %s, which is no alert", heading[1])
	}
}

// metricNames is prometheus/metrics.txt: name -> labels besides node.
func metricNames(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("prometheus/metrics.txt")
	require.NoError(t, err)
	metrics := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			metrics[fields[0]] = fields[1:]
		}
	}
	return metrics
}

var metricInText = regexp.MustCompile(`\bpgfed_[a-z_]+`)

func TestAlertsAndDashboardUseKnownMetrics(t *testing.T) {
	known := metricNames(t)
	for _, a := range readAlerts(t) {
		for _, name := range metricInText.FindAllString(a.Expr, -1) {
			require.Contains(t, known, name, a.Alert)
		}
	}
	used := map[string]bool{}
	for _, expr := range dashboardExpressions(t) {
		for _, name := range metricInText.FindAllString(expr, -1) {
			require.Contains(t, known, name)
			used[name] = true
		}
	}
	require.Greater(t, len(used), 10)
}

func dashboardExpressions(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("grafana", "dashboard.json"))
	require.NoError(t, err)
	var dashboard struct {
		UID    string `json:"uid"`
		Title  string `json:"title"`
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.UID)
	require.NotEmpty(t, dashboard.Title)
	var expressions []string
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		require.False(t, ids[panel.ID], "panel id %d twice", panel.ID)
		ids[panel.ID] = true
		require.NotEmpty(t, panel.Title)
		require.LessOrEqual(t, panel.GridPos.X+panel.GridPos.W, 24)
		for _, target := range panel.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}
