package deploy

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/pgfed/pgfed/internal/config"
)

// Each way to run a site, as somebody would apply it. site is empty where an
// overlay has still to say which node it is.
var renderings = []struct {
	path, site, workload, exposure string
}{
	{"base", "", "Deployment", ""},
	{"embedded", "", "StatefulSet", ""},
	{"overlays/hippo-east", "east", "StatefulSet", "Route/edge"},
	{"overlays/hippo-central", "central", "StatefulSet", "Route/passthrough"},
	{"overlays/hippo-west", "west", "StatefulSet", "Ingress"},
	{"overlays/hippo-east/external", "east", "Deployment", ""},
	{"overlays/hippo-central/external", "central", "Deployment", ""},
	{"overlays/hippo-west/external", "west", "Deployment", ""},
}

func TestRenderings(t *testing.T) {
	for _, r := range renderings {
		t.Run(r.path, func(t *testing.T) {
			resources := render(t, filepath.Join("kustomize", r.path))
			workload := resources.one(t, r.workload)
			checkPod(t, workload.at("spec", "template", "spec"))
			checkReplicas(t, workload)
			checkFederation(t, resources, workload, r.site)
			checkAlone(t, resources)
			checkExposure(t, resources, workload, r.site, r.exposure)
			checkSecrets(t, resources, workload, r.site)
		})
	}
}

func TestEveryOverlayIsTried(t *testing.T) {
	var found []string
	require.NoError(t, filepath.WalkDir("kustomize/overlays", func(path string, _ os.DirEntry, err error) error {
		if filepath.Base(path) == "kustomization.yaml" && !strings.Contains(path, "/site/") {
			found = append(found, strings.TrimPrefix(filepath.Dir(path), "kustomize/"))
		}
		return err
	}))
	var tried []string
	for _, r := range renderings {
		if strings.HasPrefix(r.path, "overlays/") {
			tried = append(tried, r.path)
		}
	}
	require.ElementsMatch(t, tried, found)
}

// The StatefulSet repeats the Deployment's pod so that each can be read alone.
func TestBothVariantsRunTheSamePod(t *testing.T) {
	pod := func(path, kind string) node {
		spec := render(t, path).one(t, kind).at("spec", "template", "spec")
		delete(spec, "topologySpreadConstraints")
		spec["volumes"] = slices.DeleteFunc(spec.list("volumes"), func(v any) bool {
			name := v.(map[string]any)["name"]
			return name == "data" || name == "federation" // by design; the second in the hash of its name
		})
		delete(spec.container(), "ports")
		return spec
	}
	require.Equal(t, pod("kustomize/base", "Deployment"), pod("kustomize/embedded", "StatefulSet"))
}

// Components that no overlay uses still have to fit on the embedded variant.
func TestSpareComponents(t *testing.T) {
	for component, args := range map[string][]string{
		"route-reencrypt": {"--broker-websocket-listen=0.0.0.0:8080", "--broker-websocket-tls", "--broker-cert=/etc/pgfed/broker-tls/tls.crt", "--broker-key=/etc/pgfed/broker-tls/tls.key"},
		"podmonitor":      nil,
	} {
		t.Run(component, func(t *testing.T) {
			fs := copyToMemory(t, "kustomize")
			require.NoError(t, fs.MkdirAll("/kustomize/try"))
			require.NoError(t, fs.WriteFile("/kustomize/try/kustomization.yaml",
				[]byte("resources: [../embedded]\ncomponents: [../components/"+component+"]\n")))
			resources := renderIn(t, fs, "/kustomize/try")
			require.Subset(t, resources.one(t, "StatefulSet").at("spec", "template", "spec").container().list("args"), anys(args))
		})
	}
}

