// Command replctl is how people look at a federation and steer it. Each
// command has a file of its own; all of them print a table, JSON or YAML, and
// end with 0 when all is well, 1 when something is wrong, 2 when they were
// asked wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	exitHealthy   = 0
	exitUnhealthy = 1
	exitUsage     = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errUnhealthy says that the output has told what is wrong already.
var errUnhealthy = errors.New("unhealthy")

// usageError marks mistakes in arguments or in the federation file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// failure marks errors of commands that were asked rightly.
type failure struct{ error }

func (e failure) Unwrap() error { return e.error }

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot(&session{in: in, out: out, errs: errs})
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var failed failure
	switch {
	case err == nil:
		return exitHealthy
	case errors.Is(err, errUnhealthy):
		return exitUnhealthy
	case errors.As(err, &usage), !errors.As(err, &failed):
		fmt.Fprintln(errs, "replctl:", err)
		return exitUsage
	default:
		fmt.Fprintln(errs, "replctl:", err)
		return exitUnhealthy
	}
}
