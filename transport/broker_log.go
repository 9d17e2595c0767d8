package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// brokerLog passes the embedded server's log on. The server's news are our details; its fatal errors do not end the process
// but are kept for whoever waits for the start.
type brokerLog struct {
	logger *slog.Logger
	first  atomic.Pointer[error]
}

func newBrokerLog(logger *slog.Logger) *brokerLog { return &brokerLog{logger: logger} }

// fatal is the first error that the server would have ended the process for.
func (l *brokerLog) fatal() error {
	if err := l.first.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *brokerLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, message(format, v)) }
func (l *brokerLog) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, message(format, v)) }
func (l *brokerLog) Errorf(format string, v ...any)  { l.say(slog.LevelError, message(format, v)) }
func (l *brokerLog) Debugf(string, ...any)           {}
func (l *brokerLog) Tracef(string, ...any)           {}

func (l *brokerLog) say(level slog.Level, text string) {
	l.logger.Log(context.Background(), level, "embedded broker", "said", text)
}

func (l *brokerLog) Fatalf(format string, v ...any) {
	text := message(format, v)
	err := errors.New(text)
	l.first.CompareAndSwap(nil, &err)
	l.say(slog.LevelError, text)
}

// message leaves out the piece of the stream that the server shows when it could not parse it: it may hold row values.
func message(format string, v []any) string {
	text := fmt.Sprintf(format, v...)
	if before, _, found := strings.Cut(text, "proto="); found {
		return before + "(content left out)"
	}
	return text
}