func checkPod(t *testing.T, pod node) {
	t.Helper()
	require.Equal(t, false, pod["automountServiceAccountToken"])
	require.Equal(t, "pgfed", pod["serviceAccountName"])
	require.GreaterOrEqual(t, pod["terminationGracePeriodSeconds"], 30)
	security := pod.at("securityContext")
	require.Equal(t, true, security["runAsNonRoot"])
	require.Equal(t, "RuntimeDefault", security.at("seccompProfile")["type"])
	for _, key := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		require.NotContains(t, pod, key)
	}

	require.Len(t, pod.list("containers"), 1)
	c := pod.container()
	require.Equal(t, node{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}}},
		c.at("securityContext"))
	require.Regexp(t, `^[a-z]+(:[a-z0-9.]+)?$`, c["image"], "a plain name; the registry is the overlay's")
	require.Contains(t, c.list("ports"), any(map[string]any{"name": "http", "containerPort": 9187}))
	require.Equal(t, map[string]any{"path": "/livez", "port": "http"}, c.at("livenessProbe")["httpGet"])
	require.Equal(t, map[string]any{"path": "/livez", "port": "http"}, c.at("startupProbe")["httpGet"])
	require.Equal(t, map[string]any{"path": "/readyz", "port": "http"}, c.at("readinessProbe")["httpGet"])
	require.NotEmpty(t, c.at("resources", "requests")["cpu"])
	require.NotEmpty(t, c.at("resources", "requests")["memory"])
	require.NotEmpty(t, c.at("resources", "limits")["memory"])

	mounts, volumes := names(c.list("volumeMounts")), names(pod.list("volumes"))
	for _, mount := range c.list("volumeMounts") {
		if m := node(mount.(map[string]any)); m["name"] != "data" {
			require.Equal(t, true, m["readOnly"], m["name"])
		}
	}
	for _, volume := range volumes {
		require.Contains(t, mounts, volume, "a volume that nobody mounts")
	}
}

func checkReplicas(t *testing.T, workload node) {
	t.Helper()
	spec := workload.at("spec")
	require.Equal(t, spec.at("selector")["matchLabels"], selected(spec.at("template", "metadata", "labels"), spec.at("selector", "matchLabels")))
	if workload["kind"] == "Deployment" {
		require.Equal(t, 2, spec["replicas"], "one active, one waiting")
		require.Equal(t, 0, spec.at("strategy", "rollingUpdate")["maxSurge"])
		require.Len(t, spec.at("template", "spec").list("topologySpreadConstraints"), 2)
		return
	}
	require.Equal(t, 1, spec["replicas"], "a second process must never open the store")
	claim := node(spec.list("volumeClaimTemplates")[0].(map[string]any))
	require.Equal(t, "data", claim.at("metadata")["name"])
	require.Equal(t, []any{"ReadWriteOnce"}, claim.at("spec")["accessModes"])
}

// checkFederation: the pod mounts a federation file that the replicator accepts and
// that has this site's node.
func checkFederation(t *testing.T, resources manifest, workload node, site string) {
	t.Helper()
	federation := federationOf(t, resources)
	configMap := resources.one(t, "ConfigMap").at("metadata")["name"]
	pod := workload.at("spec", "template", "spec")
	require.Contains(t, pod.list("volumes"), any(map[string]any{"name": "federation", "configMap": map[string]any{"name": configMap}}))
	require.Contains(t, pod.container().list("args"), "--config=/etc/pgfed/federation/federation.yaml")
	require.Equal(t, workload["kind"] == "Deployment", federation.Broker.Mode == config.BrokerExternal)
	if site == "" {
		return
	}
	require.Contains(t, federation.NodeNames(), site)
	require.Contains(t, pod.container().list("env"), any(map[string]any{"name": "PGFED_NODE", "value": site}))
	require.Equal(t, site, workload.at("metadata", "labels")["pgfed.io/node"])
	require.Equal(t, site, workload.at("spec", "template", "metadata", "labels")["pgfed.io/node"])
}

