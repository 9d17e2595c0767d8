// Package deploy holds what runs pgfed at a site: the image, Kubernetes manifests,
// settings of broker and database, alerts, a dashboard and example federation files.
// It has no code; its tests hold the files to what the programs really read and emit.
package deploy
