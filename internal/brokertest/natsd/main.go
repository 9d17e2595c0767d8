// natsd is the NATS server in a process of its own, for tests that kill one. It takes nats-server's flags and ends when its
// standard input does, so that it never outlives the test that started it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "natsd:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	nothing := func() {}
	options, err := server.ConfigureOptions(flag.NewFlagSet("natsd", flag.ContinueOnError), args, nothing, nothing, nothing)
	if err != nil {
		return err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	if err := server.Run(s); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.Shutdown()
	}()
	s.WaitForShutdown()
	return nil
}