// checkAlone: around the pod there is no more than it needs.
func checkAlone(t *testing.T, resources manifest) {
	t.Helper()
	require.Equal(t, false, resources.one(t, "ServiceAccount")["automountServiceAccountToken"])
	for _, kind := range []string{"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret"} {
		require.Empty(t, resources.all(kind))
	}
	require.Equal(t, 1, resources.one(t, "PodDisruptionBudget").at("spec")["maxUnavailable"], "minAvailable would block drains of a single replica")
	policy := resources.one(t, "NetworkPolicy").at("spec")
	require.ElementsMatch(t, []any{"Ingress", "Egress"}, policy.list("policyTypes"))
	require.NotEmpty(t, policy.list("egress"))
}

// checkExposure: the address in the federation file, the route and the listener agree.
func checkExposure(t *testing.T, resources manifest, workload node, site, exposure string) {
	t.Helper()
	args := workload.at("spec", "template", "spec").container().list("args")
	for _, service := range resources.all("Service") {
		require.Equal(t, true, service.at("spec")["publishNotReadyAddresses"], "readiness chooses nobody")
	}
	if exposure == "" {
		require.Empty(t, resources.all("Route"))
		require.Empty(t, resources.all("Ingress"))
		if workload["kind"] == "Deployment" {
			require.Len(t, resources.all("Service"), 1, "metrics; nobody dials a replicator with an external broker")
		}
		return
	}
	address, err := url.Parse(federationOf(t, resources).Nodes[site].URL)
	require.NoError(t, err)
	switch exposure {
	case "Route/edge":
		route := resources.one(t, "Route").at("spec")
		require.Equal(t, address.Hostname(), route["host"])
		require.Equal(t, "wss", address.Scheme)
		require.Equal(t, "edge", route.at("tls")["termination"])
		require.Equal(t, "websocket", route.at("port")["targetPort"])
	case "Route/passthrough":
		route := resources.one(t, "Route").at("spec")
		require.Equal(t, address.Hostname(), route["host"])
		require.Equal(t, "tls", address.Scheme)
		require.Equal(t, "passthrough", route.at("tls")["termination"])
		require.Equal(t, "tls", route.at("port")["targetPort"])
		require.Subset(t, args, anys([]string{"--broker-listen=0.0.0.0:4222", "--broker-cert=/etc/pgfed/broker-tls/tls.crt", "--broker-key=/etc/pgfed/broker-tls/tls.key"}))
	case "Ingress":
		ingress := resources.one(t, "Ingress").at("spec")
		require.Equal(t, "wss", address.Scheme)
		require.Equal(t, address.Hostname(), node(ingress.list("rules")[0].(map[string]any))["host"])
		require.Equal(t, []any{address.Hostname()}, node(ingress.list("tls")[0].(map[string]any)).list("hosts"))
	}
	if address.Scheme == "wss" {
		require.Subset(t, args, anys([]string{"--broker-listen=127.0.0.1:4222", "--broker-websocket-listen=0.0.0.0:8080"}))
	}
}

// checkSecrets: passwords and keys are files from Secrets, never values in a manifest.
func checkSecrets(t *testing.T, resources manifest, workload node, site string) {
	t.Helper()
	pod := workload.at("spec", "template", "spec")
	for _, variable := range pod.container().list("env") {
		v := node(variable.(map[string]any))
		require.NotRegexp(t, `(?i)passw|secret|token|seed|credential`, v["name"])
		require.NotContains(t, v["value"], "://")
	}
	secrets := map[string]string{}
	for _, volume := range pod.list("volumes") {
		v := node(volume.(map[string]any))
		if secret, ok := v["secret"].(map[string]any); ok {
			require.Equal(t, 0o440, secret["defaultMode"], v["name"])
			secrets[v["name"].(string)] = secret["secretName"].(string)
		}
	}
	if site != "" {
		require.Equal(t, "hippo-"+site+"-pguser-pgfed", secrets["postgres"])
		require.Equal(t, "hippo-"+site+"-cluster-cert", secrets["postgres-ca"])
	}
	text, err := yaml.Marshal([]node(resources))
	require.NoError(t, err)
	require.NotRegexp(t, regexp.MustCompile(`SU[A-Z2-7]{56}|BEGIN [A-Z ]*PRIVATE KEY|(?i)postgres(ql)?://|password:`), string(text))
}
